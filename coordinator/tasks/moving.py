"""Tasks of an incident that is a duplicate: set aside, or moved to the one that stays, and brought back."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import timeline
from coordinator.incidents import holds
from coordinator.incidents.models import Incident
from coordinator.tasks import rules
from coordinator.tasks.models import Task
from coordinator.tasks.service import look_again, record


def open_tasks(tx: Session, incident_id: int) -> list[Task]:
    """The open tasks of an incident, locked; oldest first. The incident is locked by this transaction."""
    query = select(Task).where(Task.incident_id == incident_id, Task.state == rules.State.OPEN).order_by(Task.id)
    return list(tx.execute(query.with_for_update()).scalars())


def set_aside(tx: Session, task: Task, incident: Incident) -> None:
    """Take an open task from everybody's list: nobody is reminded, nothing waits for it, and it may come back."""
    task.state, task.version = rules.State.SET_ASIDE.value, task.version + 1
    holds.settle_hold(tx, kind="task", object_id=task.id)
    record(tx, "task.set-aside", "A task was set aside: its incident was marked as a duplicate.", task, actor="system",
           incident=incident, values={"title": task.title})  # fmt: skip


def bring_back(tx: Session, task: Task, incident: Incident) -> None:
    """Open a task again that was set aside, with its deadline as it was."""
    if task.state != rules.State.SET_ASIDE:
        return
    task.state, task.version = rules.State.OPEN.value, task.version + 1
    _hold(tx, task, incident)
    record(tx, "task.brought-back", "A task that was set aside is open again.", task, actor="system",
           incident=incident, values={"title": task.title})  # fmt: skip
    _tell(tx, task)


def move(tx: Session, task: Task, *, here: Incident, there: Incident) -> None:
    """Give an open task to another incident (both locked); on record in both."""
    holds.settle_hold(tx, kind="task", object_id=task.id)
    record(tx, "task.moved", "A task was moved to another incident.", task, actor="system", incident=here,
           values={"title": task.title})  # fmt: skip
    task.incident_id, task.version = there.id, task.version + 1
    tx.flush()
    _hold(tx, task, there)
    record(tx, "task.moved", "A task came from another incident.", task, actor="system", incident=there,
           values={"title": task.title})  # fmt: skip


def _hold(tx: Session, task: Task, incident: Incident) -> None:
    if task.blocks:
        holds.place_hold(tx, incident, kind="task", object_id=task.id, text=task.title, blocks=task.blocks)


def _tell(tx: Session, task: Task) -> None:
    timeline.pending(tx, "task.opened", task.id, exercise=task.exercise)
    look_again(tx, task)
