"""Asking a partner to call our duty desk, and the texts that are cleared for it beforehand."""

from __future__ import annotations

from flask import Blueprint, Response
from marshmallow import Schema, fields
from sqlalchemy.orm import Session

from coordinator.accounts.rules import Right
from coordinator.alerts import service as alerts
from coordinator.alerts.desk_calls import waiting_plans
from coordinator.api import shapes
from coordinator.api.access import needs, principal, store
from coordinator.api.bodies import answer, json_body
from coordinator.api.described import describes
from coordinator.errors import NotFound
from coordinator.incidents import queries
from coordinator.incidents.holds import lock_incident
from coordinator.outside import terms
from coordinator.outside.faults import Shape, load
from coordinator.outside.fields import Instant, Text
from coordinator.sharing import standing
from coordinator.sharing.models import StandingClearance
from coordinator.status import outgoing
from coordinator.status.standing import described, standing_clearances

routes = Blueprint("desk-calls", __name__)


class StandingClearanceSchema(Schema):
    id = shapes.number()
    state = fields.String(required=True, metadata={"enum": ["waiting", "in-force", "resting", "expired", "revoked"]})
    title = shapes.text()
    body = shapes.text()
    language = shapes.text()
    digest = shapes.text(description="SHA-256 of exactly this text, as a release of it bears it.")
    until = shapes.at()
    proposed = fields.Dict(required=True)
    confirmed = fields.Dict(required=True)
    revoked = fields.Dict(required=True, allow_none=True)


class DeskCallSchema(Shape):
    """`POST …/call-our-desk`: which organisation is asked to call."""

    to = terms.OrganisationCode(required=True)


class StandingSchema(Shape):
    """`POST /standing-clearances`: a fixed text without case facts. Absent `until`: 180 days."""

    title = Text(standing.LONGEST_TITLE, required=True)
    body = Text(standing.LONGEST_BODY, lines=True, required=True)
    language = terms.Language(required=True)
    until = Instant()


class RevocationSchema(Shape):
    """`POST /standing-clearances/{number}/revoke`."""

    reason = Text(2000, lines=True, required=True)


_CALL, _STANDING, _REVOCATION = DeskCallSchema(), StandingSchema(), RevocationSchema()


@routes.post("/incidents/<reference>/call-our-desk")
@needs(Right.REQUEST_RELEASE)
@describes(body=DeskCallSchema, answer=shapes.ReleaseSchema, status=201)
def ask(reference: str) -> Response:
    """Ask a partner to call our desk: no case facts, one signature; the rules decide as for any alert."""
    wanted = load(_CALL, json_body())
    with store().unit_of_work() as tx:
        return answer(told_json(tx, _asked(tx, reference, wanted["to"])), status=201)


@routes.post("/incidents/<reference>/call-our-desk/preview")
@needs(Right.REQUEST_RELEASE)
@describes(body=DeskCallSchema, answer=shapes.ReleaseSchema)
def preview(reference: str) -> Response:
    """What would come of it, with the whole ladder. Nothing is kept and nothing leaves."""
    wanted = load(_CALL, json_body())
    with store().rehearsal() as tx:
        found = told_json(tx, _asked(tx, reference, wanted["to"]))
    return answer(found)


@routes.get("/standing-clearances")
@needs(Right.READ_AGREEMENTS)
@describes(answer=shapes.many(StandingClearanceSchema))
def listed() -> Response:
    """Texts cleared beforehand, newest first."""
    with store().read() as tx:
        return answer({"items": standing_clearances(tx, principal=principal()), "next": None})


@routes.post("/standing-clearances")
@needs(Right.DECIDE)
@describes(body=StandingSchema, answer=StandingClearanceSchema, status=201)
def propose() -> Response:
    """The first person's word on a text."""
    wanted = load(_STANDING, json_body())
    with store().unit_of_work() as tx:
        row = standing.propose(
            tx, title=wanted["title"], body=wanted["body"], language=wanted["language"], until=wanted.get("until"),
            principal=principal(),
        )  # fmt: skip
        return _one(tx, row, status=201)


@routes.post("/standing-clearances/<int:number>/confirm")
@needs(Right.DECIDE)
@describes(answer=StandingClearanceSchema)
def confirm(number: int) -> Response:
    """The second person's word."""
    with store().unit_of_work() as tx:
        return _one(tx, standing.confirm(tx, _fits(number), principal=principal()))


@routes.post("/standing-clearances/<int:number>/revoke")
@needs(Right.DECIDE)
@describes(body=RevocationSchema, answer=StandingClearanceSchema)
def revoke(number: int) -> Response:
    """End a clearance now."""
    wanted = load(_REVOCATION, json_body())
    with store().unit_of_work() as tx:
        return _one(tx, standing.revoke(tx, _fits(number), principal=principal(), reason=wanted["reason"]))


def told_json(tx: Session, told: alerts.Told) -> dict[str, object]:
    """What came of telling: decisions, alerts with their ladders, and the ladders of what waits for a person."""
    tx.flush()
    decisions = [alert.decision_id for alert in told.permitted] + [one.id for one in (*told.referred, *told.denied)]
    plans = waiting_plans(tx, [*told.referred, *told.denied])
    return {
        "release": told.release.id, "state": told.release.state,
        "decisions": [
            (outgoing.decision(tx, number, principal=principal()) or {}) | {"ladder": plans.get(number)}
            for number in decisions
        ],
        "alerts": outgoing.described_alerts(tx, list(told.permitted)),
        "unreachable": [{"recipient": one.code, "reason": one.reason} for one in told.unreachable],
    }  # fmt: skip


def _asked(tx: Session, reference: str, to: str) -> alerts.Told:
    incident = lock_incident(tx, queries.get_visible(tx, reference, principal=principal()).id)
    return alerts.ask_to_call(tx, incident=incident, to=to, principal=principal())


def _one(tx: Session, row: StandingClearance, *, status: int = 200) -> Response:
    return answer(described(tx, [row], principal=principal())[0], status=status)


def _fits(number: int) -> int:
    if not 0 < number <= 2**53 - 1:
        raise NotFound()
    return number
