"""An incident as it stood at an instant, from the record alone: later changes are undone one by one.

The row as it is now is the start; every entry after the instant says what it changed from. What was said is shown in
the versions that existed then.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator.accounts.models import User
from coordinator.incidents import queries as incidents
from coordinator.incidents.models import Incident
from coordinator.incidents.rules import Status
from coordinator.status import incident_page
from coordinator.tasks.models import Task
from coordinator.timeline import queries as record

MOST = 500
_STATUS_KINDS = frozenset(f"incident.{status}" for status in Status)


def as_it_stood(tx: Session, incident: Incident, at: datetime) -> dict[str, Any]:
    """{"existed", "facts", "items", "tasks", "timeline", "complete"}: everything known of the incident at `at`.

    `complete` is False where more changed since than is undone here, or values of the record were erased.
    """
    if at < incident.created_at:
        return {"existed": False, "facts": {}, "items": [], "tasks": [], "timeline": [], "complete": True}
    facts, complete = _facts(tx, incident, at)
    said = incident_page.items(tx, incident.id, until=at)
    titles = [item for item in said if item["kind"] == "title"]
    facts["title"] = titles[0]["content"] if titles else incidents.title_of(tx, incident)
    return {
        "existed": True, "facts": facts, "complete": complete,
        "items": [item for item in said if item["kind"] not in ("title", "details")],
        "tasks": _tasks(tx, incident.id, at),
        "timeline": incident_page.timeline(tx, incident.id, until=at, limit=50)["items"],
    }  # fmt: skip


def _facts(tx: Session, incident: Incident, at: datetime) -> tuple[dict[str, Any], bool]:
    facts = incidents.described_in_full(tx, incident)
    facts |= {"owner_id": incident.owner_id}
    later: list[dict[str, Any]] = []
    last = 0
    while len(later) < MOST:
        found = record.entries(tx, incident_id=incident.id, after=last, limit=100, newest_first=True)
        later += [entry for entry in found if entry["at"] > at]
        if len(found) < 100 or found[-1]["at"] <= at:
            break
        last = found[-1]["id"]
    for entry in later:
        _undo(facts, entry)
    owner = tx.get(User, facts["owner_id"]) if facts.get("owner_id") else None
    facts["owner_name"] = owner.name if owner else None
    return facts, len(later) < MOST and all(entry["text"] != record.ERASED for entry in later)


def _undo(facts: dict[str, Any], entry: dict[str, Any]) -> None:
    values = entry["values"]
    if entry["kind"] in _STATUS_KINDS and "from" in values:
        facts["status"] = values["from"]
        return
    for name, change in values.items():
        if name != "title" and name in facts and isinstance(change, list) and len(change) == 2:
            facts[name] = change[0]


def _tasks(tx: Session, incident_id: int, at: datetime) -> list[dict[str, Any]]:
    query = select(Task).where(Task.incident_id == incident_id, Task.created_at <= at).order_by(Task.id).limit(200)
    return [
        {"id": task.id, "title": task.title, "role": task.role, "due_at": task.due_at,
         "state": task.state if task.done_at is not None and task.done_at <= at else "open"}
        for task in tx.execute(query).scalars()
    ]  # fmt: skip
