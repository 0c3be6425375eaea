"""What the API answers, as shapes for the OpenAPI document. More may be there: clients ignore what they do not know."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields


def many(shape: type[Schema]) -> type[Schema]:
    """The page of a list of these."""
    name = shape.__name__.removesuffix("Schema")
    return type(f"{name}ListSchema", (Schema,), {
        "items": fields.List(fields.Nested(shape), required=True),
        "next": fields.String(required=True, allow_none=True, metadata={"description": "Send it as ?cursor=."}),
    })  # fmt: skip


def text(*, none: bool = False, **metadata: Any) -> fields.String:
    return fields.String(required=True, allow_none=none, metadata=metadata)


def at(*, none: bool = False) -> fields.DateTime:
    return fields.DateTime(required=True, allow_none=none)


def number(*, none: bool = False) -> fields.Integer:
    return fields.Integer(required=True, allow_none=none)


class FaultSchema(Schema):
    pointer = text(description="RFC 6901 JSON pointer into what was sent.")
    detail = text()


class RemarkSchema(FaultSchema):
    check = text(description="The number that the validator of the standard's committee gives it.")
    object = text(description="The id of the object, or empty.")


class RemarksSchema(Schema):
    """Recommendations of its format that a report does not follow; it is taken all the same."""

    count = number()
    first = fields.List(fields.Nested(RemarkSchema), required=True)


class BlockerSchema(Schema):
    kind = text()
    id = text()
    text = text()


class ProblemSchema(Schema):
    """RFC 9457."""

    type = text()
    title = text()
    status = number()
    detail = text()
    errors = fields.List(fields.Nested(FaultSchema))
    blocked_by = fields.List(fields.Nested(BlockerSchema))


class IncidentSchema(Schema):
    reference = text()
    title = text()
    status = text()
    severity = number(none=True)
    classification = text()
    tlp = text()
    owner = number(none=True)
    outlook = text(none=True)
    created_at = at()
    updated_at = at()
    restricted = fields.Boolean(required=True)
    exercise = text(none=True, description="Null or empty: it is real.")


class TaskSchema(Schema):
    id = number()
    title = text()
    role = text()
    assignee = number(none=True)
    state = fields.String(required=True, metadata={"enum": ["open", "done", "cancelled", "set-aside"]})
    outcome = text(none=True)
    due_at = at(none=True)
    blocking = text(none=True)
    fields_ = fields.List(fields.Dict(), required=True, data_key="fields")


class AlertSchema(Schema):
    id = number()
    kind = text()
    recipient = text()
    state = text()
    decision = number()
    attempts = fields.List(fields.Dict(), required=True)
    ladder = fields.List(fields.Dict(), required=True)
    acknowledged = fields.Dict(required=True, allow_none=True)


class DecisionSchema(Schema):
    id = number()
    result = fields.String(required=True, metadata={"enum": ["permit", "refer", "deny"]})
    reasons = fields.List(fields.String(), required=True)
    why = fields.List(
        fields.Dict(), required=True,
        metadata={"description": "of each reason: code, text, because (what gave it here), changed_by, change; clause"},
    )  # fmt: skip
    problems = fields.List(
        fields.Dict(), required=True,
        metadata={"description": "of agreements, where none fits: agreement, code, text, because, changed_by; clause"},
    )  # fmt: skip
    obligations = fields.List(fields.String(), required=True)
    agreement = text(none=True)
    effective_tlp = text()
    valid_until = at()
    requested_by = text()
    approvals = fields.List(fields.Dict(), required=True)


class ReleaseSchema(Schema):
    release = number()
    state = text()
    decisions = fields.List(fields.Nested(DecisionSchema), required=True)
    alerts = fields.List(fields.Nested(AlertSchema), required=True)
    unreachable = fields.List(fields.Dict(), required=True)


class AnswerSchema(Schema):
    alert = text()
    answer = text()
    kind = text()
    assurance = text()
    at = at()


TaskListSchema = many(TaskSchema)
