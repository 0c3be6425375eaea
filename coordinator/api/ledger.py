"""The ledger for our people's tools: who was told what, since when, under which label and agreement."""

from __future__ import annotations

from flask import Blueprint, Response

from coordinator.accounts.rules import Right
from coordinator.api.access import needs, principal, store
from coordinator.api.bodies import answer, page_limit, text_argument
from coordinator.status import ledger
from coordinator.status.ledger import Asked

routes = Blueprint("ledger", __name__)


@routes.get("/ledger")
@needs(Right.READ_INCIDENTS)
def listed() -> Response:
    """What left, newest first, of one incident, partner or item where one is named."""
    asked = Asked(**{name: text_argument(name) for name in ("incident", "partner", "item", "exercise")})
    with store().read() as tx:
        return answer(
            ledger.lines(tx, principal=principal(), asked=asked, cursor=text_argument("cursor"), limit=page_limit())
        )
