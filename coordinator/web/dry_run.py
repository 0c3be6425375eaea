"""A playbook tried on paper, in the browser: a virtual clock, nobody told, nothing kept.

The whole story so far rides in the form as the script the command line takes (docs/playbooks.md), and is played anew
each time by the interpreter that real runs use. So going back is leaving the last line of the story out.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, request
from flask_babel import gettext as _

from coordinator import clock
from coordinator.accounts.rules import Right
from coordinator.errors import Fault, Invalid, NotFound
from coordinator.obligations.calendars import holidays
from coordinator.obligations.register import current_terms
from coordinator.obligations.rehearsed import RehearsedDuties
from coordinator.runs import catalogue
from coordinator.runs.models import PlaybookVersion
from coordinator.status import run_view
from coordinator.web import access
from coordinator.web import pages as page
from coordinator.web.access import needs
from playbooks.coordination import Alert, Approval, Decision, Task, Wait
from playbooks.document import Playbook, Step
from playbooks.durations import read_instant, write_instant
from playbooks.script import BadScript
from playbooks.simulate import simulate, validity_warnings

pages = Blueprint("dry_run", __name__, url_prefix="/playbooks")

MOST_LINES = 400
LATEST_YEAR = 9000  # later ones overflow when time passes
_OVER = frozenset({"succeeded", "failed", "timed-out", "skipped", "branch-ended"})
_QUIET = frozenset({"reminded", "escalated", "unused-event", "run", "loop"})
_CONTACTS = "contact-1, contact-2"


@pages.get("/<int:version_id>/try")
@needs(Right.READ_PLAYBOOKS)
def begin(version_id: int) -> Response:
    row, playbook, _others = _loaded(version_id)
    return page.show("playbooks/try.html", here="playbooks", row=row, playbook=playbook, played=None, errors={},
                     values={"contacts": _CONTACTS}, facts=_asked_facts(playbook),
                     given=_external(playbook))  # fmt: skip


@pages.post("/<int:version_id>/try")
@needs(Right.READ_PLAYBOOKS)
def step(version_id: int) -> Response:
    """One more thing happens, or time passes; then the story is played from its beginning."""
    row, playbook, others = _loaded(version_id)
    with access.store().read() as tx:
        duties = RehearsedDuties(current_terms(tx), holidays=holidays(tx))
    try:
        script, now = _story(playbook)
        lines, _code = simulate(row.document, script, others, until=now, duties=duties)
    except (BadScript, Invalid) as wrong:
        faults = wrong.errors if isinstance(wrong, Invalid) else [Fault(*each) for each in wrong.faults]
        errors = {_field(fault.pointer): fault.detail for fault in faults}
        return page.show("playbooks/try.html", here="playbooks", row=row, playbook=playbook, played=None, code=422,
                         errors=errors, values=dict(request.form), facts=_asked_facts(playbook),
                         given=_external(playbook))  # fmt: skip
    return page.show("playbooks/try.html", here="playbooks", row=row, playbook=playbook, errors={}, values={},
                     facts=[], given=[], played=_played(playbook, row, script, now, lines))  # fmt: skip


def _loaded(version_id: int) -> tuple[PlaybookVersion, Playbook, dict[str, bytes]]:
    with access.store().read() as tx:
        row = tx.get(PlaybookVersion, version_id)
        if row is None:
            raise NotFound()
        playbook = catalogue.document_of(tx, version_id)
        return row, playbook, catalogue.called_documents(tx, playbook)


def _story(playbook: Playbook) -> tuple[dict[str, Any], datetime]:
    """The script with what was just done, and the instant it is now in the story. Raises Invalid."""
    told = request.form.get("script", "")
    script: dict[str, Any] = _first() if not told else _parsed(told)
    now = read_instant(script.pop("now", None)) or read_instant(script["start"]) or clock.now()
    if now.year > LATEST_YEAR:
        raise Invalid([Fault("/script", _("The story goes on for too long: begin anew."))])
    if request.form.get("back"):
        events = script.get("events") or [{"at": script["start"]}]
        return {**script, "events": events[:-1]}, read_instant(events[-1].get("at")) or now
    if minutes := request.form.get("minutes", type=int):
        now += timedelta(minutes=min(max(minutes, 0), 60 * 24 * 365))
    deed = request.form.get("deed", "")
    if deed:
        script["events"] = [*script.get("events", []), _event(playbook, deed, now)]
    return script, now


def _first() -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name, value in request.form.items():
        if name.startswith("fact:") and value.strip():
            several = [each.strip() for each in value.split(",") if each.strip()]
            facts[name.removeprefix("fact:")] = several if len(several) > 1 or name.endswith("s") else several[0]
    variables = {name.removeprefix("given:"): value for name, value in request.form.items()
                 if name.startswith("given:") and value.strip()}  # fmt: skip
    contacts = [each.strip() for each in request.form.get("contacts", "").split(",") if each.strip()]
    start = clock.now().replace(microsecond=0)
    return {"start": write_instant(start), "facts": facts, "variables": variables, "directory": contacts, "events": []}


def _parsed(told: str) -> dict[str, Any]:
    try:
        found = json.loads(told)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("start"), str) or not isinstance(
        found.get("events", []), list
    ) or not all(isinstance(each, dict) for each in found.get("events", [])):
        raise Invalid([Fault("/script", _("The story could not be read: begin anew."))])
    return found


def _event(playbook: Playbook, deed: str, now: datetime) -> dict[str, Any]:
    """`deed` is "what step"; further answers are fields of the form named after the variable."""
    what, _space, step_id = deed.partition(" ")
    known = playbook.steps.get(step_id)
    if known is None:
        raise Invalid([Fault("/deed", _("This step is not in the playbook."))])
    values: dict[str, str] = {
        name.removeprefix("value:"): value for name, value in request.form.items() if name.startswith("value:")
    }
    option = request.form.get("option", "")
    return {"at": write_instant(now), "step": step_id, "what": what, "by": request.form.get("by", ""),
            "values": {"option": option} if option else values}  # fmt: skip


def _played(
    playbook: Playbook, row: PlaybookVersion, script: dict[str, Any], now: datetime, lines: list[dict[str, Any]]
) -> dict[str, Any]:
    states = {each["step"]: each["what"] for each in lines if "step" in each and each["what"] not in _QUIET}
    named = {step.id: step.name or step.type for step in playbook.steps.values()}
    end = lines[-1]
    over = end.get("state") in ("completed", "failed", "cancelled", "needs-attention")
    return {
        "now": _since(script, now), "script": json.dumps({**script, "now": write_instant(now)}),
        "state": end.get("state"),
        "variables": end.get("variables", {}), "drawing": run_view.picture(playbook, states), "over": over,
        "waiting": [] if over else [_choices(step) for step in playbook.steps.values()
                                    if states.get(step.id) == "waiting" and not step.is_block],
        "lines": [{**each, "at": _since(script, read_instant(each["at"])), "name": named.get(each.get("step", ""), "")}
                  for each in lines[:-1] if each["what"] != "unused-event"][-MOST_LINES:],
        "contacts": script.get("directory") or [], "events": len(script.get("events", [])),
        "warnings": validity_warnings(row.document, script),
    }  # fmt: skip


def _since(script: dict[str, Any], at: datetime | None) -> str:
    """How long after the story's start, as hours and minutes: the clock of the story is not that on the wall."""
    start = read_instant(script["start"])
    minutes = int((at - start).total_seconds()) // 60 if at and start else 0
    return f"+{minutes // 60}:{minutes % 60:02}"


