"""Quarantine and floods: listed, taken, released, called real, attached, refused."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from marshmallow import Schema, fields
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.rules import Right
from coordinator.api import shapes
from coordinator.api.access import needs, principal, store
from coordinator.api.bodies import answer, json_body, page_limit, text_argument
from coordinator.api.described import PAGED, describes
from coordinator.errors import Fault, Invalid, NotFound
from coordinator.incidents import quarantine
from coordinator.incidents import quarantine_queries as reading
from coordinator.outside.faults import Shape, load
from coordinator.outside.fields import Text
from coordinator.status.paging import from_cursor, to_cursor

routes = Blueprint("quarantine", __name__)


class QuarantinedSchema(Schema):
    report = shapes.text()
    reason = shapes.text()
    state = fields.String(required=True, metadata={"enum": ["waiting", "released", "attached", "refused", "refiled"]})
    received_at = shapes.at()
    due_at = shapes.at()
    urgent = fields.Boolean(required=True)
    possibly_real = fields.Boolean(required=True)
    owner = shapes.number(none=True)
    flood = shapes.number(none=True)
    title = shapes.text(none=True)


QuarantinedListSchema = shapes.many(QuarantinedSchema)


class FloodSchema(Schema):
    id = shapes.number()
    endpoint = shapes.text()
    began_at = shapes.at()
    over_at = shapes.at(none=True)
    waiting = shapes.number()


FloodListSchema = shapes.many(FloodSchema)


class ReasonSchema(Shape):
    """Why; it stands on record."""

    reason = Text(2000, lines=True)


class RefuseSchema(Shape):
    """`POST …/refuse`."""

    reason = Text(2000, lines=True, required=True)


class AttachSchema(Shape):
    """`POST …/attach`: the incident's reference."""

    incident = Text(40, required=True)
    reason = Text(2000, lines=True)


_REASON, _REFUSE, _ATTACH = ReasonSchema(), RefuseSchema(), AttachSchema()


@routes.get("/quarantine")
@needs(Right.HANDLE_QUARANTINE)
@describes(answer=QuarantinedListSchema, query=PAGED)
def listed() -> Response:
    """Reports that wait for a person and belong to no flood, soonest due first."""
    return _waiting(None)


@routes.get("/quarantine/<report>")
@needs(Right.HANDLE_QUARANTINE)
@describes(answer=QuarantinedSchema)
def one(report: str) -> Response:
    """One report with what it says; that it was opened goes on record."""
    with store().unit_of_work() as tx:
        quarantine.note_read(tx, report, principal=principal())
        return answer(_shown(reading.one(tx, report, principal=principal())))


@routes.post("/quarantine/<report>/take")
@needs(Right.HANDLE_QUARANTINE)
@describes(answer=QuarantinedSchema)
def take(report: str) -> Response:
    """Whoever asks has it from now on."""
    with store().unit_of_work() as tx:
        quarantine.take(tx, report, principal=principal())
        return _after(tx, report)


@routes.post("/quarantine/<report>/release")
@needs(Right.HANDLE_QUARANTINE)
@describes(bare=True, body=ReasonSchema, answer=QuarantinedSchema)
def release(report: str) -> Response:
    """Let it out: it is filed as if it had just come."""
    wanted = load(_REASON, json_body(optional=True))
    with store().unit_of_work() as tx:
        quarantine.release(tx, report, principal=principal(), reason=wanted.get("reason", ""))
        return _after(tx, report)


@routes.post("/quarantine/<report>/real")
@needs(Right.HANDLE_QUARANTINE)
@describes(bare=True, body=ReasonSchema, answer=QuarantinedSchema)
def this_is_real(report: str) -> Response:
    """It came as an exercise and is real: the name of the exercise is dropped."""
    wanted = load(_REASON, json_body(optional=True))
    with store().unit_of_work() as tx:
        quarantine.this_is_real(tx, report, principal=principal(), reason=wanted.get("reason", ""))
        return _after(tx, report)


@routes.post("/quarantine/<report>/attach")
@needs(Right.HANDLE_QUARANTINE)
@describes(body=AttachSchema, answer=QuarantinedSchema)
def attach(report: str) -> Response:
    """Attach it to an incident as a further report."""
    wanted = load(_ATTACH, json_body())
    with store().unit_of_work() as tx:
        quarantine.attach(tx, report, wanted["incident"], principal=principal(), reason=wanted.get("reason", ""))
        return _after(tx, report)


@routes.post("/quarantine/<report>/refuse")
@needs(Right.HANDLE_QUARANTINE)
@describes(body=RefuseSchema, answer=QuarantinedSchema)
def refuse(report: str) -> Response:
    """Nothing follows from it; it stays on record."""
    reason = load(_REFUSE, json_body())["reason"]
    with store().unit_of_work() as tx:
        quarantine.refuse(tx, report, principal=principal(), reason=reason)
        return _after(tx, report)


@routes.get("/floods")
@needs(Right.HANDLE_QUARANTINE)
@describes(answer=FloodListSchema)
def floods() -> Response:
    """Floods that last."""
    with store().read() as tx:
        return answer({"items": reading.floods(tx), "next": None})


@routes.get("/floods/<int:number>")
@needs(Right.HANDLE_QUARANTINE)
@describes(answer=QuarantinedListSchema, query=PAGED)
def flood(number: int) -> Response:
    """What waits of one flood, soonest due first."""
    with store().read() as tx:
        reading.flood(tx, _fits(number))
    return _waiting(number)


@routes.post("/floods/<int:number>/refuse")
@needs(Right.HANDLE_QUARANTINE)
@describes(body=RefuseSchema, answer=FloodSchema)
def refuse_flood(number: int) -> Response:
    """Refuse everything of a flood that still waits."""
    reason = load(_REFUSE, json_body())["reason"]
    with store().unit_of_work() as tx:
        refused = quarantine.refuse_flood(tx, _fits(number), principal=principal(), reason=reason)
        return answer(reading.flood(tx, number) | {"refused": refused})


def _waiting(flood_id: int | None) -> Response:
    parts, limit = from_cursor(text_argument("cursor", longest=400), str, int), page_limit()
    try:
        after = (clock.parse(parts[0]), int(parts[1])) if parts else None
    except ValueError:
        sentence = "Use the cursor of the answer before, or leave it out to start again."
        raise Invalid([Fault("/cursor", sentence)]) from None
    with store().read() as tx:
        rows = reading.waiting(tx, principal=principal(), flood_id=flood_id, after=after, limit=limit + 1)
    last = rows[limit - 1] if len(rows) > limit else None
    following = to_cursor(clock.rfc3339(last["due_at"]), last["number"]) if last else None
    return answer({"items": [_shown(row) for row in rows[:limit]], "next": following})


def _after(tx: Session, report: str) -> Response:
    tx.flush()
    return answer(_shown(reading.one(tx, report, principal=principal())))


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("number", "incident_id")}


def _fits(number: int) -> int:
    if not 0 < number <= 2**53 - 1:
        raise NotFound()
    return number
