"""Raising a label and adding caveats."""

from __future__ import annotations

from flask import Blueprint, Response

from coordinator.accounts.rules import Right
from coordinator.api import shapes
from coordinator.api.access import needs, principal, store
from coordinator.api.bodies import answer, json_body
from coordinator.api.described import describes
from coordinator.incidents import queries, tightening
from coordinator.incidents.requests import TighteningSchema, load_tightening

routes = Blueprint("markings", __name__)


@routes.post("/incidents/<reference>/markings")
@needs(Right.CHANGE_INCIDENT)
@describes(body=TighteningSchema, answer=shapes.IncidentSchema)
def tighten(reference: str) -> Response:
    """Bind one item, or the whole incident, more strictly. What left already is looked at again."""
    wanted = load_tightening(json_body())
    with store().unit_of_work() as tx:
        row = queries.get_visible(tx, reference, principal=principal())
        changed = tightening.tighten(
            tx, row.id, wanted, principal=principal(), item=wanted.get("item") or "", reason=wanted["reason"]
        )
        return answer(queries.described(tx, changed))
