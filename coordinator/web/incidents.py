"""The page of one incident, and what people do on it: move it on, change it, say something, link it, look back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from coordinator import clock, vocabulary
from coordinator.accounts import service as accounts
from coordinator.accounts.models import User
from coordinator.accounts.rules import Right, Role, may
from coordinator.assessments.service import standing_suggestion
from coordinator.errors import Invalid, NotFound, Stale
from coordinator.incidents import attachments, requests, rules, service, sources
from coordinator.incidents.form import day_of
from coordinator.incidents.models import Incident
from coordinator.incidents.queries import described_in_full, get_visible, note_read, was_read
from coordinator.incidents.references import reference_of
from coordinator.incidents.rules import Status
from coordinator.markings import Tlp, parse_tlp
from coordinator.obligations import queries as duties
from coordinator.obligations.suggesting import duties_that_may_apply
from coordinator.outside import filenames
from coordinator.status import history, incident_page
from coordinator.web import access, formats, live
from coordinator.web import pages as page
from coordinator.web.access import needs

pages = Blueprint("incidents", __name__, url_prefix="/incidents/<reference>")


@pages.get("")
@needs(Right.READ_INCIDENTS)
def incident(reference: str) -> Response:
    return show_incident(reference)


def show_incident(
    reference: str, *, errors: dict[str, str] | None = None, values: dict[str, Any] | None = None, code: int = 200
) -> Response:
    """The page, also with what was wrong in one of its small forms. Opening it is on record."""
    principal = access.required()
    tag = live.incident_tag(record_reading(reference))  # before looking: what changes in between is asked for again
    with access.store().read() as tx:
        row = get_visible(tx, reference, principal=principal)
        shown = incident_page.incident_page(tx, row, principal=principal)
        stated = sources.stated(tx, row, principal=principal)
        suggested, offers = standing_suggestion(tx, row), duties_that_may_apply(tx, row)
        duty_rules = [(each["rule"], f"{each['rule']} – {each['instrument']}") for each in duties.rules_of(tx)]
    differing = [fact["name"] for fact in stated if fact["conflict"] and not fact["chosen"]]
    given = dict(shown)
    one = given.pop("incident")
    return page.show(
        "incidents/incident.html", here="board", one=one, **given, tag=tag, exercise=one["exercise"],
        moves=one["next_statuses"], differing=differing, duty_rules=duty_rules, errors=errors or {},
        suggested=suggested.as_told() if suggested else None, offers=offers,
        values=values or {}, code=code, **_choices(),
    )  # fmt: skip


def record_reading(reference: str) -> int:
    """Put on record who opened it, once a version and quarter of an hour; answers the incident's id."""
    principal = access.required()
    with access.store().read() as tx:
        row = get_visible(tx, reference, principal=principal)
        noted = was_read(tx, row, principal=principal)
    if not noted:
        with access.store().unit_of_work() as tx:
            note_read(tx, get_visible(tx, reference, principal=principal), principal=principal)
    return row.id


@pages.get("/timeline")
@needs(Right.READ_INCIDENTS)
def timeline(reference: str) -> Response:
    before, readings = request.args.get("before", 0, type=int), bool(request.args.get("readings"))
    with access.store().read() as tx:
        row = get_visible(tx, reference, principal=access.required())
        shown = incident_page.timeline(tx, row.id, before=before, limit=50, readings=readings)
        one = described_in_full(tx, row)
    return page.show(
        "incidents/timeline.html", here="board", one=one, timeline=shown, readings=readings, before=before,
        exercise=one["exercise"], values={"at": request.args.get("at", "")}, errors={},
    )  # fmt: skip


@pages.get("/at")
@needs(Right.READ_INCIDENTS)
def as_it_stood(reference: str) -> Response:
    """The incident as the record shows it at an instant given by date and time in the reader's zone."""
    at = _asked_instant()
    record_reading(reference)
    with access.store().read() as tx:
        row = get_visible(tx, reference, principal=access.required())
        shown = history.as_it_stood(tx, row, at)
    return page.show(
        "incidents/at.html", here="board", reference=reference_of(row), at=at, exercise=row.exercise, **shown
    )


def _asked_instant() -> datetime:
    try:
        text = f"{request.args.get('date', '')}T{request.args.get('time') or '23:59'}"
        local = datetime.fromisoformat(text).replace(tzinfo=formats.zone_of(page.zone()), second=59)
        return local.astimezone(clock.now().tzinfo)
    except (ValueError, OverflowError):
        raise NotFound(_("Give a date and a time, like 2026-11-22 and 17:53.")) from None


# ---------------------------------------------------------------- moving it on


@pages.get("/status/<to>")
@needs(Right.CHANGE_STATUS)
def ask_status(reference: str, to: str) -> Response:
    return _status_page(reference, to, values={}, errors={})


