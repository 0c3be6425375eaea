"""What marking an incident as a duplicate stops, and what undoing it gives back. Both are on record.

Its runs pause: what people are doing is heard, nothing new is begun. Tasks that belong to a run or an alert are set
aside with it; others are moved to the incident that stays, where everybody who may know of it may know of them. Unsent
alerts wait and ladders stand still (alerts/standstill.py). Undone, the very same things go on.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import SYSTEM
from coordinator.alerts import rungs, standstill
from coordinator.alerts.models import Delivery
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.models import DuplicateMark, Incident
from coordinator.incidents.rules import Status
from coordinator.markings import parse_tlp
from coordinator.runs import matching, service
from coordinator.runs.arms import Arms
from coordinator.runs.models import PlaybookVersion, Run, StepAttempt
from coordinator.runs.saved import has_begun
from coordinator.sharing.models import Release
from coordinator.tasks import moving
from coordinator.tasks.models import Task
from playbooks.events import Pause, Resume
from playbooks.state import ENDED

_REASON = "The incident was marked as a duplicate."
_NOTHING: dict[str, list[int]] = {"runs": [], "tasks": [], "moved": []}


def settle(tx: Session, incident_id: int, *, arms: Arms) -> None:
    """Stop what is open of a duplicate, or give back what was stopped: whichever the incident's status asks for now.

    May be called twice, and late: it looks at what is, not at what was asked.
    """
    incident = lock_incident(tx, incident_id)
    query = select(DuplicateMark).where(DuplicateMark.incident_id == incident_id).order_by(DuplicateMark.id)
    marks = list(tx.execute(query).scalars())
    open_marks = [mark for mark in marks if mark.stopped is not None and mark.given_back_at is None]
    before = {kind: [each for mark in open_marks for each in (mark.stopped or {})[kind]] for kind in _NOTHING}
    if incident.status == Status.DUPLICATE:
        _stop(tx, incident, marks[-1], before, arms=arms)
        earlier = [mark for mark in open_marks if mark is not marks[-1]]
    else:
        _give_back(tx, incident, before, arms=arms)
        earlier = open_marks
    for mark in earlier:
        mark.given_back_at = clock.now()


def _stop(
    tx: Session, incident: Incident, mark: DuplicateMark, before: dict[str, list[int]], *, arms: Arms
) -> None:
    stays = lock_incident(tx, mark.stays_id)
    now = {"runs": _pause(tx, incident.id, arms=arms), "tasks": [], "moved": []}
    bound = _bound_tasks(tx, incident.id)
    for task in moving.open_tasks(tx, incident.id):
        if task.id in bound or not _may_move(incident, stays):
            moving.set_aside(tx, task, incident)
            now["tasks"].append(task.id)
        else:
            moving.move(tx, task, here=incident, there=stays)
            now["moved"].append(task.id)
    held = standstill.waiting(tx, incident.id)
    for alert, delivery in held:
        standstill.hold(tx, alert, delivery, now=clock.now())
    mark.stopped = {kind: list(dict.fromkeys([*before[kind], *now[kind]])) for kind in _NOTHING}
    if any(now.values()):
        _say(tx, incident, "incident.stopped", "What was open here stands still, as long as it is a duplicate.", now)


def _give_back(tx: Session, incident: Incident, stopped: dict[str, list[int]], *, arms: Arms) -> None:
    for task in _tasks(tx, stopped["moved"]):
        if task.state == "open" and task.incident_id is not None and task.incident_id != incident.id:
            moving.move(tx, task, here=lock_incident(tx, task.incident_id), there=incident)
    for task in _tasks(tx, stopped["tasks"]):
        moving.bring_back(tx, task, incident)
    for alert, delivery in standstill.held(tx, incident.id):
        rungs.requeue(tx, alert, delivery)
    for alert in standstill.unanswered(tx, incident.id):
        rungs.set_timer(tx, alert, tx.get_one(Release, alert.release_id))
    for run_id in stopped["runs"]:
        _go_on(tx, incident, run_id, arms=arms)
    _start_what_never_did(tx, incident, arms=arms)
    if any(stopped.values()):
        _say(tx, incident, "incident.goes-on", "What stood still here goes on.", stopped)


def _pause(tx: Session, incident_id: int, *, arms: Arms) -> list[int]:
    """The runs that this paused. One that has not begun keeps its wish to start (service.do_what_was_asked)."""
    query = select(Run).where(Run.incident_id == incident_id, Run.state.not_in((*ENDED, "paused"))).order_by(Run.id)
    found = [(run.id, has_begun(run)) for run in tx.execute(query).scalars()]
    for run_id, begun in found:
        if begun:
            service.advance(tx, run_id, [Pause(_REASON)], arms=arms)
    return [run_id for run_id, _ in found]


def _go_on(tx: Session, incident: Incident, run_id: int, *, arms: Arms) -> None:
    if not has_begun(tx.get_one(Run, run_id)):
        timeline.pending(tx, "run.advance", run_id, exercise=incident.exercise)
        return
    service.advance(tx, run_id, [Resume()], arms=arms)
    if incident.status in (Status.ACTIVE, Status.MONITORING):
        service.release_held(tx, run_id, arms=arms)


def _start_what_never_did(tx: Session, incident: Incident, *, arms: Arms) -> None:
    """Playbooks that would have started meanwhile. Each starts once, whoever asks for it. What tells others is
    asked for by the owner, who accepted triage: whoever clears what it sends is then another person, not the only one.
    """
    matching.start_matching(tx, incident, internal=True, started_by=SYSTEM, arms=arms)
    external = select(Run.id).join(PlaybookVersion, PlaybookVersion.id == Run.playbook_version_id).where(
        Run.incident_id == incident.id, PlaybookVersion.internal.is_(False)
    )  # fmt: skip
    asked = select(Task.id).where(Task.incident_id == incident.id, Task.created_by == matching.CHOOSER)
    never = not any(tx.execute(query.limit(1)).first() for query in (external, asked))
    if incident.status in (Status.ACTIVE, Status.MONITORING) and never:
        owner = f"user:{incident.owner_id}" if incident.owner_id is not None else SYSTEM
        matching.start_matching(tx, incident, internal=False, started_by=owner, arms=arms)


def _bound_tasks(tx: Session, incident_id: int) -> set[int]:
    """Tasks that are part of a run or of an alert of the incident, or choose among its playbooks."""
    steps = select(StepAttempt.task_id).join(Run, Run.id == StepAttempt.run_id).where(Run.incident_id == incident_id)
    calls = select(Delivery.task_id).where(Delivery.task_id.is_not(None))
    choices = select(Task.id).where(Task.incident_id == incident_id, Task.created_by == matching.CHOOSER)
    here = select(Task.id).where(Task.incident_id == incident_id, Task.id.in_(calls))
    return {each for query in (steps, here, choices) for each in tx.execute(query).scalars() if each is not None}


def _may_move(incident: Incident, stays: Incident) -> bool:
    """Whether whoever reads the one that stays may read what a task here says."""
    hidden = incident.restricted and not stays.restricted
    return not hidden and parse_tlp(incident.tlp) <= parse_tlp(stays.tlp)


def _tasks(tx: Session, ids: list[int]) -> list[Task]:
    return list(tx.execute(select(Task).where(Task.id.in_(ids)).order_by(Task.id).with_for_update()).scalars())


def _say(tx: Session, incident: Incident, kind: str, text: str, values: dict[str, Any]) -> None:
    timeline.append(tx, kind, text, actor=SYSTEM, incident=incident, values=values, about=("incident", incident.id))
