"""Duties with a clock, the rules they run under, and assessments."""

from __future__ import annotations

from flask import Blueprint, Response
from marshmallow import Schema, fields

from coordinator import clock
from coordinator.accounts.rules import Right
from coordinator.api import shapes
from coordinator.api.access import needs, principal, store
from coordinator.api.bodies import answer, json_body
from coordinator.api.described import describes
from coordinator.assessments import queries as assessments
from coordinator.assessments import service as assessing
from coordinator.errors import NotFound
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.queries import get_visible
from coordinator.obligations import preview, queries, register, schema, service
from coordinator.obligations.calendars import holidays
from coordinator.obligations.suggesting import duties_that_may_apply

routes = Blueprint("obligations", __name__)


class ObligationSchema(Schema):
    id = shapes.number()
    rule = shapes.text()
    version = shapes.number()
    binding = fields.Boolean(required=True, metadata={"description": "A legal reviewer signed this version."})
    state = shapes.text()
    status = shapes.text(description="The state with due-soon, overdue and met-late, which are derived.")
    basis = shapes.text()
    started_at = shapes.at()
    due_at = shapes.at(none=True)
    soft = fields.Boolean(required=True)
    recipient_role = shapes.text()


class PreviewedSchema(Schema):
    rule = shapes.text()
    version = shapes.number()
    instrument = shapes.text()
    basis = shapes.text()
    started_at = shapes.at()
    due_at = shapes.at(none=True)
    soft = fields.Boolean(required=True)
    recipient_role = shapes.text()
    binding = fields.Boolean(required=True)
    status = shapes.text()


class ObligationRuleSchema(Schema):
    id = shapes.number()
    rule = shapes.text()
    version = shapes.number()
    advisory = fields.Boolean(required=True)
    status = shapes.text()
    confidence = shapes.text()
    clocks = fields.List(fields.Dict(), required=True)


class AssessmentSchema(Schema):
    id = shapes.number()
    method = shapes.text()
    state = shapes.text()
    suggested_by = shapes.text()
    accepted_by = shapes.text(none=True)
    severity = shapes.number(none=True)
    values = fields.Dict(required=True)


class SuggestionsSchema(Schema):
    severity = fields.Dict(
        required=True, allow_none=True,
        metadata={"description": "level, reasons (text, level, source), unknown (names of facts), mark"},
    )  # fmt: skip
    duties = fields.List(
        fields.Dict(), required=True, metadata={"description": "rule, instrument, who, advisory, because"}
    )


ObligationListSchema = shapes.many(ObligationSchema)
ObligationRuleListSchema = shapes.many(ObligationRuleSchema)
PreviewListSchema = shapes.many(PreviewedSchema)
AssessmentListSchema = shapes.many(AssessmentSchema)


@routes.get("/incidents/<reference>/obligations")
@needs(Right.READ_INCIDENTS)
@describes(answer=ObligationListSchema)
def of_incident(reference: str) -> Response:
    """The duties of an incident, open ones first, soonest due first."""
    with store().read() as tx:
        row = get_visible(tx, reference, principal=principal())
        return answer({"items": queries.of_incident(tx, row.id), "next": None})


@routes.post("/incidents/<reference>/obligations")
@needs(Right.MEET_OBLIGATION)
@describes(body=schema.StartDutySchema, answer=ObligationSchema, status=201)
def start(reference: str) -> Response:
    """Begin a duty; the same rule again gives the one there is, unless it was set aside: then it begins anew."""
    wanted = schema.load_start(json_body())
    with store().unit_of_work() as tx:
        incident = lock_incident(tx, get_visible(tx, reference, principal=principal()).id)
        row = service.start(
            tx, incident, wanted["rule"], actor=principal().actor, basis_at=wanted.get("basis_at"),
            fidelity=wanted.get("fidelity", "second"), anew=True,
        )  # fmt: skip
        tx.flush()
        return answer(queries.one(tx, row.id, principal=principal()), status=201)


@routes.get("/obligations/<int:number>")
@needs(Right.READ_INCIDENTS)
@describes(answer=ObligationSchema)
def one(number: int) -> Response:
    """One duty with its rule and its history."""
    with store().read() as tx:
        return answer(queries.one(tx, _fits(number), principal=principal()))


@routes.post("/obligations/<int:number>/meet")
@needs(Right.MEET_OBLIGATION)
@describes(body=schema.MeetSchema, answer=ObligationSchema)
def meet(number: int) -> Response:
    """Record its submission, with what shows it. Late stays late."""
    wanted = schema.load_meet(json_body())
    with store().unit_of_work() as tx:
        service.meet(
            tx, _fits(number), principal=principal(), at=wanted["submitted_at"], evidence=wanted["evidence"]
        )
        tx.flush()
        return answer(queries.one(tx, number, principal=principal()))


