"""The register of agreements and the consents of originators: read, and changed by two persons."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from marshmallow import Schema, fields

from coordinator import clock
from coordinator.accounts.rules import Right
from coordinator.agreements import queries, service
from coordinator.agreements.schema import AgreementSchema, ConsentSchema
from coordinator.agreements.service import LARGEST_DOCUMENT
from coordinator.api import shapes
from coordinator.api.access import needs, principal, store
from coordinator.api.bodies import answer, json_body, text_argument
from coordinator.api.described import describes
from coordinator.changes import documents
from coordinator.changes import service as changes
from coordinator.changes.rules import Kind
from coordinator.errors import NotFound
from coordinator.outside.faults import Shape, load
from coordinator.outside.fields import Choice, Part, Text
from coordinator.status import agreement_page

routes = Blueprint("agreements", __name__)


class AgreementShownSchema(Schema):
    key = shapes.text()
    version = shapes.number()
    status = shapes.text()
    parties = fields.List(fields.String(), required=True)
    terms = fields.Dict(required=True)
    sentences = fields.List(fields.Dict(), required=True)
    versions = fields.List(fields.Nested(lambda: AgreementVersionSchema()), required=True)


class AskedSchema(Schema):
    done = shapes.text()
    change = shapes.number(none=True)


class AgreementDocumentSchema(Schema):
    name = shapes.text()
    sha256 = shapes.text()
    size = shapes.number()
    tlp = shapes.text()


class TextAskedSchema(AskedSchema):
    document = fields.Nested(AgreementDocumentSchema, required=True)


class AgreementVersionSchema(Schema):
    version = shapes.number()
    at = shapes.at()
    by = shapes.text()
    reason = shapes.text()
    digest = shapes.text()


LARGEST_ID, BYTES = 2**53 - 1, "application/octet-stream"


class RegisterSchema(Shape):
    """`POST /agreements`: the whole of its terms, a new version where the agreement is there already."""

    terms = Part(AgreementSchema, required=True)
    reason = Text(2000, lines=True, required=True)


class ConsentAnswerSchema(Shape):
    """`POST /consents`: what an originator said, and how."""

    consent = Part(ConsentSchema, required=True)
    answer = Choice(("granted", "refused"), required=True)


class ConsentWithdrawalSchema(Shape):
    """`POST /consents/{id}/withdraw`."""

    reason = Text(1000, lines=True, required=True)


class AgreementLineSchema(Schema):
    key = shapes.text()
    version = shapes.number()
    title = shapes.text()
    status = shapes.text()
    parties = fields.List(fields.String(), required=True)


class ConsentShownSchema(Schema):
    id = shapes.number()
    purpose = shapes.text(none=True)
    valid_until = shapes.at(none=True)
    state = fields.String(required=True, metadata={"enum": ["standing", "over", "withdrawn", "refused"]})
    at = shapes.at()


_REGISTER, _CONSENT, _WITHDRAWAL = RegisterSchema(), ConsentAnswerSchema(), ConsentWithdrawalSchema()


@routes.get("/agreements")
@needs(Right.READ_AGREEMENTS)
@describes(answer=shapes.many(AgreementLineSchema))
def listed() -> Response:
    """Every agreement with its status now, and what no agreement covers."""
    now = clock.now()
    with store().read() as tx:
        items = [_named(row) for row in queries.standing(tx, now)]
        return answer({"items": items, "next": None, "gaps": queries.uncovered(tx, now)})


@routes.get("/agreements/<key>")
@needs(Right.READ_AGREEMENTS)
@describes(answer=AgreementShownSchema)
def one(key: str) -> Response:
    """One agreement: its terms, in plain words with clauses, its texts, and what went out under it."""
    with store().read() as tx:
        found = agreement_page.agreement_page(tx, key, principal=principal(), now=clock.now())
        return answer(_named(found["agreement"]) | {
            "terms": found["terms"],
            "sentences": [{"text": each.text, "clause": each.clause} for each in found["sentences"]],
            "documents": [{"name": row.name, "sha256": row.sha256, "size": row.size, "tlp": row.tlp}
                          for row in found["documents"]],
            "reminders": [{"of": each.what, "at": each.at, "date": each.of} for each in found["reminders"]],
            "versions": [{"version": row.version, "at": row.created_at, "by": row.recorded_by, "reason": row.reason,
                          "digest": row.digest} for row in found["versions"]],
            "used": found["used"],
        })  # fmt: skip


@routes.post("/agreements")
@needs(Right.MANAGE_AGREEMENTS)
@describes(body=RegisterSchema, answer=AskedSchema, status=201)
def register() -> Response:
    """Add an agreement or a new version of it. Waits for a second person (`change`)."""
    wanted = load(_REGISTER, json_body())
    with store().unit_of_work() as tx:
        asked = changes.ask(
            tx, Kind.AGREEMENT, wanted["terms"], actor=principal().actor, reason=wanted["reason"]
        )
        return _asked(asked)


@routes.post("/agreements/<key>/document")
@needs(Right.MANAGE_AGREEMENTS)
@describes(answer=TextAskedSchema, status=201, query=("name", "tlp", "reason"), foreign=(BYTES,), more=(413,))
def attach(key: str) -> Response:
    """Its text: the bytes as the body, at most 10 MiB, with `name` and `tlp`. Kept at once, sealed and hashed; that the
    terms name it is a new version, which waits for a second person (`change`)."""
    request.max_content_length = LARGEST_DOCUMENT
    with store().unit_of_work() as tx:
        row, asked = documents.attach(
            tx, key, name=text_argument("name"), media_type=request.mimetype, content=request.get_data(),
            tlp=text_argument("tlp"), actor=principal().actor, reason=text_argument("reason"),
        )  # fmt: skip
        waits = asked.change.id if asked.change is not None else None
        said = {"name": row.name, "sha256": row.sha256, "size": row.size, "tlp": row.tlp}
        return answer({"done": asked.line, "change": waits, "document": said}, status=201)


@routes.get("/consents")
@needs(Right.READ_AGREEMENTS)
@describes(answer=shapes.many(ConsentShownSchema))
def consents() -> Response:
    """What originators said, newest first: standing, over, withdrawn or refused."""
    with store().read() as tx:
        return answer({"items": agreement_page.consents(tx, clock.now()), "next": None})


@routes.post("/consents")
@needs(Right.MANAGE_AGREEMENTS)
@describes(body=ConsentAnswerSchema, answer=AskedSchema, status=201)
def consent() -> Response:
    """Record a consent, which waits for a second person, or a refusal, which does not."""
    body = load(_CONSENT, json_body())
    wanted, actor = body["consent"], principal().actor
    with store().unit_of_work() as tx:
        if body["answer"] == "refused":
            service.record_refusal(tx, wanted, actor=actor)
            return answer({"done": "the refusal is on record", "change": None}, status=201)
        return _asked(changes.ask(tx, Kind.CONSENT, wanted, actor=actor, reason=wanted["evidence"]))


@routes.post("/consents/<int:number>/withdraw")
@needs(Right.MANAGE_AGREEMENTS)
@describes(body=ConsentWithdrawalSchema, answer=AskedSchema)
def withdraw(number: int) -> Response:
    """From now on it holds no more; nobody has to agree."""
    reason = load(_WITHDRAWAL, json_body())["reason"]
    if not 0 < number <= LARGEST_ID:
        raise NotFound()
    with store().unit_of_work() as tx:
        service.withdraw_consent(tx, number, actor=principal().actor, reason=reason)
        return answer({"done": "the consent no longer holds", "change": None})


def _named(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("key", "version", "title", "kind", "status", "parties")}


def _asked(asked: changes.Asked) -> Response:
    waits = asked.change.id if asked.change is not None else None
    return answer({"done": asked.line, "change": waits}, status=201)
