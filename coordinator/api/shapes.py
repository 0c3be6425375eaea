"""What the API answers, as shapes for the OpenAPI document. More may be there: clients ignore what they do not know."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields


def _many(shape: type[Schema]) -> type[Schema]:
    """The page of a list of these."""
    name = shape.__name__.removesuffix("Schema")
    return type(f"{name}ListSchema", (Schema,), {
        "items": fields.List(fields.Nested(shape), required=True),
        "next": fields.String(required=True, allow_none=True, metadata={"description": "Send it as ?cursor=."}),
    })  # fmt: skip


def _text(*, none: bool = False, **metadata: Any) -> fields.String:
    return fields.String(required=True, allow_none=none, metadata=metadata)


def _at(*, none: bool = False) -> fields.DateTime:
    return fields.DateTime(required=True, allow_none=none)


def _number(*, none: bool = False) -> fields.Integer:
    return fields.Integer(required=True, allow_none=none)


class FaultSchema(Schema):
    pointer = _text(description="RFC 6901 JSON pointer into what was sent.")
    detail = _text()


class BlockerSchema(Schema):
    kind = _text()
    id = _text()
    text = _text()


class ProblemSchema(Schema):
    """RFC 9457."""

    type = _text()
    title = _text()
    status = _number()
    detail = _text()
    errors = fields.List(fields.Nested(FaultSchema))
    blocked_by = fields.List(fields.Nested(BlockerSchema))


class AcceptedSchema(Schema):
    report = _text()
    disposition = fields.String(
        required=True, metadata={"enum": ["accepted", "update", "duplicate", "quarantined"]}
    )
    incident = _text(none=True)
    status_url = _text(format="uri")


class ReportStatusSchema(Schema):
    report = _text()
    disposition = _text()


class IncidentSchema(Schema):
    reference = _text()
    title = _text()
    status = _text()
    severity = _number(none=True)
    classification = _text()
    tlp = _text()
    owner = _number(none=True)
    outlook = _text(none=True)
    created_at = _at()
    updated_at = _at()
    restricted = fields.Boolean(required=True)
    exercise = _text()


class EntrySchema(Schema):
    seq = _number()
    at = _at()
    actor = _text()
    kind = _text()
    text = _text()
    hash = _text()


class TaskSchema(Schema):
    id = _number()
    title = _text()
    role = _text()
    assignee = _number(none=True)
    state = fields.String(required=True, metadata={"enum": ["open", "done", "cancelled", "set-aside"]})
    outcome = _text(none=True)
    due_at = _at(none=True)
    blocking = _text(none=True)
    fields_ = fields.List(fields.Dict(), required=True, data_key="fields")


class AlertSchema(Schema):
    id = _number()
    kind = _text()
    recipient = _text()
    state = _text()
    decision = _number()
    attempts = fields.List(fields.Dict(), required=True)
    ladder = fields.List(fields.Dict(), required=True)
    acknowledged = fields.Dict(required=True, allow_none=True)


class DecisionSchema(Schema):
    id = _number()
    result = fields.String(required=True, metadata={"enum": ["permit", "refer", "deny"]})
    reasons = fields.List(fields.String(), required=True)
    obligations = fields.List(fields.String(), required=True)
    agreement = _text(none=True)
    effective_tlp = _text()
    valid_until = _at()
    requested_by = _text()
    approvals = fields.List(fields.Dict(), required=True)


class RunSchema(Schema):
    id = _number()
    playbook = _text()
    version = _text()
    state = _text()
    steps = fields.List(fields.Dict(), required=True)


class PlaybookSchema(Schema):
    id = _number()
    playbook = _text()
    version = _text()
    name = _text()
    state = _text(description="imported, active, replaced or revoked.")
    digest = _text(description="SHA-256 over the canonical document without signatures.")


class PlaybookTakenSchema(Schema):
    id = _number()
    said = _text()


class PlaybookFaultsSchema(Schema):
    faults = fields.List(fields.Dict(), required=True)


class PlaybookChangesSchema(Schema):
    changes = fields.List(fields.String(), required=True)


class DryRunSchema(Schema):
    lines = fields.List(fields.Dict(), required=True)
    exit_code = _number()


class ReportSchema(Schema):
    id = _text()
    received_at = _at()
    via = _text()
    disposition = _text()


class FileSchema(Schema):
    sha256 = _text()
    size = _number()
    state = _text()


class NoteAnswerSchema(Schema):
    id = _number()
    item = _text()
    version = _number()
    at = _at()
    author = _text()


class ReleaseSchema(Schema):
    release = _number()
    state = _text()
    decisions = fields.List(fields.Nested(DecisionSchema), required=True)
    alerts = fields.List(fields.Nested(AlertSchema), required=True)
    unreachable = fields.List(fields.Dict(), required=True)


class LedgerLineSchema(Schema):
    alert = _number()
    recipient = _text()
    incident = _text(none=True)
    title = _text()
    since = _at()
    sure = _text(description="answered, delivered, handed-over, perhaps")
    tlp = _text()
    agreement = _text(none=True)
    obligations = fields.List(fields.String(), required=True)


class StandingClearanceSchema(Schema):
    id = _number()
    state = fields.String(required=True, metadata={"enum": ["waiting", "in-force", "expired", "revoked"]})
    title = _text()
    body = _text()
    language = _text()
    digest = _text(description="SHA-256 of exactly this text, as a release of it bears it.")
    until = _at()
    proposed = fields.Dict(required=True)
    confirmed = fields.Dict(required=True)
    revoked = fields.Dict(required=True, allow_none=True)


class ReleasedLineSchema(Schema):
    public_id = _text()
    kind = _text()
    label = _text()
    reference = _text(none=True)
    title = _text(none=True, description="Null where it may not be shown any more.")
    sent_at = _at()
    reply_by = _at(none=True)
    answered_at = _at(none=True)
    withdrawn_at = _at(none=True)


class ReleasedSchema(Schema):
    public_id = _text()
    kind = _text()
    label = _text()
    reference = _text(none=True)
    title = _text(none=True)
    body = _text(none=True)
    obligations = fields.List(fields.String(), required=True)
    state = _text()
    answers = fields.List(fields.Dict(), required=True)


class AnswerSchema(Schema):
    alert = _text()
    answer = _text()
    kind = _text()
    assurance = _text()
    at = _at()


class PersonSchema(Schema):
    id = _number()
    name = _text()
    role = _text()


class WaitingChangeSchema(Schema):
    id = _number()
    kind = _text()
    subject = _text()
    state = _text()
    asked_by = _text()
    asked_at = _at()
    expires_at = _at()
    reason = _text()
    differences = fields.List(fields.Dict(), required=True)
    why_not = _text(description="Why this person may not answer it; empty where they may.")


class FactShownSchema(Schema):
    """What each source says of one fact, and whether they differ."""

    name = _text()
    conflict = fields.Boolean(required=True)
    said = fields.List(fields.Dict(), required=True)
    chosen = _number(none=True)


class QuarantinedSchema(Schema):
    report = _text()
    reason = _text()
    state = fields.String(
        required=True, metadata={"enum": ["waiting", "released", "attached", "refused", "refiled"]}
    )
    received_at = _at()
    due_at = _at()
    urgent = fields.Boolean(required=True)
    possibly_real = fields.Boolean(required=True)
    owner = _number(none=True)
    flood = _number(none=True)
    title = _text(none=True)


class FloodSchema(Schema):
    id = _number()
    endpoint = _text()
    began_at = _at()
    over_at = _at(none=True)
    waiting = _number()


class EndpointKeySchema(Schema):
    id = _number()
    state = fields.String(required=True, metadata={"enum": ["current", "previous", "over", "revoked"]})
    created_at = _at()
    until = _at(none=True)
    revoked_at = _at(none=True)


class EndpointShownSchema(Schema):
    id = _text()
    organisation = _text()
    direction = _text()
    state = _text()
    keys = fields.List(fields.Nested(EndpointKeySchema), required=True)


class AgreementShownSchema(Schema):
    key = _text()
    version = _number()
    status = _text()
    parties = fields.List(fields.String(), required=True)
    terms = fields.Dict(required=True)
    sentences = fields.List(fields.Dict(), required=True)


class AskedSchema(Schema):
    done = _text()
    change = _number(none=True)


class NewSecretSchema(Schema):
    endpoint = _text()
    secret = _text(description="Shown this once.")
    overlap_days = _number()
    change = _number(none=True)


class ReceivedSchema(Schema):
    report = _text()
    received_at = _at()
    disposition = _text()
    incident = _text(none=True)
    in_doubt = fields.Boolean(required=True)


class DoubtedSchema(Schema):
    report = _text()
    in_doubt = fields.Boolean(required=True)


class ExerciseShownSchema(Schema):
    code = _text()
    title = _text()
    starts_at = _at()
    ends_at = _at()
    state = fields.String(required=True, metadata={"enum": ["planned", "running", "over"]})
    organisations = fields.List(fields.String(), required=True)


class GivenUpSchema(Schema):
    id = _number()
    kind = _text()
    job = _text()
    since = _at()
    attempts = _number()
    fault = _text()


class OperationsSchema(Schema):
    """How the installation is; each part is an object or a list."""

    given_up = fields.List(fields.Nested(GivenUpSchema), required=True)
    clocks_watched_at = _at(none=True)
    broker_answers = fields.Boolean(required=True)


class RetriedSchema(Schema):
    id = _number()
    state = _text()


class StoppedSchema(Schema):
    id = _number()
    on_hold = fields.List(fields.String(), required=True)


class ThingSchema(Schema):
    """Something of an incident, with an id or a reference."""


IncidentListSchema, EntryListSchema, TaskListSchema = _many(IncidentSchema), _many(EntrySchema), _many(TaskSchema)
AlertListSchema, DecisionListSchema, RunListSchema = _many(AlertSchema), _many(DecisionSchema), _many(RunSchema)
WaitingChangeListSchema = _many(WaitingChangeSchema)
PlaybookListSchema = _many(PlaybookSchema)
ReportListSchema, ThingListSchema, FactListSchema = _many(ReportSchema), _many(ThingSchema), _many(FactShownSchema)
LedgerSchema = _many(LedgerLineSchema)
QuarantinedListSchema, FloodListSchema = _many(QuarantinedSchema), _many(FloodSchema)
ReceivedListSchema, EndpointShownListSchema = _many(ReceivedSchema), _many(EndpointShownSchema)
ExerciseShownListSchema = _many(ExerciseShownSchema)
ReleasedListSchema = _many(ReleasedLineSchema)
