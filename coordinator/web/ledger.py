"""The ledger as a page and as a file: who was told what, since when, under which label and agreement."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from coordinator.accounts.rules import Right
from coordinator.errors import Invalid, NotFound
from coordinator.partners.queries import organisations
from coordinator.status import board, ledger
from coordinator.status.ledger import Asked
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs
from coordinator.web.tables import csv_file

pages = Blueprint("ledger", __name__, url_prefix="/ledger")


@pages.get("")
@needs(Right.READ_INCIDENTS)
def listed() -> Response:
    asked, principal = _asked(request.args), access.required()
    cursor, missing = request.args.get("cursor", ""), False
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
        exercises=exercises, exercise=asked.exercise, first=not cursor, most=ledger.MOST_LINES, args=_kept(asked),
    )  # fmt: skip


@pages.post("/file")
@needs(Right.EXPORT, fresh=True)
def file() -> Response:
    """A file leaves the system: it is asked for by a form, and that goes on record."""
    asked = _asked(request.form)
    with access.store().unit_of_work() as tx:
        lines, more = ledger.export(tx, principal=access.required(), asked=asked)
    rows = [ledger.as_row(line) for line in lines]
    if more:
        rows.append([f"there are more: only the newest {ledger.MOST_LINES} lines are here"])
    return csv_file("ledger.csv", ledger.COLUMNS, rows, any_script=True)


def _asked(given: Any) -> Asked:
    return Asked(**{name: given.get(name, "").strip()[:200] for name in ("incident", "partner", "item", "exercise")})


def _kept(asked: Asked) -> dict[str, str]:
    """What is asked for as it stands in the address, for the next page."""
    return {name: value for name, value in vars(asked).items() if value}
