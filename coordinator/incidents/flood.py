"""How many new incidents one endpoint may open in an hour; what comes over that waits as one flood.

Counted exactly: on PostgreSQL those who would open at one endpoint take turns from the count to their commit; SQLite
has one writer anyway. That is at most as many turns an hour as the limit says. Only while there is room for more than
NEAR a process takes a share of it without asking, so that a limit which nobody reaches costs nothing. A flood lasts
until a person has handled all of it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast
from weakref import WeakKeyDictionary

from sqlalchemy import Table, bindparam, func, select, update
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.db import insert_or_ignore
from coordinator.incidents.models import Flood, Quarantined, Report
from coordinator.prepared import take_turns
from coordinator.store import Store, store_of

REASON = "flood"
HOUR = timedelta(hours=1)
#: So long (seconds) a process takes for granted that an endpoint is full, once it is.
_STAYS_FULL = 2.0
#: With more room than this an eighth of what is over it is taken at once.
NEAR = 10_000
_SHARE = 8

_reports = cast(Table, Report.__table__)
_OPENED = select(func.count()).select_from(
    select(_reports.c.id)
    .where(
        _reports.c.endpoint_id == bindparam("endpoint_id"), _reports.c.received_at > bindparam("since"),
        _reports.c.disposition == "accepted", _reports.c.reason == "",
    )
    .limit(bindparam("most", type_=_reports.c.id.type))
    .subquery()
)  # fmt: skip


@dataclass
class _Room:
    """What this process may still open from an endpoint without asking, and until when it is known to be full."""

    left: int = 0
    full_until: float = 0.0


_rooms: WeakKeyDictionary[Store, dict[int, _Room]] = WeakKeyDictionary()
_lock = threading.Lock()


def over(tx: Session, wanted: Mapping[int, int]) -> set[int]:
    """The endpoints of which fewer new incidents may be opened now than `wanted` says; the others' room is taken.

    `wanted`: endpoint id -> how many. Limit: COORDINATOR_FLOOD_LIMIT, 0 for none.
    """
    store = store_of(tx)
    limit = store.settings.flood_limit
    if not limit:
        return set()
    with _lock:
        rooms = _rooms.setdefault(store, {})
    known = {endpoint: _known(rooms, endpoint, count) for endpoint, count in wanted.items()}
    asking = sorted(endpoint for endpoint, found in known.items() if found is None)
    _one_at_a_time(tx, asking)
    return {endpoint for endpoint, found in known.items() if found is False} | {
        endpoint for endpoint in asking if not _take(tx, rooms, endpoint, wanted[endpoint], limit)
    }


def _known(rooms: dict[int, _Room], endpoint: int, count: int) -> bool | None:
    """Whether there is room, as far as this process knows without asking."""
    with _lock:
        room = rooms.setdefault(endpoint, _Room())
        if room.left >= count:
            room.left -= count
            return True
        return False if clock.now().timestamp() < room.full_until else None


def _one_at_a_time(tx: Session, endpoints: Sequence[int]) -> None:
    if endpoints:
        take_turns(tx, [f"flood/{endpoint}" for endpoint in endpoints])


def _take(tx: Session, rooms: dict[int, _Room], endpoint: int, count: int, limit: int) -> bool:
    now = clock.now()
    opened = tx.execute(_OPENED, {"endpoint_id": endpoint, "since": now - HOUR, "most": limit}).scalar_one()
    free = limit - opened
    with _lock:
        room = rooms[endpoint]
        room.full_until = now.timestamp() + _STAYS_FULL if free <= 0 else 0.0
        room.left = max((free - NEAR) // _SHARE - count, 0)
    return free >= count


def join(tx: Session, endpoint_id: int, *, exercise: str) -> int:
    """The id of the flood that lasts at this endpoint; the first report over the limit begins it, and word is left that
    our duty role is to be told, once."""
    query = select(Flood.id).where(Flood.open_slot == endpoint_id).with_for_update(read=True)
    found = tx.execute(query).scalar_one_or_none()
    if found is not None:
        return found
    made = insert_or_ignore(tx, Flood).values(
        endpoint_id=endpoint_id, open_slot=endpoint_id, began_at=clock.now(), exercise=exercise
    )
    begun = tx.execute(made.returning(Flood.id)).scalar_one_or_none()
    if begun is None:  # somebody else began it in between
        return tx.execute(query).scalar_one()
    timeline.append(
        tx, "flood.began", "One endpoint opens more incidents than it may: what comes over that waits as one task.",
        actor="system", values={"endpoint": endpoint_id}, about=("flood", begun), exercise=exercise,
    )  # fmt: skip
    timeline.pending(tx, "flood.began", begun, exercise=exercise)
    return begun


def end_if_handled(tx: Session, flood_id: int, *, actor: str) -> None:
    """Once nothing of a flood waits any more it is over, and its task is no longer needed."""
    tx.execute(select(Flood.id).where(Flood.id == flood_id).with_for_update())  # whoever joins it now waits for us
    waiting = select(Quarantined.report_id).where(Quarantined.flood_id == flood_id, Quarantined.state == "waiting")
    if tx.execute(waiting.limit(1)).first() is not None:
        return
    ended: Any = (
        update(Flood)
        .where(Flood.id == flood_id, Flood.over_at.is_(None))
        .values(over_at=clock.now(), open_slot=None)
        .returning(Flood.exercise)
    )
    exercise = tx.execute(ended).scalar_one_or_none()
    if exercise is not None:
        timeline.append(tx, "flood.over", "Everything of a flood was handled.", actor=actor, about=("flood", flood_id),
                        exercise=exercise)  # fmt: skip
        timeline.pending(tx, "flood.over", flood_id, exercise=exercise)