@pages.post("/status/<to>")
@needs(Right.CHANGE_STATUS)
def change_status(reference: str, to: str) -> Any:
    fields = ("reason", "outlook", "note", "duplicate_of")
    given = {name: request.form.get(name, "").replace("\r\n", "\n") for name in fields}
    try:
        wanted = requests.load_status({"status": to} | {name: text for name, text in given.items() if text})
        with access.store().unit_of_work() as tx:
            row = get_visible(tx, reference, principal=access.required())
            moved = service.transition(
                tx, row.id, wanted.pop("status"), principal=access.required(), if_version=seen_version(), **wanted
            )
    except Invalid as error:
        return _status_page(reference, to, values=given, errors=page.errors_by_field(error), code=422)
    if moved.refusal:
        raise moved.refusal
    return page.after("incidents.incident", _("The status was changed."), reference=reference)


def _status_page(
    reference: str, to: str, *, values: dict[str, str], errors: dict[str, str], code: int = 200
) -> Response:
    with access.store().read() as tx:
        row = get_visible(tx, reference, principal=access.required())
        one = described_in_full(tx, row)
    if to not in one["next_statuses"]:
        raise NotFound(_("This move is not open from the present status."))
    guards = rules.TRANSITIONS[Status(one["status"])][Status(to)]
    blocking = [] if rules.Guard.NOTHING_BLOCKS_RESOLVING not in guards else [
        hold for hold in one["open"] if hold["blocks"] == "resolve"
    ]  # fmt: skip
    if rules.Guard.NOTHING_OPEN in guards:
        blocking = one["open"]
    if rules.Guard.NO_OPEN_DUTY in guards:
        blocking = [hold for hold in one["open"] if hold["kind"] in rules.DUTIES]
    return page.show(
        "incidents/status.html", here="board", one=one, to=to, guards=[str(guard) for guard in guards],
        blocking=blocking, values={"outlook": one["outlook"] or "", "version": one["version"]} | values, errors=errors,
        reopening=one["status"] == "closed", code=code, exercise=one["exercise"],
    )  # fmt: skip


def seen_version(name: str = "version") -> int | None:
    """The version the form was made from: somebody else's change in between is then noticed."""
    text = request.form.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 16 else None


# ---------------------------------------------------------------- changing it


@pages.get("/edit")
@needs(Right.CHANGE_INCIDENT)
def edit(reference: str) -> Response:
    return _edit_page(reference, {}, {})


@pages.post("/edit")
@needs(Right.CHANGE_INCIDENT)
def change(reference: str) -> Any:
    given = _given_changes()
    try:
        with access.store().unit_of_work() as tx:
            row = get_visible(tx, reference, principal=access.required())
            wanted = requests.load_change(_really_changed(tx, row, given))
            if wanted:
                service.change_incident(
                    tx, row.id, wanted, principal=access.required(), if_version=seen_version()
                )
    except Stale as stale:
        return _edit_page(reference, given, {"": stale.title + "."}, code=412)
    except Invalid as error:
        return _edit_page(reference, given, page.errors_by_field(error), code=422)
    return page.after("incidents.incident", _("Saved."), reference=reference)


_SEVERAL = ("sectors", "humanitarian_flags")
_SINGLE = ("title", "classification", "outlook", "determination", "tlp", "suspected_malicious", "cross_border",
           "severity_reason")  # fmt: skip


#: Who reads cases and does not see restricted ones unnamed.
_READERS = [str(role) for role in Role if may(role, Right.READ_INCIDENTS) and not may(role, Right.SEE_RESTRICTED)]


def _given_changes() -> dict[str, Any]:
    form = request.form
    given: dict[str, Any] = {name: form.get(name, "").strip() for name in _SINGLE}
    given |= {name: form.getlist(name) for name in _SEVERAL}
    given["states_affected"] = page.country_codes(form.get("states_affected", ""))
    named = form.getlist("restricted_to")
    given["restricted_to"] = [int(each) for each in named if each.isdecimal() and len(each) < 16]
    for name in ("severity", "owner"):
        text = form.get(name, "")
        given[name] = int(text) if text.isdecimal() and len(text) < 16 else text
    return given


def _really_changed(tx: Session, row: Incident, given: dict[str, Any]) -> dict[str, Any]:
    """Only what differs from the incident as it is: an unchanged field is no change on the record."""
    now = described_in_full(tx, row)
    listed = {user.id for user in _readers(tx)}  # who is named and not on the list stays named
    given["restricted_to"] += [user for user in now["restricted_to"] if user not in listed]
    changed = {
        name: value for name, value in given.items()
        if name not in ("severity_reason",) and value not in ("", None) and value != now.get(name)
    }  # fmt: skip
    for name in (*_SEVERAL, "states_affected", "restricted_to"):
        if sorted(given[name]) == sorted(now[name]):
            changed.pop(name, None)
        else:
            changed[name] = given[name]
    if "severity" in changed:
        changed["severity_reason"] = given["severity_reason"]
    return changed


