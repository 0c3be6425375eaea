"""Changes that wait for a second person: listed, accepted, refused, withdrawn."""

from __future__ import annotations

from flask import Blueprint, Response
from marshmallow import Schema, fields

from coordinator.accounts.rules import Right
from coordinator.api import shapes
from coordinator.api.access import needs, principal, signed_in, store
from coordinator.api.bodies import answer, json_body
from coordinator.api.described import describes
from coordinator.changes import queries, service
from coordinator.outside.faults import Shape, load
from coordinator.outside.fields import Text

routes = Blueprint("waiting_changes", __name__)


class WaitingChangeSchema(Schema):
    id = shapes.number()
    kind = shapes.text()
    subject = shapes.text()
    state = shapes.text()
    asked_by = shapes.text()
    asked_at = shapes.at()
    expires_at = shapes.at()
    reason = shapes.text()
    differences = fields.List(fields.Dict(), required=True)
    why_not = shapes.text(description="Why this person may not answer it; empty where they may.")


WaitingChangeListSchema = shapes.many(WaitingChangeSchema)


class ChangeRefusalSchema(Shape):
    """`POST /changes/{id}/refuse`."""

    reason = Text(2000, lines=True, required=True)


_REFUSAL = ChangeRefusalSchema()


@routes.get("/changes")
@signed_in
@describes(answer=WaitingChangeListSchema)
def waiting() -> Response:
    """Changes that wait for a second person, as far as this person's role may read them, oldest first."""
    with store().read() as tx:
        return answer({"items": queries.waiting(tx, principal=principal()), "next": None})


@routes.get("/changes/<int:number>")
@signed_in
@describes(answer=WaitingChangeSchema)
def one(number: int) -> Response:
    """One change, with old and new."""
    return _answer(number)


@routes.post("/changes/<int:number>/accept")
@needs(Right.CONFIRM_CHANGE)
@describes(answer=WaitingChangeSchema)
def accept(number: int) -> Response:
    """Accept as the second person: the change is made."""
    with store().unit_of_work() as tx:
        service.accept(tx, number, principal=principal())
    return _answer(number)


@routes.post("/changes/<int:number>/refuse")
@needs(Right.CONFIRM_CHANGE)
@describes(body=ChangeRefusalSchema, answer=WaitingChangeSchema)
def refuse(number: int) -> Response:
    """Refuse as the second person: nothing is changed."""
    reason = load(_REFUSAL, json_body())["reason"]
    with store().unit_of_work() as tx:
        service.refuse(tx, number, principal=principal(), reason=reason)
    return _answer(number)


@routes.post("/changes/<int:number>/withdraw")
@signed_in
@describes(answer=WaitingChangeSchema)
def withdraw(number: int) -> Response:
    """Ask no longer for what one asked for oneself."""
    with store().unit_of_work() as tx:
        service.withdraw(tx, number, principal=principal())
    return _answer(number)


def _answer(number: int) -> Response:
    with store().read() as tx:
        return answer(queries.one(tx, number, principal=principal()))
