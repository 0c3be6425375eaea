"""Runs for tools: looked at, held, mended, given to others, moved to a newer version of their playbook."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from marshmallow import Schema, fields

from coordinator.accounts.rules import Right
from coordinator.api import shapes
from coordinator.api.access import needs, principal, store
from coordinator.api.bodies import answer, json_body
from coordinator.api.described import describes
from coordinator.errors import NotFound
from coordinator.outside.faults import Shape, load
from coordinator.outside.fields import Choice, Text, Whole
from coordinator.runs import mending, service
from coordinator.status import run_view

routes = Blueprint("runs", __name__)

LARGEST_ID = 2**53 - 1
REASSIGN = "reassign"


class AskSchema(Shape):
    """`POST /runs/{id}/ask`. `token`: which standing step is meant (retry, skip, reassign). `values`: for the step's
    out_args (skip). `role`: who shall do it (reassign). `to`, `mapping`: the version, and step for step (move)."""

    do = Choice((*service.OPERATIONS, REASSIGN), required=True)
    reason = Text(2000, lines=True)
    token = Text(80)
    role = Text(80)
    values = fields.Dict(keys=fields.String())
    to = Whole(1, LARGEST_ID)
    mapping = fields.Dict(keys=fields.String(), values=fields.String())


class PlaceSchema(Schema):
    token = shapes.text()
    step = shapes.text()
    to = shapes.text()
    how = fields.String(required=True, metadata={"enum": ["goes-on", "anew", "refused"]})
    reason = shapes.text()


class FilledBySchema(Schema):
    """`what`: document, form, service or incident; `by`: who or which organisation, "" for the first and the last."""

    what = fields.String(required=True, metadata={"enum": ["document", "form", "service", "incident"]})
    by = shapes.text()
    at = shapes.at(none=True)


class VariableSchema(Schema):
    """`step`: the step or branch that has it, "" for the whole run. `value`: null where it is unknown or `shown` is
    false; `why` then says secret, named, gone or no-incident. It is what somebody wrote or a service answered: show it
    as text. `label`: its effective TLP."""

    name = shapes.text()
    step = shapes.text()
    type = shapes.text()
    constant = fields.Boolean(required=True)
    external = fields.Boolean(required=True)
    description = shapes.text()
    value = fields.Raw(required=True, allow_none=True)
    shown = fields.Boolean(required=True)
    why = shapes.text()
    label = shapes.text()
    marking = fields.Dict(required=True)
    filled_by = fields.List(fields.Nested(FilledBySchema), required=True)
    since = shapes.at(none=True)


class WholeRunSchema(Schema):
    """`GET /runs/{id}`: as in the incident's list, with what the run stands at and its variables."""

    id = shapes.number()
    playbook = shapes.text()
    version = shapes.text()
    state = shapes.text()
    fault = shapes.text()
    steps = fields.List(fields.Dict(), required=True)
    waiting = fields.List(fields.Dict(), required=True)
    asked = fields.List(fields.Dict(), required=True)
    newer = fields.List(fields.Dict(), required=True)
    variables = fields.List(fields.Nested(VariableSchema), required=True)


class PlanSchema(Schema):
    places = fields.List(fields.Nested(PlaceSchema), required=True)


_ASK = AskSchema()


@routes.get("/runs/<int:number>")
@needs(Right.READ_INCIDENTS)
@describes(answer=WholeRunSchema)
def one(number: int) -> Response:
    """One run: every step of its playbook, what it waits for, and newer versions it could go on with."""
    return answer(_shown(number))


@routes.post("/runs/<int:number>/ask")
@needs(Right.MANAGE_RUNS)
@describes(body=AskSchema, answer=WholeRunSchema, status=202)
def ask(number: int) -> Response:
    """Pause, resume, cancel, retry, skip, reassign or move, each with its reason. A worker does it; it is on record."""
    wanted = load(_ASK, json_body())
    reason, token = wanted.get("reason") or "", wanted.get("token") or ""
    with store().unit_of_work() as tx:
        if wanted["do"] == REASSIGN:
            service.reassign(tx, _fits(number), token=token, role=wanted.get("role") or "", principal=principal(),
                             reason=reason)  # fmt: skip
        else:
            service.ask(tx, _fits(number), wanted["do"], principal=principal(), reason=reason, token=token,
                        values=_values(wanted))  # fmt: skip
    return answer(_shown(number), status=202)


@routes.get("/runs/<int:number>/places/<int:version>")
@needs(Right.READ_INCIDENTS)
@describes(answer=PlanSchema)
def places(number: int, version: int) -> Response:
    """What would become of each place at which the run stands, if it went on with this version."""
    with store().read() as tx:
        found = mending.places(tx, run_view.visible_run(tx, _fits(number), principal=principal()), _fits(version), {})
        return answer({"places": [
            {"token": each.token, "step": each.step, "to": each.to, "how": each.how, "reason": each.reason}
            for each in found
        ]})  # fmt: skip


def _values(wanted: dict[str, Any]) -> dict[str, Any]:
    if wanted["do"] == "move":
        return {"to": wanted.get("to"), "mapping": wanted.get("mapping") or {}}
    return wanted.get("values") or {}


def _shown(number: int) -> dict[str, Any]:
    with store().read() as tx:
        found = run_view.run_page(tx, _fits(number), principal=principal())
        run = run_view.visible_run(tx, number, principal=principal())
        newer = [{"id": each.id, "version": each.version} for each in mending.newer_versions(tx, run)]
    return {name: value for name, value in found.items() if name != "drawing"} | {"newer": newer}


def _fits(number: int) -> int:
    if number > LARGEST_ID:
        raise NotFound()
    return number