def _readers(tx: Session) -> list[User]:
    return [user for role in _READERS for user in accounts.users_with_role(tx, role)]


def _edit_page(reference: str, values: dict[str, Any], errors: dict[str, str], *, code: int = 200) -> Response:
    with access.store().read() as tx:
        row = get_visible(tx, reference, principal=access.required())
        one = described_in_full(tx, row)
        people = [user for role in ("coordinator", "duty-officer") for user in accounts.users_with_role(tx, role)]
        readers = _readers(tx)
    countries = vocabulary.COUNTRIES
    now = one | {
        "states_affected": ", ".join(countries.label(state) for state in one["states_affected"] if state in countries),
        "severity_reason": "",
    }  # fmt: skip
    if isinstance(values.get("states_affected"), list):
        values = values | {"states_affected": ", ".join(values["states_affected"])}
    return page.show(
        "incidents/edit.html", here="board", one=one, values=now | values, errors=errors, people=people, code=code,
        readers=readers, exercise=one["exercise"], determinations=requests.DETERMINATIONS, **_choices(),
    )  # fmt: skip


def _choices() -> dict[str, Any]:
    return {
        "types": vocabulary.INCIDENT_TYPES.choices(), "sectors": vocabulary.SECTORS.choices(),
        "flags": vocabulary.HUMANITARIAN_FLAGS.choices(), "severities": vocabulary.SEVERITIES.choices(),
        "countries": vocabulary.COUNTRIES.choices(), "categories": vocabulary.INFO_CATEGORIES.choices(),
        "labels_tlp": [label.value for label in Tlp],
    }  # fmt: skip


# ---------------------------------------------------------------- saying something


@pages.post("/notes")
@needs(Right.ADD_NOTE)
def add_note(reference: str) -> Any:
    given = {name: request.form.get(name, "").replace("\r\n", "\n") for name in ("text", "tlp", *requests.NOTE_MARKS)}
    try:
        marks: dict[str, Any] = {"personal_data": True} if given["personal_data"] else {}
        marks |= {"pd_delete_by": day_of(given["pd_delete_by"])} if given["pd_delete_by"] else {}
        said = requests.load_note({name: text for name, text in given.items() if text} | marks)
        with access.store().unit_of_work() as tx:
            row = get_visible(tx, reference, principal=access.required())
            label = parse_tlp(said["tlp"]) if said.get("tlp") else None
            more = {name: said[name] for name in requests.NOTE_MARKS if name in said}
            service.add_note(tx, row.id, said["text"], principal=access.required(), tlp=label, **more)
    except Invalid as error:
        return show_incident(reference, errors=page.errors_by_field(error, field=_note_field), values=given, code=422)
    return page.after("incidents.incident", _("The note was added."), reference=reference, _anchor="said")


def _note_field(pointer: str) -> str:
    name = pointer.strip("/")
    return name if name in ("tlp", *requests.NOTE_MARKS) else "text"


@pages.post("/links")
@needs(Right.CHANGE_INCIDENT)
def link(reference: str) -> Any:
    given = {"other": request.form.get("other", "").strip(), "kind": request.form.get("kind", "related")}
    try:
        wanted = requests.load_link(given)
        with access.store().unit_of_work() as tx:
            row = get_visible(tx, reference, principal=access.required())
            service.link_incidents(tx, row.id, wanted["other"], kind=wanted["kind"], principal=access.required())
    except Invalid as error:
        return show_incident(reference, errors=page.errors_by_field(error), values=given, code=422)
    except NotFound:
        errors = {"other": _("There is no incident with this reference.")}
        return show_incident(reference, errors=errors, values=given, code=422)
    return page.after("incidents.incident", _("The incidents are linked."), reference=reference, _anchor="links")


@pages.get("/attachments/<int:attachment_id>")
@needs(Right.READ_INCIDENTS)
def download(reference: str, attachment_id: int) -> Response:
    """A file, only ever downloaded: no type the browser would open, no sniffing, a sandbox if it does. On record."""
    with access.store().unit_of_work() as tx:
        get_visible(tx, reference, principal=access.required())
        file, parts = attachments.open_file(tx, attachment_id, principal=access.required())
        body = b"".join(parts)
    answer = Response(body, mimetype="application/octet-stream")
    answer.headers["Content-Disposition"] = filenames.attachment(file.name)
    answer.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    answer.headers["Cache-Control"] = "no-store"
    return answer


@pages.post("/originator")
@needs(Right.CHANGE_INCIDENT)
def confirm_originator(reference: str) -> Any:
    try:
        with access.store().unit_of_work() as tx:
            row = get_visible(tx, reference, principal=access.required())
            service.confirm_originator(
                tx, row.id, principal=access.required(), evidence=request.form.get("evidence", "")
            )
    except Invalid as error:
        return show_incident(reference, errors=page.errors_by_field(error), code=422)
    return page.after("incidents.incident", _("The originator is confirmed."), reference=reference)
