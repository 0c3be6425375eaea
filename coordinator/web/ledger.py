"""The ledger as a page and as a file: who was told what, since when, under which label and agreement."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext as _

from coordinator.accounts.rules import Right
from coordinator.alerts import recalls
from coordinator.errors import Invalid, NotFound, TooMany
from coordinator.interchange import exits
from coordinator.outside import filenames
from coordinator.partners.queries import organisations
from coordinator.status import board, ledger, ledger_file
from coordinator.status.ledger import Asked
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs
from coordinator.web.tables import csv_stream

pages = Blueprint("ledger", __name__, url_prefix="/ledger")
_ASKED = ("incident", "partner", "item", "agreement", "exercise")
#: Files of a whole ledger take long: they leave most threads of this process to others.
_FILES = threading.BoundedSemaphore(2)


@pages.get("")
@needs(Right.READ_INCIDENTS)
def listed() -> Response:
    return _page(_asked(request.args), request.args.get("cursor", ""))


@pages.post("/file")
@needs(Right.EXPORT, fresh=True)
def file() -> Response:
    """A file leaves the system: it is asked for by a form, and that goes on record."""
    asked, principal, store = _asked(request.form), access.required(), access.store()
    if not _FILES.acquire(blocking=False):
        raise TooMany("Two people are taking the ledger out just now: try again when they are done.")
    with ExitStack() as place:
        place.callback(_FILES.release)
        with store.unit_of_work() as tx:
            ledger_file.begin(tx, principal=principal, asked=asked)
        kept = place.pop_all()  # given back with the last row, or when whoever takes the file is gone
    rows = _until_done(ledger_file.batches(store, principal=principal, asked=asked), kept)
    answer = csv_stream("ledger.csv", ledger_file.COLUMNS, rows)
    answer.call_on_close(kept.close)
    return answer


def _until_done(batches: Iterator[list[list[Any]]], kept: ExitStack) -> Iterator[list[list[Any]]]:
    with kept:
        yield from batches


@pages.post("/recall")
@needs(Right.REQUEST_RELEASE, fresh=True)
def recall() -> Any:
    """One part of what was said is asked back from everybody who had it."""
    item, reason = request.form.get("item", "")[:40], request.form.get("reason", "").replace("\r\n", "\n")
    try:
        with access.store().unit_of_work() as tx:
            recalls.recall_item(tx, item, principal=access.required(), reason=reason)
    except Invalid as error:
        return _page(Asked(item=item), "", values={"reason": reason}, errors=page.errors_by_field(error), code=422)
    return page.after("ledger.listed", _("It is being asked back: here is how each recipient answers."), item=item)


@pages.post("/released")
@needs(Right.EXPORT, fresh=True)
def taken() -> Response:
    """What was released to one partner on one incident, as a file for an officer to hand on; decided again."""
    asked = {name: request.form.get(name, "").strip()[:200] for name in ("incident", "partner", "form")}
    with access.store().unit_of_work() as tx:
        given = exits.export(tx, principal=access.required(), **asked)
    made = exits.render(asked["form"], *given, data_dir=access.store().settings.data_dir)
    answer = Response(made.body, content_type=made.media_type)
    answer.headers["Content-Disposition"] = filenames.attachment(made.name)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _asked(given: Any) -> Asked:
    return Asked(**{name: given.get(name, "").strip()[:200] for name in _ASKED})


def _page(
    asked: Asked, cursor: str, *, values: dict[str, str] | None = None, errors: dict[str, str] | None = None,
    code: int = 200,
) -> Response:  # fmt: skip
    principal, missing = access.required(), False
    with access.store().read() as tx:
        try:
            shown = ledger.lines(tx, principal=principal, asked=asked, cursor=cursor)
        except NotFound:
            shown, missing = {"items": [], "next": None}, True
        except Invalid:  # a cursor from another time: begin again
            shown = ledger.lines(tx, principal=principal, asked=asked)
        codes = [row.code for row in organisations(tx)]
        exercises = board.exercises(tx)
    return page.show(
        "ledger/ledger.html", here="ledger", shown=shown, asked=asked, missing=missing, codes=codes,
        exercises=exercises, exercise=asked.exercise, first=not cursor, args=_kept(asked),
        incident_of_item=_one_incident(shown["items"]) if asked.item else "",
        values=values or {}, errors=errors or {}, code=code,
    )  # fmt: skip


def _one_incident(lines: list[dict[str, Any]]) -> str:
    """The incident that a part belongs to: what it went into is corrected there."""
    found = {line["incident"] for line in lines if line["incident"]}
    return found.pop() if len(found) == 1 else ""


def _kept(asked: Asked) -> dict[str, str]:
    """What is asked for as it stands in the address, for the next page."""
    return {name: value for name, value in vars(asked).items() if value}
