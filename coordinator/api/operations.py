"""For operators' tools: how the installation is, what was given up, and stopping all sending. Nothing of a case."""

from __future__ import annotations

from flask import Blueprint, Response
from marshmallow import Schema, fields

from coordinator.accounts.rules import Right
from coordinator.api import shapes
from coordinator.api.access import needs, principal, store
from coordinator.api.bodies import answer, json_body
from coordinator.api.described import describes
from coordinator.outside.faults import Shape, load
from coordinator.outside.fields import Text
from coordinator.timeline import sending_hold
from coordinator.upkeep import given_up
from coordinator.upkeep.operations import overview

routes = Blueprint("operations", __name__)


class GivenUpSchema(Schema):
    id = shapes.number()
    kind = shapes.text()
    job = shapes.text()
    since = shapes.at()
    attempts = shapes.number()
    fault = shapes.text()


class OperationsSchema(Schema):
    """How the installation is; each part is an object or a list."""

    given_up = fields.List(fields.Nested(GivenUpSchema), required=True)
    clocks_watched_at = shapes.at(none=True)
    broker_answers = fields.Boolean(required=True)


class RetriedSchema(Schema):
    id = shapes.number()
    state = shapes.text()


class StoppedSchema(Schema):
    id = shapes.number()
    on_hold = fields.List(fields.String(), required=True)


class StopSchema(Shape):
    """`POST /operations/sending/stop`."""

    reason = Text(500, required=True)


_STOP = StopSchema()


@routes.get("/operations")
@needs(Right.READ_OPERATIONS)
@describes(answer=OperationsSchema)
def now() -> Response:
    """What waits, what was given up, processes, backup, checkpoint, disk, clocks, holds."""
    with store().read() as tx:
        return answer(overview(tx))


@routes.post("/operations/given-up/<int:pending_id>/retry")
@needs(Right.RETRY_JOBS)
@describes(answer=RetriedSchema)
def retry(pending_id: int) -> Response:
    """Try again what was given up; what is not given up stays as it is."""
    with store().unit_of_work() as tx:
        given_up.revive(tx, min(pending_id, 2**53), actor=principal().actor)
        return answer({"id": pending_id, "state": "waiting"})


@routes.post("/operations/sending/stop")
@needs(Right.STOP_SENDING)
@describes(body=StopSchema, answer=StoppedSchema)
def stop() -> Response:
    """Put all sending on hold; a person lifts it on the pages or at the command line."""
    wanted = load(_STOP, json_body())
    with store().unit_of_work() as tx:
        held = sending_hold.begin(tx, sending_hold.EMERGENCY, actor=principal().actor, reason=wanted["reason"])
        return answer({"id": held, "on_hold": sorted(sending_hold.kinds(tx))})
