"""Telling partners: write, see what the rules say to each recipient, send; then each alert with its way and answers."""

from __future__ import annotations

import secrets
from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext as _
from marshmallow import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from coordinator import vocabulary
from coordinator.accounts.rules import Right
from coordinator.alerts import corrections, drafts, recalls, wrong
from coordinator.alerts import service as alerts
from coordinator.alerts.answers import offered
from coordinator.alerts.desk_calls import waiting_plans
from coordinator.alerts.left import TELLING, is_still_out
from coordinator.alerts.models import Alert, Delivery
from coordinator.errors import Fault, Invalid, NotFound, Refused, SecrecyMarkingFound
from coordinator.incidents.form import form_field, from_form
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.models import Incident
from coordinator.incidents.queries import described_in_full, get_visible
from coordinator.incidents.references import reference_of
from coordinator.markings import Marking, Tlp, parse_tlp
from coordinator.outside.fields import Instant
from coordinator.partners.queries import organisations
from coordinator.sharing.models import Release
from coordinator.status import incident_page, outgoing
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs
from coordinator.web.words_sharing import what_became_of

pages = Blueprint("alerts", __name__, url_prefix="/incidents/<reference>/alerts")

AUDIENCES = ("organisations", "told", "affected_states", "reporter", "community")
_PLAIN = ("corrects", "kind", "audience", "community", "purpose", "info_category", "title", "body", "sources", "tlp",
          "ack", "language", "reply_by_date", "reply_by_time", "zone")  # fmt: skip


@pages.get("/new")
@needs(Right.REQUEST_RELEASE)
def write(reference: str) -> Response:
    return _form(reference, {"corrects": request.args.get("corrects", "")[:40]}, {})


@pages.post("/new")
@needs(Right.REQUEST_RELEASE, fresh=True)
def tell(reference: str) -> Any:
    """First the decisions as they would be; sent only when they were looked at."""
    given = _kept(request.form)
    if request.form.get("step") == "back":
        return _form(reference, given, {})
    try:
        if request.form.get("step") != "send":
            return _preview(reference, given)
        with access.store().unit_of_work() as tx:
            told = _told(tx, reference, given, once=request.form.get("once", ""))
    except SecrecyMarkingFound:
        raise
    except Invalid as error:
        return _form(reference, given, page.errors_by_field(error, field=_field), code=422)
    return page.after("incidents.incident", what_became_of(told), reference=reference, _anchor="decisions")


@pages.get("/<int:alert_id>")
@needs(Right.READ_INCIDENTS)
def one(reference: str, alert_id: int) -> Response:
    return _page(reference, alert_id, {}, {})


@pages.post("/<int:alert_id>/withdraw")
@needs(Right.REQUEST_RELEASE)
def withdraw(reference: str, alert_id: int) -> Any:
    given = {"reason": request.form.get("reason", "")}
    try:
        with access.store().unit_of_work() as tx:
            _find(tx, reference, alert_id)
            alerts.withdraw(tx, alert_id, principal=access.required(), reason=given["reason"])
    except Invalid as error:
        return _page(reference, alert_id, given, page.errors_by_field(error), code=422)
    return page.after("alerts.one", _("The alert is withdrawn."), reference=reference, alert_id=alert_id)


@pages.post("/<int:alert_id>/recall")
@needs(Right.REQUEST_RELEASE, fresh=True)
def recall(reference: str, alert_id: int) -> Any:
    """Ask it back: from everybody who had this text, or from this recipient."""
    given = {"recall_reason": request.form.get("recall_reason", ""), "whom": request.form.get("whom", "all")}
    try:
        with access.store().unit_of_work() as tx:
            _find(tx, reference, alert_id)
            recalls.recall_alert(tx, alert_id, principal=access.required(), reason=given["recall_reason"],
                                 only=given["whom"] == "only")  # fmt: skip
    except Invalid as error:
        errors = page.errors_by_field(error, field=lambda pointer: f"recall_{pointer.strip('/')}")
        return _page(reference, alert_id, given, errors, code=422)
    return page.after("alerts.one", _("It is being asked back."), reference=reference, alert_id=alert_id)


