"""Labels that their originators lowered: put on record with the evidence, and the second person who confirms it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, request
from flask_babel import gettext as _

from coordinator.accounts.rules import Right
from coordinator.alerts import lowering
from coordinator.alerts.evidence import CHANNELS, LARGEST_FILE, Evidence
from coordinator.alerts.label_schema import load_lowered
from coordinator.errors import Fault, Invalid
from coordinator.incidents.models import Incident
from coordinator.incidents.queries import described_in_full, get_visible
from coordinator.markings import Tlp
from coordinator.status import labels as reading
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs
from coordinator.web.release_files import as_download
from coordinator.web.words_sharing import LABEL_CHANNEL

pages = Blueprint("labels", __name__, url_prefix="/incidents/<reference>/lowered-labels")

_FIELDS = ("from", "tlp", "channel", "said_at_date", "said_at_time", "said_by", "words", "report", "reason")
#: In the form the incident itself, whose key is empty.
_WHOLE = "incident"


@pages.before_request
def _room_for_evidence() -> None:
    if request.endpoint == "labels.record":
        request.max_content_length = LARGEST_FILE + access.store().settings.max_body_bytes


@pages.get("")
@needs(Right.READ_INCIDENTS)
def listed(reference: str) -> Response:
    asked = {name: request.args.get(name, "") for name in ("from", "tlp", "report") if request.args.get(name)}
    return _page(reference, asked, {})


@pages.post("")
@needs(Right.CHANGE_INCIDENT)
def record(reference: str) -> Any:
    given: dict[str, Any] = {name: request.form.get(name, "").replace("\r\n", "\n").strip() for name in _FIELDS}
    given["items"] = request.form.getlist("items")
    try:
        wanted = load_lowered(_data(given))
        with access.store().unit_of_work() as tx:
            incident = get_visible(tx, reference, principal=access.required())
            number = lowering.record(tx, incident.id, wanted, principal=access.required(), file=_file()).id
    except Invalid as error:
        names = {"said_at": "said_at_date"}
        errors = {names.get(name, name): text for name, text in page.errors_by_field(error, field=_field).items()}
        return _page(reference, given, errors, code=422)
    return page.after("labels.one", _("On record. It holds once a second person has confirmed it."),
                      reference=reference, number=number)  # fmt: skip


@pages.get("/<int:number>")
@needs(Right.READ_INCIDENTS)
def one(reference: str, number: int) -> Response:
    return _one(reference, number, {}, {})


@pages.get("/<int:number>/evidence")
@needs(Right.READ_INCIDENTS)
def evidence(reference: str, number: int) -> Response:
    """The letter or mail: saved, never shown. On record."""
    with access.store().unit_of_work() as tx:
        incident = get_visible(tx, reference, principal=access.required())
        name, body = reading.evidence(tx, incident, _fits(number), principal=access.required())
    return as_download(name, body)


@pages.post("/<int:number>/confirm")
@needs(Right.CONFIRM_CHANGE, fresh=True)
def confirm(reference: str, number: int) -> Any:
    with access.store().unit_of_work() as tx:
        _here(tx, reference, number)
        lowering.confirm(tx, _fits(number), principal=access.required())
    return page.after("labels.one", _("Confirmed: the label is lowered. Nothing leaves by it."), reference=reference,
                      number=number)  # fmt: skip


@pages.post("/<int:number>/refuse")
@needs(Right.CONFIRM_CHANGE, fresh=True)
def refuse(reference: str, number: int) -> Any:
    why = request.form.get("why", "").replace("\r\n", "\n")
    try:
        with access.store().unit_of_work() as tx:
            _here(tx, reference, number)
            lowering.refuse(tx, _fits(number), principal=access.required(), reason=why)
    except Invalid as error:
        [text] = page.errors_by_field(error).values()
        return _one(reference, number, {"why": why}, {"why": text}, code=422)
    return page.after("labels.one", _("Not confirmed: the label stays."), reference=reference, number=number)


@pages.post("/<int:number>/withdraw")
@needs(Right.CHANGE_INCIDENT)
def withdraw(reference: str, number: int) -> Any:
    with access.store().unit_of_work() as tx:
        _here(tx, reference, number)
        lowering.withdraw(tx, _fits(number), principal=access.required())
    return page.after("labels.one", _("Withdrawn: the label stays."), reference=reference, number=number)


def _data(given: dict[str, Any]) -> dict[str, Any]:
    """The form as the API's data; day and time are in the person's own zone. Raises Invalid."""
    data = {name: text for name, text in given.items() if text and name not in ("said_at_date", "said_at_time")}
    if "items" in data:
        data["items"] = ["" if item == _WHOLE else item for item in data["items"]]
    if given["said_at_date"] or given["said_at_time"]:
        try:
            local = datetime.strptime(f"{given['said_at_date']} {given['said_at_time']}", "%Y-%m-%d %H:%M")
        except ValueError:
            raise Invalid([Fault("/said_at", _("Give a day and a time of day."))]) from None
        data["said_at"] = local.replace(tzinfo=ZoneInfo(page.zone())).astimezone(UTC).isoformat()
    missing = [name for name in ("tlp", "reason") if name not in data]
    if missing:
        raise Invalid([Fault(f"/{name}", _("Fill this in.")) for name in missing])
    return data


def _file() -> Evidence | None:
    file = request.files.get("file")
    if file is None or not file.filename:
        return None
    return Evidence(file.filename, file.mimetype or "", file.read())


def _field(pointer: str) -> str:
    return pointer.strip("/").split("/")[0]


def _fits(number: int) -> int:
    return min(number, 2**53 - 1)


def _here(tx: Any, reference: str, number: int) -> Incident:
    """The incident, where this word is on it. Raises NotFound."""
    incident = get_visible(tx, reference, principal=access.required())
    reading.word(tx, incident, _fits(number), principal=access.required())
    return incident


def _page(reference: str, values: dict[str, Any], errors: dict[str, str], *, code: int = 200) -> Response:
    with access.store().read() as tx:
        row = get_visible(tx, reference, principal=access.required())
        shown, standing = described_in_full(tx, row), reading.standing(tx, row)
        words = reading.words(tx, row, principal=access.required())
    return page.show(
        "labels/list.html", here="board", one=shown, rows=words, standing=standing, values=values, errors=errors,
        givers=sorted({each for row in standing for each in row["said"]}), whole=_WHOLE, code=code,
        labels_tlp=[label.value for label in Tlp if label is not Tlp.RED], exercise=shown["exercise"],
        channels=[(name, LABEL_CHANNEL[name]) for name in CHANNELS],
    )  # fmt: skip


def _one(reference: str, number: int, values: dict[str, str], errors: dict[str, str], *, code: int = 200) -> Response:
    with access.store().read() as tx:
        row = get_visible(tx, reference, principal=access.required())
        shown, word = described_in_full(tx, row), reading.word(tx, row, _fits(number), principal=access.required())
        standing = [each for each in reading.standing(tx, row) if each["item"] in word["items"]]
    return page.show(
        "labels/one.html", here="board", one=shown, word=word, standing=standing, values=values, errors=errors,
        code=code, exercise=shown["exercise"], channel=LABEL_CHANNEL.get(word["channel"], ""),
    )  # fmt: skip
