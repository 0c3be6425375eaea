"""How the installation is, for those who look after it: plain data without anything of a case."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.alerts.queries import waiting_to_be_sent
from coordinator.store import store_of
from coordinator.timeline import sending_hold
from coordinator.timeline.models import Checkpoint, Heartbeat, Pending
from coordinator.upkeep.backup import BACKUP
from coordinator.upkeep.given_up import given_up

#: The newest checkpoint that was written to the sink file (workers/due.py).
LEFT = "checkpoint-left"
PROCESSES = ("web", "worker", "relay")
MOST_PROCESSES = 100


def overview(tx: Session) -> dict[str, Any]:
    """What waits, who works, what was given up, and when the last backup and checkpoint were. Instants are aware."""
    store, now = store_of(tx), clock.now()
    beats = {row.name: row for row in tx.execute(select(Heartbeat).where(Heartbeat.kind.not_in(PROCESSES))).scalars()}
    newest = tx.execute(select(Checkpoint).order_by(Checkpoint.number.desc()).limit(1)).scalar_one_or_none()
    clocks = [row for row in beats.values() if row.kind == "clock"]
    return {
        "pending": _pending(tx, now), "queues": _queues(tx, now), "given_up": given_up(tx),
        "processes": _processes(tx, now), "clocks_watched_at": _at(beats.get("sweeper")),
        "clocks": [
            {"machine": row.name.partition("@")[2], "at": row.at, "differs_seconds": row.detail.get("skew_seconds", 0)}
            for row in sorted(clocks, key=lambda row: row.name)
        ],
        "sending": {"on_hold": sorted(sending_hold.kinds(tx)), "waiting": waiting_to_be_sent(tx)},
        "backup": {"at": _at(beats.get(BACKUP)), "checkpoint": _detail(beats.get(BACKUP), "checkpoint")},
        "checkpoint": {
            "number": newest.number if newest else None, "at": newest.at if newest else None,
            "left_at": _at(beats.get(LEFT)), "left_number": _detail(beats.get(LEFT), "number"),
        },
        "disk": {"free_bytes": store.free_bytes(), "reserve_bytes": store.settings.disk_reserve_bytes},
        "broker_answers": store.live.answers(),
    }  # fmt: skip


def _pending(tx: Session, now: datetime) -> dict[str, Any]:
    ready = (Pending.dead.is_(False), Pending.ready_at <= now)
    count, oldest = tx.execute(select(func.count(), func.min(Pending.ready_at)).where(*ready)).one()
    timers = tx.execute(select(func.count()).where(Pending.dead.is_(False), Pending.ready_at > now)).scalar_one()
    return {"ready": count, "oldest_ready_at": oldest, "timers": timers}


def _queues(tx: Session, now: datetime) -> list[dict[str, Any]]:
    """What is ready, by the job that will do it; "" is not handed out yet."""
    query = (
        select(Pending.job, func.count(), func.min(Pending.ready_at))
        .where(Pending.dead.is_(False), Pending.ready_at <= now).group_by(Pending.job).order_by(Pending.job)
    )  # fmt: skip
    return [{"job": job, "ready": count, "oldest_ready_at": oldest} for job, count, oldest in tx.execute(query)]


def _processes(tx: Session, now: datetime) -> list[dict[str, Any]]:
    query = select(Heartbeat).where(Heartbeat.kind.in_(PROCESSES)).order_by(Heartbeat.kind, Heartbeat.name)
    rows = tx.execute(query.limit(MOST_PROCESSES)).scalars()
    return [
        {"kind": row.kind, "name": row.name, "seen_at": row.at, "alive": abs((now - row.at).total_seconds()) <= 60}
        for row in rows
    ]


def _at(row: Heartbeat | None) -> datetime | None:
    return row.at if row is not None else None


def _detail(row: Heartbeat | None, name: str) -> Any:
    return row.detail.get(name) if row is not None else None
