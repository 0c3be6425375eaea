"""Runs of playbooks as plain data: states of steps, what waits for whom, and the document as a picture with them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator.accounts.principal import Principal
from coordinator.alerts.models import Alert
from coordinator.alerts.versions import drafts_of, with_versions
from coordinator.errors import NotFound
from coordinator.incidents.models import Incident
from coordinator.incidents.queries import visible
from coordinator.incidents.references import reference_of
from coordinator.runs.catalogue import document_of
from coordinator.runs.models import PlaybookVersion, Run, StepAttempt, StepState
from coordinator.runs.saved import fault_of, tokens_of, wishes_of
from coordinator.status import people
from coordinator.status.run_variables import variables
from coordinator.tasks.models import Task
from playbooks.document import Playbook, Step
from playbooks.drawing import draw

#: Runs shown on one page; more than this of one incident is a fault of a playbook.
MOST = 50
#: These states of a step mean that somebody or something is still at it.
LIVE = ("entered", "waiting")
_QUIET = ("start", "end")


def runs(tx: Session, incident_id: int, *, limit: int = MOST) -> list[dict[str, Any]]:
    """The runs of an incident, newest first, in the contract's names; steps in the order in which they are met."""
    query = (
        select(Run, PlaybookVersion.playbook_id, PlaybookVersion.version, PlaybookVersion.name)
        .join(PlaybookVersion, PlaybookVersion.id == Run.playbook_version_id)
        .where(Run.incident_id == incident_id)
        .order_by(Run.id.desc())
        .limit(limit)
    )
    rows = list(tx.execute(query))
    states = _states(tx, [row.Run.id for row in rows])
    return [_described(tx, row, states.get(row.Run.id, [])) for row in rows]


def run_page(tx: Session, run_id: int, *, principal: Principal) -> dict[str, Any]:
    """One run with its picture, the read-out list, its variables and what waits. Raises NotFound, also without need to
    know."""
    query = (
        select(Run, PlaybookVersion.playbook_id, PlaybookVersion.version, PlaybookVersion.name, Incident)
        .join(PlaybookVersion, PlaybookVersion.id == Run.playbook_version_id)
        .outerjoin(Incident, Incident.id == Run.incident_id)
        .where(Run.id == run_id)
    )
    row = tx.execute(query).one_or_none()
    if row is None or not _may_see(tx, row.Incident, principal):
        raise NotFound()
    states = _states(tx, [run_id]).get(run_id, [])
    playbook = document_of(tx, row.Run.playbook_version_id)
    return {
        **_described(tx, row, states, playbook),
        "incident": reference_of(row.Incident) if row.Incident else None,
        "version_id": row.Run.playbook_version_id,
        "drawing": picture(playbook, {state.step: state.state for state in states}),
        "waiting": waiting(tx, row.Run, playbook),
        "variables": variables(tx, row.Run, playbook, incident=row.Incident, principal=principal),
        "asked": [{"do": wish.get("do"), "reason": wish.get("reason", "")} for wish in wishes_of(tx, row.Run)],
    }


def visible_run(tx: Session, run_id: int, *, principal: Principal) -> Run:
    """The row, if this person may see its incident. Raises NotFound."""
    run = tx.get(Run, run_id)
    incident = tx.get(Incident, run.incident_id) if run is not None and run.incident_id is not None else None
    if run is None or not _may_see(tx, incident, principal):
        raise NotFound()
    return run


def step_history(tx: Session, run_id: int, step: Step) -> dict[str, Any]:
    """Who did what when at one step: {id, name, description, type, attempts[{begun_at, ended_at, state, outcome, kind,
    task, told}]}.

    A task is {id, title, role, assignee, state, outcome, done_at, done_by, due_at}; `told` are the recipients with how
    far it got. Need-to-know is the run's and asked by the caller.
    """
    query = select(StepAttempt).where(StepAttempt.run_id == run_id, StepAttempt.step == step.id)
    rows = list(tx.execute(query.order_by(StepAttempt.id)).scalars())
    tasks = {task.id: task for task in tx.execute(
        select(Task).where(Task.id.in_([row.task_id for row in rows if row.task_id]))).scalars()}  # fmt: skip
    releases = with_versions(tx, [row.release_id for row in rows if row.release_id])
    whole = drafts_of(tx, releases)
    alerts = list(tx.execute(select(Alert).where(Alert.release_id.in_(releases)).order_by(Alert.id)).scalars())
    actors = {task.done_by for task in tasks.values()} | {f"user:{task.assignee_id}" for task in tasks.values()}
    who = people.names(tx, actors)
    return {
        "id": step.id, "name": step.name or step.id, "description": step.description, "type": step.type,
        "attempts": [
            {"begun_at": row.begun_at, "ended_at": row.ended_at, "state": row.state, "outcome": row.outcome,
             "kind": row.kind, "task": _task(tasks.get(row.task_id or 0), who),
             "told": [{"recipient": each.recipient, "state": each.state}
                      for each in alerts if row.release_id == whole.get(each.release_id, each.release_id)]}
            for row in rows
        ],
    }  # fmt: skip


