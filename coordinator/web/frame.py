"""What stands round every page: our name, counts on the navigation, whether clocks are watched and sending goes on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Right
from coordinator.alerts.queries import waiting_to_be_sent
from coordinator.changes import queries as changes
from coordinator.incidents import quarantine_queries as quarantine
from coordinator.partners.models import Organisation
from coordinator.status import task_lists
from coordinator.timeline import sending_hold
from coordinator.timeline.models import Heartbeat
from coordinator.web import access

#: The sweeper looks at every clock that runs; later than this (seconds) every page says so.
UNWATCHED = timedelta(seconds=60)


def frame() -> dict[str, Any]:
    """`own` our organisation's name, `unwatched_since` (None while watched), `counts` for whoever is signed in."""
    pulse = access.pulse()
    principal = access.current()
    return {
        "own": pulse.watch.get("own", _own)[0],
        "own_code": pulse.watch.get("own", _own)[1],
        "unwatched": pulse.watch.get("unwatched", unwatched),
        "on_hold": pulse.counts.get("on-hold", on_hold) if principal else None,
        "counts": pulse.counts.get(principal.user_id, lambda: _counts(principal)) if principal else {},
    }


def unwatched() -> dict[str, datetime | None] | None:
    """None while the sweeper is on time; else {"since": when it was last seen, None if never}."""
    with access.store().read() as tx:
        newest = tx.execute(select(func.max(Heartbeat.at)).where(Heartbeat.kind == "sweeper")).scalar()
    if newest is not None and abs(clock.now() - newest) <= UNWATCHED:
        return None
    return {"since": newest}


def on_hold() -> dict[str, Any] | None:
    """None while sending goes on; else {"kinds", "since", "waiting"}: what every page says."""
    with access.store().read() as tx:
        holds = sending_hold.open_holds(tx)
        if not holds:
            return None
        kinds = sorted({hold.kind for hold in holds})
        return {"kinds": kinds, "since": holds[0].begun_at, "waiting": waiting_to_be_sent(tx)}


def _own() -> tuple[str, str]:
    with access.store().read() as tx:
        query = select(Organisation.name, Organisation.code).where(Organisation.is_own)
        found = tx.execute(query.order_by(Organisation.id).limit(1)).one_or_none()
        return (found.name, found.code) if found else ("", "")


def _counts(principal: Principal) -> dict[str, int]:
    with access.store().read() as tx:
        counts: dict[str, int] = {}
        if access.may(Right.COMPLETE_TASK):
            counts |= task_lists.counts(tx, principal=principal)
        if access.may(Right.HANDLE_QUARANTINE):
            waiting = quarantine.counts(tx, principal=principal)
            counts |= {"quarantine": waiting["waiting"] + waiting["floods"], "quarantine_overdue": waiting["overdue"]}
        if access.may(Right.DECIDE):
            counts["clearances"] = task_lists.clearances_count(tx, principal=principal)
        if access.may(Right.CONFIRM_CHANGE):
            counts["changes"] = changes.waiting_count(tx, principal=principal)
        return counts
