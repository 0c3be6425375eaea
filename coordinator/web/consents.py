"""Asking an originator for its consent: the request, how far it is, and the second person who confirms the answer."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext as _
from sqlalchemy.orm import Session

from coordinator import clock, vocabulary
from coordinator.accounts.rules import Right
from coordinator.alerts import consents
from coordinator.alerts.schema import load_confirmation, load_consent_request
from coordinator.errors import Fault, Invalid, NotFound
from coordinator.incidents.models import Incident
from coordinator.incidents.queries import get_visible
from coordinator.incidents.references import reference_of
from coordinator.markings import Tlp
from coordinator.partners.queries import organisations
from coordinator.sharing.models import ShareDecision
from coordinator.status import consents as reading
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs

pages = Blueprint("consents", __name__, url_prefix="/consents")
_FIELDS = ("from", "to", "purpose", "item", "valid_until", "reply_by", "reason", "tlp", "decision")


@pages.get("")
@needs(Right.READ_AGREEMENTS)
def listed() -> Response:
    with access.store().read() as tx:
        rows = reading.requests(tx, principal=access.required())
    return page.show("consents/list.html", here="agreements", rows=rows)


@pages.get("/new")
@needs(Right.REQUEST_RELEASE)
def write() -> Response:
    """For an incident (?incident=), or from a decision that refused or referred (?decision=)."""
    return _form({}, {})


@pages.post("/new")
@needs(Right.REQUEST_RELEASE, fresh=True)
def ask() -> Any:
    given = {name: request.form.get(name, "").replace("\r\n", "\n").strip() for name in _FIELDS}
    try:
        wanted = load_consent_request(_data(given))
        with access.store().unit_of_work() as tx:
            asked = consents.ask_consent(tx, _incident(tx).id, wanted, principal=access.required())
            sent, number = bool(asked.told.permitted), asked.request.id
    except Invalid as error:
        return _form(given, page.errors_by_field(error), code=422)
    said = _("The request is on its way.") if sent else _("The request is not on its way yet: see what the rules say.")
    return page.after("consents.one", said, request_id=number)


@pages.get("/<int:request_id>")
@needs(Right.READ_AGREEMENTS)
def one(request_id: int) -> Response:
    return _page(request_id, {}, {})


@pages.post("/<int:request_id>/confirm")
@needs(Right.CONFIRM_CHANGE, fresh=True)
def confirm(request_id: int) -> Any:
    until = request.form.get("until", "").strip()
    try:
        wanted = load_confirmation({"until": _day(until)} if until else {})
        with access.store().unit_of_work() as tx:
            consents.confirm(tx, request_id, principal=access.required(), until=wanted.get("until"))
    except Invalid as error:
        return _page(request_id, {"until": until}, page.errors_by_field(error), code=422)
    return page.after("consents.one", _("The consent holds from now on. Ask for the release again."),
                      request_id=request_id)  # fmt: skip


@pages.post("/<int:request_id>/decline")
@needs(Right.CONFIRM_CHANGE, fresh=True)
def decline(request_id: int) -> Any:
    reason = request.form.get("reason", "").replace("\r\n", "\n")
    try:
        with access.store().unit_of_work() as tx:
            consents.decline(tx, request_id, principal=access.required(), reason=reason)
    except Invalid as error:
        return _page(request_id, {"reason": reason}, page.errors_by_field(error), code=422)
    return page.after("consents.one", _("Not confirmed. Whoever asked sees your reason."), request_id=request_id)


def _incident(tx: Session) -> Incident:
    """The incident the form is about. Raises NotFound where this person may not know of it."""
    number = request.values.get("decision", type=int)
    decision = tx.get(ShareDecision, number) if number is not None and 0 < number < 2**53 else None
    reference = request.values.get("incident", "")
    if decision is not None and decision.incident_id is not None:
        reference = reference_of(tx.get_one(Incident, decision.incident_id))
    if not reference:
        raise NotFound()
    return get_visible(tx, reference, principal=access.required())


def _data(given: dict[str, str]) -> dict[str, Any]:
    """The form as the API's data: days stand for their beginning in UTC."""
    data: dict[str, Any] = {name: text for name, text in given.items() if text}
    data |= {name: _day(data[name]) for name in ("valid_until", "reply_by") if name in data}
    if "decision" in data:
        data["decision"] = int(data["decision"]) if data["decision"].isdecimal() else 0
    missing = [name for name in _FIELDS if name not in data and name not in ("item", "decision")]
    if missing:
        raise Invalid([Fault(f"/{name}", _("Fill this in.")) for name in missing])
    return data


def _day(text: str) -> str:
    return f"{text}T00:00:00Z" if len(text) == 10 else text


def _form(values: dict[str, Any], errors: dict[str, str], *, code: int = 200) -> Response:
    with access.store().read() as tx:
        incident = _incident(tx)
        number = request.values.get("decision", type=int)
        offered = reading.askable(tx, incident, decision_id=number)
        others = [row for row in organisations(tx) if row.active and not row.is_own]
        partners = [(row.code, f"{row.name} ({row.code})") for row in others]
        reference = reference_of(incident)
    began = {name: offered[name] for name in ("from", "to", "purpose", "tlp", "decision") if name in offered}
    return page.show(
        "consents/form.html", here="board", reference=reference, offered=offered, partners=partners,
        values=began | values, errors=errors, purposes=vocabulary.PURPOSES.choices(), code=code,
        labels_tlp=[label.value for label in Tlp], exercise=incident.exercise,
    )  # fmt: skip


def _page(request_id: int, values: dict[str, str], errors: dict[str, str], *, code: int = 200) -> Response:
    with access.store().read() as tx:
        shown = reading.request(tx, request_id, principal=access.required())
    return page.show(
        "consents/one.html", here="agreements", one=shown, values=values, errors=errors, code=code,
        exercise=shown["exercise"] or "", now=clock.now(),
    )  # fmt: skip
