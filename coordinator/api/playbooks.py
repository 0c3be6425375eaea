"""The playbook catalogue for tools: check, bring in, put into use, compare, simulate, take out."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from marshmallow import Schema, fields
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.rules import Right
from coordinator.api import shapes
from coordinator.api.access import needs, principal, store
from coordinator.api.bodies import answer, json_body
from coordinator.api.described import describes
from coordinator.errors import Fault, Invalid, NotFound, UnsupportedType
from coordinator.obligations.calendars import holidays
from coordinator.obligations.register import current_terms
from coordinator.obligations.rehearsed import RehearsedDuties
from coordinator.outside.faults import Shape, load
from coordinator.outside.fields import Text
from coordinator.runs import activation, catalogue, queries, signers
from coordinator.runs.models import PlaybookVersion
from playbooks.compare import compare
from playbooks.coordination import trigger_words
from playbooks.document import MAX_BYTES
from playbooks.script import BadScript

routes = Blueprint("playbooks", __name__)


class PlaybookSchema(Schema):
    id = shapes.number()
    playbook = shapes.text()
    version = shapes.text()
    name = shapes.text()
    state = shapes.text(description="imported, active, replaced or revoked.")
    digest = shapes.text(description="SHA-256 over the canonical document without signatures.")


PlaybookListSchema = shapes.many(PlaybookSchema)


class PlaybookTakenSchema(Schema):
    id = shapes.number()
    said = shapes.text()


class PlaybookFaultsSchema(Schema):
    faults = fields.List(fields.Dict(), required=True)


class PlaybookChangesSchema(Schema):
    changes = fields.List(fields.String(), required=True)


class DryRunSchema(Schema):
    lines = fields.List(fields.Dict(), required=True)
    exit_code = shapes.number()


LARGEST_ID = 2**53 - 1


class WithdrawSchema(Shape):
    """`POST /playbooks/{id}/withdraw`."""

    reason = Text(2000, lines=True, required=True)


class DocumentSchema(Schema):
    """A CACAO 2.0 document; its own check says more than this shape."""

    type = fields.String(required=True)
    spec_version = fields.String(required=True)
    id = fields.String(required=True)
    workflow = fields.Dict(required=True)


class ScriptSchema(Shape):
    """`POST /playbooks/{id}/simulate`: as the events file of `coordinator playbook simulate`."""

    start = fields.String(required=True, metadata={"description": "RFC 3339 instant."})
    variables = fields.Dict()
    facts = fields.Dict()
    directory = fields.List(fields.String())
    shares = fields.Dict()
    events = fields.List(fields.Dict())


_WITHDRAW = WithdrawSchema()


@routes.get("/playbooks")
@needs(Right.READ_PLAYBOOKS)
@describes(answer=PlaybookListSchema)
def listed() -> Response:
    """All versions in the catalogue."""
    with store().read() as tx:
        return answer({"items": queries.playbooks(tx), "next": None})


@routes.post("/playbooks")
@needs(Right.MANAGE_PLAYBOOKS)
@describes(body=DocumentSchema, answer=PlaybookTakenSchema, status=201)
def take() -> Response:
    """Bring a document in; it does nothing until two persons agree to it. Every fault of the check is answered."""
    raw = _document()
    with store().unit_of_work() as tx:
        said = catalogue.import_playbook(tx, raw, actor=principal().actor)
        return answer({"id": catalogue.version_of(tx, raw), "said": said}, status=201)


@routes.post("/playbooks/check")
@needs(Right.READ_PLAYBOOKS)
@describes(body=DocumentSchema, answer=PlaybookFaultsSchema, query=("strict",))
def check_document() -> Response:
    """What is wrong with a document, without keeping it; `?strict=1` by the measure for our own documents."""
    from playbooks.checks import check  # brings JSON schemas, which only a check needs

    found = check(_document(), strict=request.args.get("strict") == "1", now=clock.now())
    return answer({"faults": [
        {"pointer": fault.pointer, "detail": fault.sentence, "severity": fault.severity} for fault in found
    ]})  # fmt: skip


@routes.get("/playbooks/<int:number>")
@needs(Right.READ_PLAYBOOKS)
@describes(answer=PlaybookSchema)
def one(number: int) -> Response:
    """One version: what starts it, whose signatures it bears and what they are worth."""
    with store().read() as tx:
        return answer(_view(tx, number))


@routes.get("/playbooks/<int:number>/document")
@needs(Right.READ_PLAYBOOKS)
@describes(query=("signed",))
def document(number: int) -> Response:
    """The canonical document (RFC 8785); `?signed=1` with our signature."""
    with store().read() as tx:
        _row(tx, number)
        raw = catalogue.export_playbook(tx, str(number), sign=request.args.get("signed") == "1")
    return Response(raw, mimetype="application/json")


@routes.get("/playbooks/<int:number>/changes/<int:older>")
@needs(Right.READ_PLAYBOOKS)
@describes(answer=PlaybookChangesSchema)
def changes(number: int, older: int) -> Response:
    """What differs from an older version, in sentences."""
    with store().read() as tx:
        if _row(tx, number).playbook_id != _row(tx, older).playbook_id:
            raise NotFound()
        said = compare(catalogue.document_of(tx, older), catalogue.document_of(tx, number))
        return answer({"changes": said})


@routes.post("/playbooks/<int:number>/agree")
@needs(Right.DECIDE)
@describes(answer=PlaybookSchema)
def agree(number: int) -> Response:
    """Agree that new runs use this version; the second person's word puts it into use."""
    json_body(optional=True)
    with store().unit_of_work() as tx:
        activation.agree(tx, _row(tx, number).id, principal=principal())
        tx.flush()
        return answer(_view(tx, number))


