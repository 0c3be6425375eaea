"""The release desk for officers' tools: draft, see who could receive it, submit to those chosen."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from marshmallow import Schema, fields
from sqlalchemy.orm import Session

from coordinator import vocabulary
from coordinator.accounts.rules import Right
from coordinator.alerts import drafts, versions
from coordinator.api import shapes
from coordinator.api.access import needs, principal, store
from coordinator.api.bodies import answer, json_body
from coordinator.api.described import describes
from coordinator.api.desk_calls import told_json
from coordinator.incidents import queries
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.models import Incident
from coordinator.outside import terms
from coordinator.outside.faults import Shape, load
from coordinator.outside.fields import Choice, Flag, Instant, Listed, Part, Text, Whole
from coordinator.sharing.approvals import withdraw_release
from coordinator.sharing.models import Release
from coordinator.sharing.parts import FACTS
from coordinator.status import release_desk

routes = Blueprint("releases", __name__)

LARGEST_ID = 2**53 - 1
STATES = ("draft", "evaluated", "awaiting-approval", "approved", "refused", "released", "expired", "withdrawn")


class UncleanedSchema(Shape):
    """A file that cannot be cleaned, and why it is to go as it came: a second person opens it and approves."""

    item = Whole(1, LARGEST_ID, required=True)
    reason = Text(1000, lines=True, required=True)


class DraftRequestSchema(Shape):
    """`POST …/releases`. `items`: ids of item versions (`GET …/items`, `GET …/files`). Without `body`, what they say is
    the text. A file that goes along stands in `items` and in `enclosed`, and has a cleaned copy by then.

    Without `tlp` the text is marked as its items are, and without items as the incident.
    """

    kind = Choice(drafts.KINDS, required=True)
    title = Text(120, required=True)
    body = Text(10_000, lines=True)
    items = Listed(Whole(1, LARGEST_ID), most=100)
    enclosed = Listed(
        Whole(1, LARGEST_ID), most=100, metadata={"description": "Items whose indicators go along, and files."}
    )
    uncleaned = Listed(Part(UncleanedSchema), most=20)
    facts = Listed(Choice(FACTS), most=len(FACTS), metadata={"description": "Facts of the incident that it says."})
    asks = Text(drafts.LONGEST_ASKS, lines=True)
    purpose = Choice(vocabulary.PURPOSES.codes, required=True)
    info_category = Choice(vocabulary.INFO_CATEGORIES.codes)
    tlp = terms.tlp()
    personal_data = Flag()
    pd_basis = terms.legal_basis()
    pd_delete_by = terms.delete_by()
    reply_by = Instant()
    language = terms.Language()
    ack = Choice(("person", "system", "none"))


class SubmissionSchema(Shape):
    """`POST …/releases/{number}/submit`: codes of the organisations it is to go to."""

    recipients = Listed(terms.OrganisationCode(), most=200, required=True)


class AudienceSchema(Shape):
    """Whom a version is for: one of the three. Those under an agreement or in a community are looked up now."""

    organisations = Listed(terms.OrganisationCode(), most=200)
    agreement = Text(80)
    community = Text(80)


class VersionRequestSchema(Shape):
    """`POST …/releases/{number}/versions`. `include`: names of the draft's `pieces`; nothing else is in it."""

    audience = Part(AudienceSchema, required=True)
    include = Listed(Text(80), most=200, required=True)
    title = Text(120)


class ReleaseWithdrawalSchema(Shape):
    """`POST …/releases/{number}/withdraw`. A draft needs no reason."""

    reason = Text(2000, lines=True)


class DeskReleaseSchema(Schema):
    id = shapes.number()
    state = fields.String(required=True, metadata={"enum": list(STATES)})
    kind = shapes.text()
    title = shapes.text()
    tlp = shapes.text()
    purpose = shapes.text()
    info_category = shapes.text()
    requested_by = shapes.text()
    created_at = shapes.at()
    reply_by = shapes.at(none=True)
    pieces = fields.List(fields.Dict(), metadata={"description": "What a version may be given or not."})
    version_of = fields.Integer(allow_none=True, metadata={"description": "The draft this is a version of."})
    versions = fields.List(fields.Dict())
    included = fields.List(fields.String(), allow_none=True)
    left_out = fields.List(fields.Dict(), metadata={"description": "By recipient: parts and why they are not in it."})


class RecipientsSchema(Schema):
    """Every partner, in one of four groups; see the documentation for what is said of each."""

    permit = fields.List(fields.Dict(), required=True)
    refer = fields.List(fields.Dict(), required=True)
    deny = fields.List(fields.Dict(), required=True)
    unreachable = fields.List(fields.Dict(), required=True)


DeskReleaseListSchema = shapes.many(DeskReleaseSchema)
_VERSION = VersionRequestSchema()
_DRAFT, _SUBMISSION, _WITHDRAWAL = DraftRequestSchema(), SubmissionSchema(), ReleaseWithdrawalSchema()


@routes.get("/incidents/<reference>/releases")
@needs(Right.READ_INCIDENTS)
@describes(answer=DeskReleaseListSchema)
def listed(reference: str) -> Response:
    """Drafts and releases of the incident, newest first."""
    with store().read() as tx:
        return answer({"items": release_desk.releases(tx, _incident(tx, reference)), "next": None})


