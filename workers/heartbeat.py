"""A sign of life of each process, as a row: it says the truth when the broker was emptied or is away."""

from __future__ import annotations

import logging
import os
import socket
import threading
from typing import Any

from sqlalchemy import delete, update

from coordinator import clock
from coordinator.db import insert_or_ignore
from coordinator.store import Store
from coordinator.timeline.models import Heartbeat
from workers.jobs import where

SECONDS = 10.0
log = logging.getLogger("coordinator.heartbeat")


def beat(store: Store, *, name: str, kind: str, detail: dict[str, Any]) -> None:
    """Write the row `name` with the present instant."""
    values = {"at": clock.now(), "detail": detail, "kind": kind}
    with store.unit_of_work() as tx:
        here = update(Heartbeat).where(Heartbeat.name == name).values(values).returning(Heartbeat.name)
        if tx.execute(here).first() is None:
            tx.execute(insert_or_ignore(tx, Heartbeat).values(name=name, **values))


class Beat(threading.Thread):
    """Beats every ten seconds until `stop`, then takes the row away: a process that ended well is not missed."""

    def __init__(self, store: Store, kind: str, detail: dict[str, Any] | None = None) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._store = store
        self._name = f"{kind}@{socket.gethostname()}:{os.getpid()}"[:120]
        self._kind = kind
        self._detail = {"pid": os.getpid(), **(detail or {})}
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            try:
                beat(self._store, name=self._name, kind=self._kind, detail=self._detail)
            except Exception as fault:  # the database is away: the silence is the message
                log.warning("heartbeat: %s", where(fault))
            self._over.wait(SECONDS)

    def stop(self) -> None:
        self._over.set()
        if not self.ident:  # it never began
            return
        self.join(timeout=5)
        try:
            with self._store.unit_of_work() as tx:
                tx.execute(delete(Heartbeat).where(Heartbeat.name == self._name))
        except Exception as fault:
            log.warning("heartbeat: %s", where(fault))
