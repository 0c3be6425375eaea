"""Making the copy of a file that may leave: read in one transaction, cleaned in a child with none open, then kept.

Killed at any point, it is begun again when its lease is over; a file that ends its cleaner each time is refused.
"""

from __future__ import annotations

import threading
from datetime import datetime

from coordinator import clock
from coordinator.cleaning import bounded
from coordinator.sharing import copies
from coordinator.store import Store
from workers.jobs import Later

#: One at a time in a process: a hostile file may hold its child for a minute, and other threads have work to do.
_ONE = threading.Lock()


def clean_file(store: Store, copy_id: int) -> None:
    """Safe to repeat at any point. Raises Later where another worker is at it."""
    if not _ONE.acquire(blocking=False):
        raise Later()
    try:
        _clean(store, copy_id)
    finally:
        _ONE.release()


def _clean(store: Store, copy_id: int) -> None:
    with store.unit_of_work() as tx:
        work = copies.begin(tx, copy_id, now=clock.now())
    if isinstance(work, datetime):
        raise Later(work)
    if work is None:
        return
    made = bounded.clean(work.body, name=work.name, names=work.names)
    with store.unit_of_work() as tx:
        copies.settle(tx, work.copy_id, work.fence, made)