@routes.post("/incidents/<reference>/releases")
@needs(Right.REQUEST_RELEASE)
@describes(body=DraftRequestSchema, answer=DeskReleaseSchema, status=201)
def draft(reference: str) -> Response:
    """Draft a release: nobody is asked and nothing leaves."""
    wanted = load(_DRAFT, json_body())
    with store().unit_of_work() as tx:
        incident = lock_incident(tx, _incident(tx, reference).id)
        ack = wanted.get("ack")
        row = drafts.draft(
            tx, incident=incident, principal=principal(), kind=wanted["kind"], title=wanted["title"],
            body=wanted.get("body", ""), purpose=wanted["purpose"], items=wanted.get("items", ()),
            enclosed=wanted.get("enclosed", ()), facts=wanted.get("facts"), asks=wanted.get("asks", ""),
            uncleaned={each["item"]: each["reason"] for each in wanted.get("uncleaned", ())},
            info_category=wanted.get("info_category", "incident-notification"),
            marking=drafts.declared(wanted.get("tlp"), personal_data=wanted.get("personal_data", False),
                                    pd_basis=wanted.get("pd_basis", ""), pd_delete_by=wanted.get("pd_delete_by")),
            reply_by=wanted.get("reply_by"), language=wanted.get("language", "en"), ack="" if ack == "none" else ack,
        )  # fmt: skip
        return _full(tx, row, status=201)


@routes.get("/incidents/<reference>/releases/<int:number>")
@needs(Right.READ_INCIDENTS)
@describes(answer=DeskReleaseSchema)
def one(reference: str, number: int) -> Response:
    """One release with its text, parts, decisions and alerts."""
    with store().read() as tx:
        return _full(tx, _release(tx, reference, number))


@routes.get("/incidents/<reference>/releases/<int:number>/recipients")
@needs(Right.READ_INCIDENTS)
@describes(answer=RecipientsSchema)
def recipients(reference: str, number: int) -> Response:
    """Who could receive it: every partner, with every reason, agreement and clause, and who can change it."""
    with store().read() as tx:
        return answer(release_desk.recipients(tx, _release(tx, reference, number), principal=principal()))


@routes.post("/incidents/<reference>/releases/<int:number>/versions")
@needs(Right.REQUEST_RELEASE)
@describes(body=VersionRequestSchema, answer=DeskReleaseSchema, status=201)
def version(reference: str, number: int) -> Response:
    """A version of a draft for some recipients, composed of these parts alone."""
    wanted = load(_VERSION, json_body())
    with store().unit_of_work() as tx:
        row = _release(tx, reference, number)
        made = versions.make(
            tx, row.id, audience=wanted["audience"], include=wanted["include"], title=wanted.get("title", ""),
            principal=principal(),
        )  # fmt: skip
        return _full(tx, made, status=201)


@routes.post("/incidents/<reference>/releases/<int:number>/leave-out")
@needs(Right.REQUEST_RELEASE)
@describes(body=SubmissionSchema, answer=DeskReleaseSchema, status=201)
def leave_out(reference: str, number: int) -> Response:
    """Versions of a draft for these recipients without what may not go to them; answers the draft, which lists them."""
    wanted = load(_SUBMISSION, json_body())
    with store().unit_of_work() as tx:
        row = _release(tx, reference, number)
        versions.leave_out(tx, row.id, codes=wanted["recipients"], principal=principal())
        return _full(tx, row, status=201)


@routes.post("/incidents/<reference>/releases/<int:number>/submit")
@needs(Right.REQUEST_RELEASE)
@describes(body=SubmissionSchema, answer=shapes.ReleaseSchema)
def submit(reference: str, number: int) -> Response:
    """Ask for it: decided for each recipient; what is permitted is sent, what is referred waits for a person."""
    wanted = load(_SUBMISSION, json_body())
    with store().unit_of_work() as tx:
        row = _release(tx, reference, number)
        told = drafts.submit(tx, row.id, codes=wanted["recipients"], principal=principal())
        return answer(told_json(tx, told))


@routes.post("/incidents/<reference>/releases/<int:number>/withdraw")
@needs(Right.REQUEST_RELEASE)
@describes(body=ReleaseWithdrawalSchema, answer=DeskReleaseSchema)
def withdraw(reference: str, number: int) -> Response:
    """Discard a draft, or ask no longer for what waits for a clearance."""
    wanted = load(_WITHDRAWAL, json_body(optional=True))
    with store().unit_of_work() as tx:
        row = _release(tx, reference, number)
        if row.state == drafts.DRAFT:
            drafts.discard(tx, row.id, principal=principal())
        else:
            withdraw_release(tx, row.id, principal=principal(), reason=wanted.get("reason", ""))
        return _full(tx, row)


def _incident(tx: Session, reference: str) -> Incident:
    return queries.get_visible(tx, reference, principal=principal())


def _release(tx: Session, reference: str, number: int) -> Release:
    return release_desk.one(tx, _incident(tx, reference), min(number, LARGEST_ID))


def _full(tx: Session, row: Release, *, status: int = 200) -> Response:
    tx.flush()
    data: dict[str, Any] = release_desk.in_full(tx, row, principal=principal())
    return answer(data, status=status)
