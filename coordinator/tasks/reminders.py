"""What time does to an open task: reminders, escalation, lateness, deadlines reckoned anew. All of it on record."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.tasks import rules
from coordinator.tasks.service import lock, look_again, record


def keep_apart(tx: Session, task_ids: Sequence[int]) -> None:
    """Separation of duties: whoever does one of these tasks may not do another of them."""
    for task_id in task_ids:
        task, _incident = lock(tx, task_id)
        if task is not None:
            task.not_by = [*(task.not_by or ()), *(f"task:{other}" for other in task_ids if other != task_id)]


def change_due(tx: Session, task_id: int, due_at: datetime | None, *, actor: str, reason: str) -> None:
    """A deadline reckoned anew: both values are on record."""
    task, incident = lock(tx, task_id)
    if task is None or task.state != rules.State.OPEN or task.due_at == due_at:
        return
    before, task.due_at, task.overdue_told_at = task.due_at, due_at, None
    record(tx, "task.changed", "A deadline was reckoned anew.", task, actor=actor, incident=incident, values={
        "from": clock.rfc3339(before) if before else None, "to": clock.rfc3339(due_at) if due_at else None,
        "reason": reason,
    })  # fmt: skip
    look_again(tx, task)


def remind(tx: Session, task_id: int) -> None:
    """Remind whoever has an open task."""
    task, incident = lock(tx, task_id)
    if task is None or task.state != rules.State.OPEN:
        return
    task.reminded += 1
    record(tx, "task.reminded", "Whoever has this task was reminded.", task, actor="system", incident=incident,
            values={"title": task.title, "times": task.reminded})  # fmt: skip
    timeline.pending(tx, "task.reminded", task.id, exercise=task.exercise)


def escalate(tx: Session, task_id: int, *, to_role: str) -> None:
    """Bring another role in: it may do the task as well, and is told."""
    task, incident = lock(tx, task_id)
    if task is None or task.state != rules.State.OPEN:
        return
    if to_role not in rules.roles_of(task.role, task.fallback_role, task.ladder) or task.fallback_role == to_role:
        task.ladder = [*task.ladder, {"to_role": to_role, "done": True, "at": clock.rfc3339(clock.now())}]
    record(tx, "task.escalated", "Another role was brought in.", task, actor="system", incident=incident,
            values={"title": task.title, "to_role": to_role})  # fmt: skip
    timeline.pending(tx, "task.escalated", task.id, exercise=task.exercise)


def look_at_times(tx: Session, task_id: int) -> None:
    """Do what has come due on an open task's own ladder and deadline, and set the next look."""
    task, incident = lock(tx, task_id)
    if task is None or task.state != rules.State.OPEN:
        return
    now = clock.now()
    for rung in rules.ladder_of(task.ladder, opened_at=task.created_at):
        if rung.at > now:
            continue
        ladder = [dict(entry) for entry in task.ladder]
        ladder[rung.index]["done"] = True
        task.ladder = ladder
        if rung.to_role:
            escalate(tx, task.id, to_role=rung.to_role)
        else:
            remind(tx, task.id)
    if task.due_at and task.due_at <= now and task.overdue_told_at is None:
        task.overdue_told_at = now
        record(tx, "task.overdue", "A task is overdue.", task, actor="system", incident=incident,
                values={"title": task.title, "due_at": clock.rfc3339(task.due_at)})  # fmt: skip
        timeline.pending(tx, "task.overdue", task.id, exercise=task.exercise)
    look_again(tx, task)
