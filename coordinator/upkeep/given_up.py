"""Jobs that were given up after repeated failures: which they are, and how a person sends them again."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock, live, timeline
from coordinator.errors import NotFound
from coordinator.timeline.models import Pending

MOST = 100


def given_up(tx: Session) -> list[dict[str, Any]]:
    """{id, kind, job, since, attempts, fault} of each, oldest first. Ids and codes only."""
    query = select(Pending).where(Pending.dead).order_by(Pending.id).limit(MOST)
    return [
        {"id": row.id, "kind": row.kind, "job": row.job, "since": row.created_at, "attempts": row.attempts,
         "fault": row.last_fault}
        for row in tx.execute(query).scalars()
    ]  # fmt: skip


def revive(tx: Session, pending_id: int, *, actor: str) -> None:
    """A person sends a dead row again: it starts with a fresh count of attempts. Raises NotFound; once is enough."""
    row = tx.get(Pending, pending_id, with_for_update=True)
    if row is None:
        raise NotFound()
    if not row.dead:
        return
    row.dead, row.attempts, row.ready_at = False, 0, clock.now()
    timeline.append(tx, "job.revived", "A job that had been given up is tried again.", actor=actor,
                    about=("pending", row.id), exercise=row.exercise)  # fmt: skip
    tx.info["nudges"].add(live.RELAY)


def revive_all(tx: Session, *, actor: str) -> int:
    """`revive` for every dead row; returns how many there were."""
    dead = tx.execute(select(Pending.id).where(Pending.dead).order_by(Pending.id)).scalars().all()
    for pending_id in dead:
        revive(tx, pending_id, actor=actor)
    return len(dead)
