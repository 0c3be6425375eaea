"""Duties with a clock: one duty with its history, the table of rules, and what people say about them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, request
from flask_babel import gettext as _
from flask_babel import ngettext

from coordinator.accounts.rules import Right
from coordinator.assessments import service as assessments
from coordinator.errors import Fault, Invalid
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.queries import get_visible
from coordinator.incidents.references import reference_of
from coordinator.obligations import queries, register, service
from coordinator.status import people
from coordinator.vocabulary.spans import in_words
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs

pages = Blueprint("obligations", __name__)


@pages.get("/duties/<int:number>")
@needs(Right.READ_INCIDENTS)
def one(number: int) -> Response:
    return _page(number, {}, {})


@pages.post("/duties/<int:number>/meet")
@needs(Right.MEET_OBLIGATION)
def meet(number: int) -> Any:
    values = _given("submitted_at_date", "submitted_at_time", "evidence")
    try:
        at = _instant(values, "submitted_at")
        with access.store().unit_of_work() as tx:
            service.meet(tx, number, principal=access.required(), at=at, evidence=values["evidence"])
    except Invalid as error:
        return _page(number, values, _errors(error), code=422)
    return page.after("obligations.one", _("The submission is on record."), number=number)


@pages.post("/duties/<int:number>/basis")
@needs(Right.MEET_OBLIGATION)
def basis(number: int) -> Any:
    """The instant it counts from; without one, what the facts say now is taken over."""
    values = _given("basis_at_date", "basis_at_time", "why")
    try:
        at = _instant(values, "basis_at") if values["basis_at_date"] else None
        with access.store().unit_of_work() as tx:
            service.give_basis(tx, number, principal=access.required(), at=at, reason=values["why"])
    except Invalid as error:
        return _page(number, values, _errors(error, reason="why"), code=422)
    return page.after("obligations.one", _("The deadline was reckoned."), number=number)


@pages.post("/duties/<int:number>/set-aside")
@needs(Right.SET_OBLIGATION_ASIDE)
def set_aside(number: int) -> Any:
    values = _given("state", "reason")
    try:
        with access.store().unit_of_work() as tx:
            service.set_aside(
                tx, number, principal=access.required(), state=values["state"], reason=values["reason"]
            )
    except Invalid as error:
        return _page(number, values, _errors(error), code=422)
    return page.after("obligations.one", _("It is set aside, with the reason."), number=number)


@pages.get("/duties/rules")
@needs(Right.READ_PLAYBOOKS)
def rules() -> Response:
    with access.store().read() as tx:
        return page.show("obligations/rules.html", here="duties", rows=queries.rules_of(tx), after=_after)


def _after(offset: str) -> str:
    """What a rule counts, in words: `PT24H` is "24 hours", `4BD` "4 working days"."""
    if offset == "given":
        return _("the time that was given")
    if offset == "without-undue-delay":
        return _("without undue delay")
    if offset.endswith("BD"):
        return ngettext("%(num)d working day", "%(num)d working days", int(offset[:-2]))
    return in_words(offset)


@pages.post("/duties/rules/<int:number>/sign")
@needs(Right.SIGN_RULES, fresh=True)
def sign(number: int) -> Any:
    with access.store().unit_of_work() as tx:
        register.sign_rule(tx, number, principal=access.required(), note=request.form.get("note", ""))
    return page.after("obligations.rules", _("Signed: from now on this version is binding for us."))


@pages.post("/incidents/<reference>/duties")
@needs(Right.MEET_OBLIGATION)
def start(reference: str) -> Any:
    with access.store().unit_of_work() as tx:
        incident = lock_incident(tx, get_visible(tx, reference, principal=access.required()).id)
        row = service.start(tx, incident, request.form.get("rule", ""), actor=access.required().actor, anew=True)
        tx.flush()
        number = row.id
    return page.after("obligations.one", _("The duty is begun."), number=number)


@pages.post("/assessments/<int:number>/accept")
@needs(Right.CHANGE_INCIDENT)
def accept(number: int) -> Any:
    with access.store().unit_of_work() as tx:
        row = assessments.accept(tx, number, principal=access.required())
        incident = lock_incident(tx, row.incident_id)
        reference = reference_of(incident)
    return page.after("incidents.incident", _("Accepted."), reference=reference)


@pages.post("/incidents/<reference>/suggested-severity")
@needs(Right.CHANGE_INCIDENT)
def suggested_severity(reference: str) -> Any:
    """A person sets the severity that the facts suggest, another one, or turns the suggestion down."""
    level = request.form.get("level", type=int) if request.form.get("do") != "reject" else None
    with access.store().unit_of_work() as tx:
        incident = get_visible(tx, reference, principal=access.required())
        assessments.answer_suggestion(
            tx, incident.id, principal=access.required(), mark=request.form.get("mark", ""), level=level,
            reason=request.form.get("because", "").strip(),
        )  # fmt: skip
    return page.after("incidents.incident", _("Your answer is on record."), reference=reference)


def _given(*names: str) -> dict[str, str]:
    return {name: request.form.get(name, "").replace("\r\n", "\n").strip() for name in names}


def _instant(values: dict[str, str], name: str) -> datetime:
    """Day and time of day in the person's own zone, as an instant. Raises Invalid."""
    try:
        local = datetime.strptime(f"{values[f'{name}_date']} {values[f'{name}_time']}", "%Y-%m-%d %H:%M")
    except ValueError:
        raise Invalid([Fault(f"/{name}", _("Give a day and a time of day."))]) from None
    return local.replace(tzinfo=ZoneInfo(page.zone())).astimezone(UTC)


def _errors(error: Invalid, *, reason: str = "reason") -> dict[str, str]:
    names = {"submitted_at": "submitted_at_date", "basis_at": "basis_at_date", "reason": reason}
    return {names.get(name, name): text for name, text in page.errors_by_field(error).items()}


def _page(number: int, values: dict[str, str], errors: dict[str, str], *, code: int = 200) -> Response:
    with access.store().read() as tx:
        duty = queries.one(tx, number, principal=access.required())
        names = people.names(tx, [duty["settled_by"], *(entry["actor"] for entry in duty["history"])])
    return page.show(
        "obligations/one.html", here="board", duty=duty, names=names, values=values, errors=errors, code=code,
        exercise=duty["exercise"],
    )  # fmt: skip
