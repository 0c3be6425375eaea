"""Changing incidents: fields, status, notes, links, and telling partners."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response
from marshmallow import Schema, fields, validate
from sqlalchemy.orm import Session

from coordinator import vocabulary
from coordinator.accounts.rules import Right
from coordinator.alerts import drafts
from coordinator.alerts import service as alerts
from coordinator.api import shapes
from coordinator.api.access import needs, principal, store
from coordinator.api.bodies import answer, check_if_match, json_body
from coordinator.api.described import describes
from coordinator.api.desk_calls import told_json
from coordinator.errors import Fault, Invalid
from coordinator.incidents import queries, requests, service, sources
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.models import Incident
from coordinator.markings import Marking, parse_tlp
from coordinator.outside import terms
from coordinator.outside.faults import Shape, load
from coordinator.outside.fields import Choice, Instant, Listed, Text

routes = Blueprint("changes", __name__)


class NoteAnswerSchema(Schema):
    id = shapes.number()
    item = shapes.text()
    version = shapes.number()
    at = shapes.at()
    author = shapes.text()


AUDIENCES = ("organisations", "community", "contact_kind", "directory", "agreement", "affected_states", "reporter")


class Audience(fields.Field[Any]):
    """A list of organisation codes, or one object as playbooks write an audience: {"community": "…"}."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> dict[str, Any]:
        codes = Listed(terms.OrganisationCode(), most=200)
        if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in AUDIENCES:
            name, said = next(iter(value.items()))
            if name == "organisations":
                return {name: codes.deserialize(said)}
            if isinstance(said, str | bool) and len(str(said)) <= 80:
                return {name: said}
        if isinstance(value, list) and value:
            return {"organisations": codes.deserialize(value)}
        raise validate.ValidationError("Send a list of organisation codes, or an object with one kind of audience.")


class AlertRequestSchema(Shape):
    """`POST …/alerts`. Without `tlp` the text is marked as the incident is, and bound to whose it is."""

    kind = Choice(drafts.KINDS, required=True)
    audience = Audience(metadata={"description": "Absent for a follow-up: everyone told so far."})
    purpose = Choice(vocabulary.PURPOSES.codes, required=True)
    title = Text(120, required=True)
    body = Text(10_000, lines=True, required=True)
    reply_by = Instant()
    tlp = terms.tlp()
    info_category = Choice(vocabulary.INFO_CATEGORIES.codes)
    language = terms.Language()
    ack = Choice(("person", "system", "none"))
    corrects = Text(40, metadata={"description": "For a correction, instead of an audience: the number of an alert or "
                                  "the key of an item. Everybody who was given it is told, and a person answers."})


_ALERT = AlertRequestSchema()


@routes.patch("/incidents/<reference>")
@needs(Right.CHANGE_INCIDENT)
@describes(body=requests.ChangeSchema, answer=shapes.IncidentSchema, if_match=True)
def change(reference: str) -> Response:
    """Change fields; only what is sent."""
    wanted = requests.load_change(json_body())
    with store().unit_of_work() as tx:
        incident = _locked(tx, reference)
        check_if_match(incident.version)
        service.change_incident(tx, incident.id, wanted, principal=principal())
        tx.flush()
        return _full(tx, incident)


@routes.post("/incidents/<reference>/status")
@needs(Right.CHANGE_STATUS)
@describes(body=requests.StatusSchema, answer=shapes.IncidentSchema, if_match=True)
def move(reference: str) -> Response:
    """Move the incident to another status; refused with what is still open."""
    wanted = requests.load_status(json_body())
    with store().unit_of_work() as tx:
        incident = _locked(tx, reference)
        check_if_match(incident.version)
        moved = service.transition(
            tx, incident.id, wanted["status"], principal=principal(), reason=wanted.get("reason", ""),
            outlook=wanted.get("outlook"), note=wanted.get("note"), duplicate_of=wanted.get("duplicate_of"),
        )  # fmt: skip
        tx.flush()
        response = _full(tx, incident)
    if moved.refusal is not None:
        raise moved.refusal  # after the commit: that it was asked for stays on record
    return response


