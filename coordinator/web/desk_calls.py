"""Ask a partner to call our duty desk: choose whom, see the whole ladder, send. Two presses of Enter, no script."""

from __future__ import annotations

import secrets
from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext as _

from coordinator import clock
from coordinator.accounts.rules import Right
from coordinator.alerts import service as alerts
from coordinator.alerts.desk_calls import partners_near, text_for, waiting_plans
from coordinator.errors import Invalid
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.queries import described_in_full, get_visible
from coordinator.sharing import standing
from coordinator.status import outgoing
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs

pages = Blueprint("desk_calls", __name__, url_prefix="/incidents/<reference>/call")


@pages.get("")
@needs(Right.REQUEST_RELEASE, fresh=True)
def ask(reference: str) -> Response:
    to = request.args.get("to", "")
    return _preview(reference, to) if to else _choose(reference, {})


@pages.post("")
@needs(Right.REQUEST_RELEASE, fresh=True)
def send(reference: str) -> Any:
    principal = access.required()
    try:
        with access.store().unit_of_work() as tx:
            incident = lock_incident(tx, get_visible(tx, reference, principal=principal).id)
            told = alerts.ask_to_call(
                tx, incident=incident, to=request.form.get("to", ""), principal=principal,
                once=request.form.get("once", ""),
            )  # fmt: skip
            sent = bool(told.permitted)
    except Invalid as error:
        return _choose(reference, page.errors_by_field(error), code=422)
    text = _("They are being asked to call.") if sent else _("It waits: see why under the sharing decisions.")
    return page.after("incidents.incident", text, reference=reference, _anchor="alerts" if sent else "decisions")


def _choose(reference: str, errors: dict[str, str], *, code: int = 200) -> Response:
    with access.store().read() as tx:
        row = get_visible(tx, reference, principal=access.required())
        one = described_in_full(tx, row)
        partners = partners_near(tx, row)
        title, body, _language = text_for(tx)
        cleared = standing.in_force(tx, now=clock.now())
    return page.show(
        "alerts/call.html", here="board", one=one, partners=partners, text=(title, body), errors=errors, code=code,
        cleared=bool(cleared), values={"to": partners[0].code if partners else ""}, exercise=one["exercise"],
    )  # fmt: skip


def _preview(reference: str, to: str) -> Response:
    """What the rules say of every way to this partner now. Nothing of it stays."""
    principal = access.required()
    try:
        with access.store().rehearsal() as tx:
            incident = lock_incident(tx, get_visible(tx, reference, principal=principal).id)
            told = alerts.ask_to_call(tx, incident=incident, to=to, principal=principal)
            ids = [each.decision_id for each in told.permitted] + [each.id for each in (*told.referred, *told.denied)]
            plans = waiting_plans(tx, [*told.referred, *told.denied])
            shown: dict[str, Any] = {
                "decision": outgoing.decision(tx, ids[0], principal=access.required()),
                "one": described_in_full(tx, incident),
                "plan": told.permitted[0].plan if told.permitted else plans.get(ids[0]),
                "text": outgoing.texts_of(tx, told.release),
            }  # fmt: skip
    except Invalid as error:
        return _choose(reference, page.errors_by_field(error), code=422)
    return page.show(
        "alerts/call_preview.html", here="board", to=to, once=secrets.token_urlsafe(16),
        exercise=shown["one"]["exercise"], **shown,
    )  # fmt: skip