def _task(task: Task | None, who: dict[str, str]) -> dict[str, Any] | None:
    if task is None:
        return None
    return {
        "id": task.id, "title": task.title, "role": task.role, "state": task.state, "outcome": task.outcome,
        "assignee": who[f"user:{task.assignee_id}"] if task.assignee_id else "", "done_at": task.done_at,
        "done_by": who[task.done_by] if task.done_by else "", "due_at": task.due_at,
    }  # fmt: skip


def picture(playbook: Playbook, states: dict[str, str]) -> dict[str, Any]:
    """The drawing of a document with live states joined in: see `playbooks.drawing.draw`."""
    return draw(playbook, states)


def waiting(tx: Session, run: Run, playbook: Playbook) -> list[dict[str, Any]]:
    """What the run stands at: {token, step, name, state}, and the open tasks that answer for it."""
    attempts = tx.execute(
        select(StepAttempt.step, Task.id, Task.title, Task.role)
        .join(Task, Task.id == StepAttempt.task_id)
        .where(StepAttempt.run_id == run.id, Task.state == "open")
    )
    tasks: dict[str, list[dict[str, Any]]] = {}
    for step, task_id, title, role in attempts:
        tasks.setdefault(step, []).append({"id": task_id, "title": title, "role": role})
    found = []
    for token, data in tokens_of(tx, run).items():
        step = str(data.get("step", ""))
        known = playbook.steps.get(step)
        found.append({
            "token": token, "step": step, "name": (known.name or step) if known else step,
            "state": data.get("status", ""), "reason": data.get("reason", ""),
            "tasks": tasks.get(step, []),
        })  # fmt: skip
    return found


def _states(tx: Session, run_ids: Sequence[int]) -> dict[int, list[StepState]]:
    found: dict[int, list[StepState]] = {}
    query = select(StepState).where(StepState.run_id.in_(run_ids)).order_by(StepState.at, StepState.id)
    for row in tx.execute(query).scalars():
        found.setdefault(row.run_id, []).append(row)
    return found


def _described(
    tx: Session, row: Any, states: Sequence[StepState], playbook: Playbook | None = None
) -> dict[str, Any]:
    run = row.Run
    playbook = playbook or document_of(tx, run.playbook_version_id)
    known = {state.step: state for state in states}
    return {
        "id": run.id, "playbook": row.playbook_id, "version": row.version, "name": row.name, "state": run.state,
        "explanation": run.explanation, "fault": fault_of(tx, run), "started_by": run.started_by,
        "started_at": run.started_at, "ended_at": run.ended_at, "exercise": run.exercise or None,
        "steps": [
            {"id": step.id, "name": step.name or "", "type": step.type,
             "state": known[step.id].state if step.id in known else "",
             "at": _at(known.get(step.id)), "passes": known[step.id].passes if step.id in known else 0}
            for step in in_order(playbook)
        ],
    }  # fmt: skip


def in_order(playbook: Playbook) -> list[Step]:
    """The steps as a reader meets them; what cannot be reached comes last. (Canonical documents are sorted by id.)"""
    reached = [playbook.steps[line["id"]] for line in draw(playbook)["list"] if line["id"] in playbook.steps]
    return list({step.id: step for step in [*reached, *playbook.steps.values()]}.values())


def _at(state: StepState | None) -> datetime | None:
    return state.at if state else None


def _may_see(tx: Session, incident: Incident | None, principal: Principal) -> bool:
    if incident is None:
        return True
    return tx.execute(select(Incident.id).where(Incident.id == incident.id, visible(principal))).first() is not None


def shown_steps(run: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps worth a line in a list: those with a name or a state, without bare starts and ends."""
    return [step for step in run["steps"] if step["type"] not in _QUIET and (step["name"] or step["state"])]
