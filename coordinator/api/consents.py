"""Asking originators for their consent, and the second person who confirms an answer."""

from __future__ import annotations

from flask import Blueprint, Response
from marshmallow import Schema, fields

from coordinator.accounts.rules import Right
from coordinator.alerts import consents
from coordinator.alerts.schema import (
    LARGEST_ID,
    ConsentConfirmedSchema,
    ConsentRequestSchema,
    DeclinedSchema,
    load_confirmation,
    load_consent_request,
    load_reason,
)
from coordinator.api import shapes
from coordinator.api.access import needs, principal, store
from coordinator.api.bodies import answer, json_body
from coordinator.api.described import describes
from coordinator.errors import NotFound
from coordinator.incidents.queries import get_visible
from coordinator.status import consents as reading

routes = Blueprint("consent-requests", __name__)


class ConsentAskedSchema(Schema):
    """One request for an originator's consent."""

    id = shapes.number()
    incident = shapes.text()
    to = shapes.text()
    purpose = shapes.text()
    item = shapes.text()
    valid_until = shapes.at()
    reply_by = shapes.at()
    state = shapes.text(description="asked, not-sent, overdue, granted, effective, refused, withdrawn, declined")
    answer = fields.Dict(required=True, allow_none=True)
    consent = shapes.number(none=True)


ConsentAskedListSchema = shapes.many(ConsentAskedSchema)


@routes.get("/consent-requests")
@needs(Right.READ_AGREEMENTS)
@describes(answer=ConsentAskedListSchema)
def listed() -> Response:
    """What originators were asked, newest first."""
    with store().read() as tx:
        return answer({"items": reading.requests(tx, principal=principal()), "next": None})


@routes.get("/consent-requests/<int:number>")
@needs(Right.READ_AGREEMENTS)
@describes(answer=ConsentAskedSchema)
def one(number: int) -> Response:
    """One of them, with what the originator reads."""
    with store().read() as tx:
        return answer(reading.request(tx, _fits(number), principal=principal()))


@routes.post("/incidents/<reference>/consent-requests")
@needs(Right.REQUEST_RELEASE)
@describes(body=ConsentRequestSchema, answer=ConsentAskedSchema, status=201)
def ask(reference: str) -> Response:
    """Ask an originator whether what it told us may go on. The request is decided like anything that leaves."""
    wanted = load_consent_request(json_body())
    with store().unit_of_work() as tx:
        incident = get_visible(tx, reference, principal=principal())
        asked = consents.ask_consent(tx, incident.id, wanted, principal=principal())
        return answer(reading.request(tx, asked.request.id, principal=principal()), status=201)


@routes.post("/consent-requests/<int:number>/confirm")
@needs(Right.CONFIRM_CHANGE)
@describes(bare=True, body=ConsentConfirmedSchema, answer=ConsentAskedSchema)
def confirm(number: int) -> Response:
    """As the second person: what was granted holds from now on."""
    wanted = load_confirmation(json_body(optional=True))
    with store().unit_of_work() as tx:
        consents.confirm(tx, _fits(number), principal=principal(), until=wanted.get("until"))
        return answer(reading.request(tx, number, principal=principal()))


@routes.post("/consent-requests/<int:number>/decline")
@needs(Right.CONFIRM_CHANGE)
@describes(body=DeclinedSchema, answer=ConsentAskedSchema)
def decline(number: int) -> Response:
    """As the second person: it is not sure that the answer is the originator's."""
    reason = load_reason(json_body())
    with store().unit_of_work() as tx:
        consents.decline(tx, _fits(number), principal=principal(), reason=reason)
        return answer(reading.request(tx, number, principal=principal()))


def _fits(number: int) -> int:
    if not 0 < number <= LARGEST_ID:
        raise NotFound()
    return number
