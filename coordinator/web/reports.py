"""The report form: short, kept as a draft while one writes, sent once however often the button is pressed.

It goes through the same shape and the same intake as a partner's webhook.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any
from zoneinfo import available_timezones

from flask import Blueprint, Response, jsonify, redirect, request
from flask_babel import gettext as _
from werkzeug.datastructures import FileStorage, MultiDict

from coordinator import clock, vocabulary
from coordinator.accounts.rules import Right
from coordinator.alerts.own import reaches_duty
from coordinator.errors import Fault, Invalid, KeyReused, NoRoom, NotFound, Refused, SecrecyMarkingFound, TooLarge
from coordinator.incidents import attachments, drafts, intake
from coordinator.incidents.form import form_field, from_form, load_form
from coordinator.incidents.schema import refuse_secrecy
from coordinator.markings import Tlp
from coordinator.partners.queries import desk_numbers, organisations
from coordinator.status import incident_page
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs

pages = Blueprint("reports", __name__, url_prefix="/report")

_SEVERAL = ("sectors", "humanitarian_flags")
#: Fields of the page that are not part of a draft.
_NOT_KEPT = frozenset({"csrf_token", "draft", "once", "files"})
#: How it reached us, and what that is called on the report.
HOW = {"voice": "voice", "meeting": "voice", "email": "email", "other": "form"}
MOST_FILES = 10


@pages.before_request
def _larger_bodies() -> None:
    """Only here files come with the form: the limit of single requests is raised for this page alone."""
    if request.method == "POST" and request.endpoint == "reports.send":
        settings = access.store().settings
        request.max_content_length = 2 * settings.max_attachment_bytes + settings.max_body_bytes


@pages.get("")
@needs(Right.FILE_REPORT)
def form() -> Response:
    principal, draft = access.required(), request.args.get("draft", "")
    with access.store().read() as tx:
        values = drafts.read_draft(tx, draft, principal=principal) if draft else {}
        kept = drafts.drafts_of(tx, principal=principal) if not draft else []
    return _form(values, {}, draft=draft, kept=kept)


@pages.post("")
@needs(Right.FILE_REPORT)
def send() -> Any:
    given = _native_names(request.form)
    try:
        files = _files()
        load_form(given, attachments=[about for about, _body in files], now=clock.now())
        _check_source(given)
        report = from_form(given) | ({"attachments": [about for about, _body in files]} if files else {})
        answer = _file(json.dumps(report, ensure_ascii=False, sort_keys=True).encode(), files)
    except SecrecyMarkingFound as error:
        return _without_echo(error)
    except NoRoom as error:
        return _kept_as_draft(error)
    except KeyReused:
        text = _("This form was sent before with other content. Send it again only if you want a second report.")
        return _form(_kept(request.form), {"": text}, draft=request.form.get("draft", ""), code=422)
    except Invalid as error:
        errors = page.errors_by_field(error, field=_field)
        return _form(_kept(request.form), errors, draft=request.form.get("draft", ""), code=422)
    if answer.refusal is not None:
        raise answer.refusal
    return redirect(f"/report/sent/{answer.report}", code=303)


@pages.get("/sent/<report>")
@needs(Right.FILE_REPORT)
def sent(report: str) -> Response:
    with access.store().read() as tx:
        receipt = incident_page.receipt(tx, report, user_id=access.required().user_id)
        told, numbers = reaches_duty(tx), desk_numbers(tx)
    return page.show("reports/sent.html", here="report", receipt=receipt, told=told, numbers=numbers)


# ---------------------------------------------------------------- drafts


@pages.post("/draft")
@needs(Right.FILE_REPORT)
def keep_draft() -> Any:
    """Keep what is written so far: by the button, or by the page itself while one writes (then the answer is JSON)."""
    by_script = request.accept_mimetypes.best == "application/json"
    principal, draft = access.required(), request.form.get("draft", "")
    values = _kept(request.form)
    try:
        refuse_secrecy({"title": values.get("title", ""), "description": values.get("description", "")})
    except SecrecyMarkingFound as error:
        _drop(draft)
        return ({"error": error.title}, 422) if by_script else _without_echo(error)
    with access.store().unit_of_work() as tx:
        try:
            kept = drafts.save_draft(tx, values, principal=principal, draft=draft)
        except NotFound:  # sent or dropped in another tab
            kept = drafts.save_draft(tx, values, principal=principal)
    if by_script:
        return jsonify({"draft": kept})
    return page.after("reports.form", _("The draft is kept. You can go on with it later."), draft=kept)


@pages.post("/draft/<draft>/drop")
@needs(Right.FILE_REPORT)
def drop_draft(draft: str) -> Any:
    _drop(draft)
    return page.after("reports.form", _("The draft is erased."))


def _drop(draft: str) -> None:
    if draft:
        with access.store().unit_of_work() as tx:
            drafts.drop_draft(tx, draft, principal=access.required())


# ---------------------------------------------------------------- from the page to the native report


def _native_names(sent: MultiDict[str, str]) -> MultiDict[str, str]:
    """The form with names of states as codes, and whose information it is as the originator."""
    given = MultiDict(sent)
    given.setlist("states_affected", page.country_codes(sent.get("states_affected", "")))
    if sent.get("source") != "told":
        for name in ("originator", "contact_name", "contact_phone", "contact_email"):
            given.pop(name, None)
    if sent.get("tlp") != "RED":
        given.pop("caveats_named_recipients", None)
    return given


def _check_source(given: MultiDict[str, str]) -> None:
    if given.get("source") not in ("ours", "told"):
        raise Invalid([Fault("/source", _("Say whose information it is: ours, or told to us."))])
    if given.get("source") == "told" and not given.get("originator"):
        raise Invalid([Fault("/originator", _("Choose the organisation that told us."))])


def _files() -> list[tuple[dict[str, Any], bytes]]:
    """The files with name, type, digest and size. Raises TooLarge, Invalid."""
    most = access.store().settings.max_attachment_bytes
    taken = [file for file in request.files.getlist("files") if file.filename]
    if len(taken) > MOST_FILES:
        raise Invalid([Fault("/files", _("Send at most %(n)s files.", n=MOST_FILES))])
    found = []
    for file in taken:
        body = file.stream.read(most + 1)
        if len(body) > most:
            raise TooLarge(_("A file is larger than 25 MB."))
        found.append((_described(file, body), body))
    return found


def _described(file: FileStorage, body: bytes) -> dict[str, Any]:
    return {
        "name": file.filename, "media_type": (file.mimetype or "application/octet-stream")[:120],
        "sha256": hashlib.sha256(body).hexdigest(), "size": len(body),
    }  # fmt: skip


def _file(raw: bytes, files: list[tuple[dict[str, Any], bytes]]) -> intake.Answer:
    """Keep, read, store the files: transactions of their own, so that a crash in between loses nothing."""
    principal, store = access.required(), access.store()
    with store.unit_of_work() as tx:
        kept = intake.keep_raw(
            tx, via=_via(), media_type="application/json", raw=raw, principal=principal,
            message_id=f"form:{request.form.get('once', '')[:80]}" if request.form.get("once") else "",
        )  # fmt: skip
    answer = kept.answer
    if answer is None:
        with store.unit_of_work() as tx:
            answer = intake.read_report(tx, kept.report_id)
    if answer.refusal is None:
        for _about, body in files:
            _store(kept.report_id, body)
        _drop(request.form.get("draft", ""))
    return answer


def _store(report_id: int, body: bytes) -> None:
    with access.store().unit_of_work() as tx:
        try:
            attachments.store_for_report(tx, report_id, body=body, actor=access.required().actor)
        except (NotFound, Refused, NoRoom):  # a duplicate report names no files; without room it stays awaited
            return


def _via() -> str:
    return HOW.get(request.form.get("told_how", ""), "form") if request.form.get("source") == "told" else "form"


# ---------------------------------------------------------------- showing it


def _kept(sent: MultiDict[str, str]) -> dict[str, Any]:
    """What was written, for the page and for drafts; line ends as people typed them."""
    values: dict[str, Any] = {
        name: text.replace("\r\n", "\n") for name, text in sent.items() if name not in _NOT_KEPT
    }
    return values | {name: sent.getlist(name) for name in _SEVERAL if name in sent}


def _field(pointer: str) -> str:
    if pointer.startswith(("/files", "/attachments")):
        return "files"
    return "source" if pointer == "/source" else form_field(pointer)


def _kept_as_draft(error: NoRoom) -> Response:
    """The report is not taken now; what was written is small and stays, out of the reserve of the disk."""
    principal, draft = access.required(), request.form.get("draft", "")
    with access.store().unit_of_work() as tx:
        try:
            draft = drafts.save_draft(tx, _kept(request.form), principal=principal, draft=draft)
        except NotFound:
            draft = drafts.save_draft(tx, _kept(request.form), principal=principal)
    said = _("No room on the disk: the report is not in yet. What you wrote is kept as a draft, without files. "
             "Call your operator, and send it again.")  # fmt: skip
    answer = _form(_kept(request.form), {"": said}, draft=draft, code=error.status)
    answer.headers["Retry-After"] = str(error.retry_after)
    return answer


def _without_echo(error: SecrecyMarkingFound) -> Response:
    """Nothing of what was written comes back or stays: it must not be in this system."""
    _drop(request.form.get("draft", ""))
    return page.show("reports/secrecy.html", here="report", error=error, code=error.status)


def _form(
    values: dict[str, Any], errors: dict[str, str], *, draft: str = "", kept: Any = (), code: int = 200
) -> Response:
    with access.store().read() as tx:
        others = [row for row in organisations(tx) if row.active and not row.is_own]
    partners = [(row.code, f"{row.name} ({row.code})") for row in others]
    return page.show(
        "reports/form.html", here="report", values={"zone": page.zone()} | values, errors=errors, draft=draft,
        kept=kept, once=secrets.token_urlsafe(16), partners=partners, code=code, zones=sorted(available_timezones()),
        tlp_choices=[(label.value, label.value, label) for label in reversed(Tlp)],
        types=_grouped_types(), sectors=vocabulary.SECTORS.choices(), flags=vocabulary.HUMANITARIAN_FLAGS.choices(),
        severities=vocabulary.SEVERITIES.choices(), countries=vocabulary.COUNTRIES.choices(),
    )  # fmt: skip


def _grouped_types() -> list[tuple[str, list[tuple[str, str]]]]:
    """Types of incident under their class, as the select shows them."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for code, name in vocabulary.INCIDENT_TYPES.choices():
        if code != "undetermined":
            kind, _sep, rest = name.partition(": ")
            groups.setdefault(kind, []).append((code, rest or kind))
    return list(groups.items())
