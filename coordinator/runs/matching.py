"""Which playbooks an incident's facts choose: the first is started, once; the others are offered to a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import timeline
from coordinator.errors import CoordinatorError
from coordinator.incidents import queries
from coordinator.incidents.models import Incident
from coordinator.runs.arms import Arms
from coordinator.runs.catalogue import Available, active_playbooks
from coordinator.runs.models import Run
from coordinator.runs.service import start_run
from coordinator.tasks.contents import contents_of, values_of
from coordinator.tasks.models import Task
from coordinator.tasks.service import open_task
from playbooks.coordination import matches

CHOOSER = "system:choose-playbook"
CHOICE = "playbook"
NONE = "none of these"


def start_matching(tx: Session, incident: Incident, *, internal: bool, started_by: str, arms: Arms) -> Run | None:
    """Start the playbook that the facts choose: lowest priority number, then smallest id; offer the other matches.

    Once for each incident and playbook. Internal playbooks (they tell nobody outside) may start when an incident opens,
    the others when a person accepts triage; where none of those match, a person is asked to choose. `incident` is
    locked by this transaction.
    """
    facts = queries.facts(tx, incident)
    known = active_playbooks(tx, internal=internal)
    judged = [(each, *matches(each.playbook.options.trigger, facts)) for each in known]
    chosen = [(each, reasons) for each, met, reasons in judged if met]
    started = None
    for at, (available, reasons) in enumerate(chosen):
        try:
            started = start_run(
                tx, available.id, incident=incident, started_by=started_by, explanation=reasons, arms=arms,
                once_key=once_key(incident.id, available.playbook.id),
            )  # fmt: skip
        except CoordinatorError as refused:
            _not_started(tx, incident, available, refused)
            continue
        offer(tx, incident, [other for other, _ in chosen[at + 1 :]], because="They match the facts as well.")
        break
    if started is None and not internal:
        offer(tx, incident, known, because="No playbook was chosen by the facts.")
    return started


def offer_new_matches(tx: Session, incident: Incident) -> None:
    """The facts changed: offer playbooks that match now and were neither started nor offered. None starts by this."""
    facts = queries.facts(tx, incident)
    met = [each for each in active_playbooks(tx, internal=False) if matches(each.playbook.options.trigger, facts)[0]]
    offer(tx, incident, met, because="The facts changed and choose them now.")


def offer(tx: Session, incident: Incident, playbooks: Sequence[Available], *, because: str) -> Task | None:
    """A task to choose a playbook among those that were neither started nor offered for this incident yet."""
    keys = {once_key(incident.id, each.playbook.id): each for each in playbooks}
    started = set(tx.execute(select(Run.once_key).where(Run.once_key.in_(keys))).scalars())
    offered: set[str] = set()
    asked = select(Task).where(Task.incident_id == incident.id, Task.created_by == CHOOSER)
    for task in tx.execute(asked).scalars():
        offered |= set(contents_of(tx, task).options)
    left = [each for key, each in keys.items() if key not in started and _option(each) not in offered]
    if not left:
        return None
    return open_task(
        tx, title="Choose a playbook", role="coordinator", fallback_role="duty-officer", incident=incident,
        instructions=f"{because} Choose the one to follow, or none.", kind="decision", variable=CHOICE,
        options=[*(_option(each) for each in left), NONE], created_by=CHOOSER,
    )  # fmt: skip


def start_chosen(tx: Session, task: Task, incident: Incident, *, arms: Arms) -> Run | None:
    """A person answered `offer`: start what they chose. None where they chose none, or it is not active any more."""
    choice = values_of(tx, task).get(CHOICE)
    for available in active_playbooks(tx, internal=None):
        if _option(available) == choice:
            return start_run(
                tx, available.id, incident=incident, started_by=task.done_by, explanation=["A person chose it."],
                arms=arms, once_key=once_key(incident.id, available.playbook.id),
            )  # fmt: skip
    return None


def once_key(incident_id: int, playbook_id: str) -> str:
    """One run for each incident and playbook by the facts or by choice."""
    return f"incident:{incident_id}:{playbook_id}"


def _option(available: Available) -> str:
    return f"{available.playbook.name} ({available.playbook.id})"


def _not_started(tx: Session, incident: Incident, available: Available, refused: CoordinatorError) -> None:
    values: dict[str, Any] = {"playbook": available.playbook.id, "reason": refused.detail}
    timeline.append(tx, "run.refused", f"{available.playbook.name} could not be started.", actor="system",
                    incident=incident, values=values, about=("playbook", available.id))  # fmt: skip
