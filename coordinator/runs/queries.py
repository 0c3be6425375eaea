"""Runs as plain data, in the field names of the contract. Need-to-know is the incident's and asked by the caller."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator.errors import NotFound
from coordinator.runs.catalogue import document_of
from coordinator.runs.models import PlaybookVersion, Run, StepAttempt, StepState, Timer
from coordinator.runs.saved import fault_of, tokens_of


def runs_of(tx: Session, incident_id: int) -> list[dict[str, Any]]:
    """The runs of an incident, oldest first."""
    query = select(Run).where(Run.incident_id == incident_id).order_by(Run.id)
    return [_view(tx, run) for run in tx.execute(query).scalars().all()]


def run_view(tx: Session, run_id: int) -> dict[str, Any]:
    """One run with all steps of its playbook, done or not. Raises NotFound."""
    run = tx.get(Run, run_id)
    if run is None:
        raise NotFound()
    return _view(tx, run)


def standing_steps(tx: Session, run_id: int) -> list[dict[str, str]]:
    """Steps that wait or stand: {token, step, status, reason}; `token` is what retry and skip are asked for."""
    rows = tokens_of(tx, tx.get_one(Run, run_id)).values()
    return [
        {"token": data["id"], "step": data["step"], "status": data["status"], "reason": data["reason"]}
        for data in rows
        if data["status"] in ("waiting", "stopped", "delayed")
    ]


def steps_of_tasks(tx: Session, task_ids: Iterable[int]) -> dict[int, dict[str, Any]]:
    """task id -> {run, step, name} for tasks that belong to a step."""
    query = select(StepAttempt.task_id, StepAttempt.run_id, StepAttempt.step, StepAttempt.name).where(
        StepAttempt.task_id.in_(list(task_ids))
    )
    return {row.task_id: {"run": row.run_id, "step": row.step, "name": row.name} for row in tx.execute(query)}


def playbooks(tx: Session) -> list[dict[str, Any]]:
    """The catalogue, newest versions first."""
    rows = tx.execute(select(PlaybookVersion).order_by(PlaybookVersion.name, PlaybookVersion.version.desc())).scalars()
    return [
        {"id": row.id, "playbook": row.playbook_id, "version": row.version, "name": row.name, "state": row.state,
         "internal": row.internal, "priority": row.priority, "imported_at": row.imported_at,
         "imported_by": row.imported_by, "activated_by": row.activated_by, "digest": row.digest}
        for row in rows
    ]  # fmt: skip


def _view(tx: Session, run: Run) -> dict[str, Any]:
    playbook = document_of(tx, run.playbook_version_id)
    seen = {row.step: row for row in tx.execute(select(StepState).where(StepState.run_id == run.id)).scalars()}
    tried = select(StepAttempt).where(StepAttempt.run_id == run.id).order_by(StepAttempt.id)
    attempts = {attempt.step: attempt for attempt in tx.execute(tried).scalars()}
    steps = []
    for step in playbook.steps.values():
        state, attempt = seen.get(step.id), attempts.get(step.id)
        steps.append({
            "id": step.id, "name": step.name, "type": step.type, "kind": step.work.kind if step.work else "",
            "state": state.state if state else "not-reached", "at": state.at if state else None,
            "passes": state.passes if state else 0, "held": bool(attempt and attempt.state == "held"),
            "task": attempt.task_id if attempt else None, "release": attempt.release_id if attempt else None,
        })  # fmt: skip
    timers = tx.execute(
        select(Timer.due_at).where(Timer.run_id == run.id, Timer.fired_at.is_(None), Timer.cancelled_at.is_(None))
    ).scalars()
    return {
        "id": run.id, "playbook": playbook.id, "name": playbook.name, "version": playbook.version, "state": run.state,
        "because": run.explanation, "fault": fault_of(tx, run) or None, "started_at": run.started_at,
        "started_by": run.started_by, "ended_at": run.ended_at, "next_timer_at": min(timers, default=None),
        "incident_id": run.incident_id, "playbook_version_id": run.playbook_version_id, "steps": steps,
        "standing": standing_steps(tx, run.id), "exercise": run.exercise,
    }  # fmt: skip