@routes.post("/incidents/<reference>/notes")
@needs(Right.ADD_NOTE)
@describes(body=requests.NoteSchema, answer=NoteAnswerSchema, status=201)
def note(reference: str) -> Response:
    """Add a note. If-Match is looked at where it is sent: notes do not overwrite each other."""
    wanted = requests.load_note(json_body())
    with store().unit_of_work() as tx:
        incident = _locked(tx, reference)
        check_if_match(incident.version, needed=False)
        label = parse_tlp(wanted["tlp"]) if "tlp" in wanted else None
        more = {name: wanted[name] for name in requests.NOTE_MARKS if name in wanted}
        version = service.add_note(tx, incident.id, wanted["text"], principal=principal(), tlp=label, **more)
        data = {"id": version.id, "item": version.item, "version": version.version, "tlp": version.tlp,
                "at": version.created_at, "author": version.author}  # fmt: skip
        return answer(data, status=201, version=incident.version)


@routes.post("/incidents/<reference>/links")
@needs(Right.CHANGE_INCIDENT)
@describes(body=requests.LinkSchema, answer=shapes.IncidentSchema, status=201)
def link(reference: str) -> Response:
    """Link to another incident."""
    wanted = requests.load_link(json_body())
    with store().unit_of_work() as tx:
        incident = _locked(tx, reference)
        check_if_match(incident.version, needed=False)
        service.link_incidents(tx, incident.id, wanted["other"], kind=wanted["kind"], principal=principal())
        tx.flush()
        return _full(tx, incident, status=201)


@routes.post("/incidents/<reference>/facts")
@needs(Right.CHANGE_INCIDENT)
@describes(body=requests.ChoiceOfFactSchema, answer=shapes.IncidentSchema, if_match=True)
def choose_fact(reference: str) -> Response:
    """Choose what one source says of a fact; the incident is bound by that source from then on."""
    wanted = requests.load_fact(json_body())
    with store().unit_of_work() as tx:
        incident = _locked(tx, reference)
        check_if_match(incident.version)
        sources.choose(tx, incident.id, principal=principal(), **wanted)
        tx.flush()
        return _full(tx, incident)


@routes.post("/incidents/<reference>/alerts")
@needs(Right.REQUEST_RELEASE)
@describes(body=AlertRequestSchema, answer=shapes.ReleaseSchema, status=201)
def tell(reference: str) -> Response:
    """Ask for a release: the rules decide for each recipient; what they permit is sent, what they refer waits."""
    wanted = load(_ALERT, json_body())
    with store().unit_of_work() as tx:
        return answer(told_json(tx, _told(tx, reference, wanted)), status=201)


@routes.post("/incidents/<reference>/alerts/preview")
@needs(Right.REQUEST_RELEASE)
@describes(body=AlertRequestSchema, answer=shapes.ReleaseSchema)
def preview(reference: str) -> Response:
    """What would come of it, with the whole ladder to each recipient. Nothing is kept and nothing leaves."""
    wanted = load(_ALERT, json_body())
    with store().rehearsal() as tx:
        found = told_json(tx, _told(tx, reference, wanted))
    return answer(found)


def _told(tx: Session, reference: str, wanted: dict[str, Any]) -> alerts.Told:
    incident, ack, corrects = _locked(tx, reference), wanted.get("ack"), wanted.get("corrects")
    said: dict[str, Any] = {
        "title": wanted["title"], "body": wanted["body"], "purpose": wanted["purpose"],
        "info_category": wanted.get("info_category", "incident-notification"), "requested_by": principal().actor,
        "reply_by": wanted.get("reply_by"), "language": wanted.get("language", "en"),
        "marking": Marking(tlp=parse_tlp(wanted["tlp"])) if "tlp" in wanted else None,
        "ack": "" if ack == "none" else ack,
    }  # fmt: skip
    if not corrects:
        return alerts.tell(tx, incident=incident, kind=wanted["kind"], audience=wanted.get("audience"), **said)
    if wanted["kind"] != "correction" or "audience" in wanted:
        raise Invalid([Fault("/corrects", "Send it with the kind correction and without an audience.")])
    return alerts.correct(tx, incident, corrects, **said)


def _locked(tx: Session, reference: str) -> Incident:
    return lock_incident(tx, queries.get_visible(tx, reference, principal=principal()).id)


def _full(tx: Session, incident: Incident, *, status: int = 200) -> Response:
    return answer(queries.described_in_full(tx, incident), status=status, version=incident.version)
