"""The services that playbooks may call by themselves: listed, added and changed by two persons, stopped by one."""

from __future__ import annotations

from flask import Blueprint, Response
from marshmallow import Schema, fields

from coordinator.accounts.rules import Right
from coordinator.api import shapes
from coordinator.api.access import needs, principal, store
from coordinator.api.bodies import answer, json_body
from coordinator.api.described import describes
from coordinator.changes import service as changes
from coordinator.changes.rules import Kind
from coordinator.errors import NotFound
from coordinator.outside.faults import Shape, load
from coordinator.outside.fields import Text
from coordinator.partners import http_hosts
from coordinator.partners.schema import HttpHostSchema

routes = Blueprint("http-hosts", __name__)


class HttpHostShownSchema(Schema):
    id = shapes.text()
    organisation = shapes.text()
    origin = shapes.text()
    methods = fields.List(fields.String(), required=True)
    state = shapes.text(description="active or disabled.")
    credential = fields.Boolean(required=True, metadata={"description": "Whether one is stored; never which."})


class HttpHostAskedSchema(Schema):
    id = shapes.text()
    said = shapes.text()
    change = shapes.number(none=True)


class HttpHostBodySchema(HttpHostSchema):
    """`PUT /http-hosts/{id}`: the name stands in the address."""

    class Meta:
        exclude = ("id",)


class HttpHostStopSchema(Shape):
    """`POST /http-hosts/{id}/disable`."""

    reason = Text(500, lines=True, required=True)


HttpHostListSchema = shapes.many(HttpHostShownSchema)
_HOST, _STOP = HttpHostSchema(), HttpHostStopSchema()


@routes.get("/http-hosts")
@needs(Right.READ_PARTNERS)
@describes(answer=HttpHostListSchema)
def listed() -> Response:
    """Every service on the list, never a credential."""
    with store().read() as tx:
        return answer({"items": http_hosts.http_hosts(tx), "next": None})


@routes.put("/http-hosts/<code>")
@needs(Right.MANAGE_ENDPOINTS)
@describes(body=HttpHostBodySchema, answer=HttpHostAskedSchema)
def put(code: str) -> Response:
    """Ask for an entry to be added or changed; `change` waits for a second person where there is one."""
    body = json_body()
    wanted = load(_HOST, {**body, "id": code} if isinstance(body, dict) else body)
    with store().unit_of_work() as tx:
        asked = changes.ask(tx, Kind.HTTP_HOST, wanted, actor=principal().actor)
        waits = asked.change.id if asked.change is not None else None
        return answer({"id": wanted["id"], "said": asked.line, "change": waits})


@routes.post("/http-hosts/<code>/disable")
@needs(Right.MANAGE_ENDPOINTS)
@describes(body=HttpHostStopSchema, answer=HttpHostListSchema)
def disable(code: str) -> Response:
    """Stop calling it at once; nobody has to agree."""
    reason = load(_STOP, json_body())["reason"]
    with store().unit_of_work() as tx:
        if http_hosts.disable_http_host(tx, code, actor=principal().actor, reason=reason) is None:
            raise NotFound()
        tx.flush()
        return answer({"items": http_hosts.http_hosts(tx), "next": None})