def _choices(step: Step) -> dict[str, Any]:
    """What somebody may do at a waiting step: [(deed, its name)], the form, the options, who may do it."""
    work = step.work
    shown: dict[str, Any] = {"id": step.id, "name": step.name or step.type, "fields": {}, "options": [], "by": []}
    match work:
        case Approval(roles=roles):
            deeds = [("approve", _("Approve")), ("refuse", _("Refuse"))]
            shown["by"] = [f"{role}:{role}-{number}" for number in (1, 2) for role in roles]
        case Decision(options=options):
            deeds, shown["options"] = [("decide", _("Decide"))], list(options)
        case Alert():
            deeds, shown["contacts"] = [("acknowledge", _("Acknowledge"))], True
        case Wait():
            deeds = [("report", _("It comes"))]
        case _:
            deeds = [("succeed", _("Done")), ("fail", _("It could not be done"))]
            shown["fields"] = work.fields if isinstance(work, Task) else {
                name: {"label": name.strip("_"), "type": "text"} for name in step.out_args
            }
    return {**shown, "deeds": deeds}


def _asked_facts(playbook: Playbook) -> list[str]:
    """The facts of an incident that the document looks at by itself: deadlines and values."""
    return sorted(playbook.facts)


def _external(playbook: Playbook) -> list[tuple[str, str]]:
    return [(name, each.description) for name, each in playbook.variables.items() if each.external]


def _field(pointer: str) -> str:
    """/facts/x and /variables/x are fields of the first form; what else is wrong is said on top."""
    for part, name in (("/facts/", "fact:"), ("/variables/", "given:")):
        if pointer.startswith(part):
            return name + pointer.removeprefix(part)
    return "contacts" if pointer.startswith("/directory") else ""
