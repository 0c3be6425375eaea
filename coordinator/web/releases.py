"""The release desk: pick what is to leave, see who could receive it and why not, then choose recipients and submit."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext as _
from marshmallow import ValidationError
from sqlalchemy.orm import Session

from coordinator import vocabulary
from coordinator.accounts.rules import Right
from coordinator.alerts import drafts, versions
from coordinator.errors import Fault, Invalid, SecrecyMarkingFound
from coordinator.incidents.form import day_of, form_field
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.models import Incident
from coordinator.incidents.queries import described_in_full, get_visible
from coordinator.markings import Tlp
from coordinator.outside.fields import read_instant
from coordinator.sharing.approvals import withdraw_release
from coordinator.sharing.parts import FACTS
from coordinator.status import incident_page, leaving_files, release_desk
from coordinator.web import access, release_files, words
from coordinator.web import pages as page
from coordinator.web.access import needs
from coordinator.web.alerts import reply_by_of
from coordinator.web.words_sharing import what_became_of

pages = Blueprint("releases", __name__, url_prefix="/incidents/<reference>/releases")

_PLAIN = ("kind", "purpose", "info_category", "title", "body", "tlp", "ack", "language", "reply_by_date",
          "reply_by_time", "zone", "asks", "personal_data", "pd_basis", "pd_delete_by")  # fmt: skip
#: What is no text an officer would give away as it stands.
_NOT_OFFERED = ("title", "task-result")


@pages.get("")
@needs(Right.READ_INCIDENTS)
def listed(reference: str) -> Response:
    with access.store().read() as tx:
        row = get_visible(tx, reference, principal=access.required())
        shown, incident = release_desk.releases(tx, row), described_in_full(tx, row)
    return page.show(
        "releases/list.html", here="board", one=incident, releases=shown, exercise=incident["exercise"]
    )


@pages.get("/new")
@needs(Right.REQUEST_RELEASE)
def write(reference: str) -> Response:
    return _form(reference, {}, {})


@pages.post("/new")
@needs(Right.REQUEST_RELEASE)
def draft(reference: str) -> Any:
    """Keep a draft. Nobody is asked and nothing leaves."""
    given: dict[str, Any] = {name: request.form.get(name, "").replace("\r\n", "\n") for name in _PLAIN}
    given |= {name: request.form.getlist(name) for name in ("items", "facts", "enclosed", "files")}
    given["reasons"] = release_files.reasons_given()
    if request.form.get("look"):
        return _form(reference, given, {})
    if release_files.ask_for_copies(reference, given["files"]):
        waits = {"files": _("A cleaned copy is being made. Look again in a moment, then go on.")}
        return _form(reference, given, waits, code=422)
    try:
        with access.store().unit_of_work() as tx:
            row = _drafted(tx, reference, given)
            release_id = row.id
    except SecrecyMarkingFound:
        raise
    except Invalid as error:
        return _form(reference, given, page.errors_by_field(error, field=_field), code=422)
    return page.after("releases.one", _("Kept as a draft. Nothing has left."), reference=reference, number=release_id)


@pages.get("/<int:number>")
@needs(Right.READ_INCIDENTS)
def one(reference: str, number: int) -> Response:
    return _desk(reference, number, {})


@pages.post("/<int:number>/submit")
@needs(Right.REQUEST_RELEASE, fresh=True)
def submit(reference: str, number: int) -> Any:
    chosen = request.form.getlist("recipients")
    try:
        with access.store().unit_of_work() as tx:
            _seen(tx, reference, number)
            told = drafts.submit(tx, number, codes=chosen, principal=access.required())
    except Invalid as error:
        return _desk(reference, number, page.errors_by_field(error), chosen=chosen, code=422)
    return page.after("releases.one", what_became_of(told), reference=reference, number=number)


@pages.post("/<int:number>/versions")
@needs(Right.REQUEST_RELEASE)
def version(reference: str, number: int) -> Any:
    """A version for some recipients: of the parts ticked, or (`leave-out`) of all that may go to each of them."""
    chosen, principal = request.form.getlist("version_for"), access.required()
    try:
        with access.store().unit_of_work() as tx:
            _seen(tx, reference, number)
            if "leave-out" in request.form:
                versions.leave_out(tx, number, codes=chosen, principal=principal)
            else:
                versions.make(
                    tx, number, audience={"organisations": chosen}, include=request.form.getlist("include"),
                    title=request.form.get("version_title", ""), principal=principal,
                )  # fmt: skip
    except Invalid as error:
        names = {"/recipients": "version_for", "/title": "version_title"}
        errors = page.errors_by_field(error, field=lambda pointer: names.get(pointer, form_field(pointer)))
        return _desk(reference, number, errors, code=422)
    return page.after(
        "releases.one", _("Look at what each version says. Nothing has left."), reference=reference, number=number
    )


@pages.post("/<int:number>/withdraw")
@needs(Right.REQUEST_RELEASE)
def withdraw(reference: str, number: int) -> Any:
    """A draft is discarded; what waits for a clearance is asked for no longer, with a reason."""
    principal, reason = access.required(), request.form.get("reason", "")
    try:
        with access.store().unit_of_work() as tx:
            if _seen(tx, reference, number).state == drafts.DRAFT:
                drafts.discard(tx, number, principal=principal)
            else:
                withdraw_release(tx, number, principal=principal, reason=reason)
    except Invalid as error:
        return _desk(reference, number, page.errors_by_field(error), code=422)
    return page.after("releases.listed", _("Withdrawn."), reference=reference)


# ---------------------------------------------------------------- helpers


def _drafted(tx: Session, reference: str, given: dict[str, Any]) -> Any:
    incident = lock_incident(tx, get_visible(tx, reference, principal=access.required()).id)
    _check(given)
    known = {str(item["id"]) for item in _offered(tx, incident)}
    label = given["tlp"] if given["tlp"] in [each.value for each in Tlp] else None
    files = release_files.chosen(tx, incident, given["files"])
    along = [int(text) for text in given["enclosed"] if text in known]
    items = [int(text) for text in given["items"] if text in known]
    return drafts.draft(
        tx, incident=incident, principal=access.required(), kind=given["kind"], title=given["title"],
        body=given["body"], purpose=given["purpose"], info_category=given["info_category"], items=items,
        marking=drafts.declared(label, personal_data=bool(given["personal_data"]), pd_basis=given["pd_basis"],
                                pd_delete_by=_day(given["pd_delete_by"])),
        reply_by=reply_by_of(given), asks=given["asks"],
        facts=[name for name in FACTS if name in given["facts"]] or None,
        ack={"person": "person", "system": "system", "none": ""}.get(given["ack"]), enclosed=[*along, *files],
        uncleaned={number: given["reasons"][number] for number in files if given["reasons"].get(number)},
    )  # fmt: skip


def _day(text: str) -> datetime | None:
    """The beginning of that day in UTC; None where none was given. Raises Invalid (/pd_delete_by)."""
    try:
        return read_instant(day_of(text)) if text else None
    except ValidationError as error:
        raise Invalid([Fault("/pd_delete_by", _("Write the date like 2026-11-22."))]) from error


def _check(given: dict[str, Any]) -> None:
    faults = []
    if given["kind"] not in drafts.KINDS:
        faults.append(Fault("/kind", _("Choose what kind of message it is.")))
    if given["purpose"] not in vocabulary.PURPOSES:
        faults.append(Fault("/purpose", _("Choose what they are to use it for.")))
    if given["info_category"] not in vocabulary.INFO_CATEGORIES:
        faults.append(Fault("/info_category", _("Choose what kind of information it is.")))
    if len(given["pd_basis"]) > 500:
        faults.append(Fault("/pd_basis", _("Write at most 500 characters.")))
    if not given["title"].strip():
        faults.append(Fault("/title", _("Write this.")))
    if not given["body"].strip() and not given["items"]:
        faults.append(Fault("/body", _("Write this, or choose what it is made from.")))
    if faults:
        raise Invalid(faults)


def _field(pointer: str) -> str:
    if pointer in ("/enclosed", "/uncleaned"):
        return "files"
    return "reply_by_date" if pointer == "/reply_by" else form_field(pointer)


def _offered(tx: Session, incident: Incident) -> list[dict[str, Any]]:
    return [item for item in incident_page.items(tx, incident.id) if item["kind"] not in _NOT_OFFERED]


def _with_indicators(said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that hold something to look for."""
    return [item for item in said if isinstance(item["content"], dict) and item["content"].get("observables")]