@routes.post("/obligations/<int:number>/basis")
@needs(Right.MEET_OBLIGATION)
@describes(body=schema.BasisSchema, answer=ObligationSchema)
def basis(number: int) -> Response:
    """Give or correct the instant it counts from. A later deadline needs the right to set duties aside."""
    wanted = schema.load_basis(json_body())
    with store().unit_of_work() as tx:
        service.give_basis(
            tx, _fits(number), principal=principal(), at=wanted["basis_at"], reason=wanted["reason"],
            fidelity=wanted.get("fidelity", "second"),
        )  # fmt: skip
        tx.flush()
        return answer(queries.one(tx, number, principal=principal()))


@routes.post("/obligations/<int:number>/set-aside")
@needs(Right.SET_OBLIGATION_ASIDE)
@describes(body=schema.SetAsideSchema, answer=ObligationSchema)
def set_aside(number: int) -> Response:
    """Waive it, or say that it does not apply or that another took its place, with the reason."""
    wanted = schema.load_set_aside(json_body())
    with store().unit_of_work() as tx:
        service.set_aside(tx, _fits(number), principal=principal(), state=wanted["state"], reason=wanted["reason"])
        tx.flush()
        return answer(queries.one(tx, number, principal=principal()))


@routes.post("/obligations/preview")
@needs(Right.READ_PLAYBOOKS)
@describes(body=preview.PreviewSchema, answer=PreviewListSchema)
def previewed() -> Response:
    """What an incident with these facts would owe, to whom and by when. Nothing is written."""
    wanted = preview.read(json_body())
    with store().read() as tx:
        found = preview.preview(wanted, register.current_rules(tx), now=clock.now(), table=holidays(tx))
        return answer({"items": found, "next": None})


@routes.get("/obligation-rules")
@needs(Right.READ_PLAYBOOKS)
@describes(answer=ObligationRuleListSchema)
def rules() -> Response:
    """The clock rules, each in its newest version."""
    with store().read() as tx:
        return answer({"items": queries.rules_of(tx), "next": None})


@routes.post("/obligation-rules/<int:number>/sign")
@needs(Right.SIGN_RULES)
@describes(body=schema.SignRuleSchema, answer=ObligationRuleSchema)
def sign(number: int) -> Response:
    """Stand for a version as its legal reviewer: from then on it is binding for us."""
    wanted = schema.load_sign(json_body())
    with store().unit_of_work() as tx:
        row = register.sign_rule(tx, _fits(number), principal=principal(), note=wanted["note"])
        tx.flush()
        return answer(next(each for each in queries.rules_of(tx) if each["id"] == row.id))


@routes.get("/incidents/<reference>/assessments")
@needs(Right.READ_INCIDENTS)
@describes(answer=AssessmentListSchema)
def assessed(reference: str) -> Response:
    """The assessments of an incident, newest first."""
    with store().read() as tx:
        row = get_visible(tx, reference, principal=principal())
        return answer({"items": assessments.of_incident(tx, row.id), "next": None})


@routes.get("/incidents/<reference>/suggestions")
@needs(Right.READ_INCIDENTS)
@describes(answer=SuggestionsSchema)
def suggestions(reference: str) -> Response:
    """What rules suggest from the facts, with reasons: a severity, and duties that may apply. Nothing happens of it."""
    with store().read() as tx:
        row = get_visible(tx, reference, principal=principal())
        found = assessing.standing_suggestion(tx, row)
        return answer({"severity": found.as_told() if found else None, "duties": duties_that_may_apply(tx, row)})


@routes.post("/incidents/<reference>/suggestions/severity")
@needs(Right.CHANGE_INCIDENT)
@describes(body=schema.AnswerSuggestionSchema, answer=AssessmentSchema)
def answer_suggestion(reference: str) -> Response:
    """Set the suggested severity, another `level` with its reason, or (without one) turn it down with the reason."""
    wanted = schema.load_answer(json_body())
    with store().unit_of_work() as tx:
        incident = get_visible(tx, reference, principal=principal())
        row = assessing.answer_suggestion(
            tx, incident.id, principal=principal(), mark=wanted["mark"], level=wanted.get("level"),
            reason=wanted.get("reason", ""),
        )  # fmt: skip
        tx.flush()
        return answer(assessments.as_told(tx, row))


@routes.post("/assessments/<int:number>/accept")
@needs(Right.CHANGE_INCIDENT)
@describes(answer=AssessmentSchema)
def accept(number: int) -> Response:
    """Make a proposed assessment the incident's own; its severity is then the incident's."""
    with store().unit_of_work() as tx:
        row = assessing.accept(tx, _fits(number), principal=principal())
        tx.flush()
        return answer(assessments.as_told(tx, row))


def _fits(number: int) -> int:
    if not 0 < number <= 2**53 - 1:
        raise NotFound()
    return number
