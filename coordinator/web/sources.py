"""What each source says of the facts of one incident, and a person's choice between them."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext as _

from coordinator import clock
from coordinator.accounts.rules import Right
from coordinator.errors import Fault, Invalid, Stale
from coordinator.incidents import requests, rules, sources
from coordinator.incidents.queries import described_in_full, get_visible
from coordinator.status import people
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs
from coordinator.web.incidents import record_reading, seen_version

pages = Blueprint("sources", __name__, url_prefix="/incidents/<reference>/facts")


@pages.get("")
@needs(Right.READ_INCIDENTS)
def facts(reference: str) -> Response:
    """Every fact with what each source says, those first on which they differ."""
    record_reading(reference)
    return _page(reference, {}, {})


@pages.post("")
@needs(Right.CHANGE_INCIDENT)
def choose(reference: str) -> Any:
    given = {name: request.form.get(name, "").strip() for name in ("name", "version")}
    given["reason"] = request.form.get(f"reason-{given['name']}", "").replace("\r\n", "\n")
    number: Any = int(given["version"]) if given["version"].isdecimal() and len(given["version"]) < 16 else None
    try:
        if missing := _missing(given["reason"], number):
            raise Invalid(missing)
        wanted = requests.load_fact({name: value for name, value in (given | {"version": number}).items() if value})
        with access.store().unit_of_work() as tx:
            row = get_visible(tx, reference, principal=access.required())
            sources.choose(tx, row.id, principal=access.required(), if_version=seen_version("seen"), **wanted)
    except Stale as stale:
        return _page(reference, given, {"": stale.title + "."}, code=412)
    except Invalid as error:
        return _page(reference, given, _errors(error, given["name"]), code=422)
    return page.after("sources.facts", _("Chosen. The incident is now bound as this source is."), reference=reference)


def _missing(reason: str, number: int | None) -> list[Fault]:
    faults = [] if number else [Fault("/version", _("Choose one of them."))]
    return faults if reason.strip() else [*faults, Fault("/reason", _("Say why this one."))]


def _errors(error: Invalid, name: str) -> dict[str, str]:
    """What is wrong, at the fields of the fact it was about: each fact has its own small form."""
    known = name if name in rules.FACTS else ""
    return {f"{field}-{known}" if known else "": text for field, text in page.errors_by_field(error).items()}


def _page(reference: str, given: dict[str, str], errors: dict[str, str], *, code: int = 200) -> Response:
    with access.store().read() as tx:
        row = get_visible(tx, reference, principal=access.required())
        stated = sources.stated(tx, row, principal=access.required())
        one = described_in_full(tx, row)
        names = people.names(tx, {fact["chosen_by"] for fact in stated if fact["chosen_by"]})
    for fact in stated:
        instant = fact["name"] in rules.CHOOSABLE_INSTANTS
        for said, value in [(fact, fact["now"]), *((one, one["value"]) for one in fact["said"])]:
            said["shown"] = clock.parse(value) if instant and value else value
    values = {f"reason-{given['name']}": given["reason"]} if given.get("name") in rules.FACTS else {}
    return page.show(
        "incidents/facts.html", here="board", one=one, facts=sorted(stated, key=lambda fact: not fact["conflict"]),
        names=names, instants=rules.CHOOSABLE_INSTANTS, picked=given.get("version", ""), values=values, errors=errors,
        code=code, exercise=one["exercise"],
    )  # fmt: skip