@pages.post("/<int:alert_id>/wrong")
@needs(Right.REQUEST_RELEASE, fresh=True)
def mark_wrong(reference: str, alert_id: int) -> Any:
    """It should not have gone there: an incident of its own, and the recall."""
    given = {"wrong_reason": request.form.get("wrong_reason", ""), "wrong_recall": request.form.get("wrong_recall", "")}
    try:
        with access.store().unit_of_work() as tx:
            _find(tx, reference, alert_id)
            opened = wrong.mark_wrong(tx, alert_id, principal=access.required(), reason=given["wrong_reason"],
                                      recall=given["wrong_recall"] != "later")  # fmt: skip
            number = reference_of(opened)
    except Invalid as error:
        errors = page.errors_by_field(error, field=lambda pointer: f"wrong_{pointer.strip('/')}")
        return _page(reference, alert_id, given, errors, code=422)
    return page.after("incidents.incident", _("An incident was opened for it: see what is owed, and to whom."),
                      reference=number)  # fmt: skip


@pages.post("/<int:alert_id>/deliveries/<int:delivery_id>/again")
@needs(Right.REQUEST_RELEASE)
def again(reference: str, alert_id: int, delivery_id: int) -> Any:
    with access.store().unit_of_work() as tx:
        _find(tx, reference, alert_id)
        row = tx.get(Delivery, delivery_id)
        if row is None or row.alert_id != alert_id:
            raise NotFound()
        alerts.redeliver(tx, delivery_id, principal=access.required())
    return page.after("alerts.one", _("It is sent again."), reference=reference, alert_id=alert_id)


@pages.post("/<int:alert_id>/deliveries/<int:delivery_id>/bounced")
@needs(Right.REQUEST_RELEASE)
def bounced(reference: str, alert_id: int, delivery_id: int) -> Any:
    """A mail came back: noted by whoever saw it in the mailbox."""
    with access.store().unit_of_work() as tx:
        _find(tx, reference, alert_id)
        row = tx.get(Delivery, delivery_id)
        if row is None or row.alert_id != alert_id:
            raise NotFound()
        alerts.record_bounce(tx, delivery_id, principal=access.required())
    return page.after(
        "alerts.one", _("Noted: the next way is tried, and a task asks for the right address."), reference=reference,
        alert_id=alert_id,
    )  # fmt: skip


@pages.post("/<int:alert_id>/answer")
@needs(Right.REQUEST_RELEASE)
def note_answer(reference: str, alert_id: int) -> Any:
    """What a partner said on the telephone, noted by us."""
    given = {name: request.form.get(name, "").strip() for name in ("by", "answer", "note")}
    try:
        with access.store().unit_of_work() as tx:
            _find(tx, reference, alert_id)
            alerts.acknowledge_for(
                tx, alert_id, principal=access.required(), by=given["by"], answer=given["answer"],
                note=given["note"] or None,
            )  # fmt: skip
    except Invalid as error:
        return _page(reference, alert_id, given, page.errors_by_field(error), code=422)
    return page.after("alerts.one", _("The answer is on record."), reference=reference, alert_id=alert_id)


# ---------------------------------------------------------------- telling


