"""The partner view for a partner's own tools: what was released to the organisation of the token's owner."""

from __future__ import annotations

from flask import Blueprint, Response
from marshmallow import Schema, fields

from coordinator.accounts.rules import Right
from coordinator.alerts import released
from coordinator.alerts.answers import EVERY
from coordinator.api import shapes
from coordinator.api.access import needs, principal, store
from coordinator.api.bodies import answer, json_body, page_limit, text_argument
from coordinator.api.described import PAGED, describes
from coordinator.outside.faults import Shape, load
from coordinator.outside.fields import Choice, Text

routes = Blueprint("released", __name__)


class ReleasedLineSchema(Schema):
    public_id = shapes.text()
    kind = shapes.text()
    label = shapes.text()
    reference = shapes.text(none=True)
    title = shapes.text(none=True, description="Null where it is not given out at present.")
    sent_at = shapes.at()
    reply_by = shapes.at(none=True)
    answered_at = shapes.at(none=True)
    withdrawn_at = shapes.at(none=True)
    keep_until = shapes.at(none=True)


class ReleasedFileSchema(Schema):
    """A file that goes along: `GET /released/{public_id}/files/{number}`."""

    number = shapes.number()
    name = shapes.text()
    media_type = shapes.text()
    size = shapes.number()
    sha256 = shapes.text()


ReleasedListSchema = shapes.many(ReleasedLineSchema)


class ReleasedSchema(Schema):
    public_id = shapes.text()
    kind = shapes.text()
    label = shapes.text()
    reference = shapes.text(none=True)
    title = shapes.text(none=True)
    body = shapes.text(none=True)
    obligations = fields.List(fields.String(), required=True)
    keep_until = shapes.at(none=True)
    state = shapes.text(description="released, acknowledged or withdrawn.")
    why = shapes.text(description="Empty where the text is there; else withdrawn, recalled or not-now.")
    files = fields.List(fields.Nested(ReleasedFileSchema), required=True)
    answers = fields.List(fields.Dict(), required=True)


class PartnerAnswerSchema(Shape):
    """`POST /released/{public_id}/answer`."""

    answer = Choice(EVERY, required=True)
    note = Text(4000, lines=True)


_ANSWER = PartnerAnswerSchema()


@routes.get("/released")
@needs(Right.SEE_PARTNER_VIEW)
@describes(answer=ReleasedListSchema, query=("q", *PAGED))
def listed() -> Response:
    """What was released to your organisation, newest first."""
    with store().read() as tx:
        found = released.released(
            tx, reader=principal(), q=text_argument("q"), before=text_argument("cursor"), limit=page_limit()
        )
        return answer(found)


@routes.get("/released/<public_id>")
@needs(Right.SEE_PARTNER_VIEW)
@describes(answer=ReleasedSchema)
def one(public_id: str) -> Response:
    """One of them, with its text and what binds you. That it was read goes on record."""
    with store().unit_of_work() as tx:
        return answer(released.one_released(tx, public_id, reader=principal()))


@routes.post("/released/<public_id>/answer")
@needs(Right.SEE_PARTNER_VIEW)
@describes(body=PartnerAnswerSchema, answer=shapes.AnswerSchema)
def answered(public_id: str) -> Response:
    """Acknowledge, ask, or say that it is not for you, as a person who is known here."""
    given = load(_ANSWER, json_body())
    with store().unit_of_work() as tx:
        result = released.answer_released(
            tx, public_id, reader=principal(), answer=given["answer"], note=given.get("note")
        )
    return answer({
        "alert": result.alert, "answer": result.answer, "kind": result.kind, "assurance": result.assurance,
        "at": result.at,
    })  # fmt: skip
