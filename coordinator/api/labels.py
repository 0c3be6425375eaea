"""Labels that originators lowered: recorded by one person, confirmed by another one."""

from __future__ import annotations

from flask import Blueprint, Response
from marshmallow import Schema, fields

from coordinator.accounts.rules import Right
from coordinator.alerts import lowering
from coordinator.alerts.label_schema import LoweredSchema, load_lowered
from coordinator.alerts.schema import LARGEST_ID, DeclinedSchema, load_reason
from coordinator.api import shapes
from coordinator.api.access import needs, principal, store
from coordinator.api.bodies import answer, json_body
from coordinator.api.described import describes
from coordinator.errors import NotFound
from coordinator.incidents.models import Incident
from coordinator.incidents.queries import get_visible
from coordinator.status import labels as reading

routes = Blueprint("labels", __name__)


class LabelWordSchema(Schema):
    """What was recorded of lowering a label."""

    id = shapes.number()
    incident = shapes.text()
    tlp = shapes.text()
    items = fields.List(fields.String(), required=True)
    channel = shapes.text()
    said_at = shapes.at()
    said_by = shapes.text()
    words = shapes.text()
    report = fields.String(required=True, allow_none=True)
    evidence = fields.Dict(required=True, allow_none=True)
    reason = shapes.text()
    state = shapes.text(description="waiting, effective, refused, withdrawn")
    asked_by = shapes.text()
    answer = shapes.text()
    why_not = shapes.text(description="Why you may not confirm it; empty where you may.")


LabelWordListSchema = shapes.many(LabelWordSchema)


@routes.get("/incidents/<reference>/lowered-labels")
@needs(Right.READ_INCIDENTS)
@describes(answer=LabelWordListSchema)
def listed(reference: str) -> Response:
    """What was recorded of lowering labels here, newest first."""
    with store().read() as tx:
        incident = get_visible(tx, reference, principal=principal())
        return answer({"items": reading.words(tx, incident, principal=principal()), "next": None})


@routes.post("/incidents/<reference>/lowered-labels")
@needs(Right.CHANGE_INCIDENT)
@describes(body=LoweredSchema, answer=LabelWordSchema, status=201)
def record(reference: str) -> Response:
    """Record that an originator lowered its label, or that we take back what we raised. A second person confirms it."""
    wanted = load_lowered(json_body())
    with store().unit_of_work() as tx:
        incident = get_visible(tx, reference, principal=principal())
        word = lowering.record(tx, incident.id, wanted, principal=principal())
        return answer(reading.word(tx, incident, word.id, principal=principal()), status=201)


@routes.post("/lowered-labels/<int:number>/confirm")
@needs(Right.CONFIRM_CHANGE)
@describes(bare=True, answer=LabelWordSchema)
def confirm(number: int) -> Response:
    """As the second person: the label is lowered."""
    json_body(optional=True)
    with store().unit_of_work() as tx:
        word = lowering.confirm(tx, _fits(number), principal=principal())
        return answer(reading.word(tx, tx.get_one(Incident, word.incident_id), number, principal=principal()))


@routes.post("/lowered-labels/<int:number>/refuse")
@needs(Right.CONFIRM_CHANGE)
@describes(body=DeclinedSchema, answer=LabelWordSchema)
def refuse(number: int) -> Response:
    """As the second person: it is not sure that the originator said so."""
    reason = load_reason(json_body())
    with store().unit_of_work() as tx:
        word = lowering.refuse(tx, _fits(number), principal=principal(), reason=reason)
        return answer(reading.word(tx, tx.get_one(Incident, word.incident_id), number, principal=principal()))


def _fits(number: int) -> int:
    if not 0 < number <= LARGEST_ID:
        raise NotFound()
    return number
