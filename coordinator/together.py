"""Several requests' transactions in one commit, where the database takes one writer at a time.

SQLite with synchronous=FULL waits for the disk at every commit, and writers that find it taken poll for it. Under load
the requests of one process therefore queue here: whoever's turn it is does the work of all who wait, each within a
savepoint of its own, and commits once. Nobody is answered before the commit. PostgreSQL does this by itself.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from sqlalchemy.orm import Session

from coordinator.store import Store

T = TypeVar("T")
MOST = 32


class _Job(Generic[T]):
    def __init__(self, work: Callable[[Session], T]) -> None:
        self.work = work
        self.done = False
        self.result: T | None = None
        self.error: BaseException | None = None


class Together:
    """One for a store in a process. `run(work)` is `unit_of_work()` for a function of the transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: deque[_Job[Any]] = deque()
        self._turn = threading.Lock()

    def run(self, work: Callable[[Session], T]) -> T:
        """Do `work(tx)` and commit; what it raises is raised here, and only its own changes are undone.

        `work` neither waits for anything outside the database nor commits.
        """
        if not self._store.one_machine:
            with self._store.unit_of_work() as tx:
                return work(tx)
        job = _Job(work)
        self._waiting.append(job)
        nudges: set[str] = set()
        with self._turn:
            if not job.done:  # else the one before us did it along with its own
                self._take_turn(nudges)
        if nudges:
            self._store.live.nudge(nudges)
        if job.error is not None:
            raise job.error
        return job.result  # type: ignore[return-value]

    def _take_turn(self, nudges: set[str]) -> None:
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST))]
        try:
            with self._store.unit_of_work() as tx:
                if len(batch) == 1:
                    batch[0].result = batch[0].work(tx)
                else:
                    for job in batch:
                        _do(tx, job)
                nudges |= tx.info["nudges"]  # told after the turn: the next writer need not wait for Redis
                tx.info["nudges"].clear()
        except BaseException as error:  # a single one, or the commit: then it failed for everybody in it
            for job in batch:
                job.error = job.error or error
        finally:
            for job in batch:
                job.done = True


def _do(tx: Session, job: _Job[Any]) -> None:
    try:
        with tx.begin_nested():
            job.result = job.work(tx)
    except Exception as error:
        job.error = error
