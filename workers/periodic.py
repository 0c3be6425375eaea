"""The rounds: periodic work of workers/app.PERIODIC, done by whichever relay comes first each time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

from sqlalchemy import or_, update

from coordinator import clock
from coordinator.db import insert_or_ignore
from coordinator.store import Store
from coordinator.timeline.models import Heartbeat
from workers.app import PERIODIC, SWEEPER, Periodic
from workers.jobs import handler_of, where

LOOK_SECONDS = 1.0
log = logging.getLogger("coordinator.rounds")


def is_mine(store: Store, work: Periodic) -> bool:
    """Whether it is time for this work and this process was first to say so: one conditional UPDATE decides.

    A time in the future was written before the clock was set back.
    """
    name, now, pause = f"round/{work.name}", clock.now(), timedelta(seconds=work.seconds)
    mine = (
        update(Heartbeat)
        .where(Heartbeat.name == name, or_(Heartbeat.at <= now - pause, Heartbeat.at > now + pause))
        .values(at=now)
    )
    with store.unit_of_work() as tx:
        if tx.execute(mine.returning(Heartbeat.name)).first() is not None:
            return True
        first = insert_or_ignore(tx, Heartbeat).values(name=name, kind="round", at=now, detail={})
        return tx.execute(first.returning(Heartbeat.name)).first() is not None


class Rounds(threading.Thread):
    """Does what is due, one after the other. A fault in one is logged and tried again next time."""

    def __init__(
        self, store: Store, table: Sequence[Periodic] = PERIODIC, *, watching: Callable[[], bool] = lambda: True
    ) -> None:
        super().__init__(name="rounds", daemon=True)
        self._watching = watching
        self._store = store
        self._table = table
        self._over = threading.Event()
        self._next = {work.name: 0.0 for work in table}

    def run(self) -> None:
        while not self._over.is_set():
            for work in self._table:
                self._perhaps(work)
            self._over.wait(LOOK_SECONDS)

    def _perhaps(self, work: Periodic) -> None:
        if time.monotonic() < self._next[work.name] or self._over.is_set():
            return
        if work.name == SWEEPER and not self._watching():
            return  # no sign of life for clocks that nobody looks at: pages then say since when
        self._next[work.name] = time.monotonic() + work.seconds
        try:
            if work.everywhere or is_mine(self._store, work):
                handler_of(work.handler)(self._store)
        except Exception as fault:
            log.warning("%s: %s", work.name, where(fault))

    def stop(self) -> None:
        """End the rounds, after one last checkpoint of the record."""
        self._over.set()
        self.join(timeout=10)
        try:
            handler_of("workers.due:checkpoint")(self._store)
        except Exception as fault:
            log.warning("last checkpoint: %s", where(fault))