@routes.post("/playbooks/<int:number>/withdraw")
@needs(Right.MANAGE_PLAYBOOKS)
@describes(body=WithdrawSchema, answer=PlaybookSchema)
def withdraw(number: int) -> Response:
    """Take a version out of use at once; runs that go on keep it."""
    wanted = load(_WITHDRAW, json_body())
    with store().unit_of_work() as tx:
        activation.withdraw(tx, _row(tx, number).id, actor=principal().actor, reason=wanted["reason"])
        tx.flush()
        return answer(_view(tx, number))


@routes.post("/playbooks/<int:number>/simulate")
@needs(Right.READ_PLAYBOOKS)
@describes(body=ScriptSchema, answer=DryRunSchema)
def simulated(number: int) -> Response:
    """A dry run by a script, with a virtual clock and the interpreter of real runs; nobody is told anything."""
    from playbooks.simulate import simulate

    script = json_body()
    with store().read() as tx:
        row = _row(tx, number)
        others = catalogue.called_documents(tx, catalogue.document_of(tx, number))
        raw, duties = row.document, RehearsedDuties(current_terms(tx), holidays=holidays(tx))
    try:
        lines, code = simulate(raw, script, others, duties=duties)
    except BadScript as bad:
        raise Invalid([Fault(*each) for each in bad.faults]) from None
    return answer({"lines": lines, "exit_code": code})


def _document() -> bytes:
    if request.mimetype != "application/json":
        raise UnsupportedType("Send application/json.")
    request.max_content_length = MAX_BYTES  # one limit for a document, whichever way it comes
    return request.get_data()


def _row(tx: Session, number: int) -> PlaybookVersion:
    row = tx.get(PlaybookVersion, number) if 0 < number <= LARGEST_ID else None
    if row is None:
        raise NotFound()
    return row


def _view(tx: Session, number: int) -> dict[str, Any]:
    row = _row(tx, number)
    playbook = catalogue.document_of(tx, row.id)
    return {
        "id": row.id, "playbook": row.playbook_id, "version": row.version, "name": row.name, "state": row.state,
        "digest": row.digest, "internal": row.internal, "agreed_by": row.activated_by,
        "starts": trigger_words(playbook.options.trigger),
        "signatures": [
            {"verdict": each.verdict, "name": each.name, "signee": each.signee, "algorithm": each.algorithm}
            for each in signers.verdicts(tx, signers.document_of(tx, row))
        ],
        "versions": [{"id": each.id, "version": each.version, "state": each.state}
                     for each in catalogue.versions_of(tx, row.playbook_id)],
    }  # fmt: skip
