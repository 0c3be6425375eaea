"""What stands round every page: our name, the counts on the navigation, and whether the clocks are watched."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Right
from coordinator.changes import queries as changes
from coordinator.partners.models import Organisation
from coordinator.status import task_lists
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
        "counts": pulse.counts.get(principal.user_id, lambda: _counts(principal)) if principal else {},
    }


def unwatched() -> dict[str, datetime | None] | None:
    """None while the sweeper is on time; else {"since": when it was last seen, None if never}."""
    with access.store().read() as tx:
        newest = tx.execute(select(func.max(Heartbeat.at)).where(Heartbeat.kind == "sweeper")).scalar()
    if newest is not None and clock.now() - newest <= UNWATCHED:
        return None
    return {"since": newest}


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
        if access.may(Right.DECIDE):
            counts["clearances"] = task_lists.clearances_count(tx, principal=principal)
        if access.may(Right.CONFIRM_CHANGE):
            counts["changes"] = changes.waiting_count(tx, principal=principal)
        return counts