def _kept(sent: MultiDict[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {name: sent.get(name, "").replace("\r\n", "\n") for name in _PLAIN}
    return values | {name: sent.getlist(name) for name in ("organisations", "items")}


def _told(tx: Session, reference: str, given: dict[str, Any], *, once: str = "") -> alerts.Told:
    """Ask the rules and raise what they permit. The same form again (`once`) is refused as sent already."""
    incident = lock_incident(tx, get_visible(tx, reference, principal=access.required()).id)
    _check(given)
    if once and _sent_already(tx, incident, once):
        raise Refused(_("This form was sent already: look at the alerts of the incident."))
    said: dict[str, Any] = {
        "title": given["title"].strip(), "body": given["body"].strip(), "purpose": given["purpose"],
        "info_category": given["info_category"], "requested_by": access.required().actor, "ack": _ack(given["ack"]),
        "reply_by": reply_by_of(given), "language": given["language"] or "en",
        "facts": {"once": once} if once else None,
        **_sources(tx, incident, given),
    }  # fmt: skip
    if given["corrects"]:
        return alerts.correct(tx, incident, given["corrects"], **said)
    return alerts.tell(tx, incident=incident, kind=given["kind"], audience=_audience(given), **said)


def _check(given: dict[str, Any]) -> None:
    """What the page alone can leave out; the rest is checked where alerts are made."""
    faults = []
    if not given["corrects"]:
        faults += _unaddressed(given)
    if given["purpose"] not in vocabulary.PURPOSES:
        faults.append(Fault("/purpose", _("Choose what they are to use it for.")))
    if given["info_category"] not in vocabulary.INFO_CATEGORIES:
        faults.append(Fault("/info_category", _("Choose what kind of information it is.")))
    if given["sources"] not in ("incident", "own", "items"):
        faults.append(Fault("/sources", _("Say where the text comes from.")))
    if given["sources"] == "items" and not given["items"]:
        faults.append(Fault("/sources", _("Choose what it was made from.")))
    faults += [Fault(f"/{name}", _("Write this.")) for name in ("title", "body") if not given[name].strip()]
    if faults:
        raise Invalid(faults)


def _unaddressed(given: dict[str, Any]) -> list[Fault]:
    faults = []
    if given["kind"] not in drafts.KINDS:
        faults.append(Fault("/kind", _("Choose what kind of message it is.")))
    if given["audience"] not in AUDIENCES:
        faults.append(Fault("/audience", _("Choose who is to be told.")))
    if given["audience"] == "organisations" and not given["organisations"]:
        faults.append(Fault("/organisations", _("Choose at least one organisation.")))
    return faults


def _audience(given: dict[str, Any]) -> dict[str, Any]:
    if given["audience"] == "organisations":
        return {"organisations": given["organisations"]}
    return {"community": given["community"]} if given["audience"] == "community" else {given["audience"]: True}


def _sources(tx: Session, incident: Incident, given: dict[str, Any]) -> dict[str, Any]:
    """Marking and parts: as the incident is bound, our own words under a label, or made from items."""
    label = parse_tlp(given["tlp"]) if given["tlp"] else None
    if given["sources"] == "own":
        return {"marking": Marking(tlp=label or parse_tlp(incident.tlp))}
    if given["sources"] == "items":
        known = {item["id"] for item in incident_page.items(tx, incident.id)}
        chosen = [int(text) for text in given["items"] if text.isdecimal() and int(text) in known]
        return {"items": chosen, "marking": Marking(tlp=label) if label else None}
    return {}


def _ack(code: str) -> str | None:
    """None: as the kind asks for by itself."""
    return code if code in ("person", "system") else "" if code == "none" else None


def reply_by_of(given: dict[str, Any]) -> Any:
    """The instant in the form's fields, read as the report form reads it. Raises Invalid."""
    names = ("reply_by_date", "reply_by_time", "zone")
    text = from_form(MultiDict({name: given[name] for name in names})).get("reply_by")
    if not text:
        return None
    try:
        return Instant().deserialize(text)
    except ValidationError:
        raise Invalid([Fault("/reply_by", _("Give date and time, like 2026-11-22 and 17:53."))]) from None


def _sent_already(tx: Session, incident: Incident, once: str) -> bool:
    query = select(Release.facts).where(Release.incident_id == incident.id).order_by(Release.id.desc()).limit(20)
    return any(facts.get("once") == once for facts in tx.execute(query).scalars())


def _field(pointer: str) -> str:
    return "reply_by_date" if pointer == "/reply_by" else form_field(pointer)


def _preview(reference: str, given: dict[str, Any]) -> Response:
    """What the rules would say now, to each recipient. Nothing of it stays."""
    shown: dict[str, Any] = {}
    with access.store().rehearsal() as tx:
        told = _told(tx, reference, given)
        ids = [alert.decision_id for alert in told.permitted] + [row.id for row in (*told.referred, *told.denied)]
        shown["decisions"] = [outgoing.decision(tx, decision_id, principal=access.required()) for decision_id in ids]
        shown["plans"] = waiting_plans(tx, [*told.referred, *told.denied])
        shown["plans"] |= {alert.decision_id: alert.plan for alert in told.permitted}
        shown["unreachable"] = told.unreachable
        shown["tlp"] = Marking.from_json(told.release.marking).effective.value
        shown["one"] = described_in_full(tx, get_visible(tx, reference, principal=access.required()))
    return page.show(
        "alerts/preview.html", here="board", given=given, once=secrets.token_urlsafe(16),
        exercise=shown["one"]["exercise"], plain=_PLAIN, **shown,
    )  # fmt: skip


def _form(reference: str, values: dict[str, Any], errors: dict[str, str], *, code: int = 200) -> Response:
    with access.store().read() as tx:
        row = get_visible(tx, reference, principal=access.required())
        one = described_in_full(tx, row)
        partners = [each for each in organisations(tx) if each.active and not each.is_own]
        said = [item for item in incident_page.items(tx, row.id) if item["kind"] not in ("title", "task-result")]
        old = corrections.corrected(tx, row, values["corrects"]) if values.get("corrects") else None
        before = _as_it_was(tx, old, {item["id"] for item in said}) if old is not None else {}
    began = {"kind": "initial", "sources": "incident", "purpose": "incident-response", "zone": page.zone(),
             "info_category": "incident-notification"}  # fmt: skip
    return page.show(
        "alerts/write.html", here="board", one=one, partners=partners, said=said, values=began | before | values,
        errors=errors, code=code, exercise=one["exercise"], kinds=drafts.KINDS,
        had=old.recipients if old is not None else [], purposes=vocabulary.PURPOSES.choices(),
        categories=vocabulary.INFO_CATEGORIES.choices(), labels_tlp=[label.value for label in Tlp],
        communities=sorted({name for each in partners for name in each.communities}),
    )  # fmt: skip


def _as_it_was(tx: Session, old: corrections.Corrected, known: set[int]) -> dict[str, Any]:
    """The form as the text that is corrected would have been sent by it."""
    release, parts = old.release, [number for number in old.parts if number in known]
    title, body = outgoing.texts_of(tx, release)
    return {
        "kind": "correction", "title": title, "body": body, "purpose": release.purpose, "language": release.language,
        "info_category": release.info_category, "sources": "items" if parts else "incident",
        "items": [str(number) for number in parts],
        "tlp": Marking.from_json(release.marking).effective.value if parts else "",
    }  # fmt: skip


def _find(tx: Session, reference: str, alert_id: int) -> tuple[Incident, Alert]:
    incident = get_visible(tx, reference, principal=access.required())
    row = tx.get(Alert, alert_id)
    if row is None or row.incident_id != incident.id:
        raise NotFound()
    return incident, row


def _page(
    reference: str, alert_id: int, values: dict[str, Any], errors: dict[str, str], *, code: int = 200
) -> Response:
    with access.store().read() as tx:
        incident, row = _find(tx, reference, alert_id)
        alert = outgoing.described_alerts(tx, [row])[0]
        text = outgoing.texts_of(tx, tx.get_one(Release, row.release_id))
        decision = outgoing.decision(tx, row.decision_id, principal=access.required())
        one = described_in_full(tx, incident)
        out = is_still_out(tx, row)
    return page.show(
        "alerts/one.html", here="board", one=one, alert=alert, text=text, decision=decision, values=values,
        errors=errors, code=code, exercise=one["exercise"], out=out, telling=TELLING,
        offered=offered(alert["kind"], [each["answer"] for each in alert["answers"]]),
    )  # fmt: skip
