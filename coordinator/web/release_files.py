"""Files on the release desk: a cleaned copy is made before a draft takes it along, and whoever decides can open it."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Blueprint, Response, request
from sqlalchemy.orm import Session

from coordinator.accounts.rules import Right
from coordinator.incidents.models import Incident
from coordinator.incidents.queries import get_visible
from coordinator.interchange.files_out import HEADERS, MEDIA_TYPE
from coordinator.outside import filenames
from coordinator.sharing import copies
from coordinator.sharing.files import attachment_versions, look_into
from coordinator.status import release_desk
from coordinator.web import access
from coordinator.web.access import needs

pages = Blueprint("release_files", __name__, url_prefix="/incidents/<reference>/releases")


@pages.get("/<int:number>/files/<int:place>")
@needs(Right.READ_INCIDENTS)
def look(reference: str, number: int, place: int) -> Response:
    """The very file that would leave: saved, never shown. On record."""
    principal = access.required()
    with access.store().unit_of_work() as tx:
        row = release_desk.one(tx, get_visible(tx, reference, principal=principal), min(number, 2**53))
        file, body = look_into(tx, row, place, principal=principal)
        name = file.name
    return as_download(name, body)


def as_download(name: str, body: bytes) -> Response:
    """To be saved under this name and opened by no browser."""
    answer = Response(body, mimetype=MEDIA_TYPE)
    answer.headers["Content-Disposition"] = filenames.attachment(name)
    answer.headers.update(HEADERS)
    return answer


def ask_for_copies(reference: str, wanted: Iterable[str]) -> bool:
    """Ask for a cleaned copy of each of these files that has none yet; whether one is still being made."""
    principal = access.required()
    with access.store().unit_of_work() as tx:
        incident = get_visible(tx, reference, principal=principal)
        found = attachment_versions(tx, incident.id)
        several = [copies.ask(tx, found[number].id, principal=principal) for number in _numbers(wanted, found)]
        return any(copy.state == "waiting" for copy in several)


def chosen(tx: Session, incident: Incident, wanted: Iterable[str]) -> list[int]:
    """Item versions of the files ticked."""
    return _numbers(wanted, attachment_versions(tx, incident.id))


def reasons_given() -> dict[int, str]:
    """Item version -> why it is to go as it came, as typed into the form."""
    return {
        int(key.removeprefix("reason-")): text.replace("\r\n", "\n").strip()
        for key, text in request.form.items()
        if key.startswith("reason-") and key.removeprefix("reason-").isdecimal() and len(key) < 24
    }


def _numbers(wanted: Iterable[str], known: Iterable[int]) -> list[int]:
    codes = {str(number): number for number in known}
    return [codes[text] for text in dict.fromkeys(wanted) if text in codes]
