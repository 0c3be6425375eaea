"""The register of agreements: each in plain words; added, amended, suspended, ended and renewed by two persons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from coordinator import clock, vocabulary
from coordinator.accounts.rules import Right
from coordinator.agreements import queries, service
from coordinator.agreements.schema import load_agreement, load_consent
from coordinator.changes import documents
from coordinator.changes import queries as changes_queries
from coordinator.changes import service as changes
from coordinator.changes.rules import Kind
from coordinator.errors import Fault, Invalid
from coordinator.markings import Tlp
from coordinator.partners.queries import organisations
from coordinator.status import agreement_page
from coordinator.web import access, agreement_form
from coordinator.web import pages as page
from coordinator.web.access import needs

pages = Blueprint("agreements", __name__, url_prefix="/agreements")


@pages.before_request
def _room_for_a_document() -> None:
    if request.endpoint == "agreements.attach":
        request.max_content_length = service.LARGEST_DOCUMENT + access.store().settings.max_body_bytes


@pages.get("")
@needs(Right.READ_AGREEMENTS)
def listed() -> Response:
    now, principal = clock.now(), access.required()
    with access.store().read() as tx:
        waiting = [one for one in changes_queries.waiting(tx, principal=principal)
                   if one["kind"] in (Kind.AGREEMENT, Kind.CONSENT)]  # fmt: skip
        return page.show(
            "agreements/list.html", here="agreements", rows=queries.standing(tx, now), waiting=waiting,
            consents=agreement_page.consents(tx, now), gaps=queries.uncovered(tx, now),
        )  # fmt: skip


@pages.get("/<key>")
@needs(Right.READ_AGREEMENTS)
def one(key: str) -> Response:
    return _page(key, {}, {})


# ---------------------------------------------------------------- added, amended, renewed


@pages.get("/new")
@needs(Right.MANAGE_AGREEMENTS, fresh=True)
def new() -> Response:
    """An empty form; with ?renews=KEY the terms of the one that comes to its end, under a new name."""
    renews = request.args.get("renews", "")
    if not renews:
        return _form({}, {}, key="")
    with access.store().read() as tx:
        terms = queries.version(tx, renews).terms
    begins = {"effective_from": terms["expires_on"]} if terms.get("expires_on") else {}
    return _form(agreement_form.written(_renewed(terms) | begins), {}, key="")


@pages.get("/<key>/amend")
@needs(Right.MANAGE_AGREEMENTS, fresh=True)
def amend(key: str) -> Response:
    with access.store().read() as tx:
        terms = queries.version(tx, key).terms
    return _form(agreement_form.written(terms), {}, key=key)


@pages.post("/new", defaults={"key": ""})
@pages.post("/<key>/amend")
@needs(Right.MANAGE_AGREEMENTS, fresh=True)
def save(key: str) -> Any:
    try:
        reason = request.form.get("reason", "").strip()
        if not reason:
            raise Invalid([Fault("/reason", _("Say why, and on what it rests."))])
        with access.store().unit_of_work() as tx:
            kept = queries.version(tx, key).terms if key else {}
            data = agreement_form.read(request.form, kept=kept) | ({"agreement_id": key} if key else {})
            if not key:
                _check_new(tx, data.get("agreement_id", ""))
            return _ask(tx, data, reason=reason)
    except Invalid as error:
        values = {name: request.form.getlist(name) if _is_many(name) else text for name, text in request.form.items()}
        return _form(values, page.errors_by_field(error, field=_field), key=key, code=422)


@pages.post("/<key>/suspend")
@needs(Right.MANAGE_AGREEMENTS, fresh=True)
def suspend(key: str) -> Any:
    form = request.form
    given = {"from": _day(form.get("from", "")), "to": _day(form.get("to", "")), "reason": form.get("why", "").strip()}
    with access.store().unit_of_work() as tx:
        terms = queries.version(tx, key).terms
        pause = {name: text for name, text in given.items() if text} | {"by": access.required().name}
        pause.setdefault("from", clock.rfc3339(clock.now()))
        return _asked(tx, key, terms | {"suspended": [*(terms.get("suspended") or ()), pause]}, given["reason"])


@pages.post("/<key>/end")
@needs(Right.MANAGE_AGREEMENTS, fresh=True)
def end(key: str) -> Any:
    with access.store().unit_of_work() as tx:
        terms = queries.version(tx, key).terms
        ends = _day(request.form.get("on", "")) or clock.rfc3339(clock.now())
        return _asked(tx, key, terms | {"terminated_on": ends}, request.form.get("why", "").strip())


# ---------------------------------------------------------------- its text


@pages.post("/<key>/document")
@needs(Right.MANAGE_AGREEMENTS, fresh=True)
def attach(key: str) -> Any:
    """The text is kept at once; that the terms name it by its digest is a new version, which two persons make."""
    file, tlp = request.files.get("document"), request.form.get("tlp", "")
    try:
        with access.store().unit_of_work() as tx:
            _row, asked = documents.attach(
                tx, key, name=file.filename or "" if file else "", media_type=file.mimetype if file else "",
                content=file.read() if file else b"", tlp=tlp, actor=access.required().actor,
            )  # fmt: skip
            return _after(asked, "agreements.one", key=key)
    except Invalid as error:
        return _page(key, {"tlp": tlp}, page.errors_by_field(error), code=422)


@pages.get("/documents/<int:document_id>")
@needs(Right.READ_AGREEMENTS)
def document(document_id: int) -> Response:
    """Only ever downloaded, and that is on record."""
    with access.store().unit_of_work() as tx:
        row, content = service.read_document(tx, document_id, actor=access.required().actor)
        name = row.name
    answer = Response(content, mimetype="application/octet-stream")
    answer.headers.set("Content-Disposition", "attachment", filename=name)
    answer.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    answer.headers["Cache-Control"] = "no-store"
    return answer


# ---------------------------------------------------------------- consents


@pages.get("/consents/new")
@needs(Right.MANAGE_AGREEMENTS, fresh=True)
def new_consent() -> Response:
    return _consent_form({"item": "*", "answer": "granted"}, {})


@pages.post("/consents/new")
@needs(Right.MANAGE_AGREEMENTS, fresh=True)
def save_consent() -> Any:
    given = {name: request.form.get(name, "").strip() for name in ("from", "to", "purpose", "item", "evidence")}
    until, answer = request.form.get("valid_until", "").strip(), request.form.get("answer", "")
    actor = access.required().actor
    try:
        wanted = load_consent(given | {"valid_until": _day(until)})
        if answer not in ("granted", "refused"):
            raise Invalid([Fault("/answer", _("Say whether it was granted or refused: silence is no consent."))])
        with access.store().unit_of_work() as tx:
            if answer == "refused":
                service.record_refusal(tx, wanted, actor=actor)
                return page.after("agreements.listed", _("The refusal is on record."))
            asked = changes.ask(tx, Kind.CONSENT, wanted, actor=actor, reason=wanted["evidence"])
            return _after(asked, "agreements.listed")
    except Invalid as error:
        shown = given | {"valid_until": until, "answer": answer}
        return _consent_form(shown, page.errors_by_field(error), code=422)


@pages.post("/consents/<int:consent_id>/withdraw")
@needs(Right.MANAGE_AGREEMENTS, fresh=True)
def withdraw(consent_id: int) -> Any:
    """At once and by one person: it only closes. What waits to be sent is decided anew and finds it gone."""
    reason = request.form.get("reason", "").strip()[:1000] or _("withdrawn by the originator")
    with access.store().unit_of_work() as tx:
        service.withdraw_consent(tx, consent_id, actor=access.required().actor, reason=reason)
    return page.after("agreements.listed", _("The consent no longer holds."))


# ---------------------------------------------------------------- the parts


def _asked(tx: Session, key: str, data: dict[str, Any], reason: str) -> Any:
    try:
        if not reason:
            raise Invalid([Fault("/why", _("Say why, and on what it rests."))])
        return _ask(tx, data, reason=reason)
    except Invalid as error:
        return _page(key, dict(request.form), page.errors_by_field(error), code=422)


def _ask(tx: Session, data: Mapping[str, Any], *, reason: str) -> Any:
    terms = load_agreement(dict(data))
    asked = changes.ask(tx, Kind.AGREEMENT, terms, actor=access.required().actor, reason=reason)
    return _after(asked, "agreements.one", key=terms["agreement_id"])


def _after(asked: changes.Asked, endpoint: str, **values: Any) -> Any:
    if asked.change is not None:
        return page.after("changes.one", page.waits(), change_id=asked.change.id)
    said = _("Recorded.") if asked.line else _("Nothing was different: nothing is changed.")
    return page.after(endpoint, said, **values)


def _renewed(terms: Mapping[str, Any]) -> dict[str, Any]:
    """A renewal is a row of its own that names the one before, never an edit of its dates."""
    left = ("agreement_id", "reference", "signed_on", "effective_from", "expires_on", "review_due", "terminated_on",
            "suspended")  # fmt: skip
    parties = [{"party": each["party"], "role": each["role"]} for each in terms["parties"]]
    kept = {name: value for name, value in terms.items() if name not in left}
    return kept | {"supersedes": terms["agreement_id"], "parties": parties}


def _check_new(tx: Session, key: str) -> None:
    if key and queries.versions_of(tx, key):
        raise Invalid([Fault("/agreement_id", _("There is an agreement with this name: amend it, or choose another."))])


def _page(key: str, values: dict[str, Any], errors: dict[str, str], *, code: int = 200) -> Response:
    now, principal = clock.now(), access.required()
    with access.store().read() as tx:
        shown = agreement_page.agreement_page(tx, key, principal=principal, now=now)
        waiting = [one for one in changes_queries.waiting(tx, principal=principal)
                   if one["kind"] == Kind.AGREEMENT and one["subject"] == key]  # fmt: skip
        return page.show(
            "agreements/one.html", here="agreements", **shown, waiting=waiting, values=values, errors=errors, code=code,
            recorded=agreement_form.recorded(shown["terms"]), labels_tlp=[label.value for label in Tlp],
        )  # fmt: skip


def _form(values: dict[str, Any], errors: dict[str, str], *, key: str, code: int = 200) -> Response:
    return page.show(
        "agreements/form.html", here="agreements", key=key, values=values, errors=errors, groups=agreement_form.GROUPS,
        code=code,
    )  # fmt: skip


def _consent_form(values: dict[str, Any], errors: dict[str, str], *, code: int = 200) -> Response:
    with access.store().read() as tx:
        codes = [(row.code, f"{row.name} ({row.code})") for row in organisations(tx)]
    return page.show(
        "agreements/consent.html", here="agreements", values=values, errors=errors, organisations=codes, code=code,
        purposes=vocabulary.PURPOSES.choices(),
    )  # fmt: skip


def _field(pointer: str) -> str:
    parts = pointer.strip("/").split("/")
    return f"clause-{parts[1]}" if parts[0] == "clause_refs" and len(parts) > 1 else parts[0]


def _is_many(name: str) -> bool:
    field = agreement_form.FIELDS.get(name)
    return field is not None and field.shape == "many"


def _day(text: str) -> str:
    """A day stands for its beginning in UTC; whatever else was written is judged by the schema."""
    text = text.strip()
    return f"{text}T00:00:00Z" if len(text) == 10 else text