def _form(reference: str, values: dict[str, Any], errors: dict[str, str], *, code: int = 200) -> Response:
    with access.store().read() as tx:
        row = get_visible(tx, reference, principal=access.required())
        incident, said = described_in_full(tx, row), _offered(tx, row)
        files = leaving_files.of_incident(tx, row)
    began = {"kind": "initial", "purpose": "incident-response", "zone": page.zone(),
             "info_category": "incident-notification"}  # fmt: skip
    return page.show(
        "releases/write.html", here="board", one=incident, said=said, files=files, along=_with_indicators(said),
        values=began | values, errors=errors, code=code,
        exercise=incident["exercise"], kinds=drafts.KINDS, purposes=vocabulary.PURPOSES.choices(),
        facts=[(name, words.name("part", name)) for name in FACTS],
        categories=vocabulary.INFO_CATEGORIES.choices(), labels_tlp=[label.value for label in Tlp],
    )  # fmt: skip


def _seen(tx: Session, reference: str, number: int) -> Any:
    return release_desk.one(tx, get_visible(tx, reference, principal=access.required()), min(number, 2**53))


def _desk(
    reference: str, number: int, errors: dict[str, str], *, chosen: list[str] | None = None, code: int = 200
) -> Response:
    with access.store().read() as tx:
        row = _seen(tx, reference, number)
        release = release_desk.in_full(tx, row, principal=access.required())
        groups = (
            release_desk.recipients(tx, row, principal=access.required()) if release["state"] == drafts.DRAFT else None
        )
        incident = described_in_full(tx, get_visible(tx, reference, principal=access.required()))
    return page.show(
        "releases/one.html", here="board", one=incident, release=release, groups=groups, errors=errors, code=code,
        values={
            "recipients": chosen or [], "reason": request.form.get("reason", ""),
            "version_for": request.form.getlist("version_for"),
            "include": request.form.getlist("include") or [each["name"] for each in release["pieces"]],
            "version_title": request.form.get("version_title", ""),
        }, partners=[(each["code"], each["name"]) for group in (groups or {}).values() for each in group
                     if each["version"] is None], exercise=incident["exercise"],
    )  # fmt: skip
