"""The hold on sending: stopped at once by whoever is on duty, lifted by a named person with a second factor."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext as _

from coordinator.accounts.rules import Right
from coordinator.alerts.queries import waiting_to_be_sent
from coordinator.errors import Invalid
from coordinator.status import people
from coordinator.timeline import sending_hold
from coordinator.upkeep import restored
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs, signed_in

pages = Blueprint("sending", __name__, url_prefix="/sending")


@pages.get("")
@signed_in("whether sending is on hold concerns everybody; who, why and what waits only those who may stop or resume")
def now() -> Response:
    return _page({})


@pages.post("/stop")
@needs(Right.STOP_SENDING)
def stop() -> Any:
    """No second factor is asked: stopping is always safe, and it may be urgent."""
    try:
        with access.store().unit_of_work() as tx:
            sending_hold.begin(
                tx, sending_hold.EMERGENCY, actor=access.required().actor, reason=request.form.get("reason", "")
            )
    except Invalid as error:
        return _page(page.errors_by_field(error), code=422)
    access.pulse().counts.forget()
    return page.after("sending.now", _("All sending is on hold."))


@pages.post("/<int:hold_id>/lift")
@needs(Right.RESUME_SENDING, fresh=True)
def lift(hold_id: int) -> Any:
    try:
        with access.store().unit_of_work() as tx:
            sending_hold.lift(tx, hold_id, actor=access.required().actor, reason=request.form.get("reason", ""))
    except Invalid as error:
        return _page(page.errors_by_field(error, field=lambda _pointer: f"reason-{hold_id}"), code=422)
    access.pulse().counts.forget()
    return page.after("sending.now", _("The hold is lifted."))


def _page(errors: dict[str, str], *, code: int = 200) -> Response:
    insight = access.may(Right.STOP_SENDING) or access.may(Right.RESUME_SENDING) or access.may(Right.READ_OPERATIONS)
    with access.store().read() as tx:
        rows = sending_hold.open_holds(tx)
        names = people.names(tx, {row.begun_by for row in rows})
        holds = [
            {"id": row.id, "kind": row.kind, "source": row.source, "since": row.begun_at,
             "by": names[row.begun_by] if insight else "",
             "reason": sending_hold.reason_of(tx, row.id) if insight else ""}
            for row in rows
        ]  # fmt: skip
        waiting = waiting_to_be_sent(tx)
        cases = access.may(Right.READ_INCIDENTS) and insight
        epoch = restored.newest_epoch(tx) if insight else None
        stood = restored.what_stands(tx, principal=access.required()) if cases and rows else None
    return page.show(
        "sending/sending.html", here="sending", holds=holds, waiting=waiting, epoch=epoch, stood=stood, errors=errors,
        values={"reason": request.form.get("reason", "")}, code=code,
    )  # fmt: skip
