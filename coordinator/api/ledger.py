"""The ledger for our people's tools: who was told what, since when, under which label and agreement."""

from __future__ import annotations

from flask import Blueprint, Response
from marshmallow import Schema, fields

from coordinator.accounts.rules import Right
from coordinator.api import shapes
from coordinator.api.access import needs, principal, store
from coordinator.api.bodies import answer, page_limit, text_argument
from coordinator.api.described import PAGED, describes
from coordinator.status import ledger
from coordinator.status.ledger import Asked

routes = Blueprint("ledger", __name__)


_ASKED = ("incident", "partner", "item", "agreement", "exercise")


class LedgerFileSchema(Schema):
    item = shapes.text(description="Ask the ledger for it: who else has this file.")
    name = shapes.text()
    size = shapes.number()
    sha256 = shapes.text()
    cleaned = fields.Boolean(required=True, metadata={"description": "A cleaned copy; else it went as it came."})
    taken_at = shapes.at(none=True)


class LedgerLineSchema(Schema):
    alert = shapes.number()
    recipient = shapes.text()
    incident = shapes.text(none=True)
    title = shapes.text()
    since = shapes.at()
    sure = shapes.text(description="answered, delivered, handed-over, perhaps")
    tlp = shapes.text()
    agreement = shapes.text(none=True)
    clauses = fields.List(fields.String(), required=True)
    keep_until = shapes.at(none=True)
    destroy_by = shapes.at(none=True)
    recall = fields.Dict(required=True, allow_none=True, metadata={"description": "How far it is asked back."})
    obligations = fields.List(fields.String(), required=True)
    files = fields.List(fields.Nested(LedgerFileSchema), required=True)


class LedgerSchema(shapes.many(LedgerLineSchema)):  # type: ignore[misc]
    published = fields.List(fields.Dict(), required=True, metadata={"description": "Told to the public; first page."})


@routes.get("/ledger")
@needs(Right.READ_INCIDENTS)
@describes(answer=LedgerSchema, query=(*_ASKED, *PAGED), more=(404,))
def listed() -> Response:
    """What left, newest first, of one incident, partner, item or agreement where one is named."""
    asked = Asked(**{name: text_argument(name) for name in _ASKED})
    with store().read() as tx:
        return answer(
            ledger.lines(tx, principal=principal(), asked=asked, cursor=text_argument("cursor"), limit=page_limit())
        )
