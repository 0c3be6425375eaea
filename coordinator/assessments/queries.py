"""Assessments as plain data. Need-to-know is the incident's and asked by the caller."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator.assessments.models import Assessment
from coordinator.incidents.items import read_item
from coordinator.incidents.models import ItemVersion
from coordinator.timeline.keys import Erased

MOST = 50


def of_incident(tx: Session, incident_id: int) -> list[dict[str, Any]]:
    """The assessments of an incident, newest first, with what was concluded."""
    query = select(Assessment).where(Assessment.incident_id == incident_id).order_by(Assessment.id.desc()).limit(MOST)
    return [as_told(tx, row) for row in tx.execute(query).scalars()]


def as_told(tx: Session, row: Assessment) -> dict[str, Any]:
    """One assessment in the field names of the contract."""
    return {
        "id": row.id, "method": row.method, "state": row.state, "suggested_by": row.suggested_by,
        "severity": row.severity, "author": row.author or None, "accepted_by": row.accepted_by or None,
        "asked_at": row.asked_at, "accepted_at": row.accepted_at, "task": row.task_id, "values": _values(tx, row),
    }  # fmt: skip


def _values(tx: Session, row: Assessment) -> dict[str, Any]:
    if row.content_version_id is None:
        return {}
    try:
        said = read_item(tx, tx.get_one(ItemVersion, row.content_version_id))
    except Erased:
        return {}
    return dict(said.get("values", {})) if isinstance(said, dict) else {}
