"""By when personal data is to be deleted: somebody is reminded of it in time (R20)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.markings import Marking

#: So long before the day somebody is told.
BEFORE = timedelta(days=7)
DUE = "personal-data.due"


def told_at(day: datetime) -> datetime:
    """When somebody is told of that day: a week before, or now."""
    return max(day - BEFORE, clock.now())


def watch(tx: Session, incident: Any, marking: Marking) -> None:
    """Something of this incident is bound like this now: where a day is said, set the timer.

    `incident`: id and exercise are read.
    """
    if marking.personal_data and marking.pd_delete_by is not None:
        at = told_at(marking.pd_delete_by)
        timeline.pending(tx, DUE, incident.id, ready_at=at, exercise=incident.exercise)


def due(tx: Session, incident_id: int, *, now: datetime) -> dict[datetime, list[str]]:
    """By day that is near or past: the keys of what holds personal data to be deleted by then, as it is bound now; ""
    is the incident itself."""
    incident = tx.get_one(Incident, incident_id)
    query = select(ItemVersion.item, ItemVersion.marking).where(ItemVersion.incident_id == incident_id)
    bound = {"": incident.marking, **{row.item: row.marking for row in tx.execute(query.order_by(ItemVersion.version))}}
    found: dict[datetime, list[str]] = {}
    for item, stored in bound.items():
        marking = Marking.from_json(stored or {})
        if marking.personal_data and marking.pd_delete_by is not None and marking.pd_delete_by - BEFORE <= now:
            found.setdefault(marking.pd_delete_by, []).append(item)
    return found
