"""Tasks as plain data, in the field names of the contract."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, or_, select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.models import User
from coordinator.accounts.principal import Principal
from coordinator.errors import CoordinatorError, NotFound
from coordinator.incidents import queries as incidents
from coordinator.incidents.models import Incident
from coordinator.incidents.references import reference_of
from coordinator.tasks import rules, service
from coordinator.tasks.contents import contents_of
from coordinator.tasks.models import Task
from coordinator.timeline.keys import look_up


def my_tasks(tx: Session, *, principal: Principal, limit: int = 50) -> list[dict[str, Any]]:
    """Open tasks of this person: assigned, or given to their role and to nobody yet. Soonest due first."""
    mine = or_(
        Task.assignee_id == principal.user_id,
        and_(Task.assignee_id.is_(None), or_(Task.role == principal.role, Task.fallback_role == principal.role)),
    )
    query = _seen(principal).where(Task.state == "open", mine).order_by(Task.due_at.is_(None), Task.due_at, Task.id)
    return _views(tx, tx.execute(query.limit(limit)), principal)


def incident_tasks(tx: Session, incident_id: int, *, principal: Principal) -> list[dict[str, Any]]:
    """All tasks of an incident, open ones first."""
    query = _seen(principal).where(Task.incident_id == incident_id).order_by(Task.state != "open", Task.id)
    return _views(tx, tx.execute(query), principal)


def task_view(tx: Session, task_id: int, *, principal: Principal) -> dict[str, Any]:
    """One task. Raises NotFound, also without need to know."""
    row = tx.execute(_seen(principal).where(Task.id == task_id)).one_or_none()
    if row is None or not service.may_see(tx, row.Task, principal):
        raise NotFound()
    return _view(tx, row.Task, row.Incident, principal)


def describe(tx: Session, task: Task, *, incident_reference: str | None, now: datetime) -> dict[str, Any]:
    """A task row as the contract writes it."""
    said = contents_of(tx, task)
    return {
        "id": task.id, "kind": task.kind, "title": task.title, "instructions": said.instructions, "role": task.role,
        "fallback_role": task.fallback_role, "assignee": task.assignee_id, "state": task.state,
        "outcome": task.outcome or None, "due_at": task.due_at, "blocking": task.blocks or None,
        "overdue": task.state == "open" and task.due_at is not None and task.due_at <= now,
        "fields": [{"name": name, **field} for name, field in said.fields.items()], "options": said.options,
        "checklist": said.checklist, "priority": task.priority, "incident": incident_reference,
        "created_at": task.created_at, "created_by": task.created_by, "done_at": task.done_at,
        "done_by": task.done_by or None, "version": task.version, "exercise": task.exercise,
    }  # fmt: skip


def reasons_against(tx: Session, task: Task, principal: Principal) -> str:
    """Why this person may not finish it; "" when they may."""
    try:
        rules.check_may_do(service.given(tx, task), user_id=principal.user_id, role=principal.role)
    except CoordinatorError as refused:
        return refused.detail
    return ""


def _views(tx: Session, rows: Iterable[Any], principal: Principal) -> list[dict[str, Any]]:
    found = list(rows)
    look_up(tx, [row.Task.data_key_id for row in found])
    return [_view(tx, row.Task, row.Incident, principal) for row in found]


def _view(tx: Session, task: Task, incident: Incident | None, principal: Principal) -> dict[str, Any]:
    reference = reference_of(incident) if incident is not None else None
    return {
        **describe(tx, task, incident_reference=reference, now=clock.now()),
        "assignee_name": _name(tx, task.assignee_id), "may_complete": not reasons_against(tx, task, principal),
    }  # fmt: skip


def _name(tx: Session, user_id: int | None) -> str | None:
    person = tx.get(User, user_id) if user_id is not None else None
    return person.name if person else None


def _seen(principal: Principal) -> Select[Task, Incident]:
    return (
        select(Task, Incident)
        .outerjoin(Incident, Incident.id == Task.incident_id)
        .where(or_(Task.incident_id.is_(None), incidents.visible(principal)))
    )


def open_ids(tx: Session, task_ids: Iterable[int]) -> set[int]:
    """Which of these tasks are still open."""
    return set(tx.execute(select(Task.id).where(Task.id.in_(list(task_ids)), Task.state == "open")).scalars())
