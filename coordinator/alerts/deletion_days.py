"""A day by which personal data is to be deleted comes near: a person gets a task (R20)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator.incidents import deleting
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.references import reference_of
from coordinator.tasks.models import Task
from coordinator.tasks.service import open_task


def look(tx: Session, incident_id: int, *, now: datetime) -> None:
    """Open a task for each such day of this incident, once. The software deletes nothing of a case by itself: what has
    to stay for another reason is a person's to say."""
    incident = lock_incident(tx, incident_id)  # two timers of one case may come at the same instant
    for day, items in sorted(deleting.due(tx, incident_id, now=now).items()):
        title = f"Delete the personal data of {reference_of(incident)}"
        same = select(Task.id).where(Task.title == title, Task.due_at == day, Task.incident_id == incident_id)
        if tx.execute(same.limit(1)).first() is not None:
            continue
        which = ", ".join(each or "the incident itself" for each in sorted(items)[:20])
        open_task(
            tx, title=title, role="coordinator", fallback_role="duty-officer", incident=incident,
            assignee_id=incident.owner_id, created_by="system", due_at=day, priority=70, exercise=incident.exercise,
            instructions=(
                f"By {day:%Y-%m-%d}: {which}. Delete copies, files and what was printed; the ledger says who was given"
                " it, and they were told the day: ask for their word. Say here what was done, or why it has to stay."
            ),
        )  # fmt: skip
