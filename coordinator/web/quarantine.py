"""Quarantine: reports that wait for a person, and floods; looked at, released, attached, refused, called real."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext as _

from coordinator import clock
from coordinator.accounts.rules import Right
from coordinator.errors import Fault, Invalid
from coordinator.incidents import quarantine, queries
from coordinator.incidents import quarantine_queries as reading
from coordinator.incidents.filing import Filed
from coordinator.incidents.models import Incident
from coordinator.incidents.references import reference_of
from coordinator.status.paging import from_cursor, to_cursor
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs

pages = Blueprint("quarantine", __name__, url_prefix="/quarantine")

ROWS = 30


@pages.get("")
@needs(Right.HANDLE_QUARANTINE)
def listed() -> Response:
    principal = access.required()
    with access.store().read() as tx:
        rows, following = _page_of(tx, None)
        floods = reading.floods(tx)
        counts = reading.counts(tx, principal=principal)
    return page.show(
        "quarantine/list.html", here="quarantine", rows=rows, next=following, floods=floods, counts=counts,
        first=not request.args.get("cursor"),
    )  # fmt: skip


@pages.get("/floods/<int:flood_id>")
@needs(Right.HANDLE_QUARANTINE)
def flood(flood_id: int) -> Response:
    return _flood_page(flood_id, {}, {})


@pages.post("/floods/<int:flood_id>/refuse")
@needs(Right.HANDLE_QUARANTINE)
def refuse_flood(flood_id: int) -> Any:
    reason = request.form.get("reason", "")
    try:
        with access.store().unit_of_work() as tx:
            quarantine.refuse_flood(tx, flood_id, principal=access.required(), reason=reason)
    except Invalid as error:
        return _flood_page(flood_id, {"reason": reason}, page.errors_by_field(error), code=422)
    return page.after("quarantine.flood", _("Refused. The reports stay on record."), flood_id=flood_id)


@pages.get("/<report>")
@needs(Right.HANDLE_QUARANTINE)
def one(report: str) -> Response:
    with access.store().unit_of_work() as tx:
        quarantine.note_read(tx, report, principal=access.required())
    return _report_page(report, {}, {})


@pages.post("/<report>/take")
@needs(Right.HANDLE_QUARANTINE)
def take(report: str) -> Any:
    with access.store().unit_of_work() as tx:
        quarantine.take(tx, report, principal=access.required())
    return page.after("quarantine.one", _("It is yours now."), report=report)


@pages.post("/<report>/decide")
@needs(Right.HANDLE_QUARANTINE)
def decide(report: str) -> Any:
    """One form, three answers: let it out, it is real, or it is refused."""
    act, reason = request.form.get("act", ""), request.form.get("reason", "")
    try:
        if act not in quarantine.ACTS:
            raise Invalid([Fault("/act", _("Choose what to do with it."))])
        with access.store().unit_of_work() as tx:
            filed = quarantine.ACTS[act](tx, report, principal=access.required(), reason=reason)
            reference = _reference_of(tx, filed)
    except Invalid as error:
        return _report_page(report, {"reason": reason, "act": act}, page.errors_by_field(error), code=422)
    return _onwards(report, reference, act)


@pages.post("/<report>/attach")
@needs(Right.HANDLE_QUARANTINE)
def attach(report: str) -> Any:
    wanted = request.form.get("incident", "").strip()
    try:
        with access.store().unit_of_work() as tx:
            filed = quarantine.attach(tx, report, wanted, principal=access.required())
            reference = _reference_of(tx, filed)
    except Invalid as error:
        return _report_page(report, {"incident": wanted}, page.errors_by_field(error), code=422)
    return _onwards(report, reference, "attach")


def _onwards(report: str, reference: str | None, act: str) -> Any:
    """To the incident, where there is one that this person may know of; else back to the queue."""
    if reference is not None:
        said = {"attach": _("It is attached here."), "real": _("It is filed as real.")}.get(act, _("It is released."))
        return page.after("incidents.incident", said, reference=reference)
    return page.after("quarantine.listed", _("Refused. It stays on record.") if act == "refuse" else _("Done."))


def _reference_of(tx: Any, filed: Filed | None) -> str | None:
    if filed is None or filed.incident_id is None:
        return None
    tx.flush()
    seen = queries.visible(access.required())
    row = tx.query(Incident).filter(Incident.id == filed.incident_id, seen).one_or_none()
    return reference_of(row) if row is not None else None


def _page_of(tx: Any, flood_id: int | None) -> tuple[list[dict[str, Any]], str | None]:
    try:
        parts = from_cursor(request.args.get("cursor", ""), str, int)
        after = (clock.parse(parts[0]), int(parts[1])) if parts else None
    except (Invalid, ValueError):  # a cursor from another time: begin again
        after = None
    rows = reading.waiting(tx, principal=access.required(), flood_id=flood_id, after=after, limit=ROWS + 1)
    last = rows[ROWS - 1] if len(rows) > ROWS else None
    return rows[:ROWS], to_cursor(clock.rfc3339(last["due_at"]), last["number"]) if last else None


def _flood_page(flood_id: int, values: dict[str, Any], errors: dict[str, str], *, code: int = 200) -> Response:
    with access.store().read() as tx:
        shown = reading.flood(tx, flood_id)
        rows, following = _page_of(tx, flood_id)
    return page.show(
        "quarantine/flood.html", here="quarantine", flood=shown, rows=rows, next=following, values=values,
        errors=errors, code=code, first=not request.args.get("cursor"), exercise=shown["exercise"],
    )  # fmt: skip


def _report_page(report: str, values: dict[str, Any], errors: dict[str, str], *, code: int = 200) -> Response:
    with access.store().read() as tx:
        shown = reading.one(tx, report, principal=access.required())
    return page.show(
        "quarantine/one.html", here="quarantine", one=shown, values=values, errors=errors, code=code,
        exercise=shown["exercise"],
    )  # fmt: skip
