"""Several requests' work in one transaction, so that they share its commit and, where they are alike, its statements.

While one request of a process is at the database, others come and wait. Whoever's turn is next does the work of all
of them and commits once; nobody is answered before the commit. Alike pieces of work may be done as a set: a statement
for thirty rows costs little more than one for a single row.

On SQLite, which takes one writer at a time, any work can share a turn. On PostgreSQL only work that is done as a set
does, because one transaction with the locks of several unlike pieces of work could meet another one's in another order.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy.orm import Session

from coordinator.store import Store

T = TypeVar("T")
MOST = 32

log = logging.getLogger("coordinator.together")


@dataclass(frozen=True)
class Among(Generic[T]):
    """How work is done as a set: `all_of(tx, items)` gives a result for each item, None for one to be done alone."""

    all_of: Callable[[Session, Sequence[Any]], Sequence[T | None]]
    item: Any


class _Job(Generic[T]):
    def __init__(self, work: Callable[[Session], T], among: Among[T] | None) -> None:
        self.work = work
        self.among = among
        self.woken = threading.Event()
        self.over = False
        self.alone = False
        self.result: T | None = None
        self.error: BaseException | None = None

    def settle(self, result: T) -> None:
        self.over, self.result = True, result


class Together:
    """One for a store in a process. `run(work)` is `unit_of_work()` for a function of the transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: deque[_Job[Any]] = deque()
        self._lock = threading.Lock()
        self._busy = False

    def run(self, work: Callable[[Session], T], among: Among[T] | None = None) -> T:
        """Do `work(tx)` and commit; what it raises is raised here, and only its own changes are undone.

        `work` neither waits for anything outside the database nor commits. `among`: the same work as one of a set.
        """
        if among is None and not self._store.one_machine:
            return self._by_itself(work)
        job = _Job(work, among)
        with self._lock:
            self._waiting.append(job)
            first, self._busy = not self._busy, True
        if not first:
            job.woken.wait()
        if not job.over:  # else the one before us did it along with its own
            self._take_turn()
        if job.alone:
            return self._by_itself(work)
        if job.error is not None:
            raise job.error
        return job.result  # type: ignore[return-value]

    def _by_itself(self, work: Callable[[Session], T]) -> T:
        with self._store.unit_of_work() as tx:
            return work(tx)

    def _take_turn(self) -> None:
        batch: list[_Job[Any]] = []
        nudges: set[str] = set()
        try:
            with self._store.unit_of_work() as tx:
                batch = self._gathered()  # now: others came while the database was taken
                self._do(tx, batch)
                nudges |= tx.info["nudges"]  # told after the turn: the next writer need not wait for Redis
                tx.info["nudges"].clear()
        except BaseException as error:  # of a single one, or of the commit: then it failed for everybody in it
            batch = batch or self._gathered()
            for job in batch:
                job.error, job.alone = job.error or error, False
        self._hand_on()
        for job in batch:
            job.over = True
            job.woken.set()
        if nudges:
            self._store.live.nudge(nudges)

    def _gathered(self) -> list[_Job[Any]]:
        with self._lock:
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST))]

    def _hand_on(self) -> None:
        """The first of those who came meanwhile has the next turn."""
        with self._lock:
            self._busy = bool(self._waiting)
            if self._waiting:
                self._waiting[0].woken.set()

    def _do(self, tx: Session, batch: Sequence[_Job[Any]]) -> None:
        if len(batch) == 1:
            batch[0].settle(batch[0].work(tx))
            return
        for alike in _alike(batch):
            _do_as_a_set(tx, alike)
        for job in batch:
            if not job.over and self._store.one_machine:
                _do_apart(tx, job)
            job.alone = not job.over


def _alike(batch: Sequence[_Job[Any]]) -> list[list[_Job[Any]]]:
    """The jobs that can be done as a set, each set for itself."""
    sets: dict[Any, list[_Job[Any]]] = {}
    for job in batch:
        if job.among is not None:
            sets.setdefault(job.among.all_of, []).append(job)
    return list(sets.values())


def _do_as_a_set(tx: Session, alike: Sequence[_Job[Any]]) -> None:
    """Where it fails as a set it is undone as a set, and each is done alone."""
    all_of = alike[0].among.all_of  # type: ignore[union-attr]
    try:
        with tx.begin_nested():
            results = all_of(tx, [job.among.item for job in alike])  # type: ignore[union-attr]
    except Exception as fault:
        log.warning("%s pieces of work are done one by one: %s", len(alike), type(fault).__name__)
        return
    for job, result in zip(alike, results, strict=True):
        if result is not None:
            job.settle(result)


def _do_apart(tx: Session, job: _Job[Any]) -> None:
    """A failure undoes its own changes only."""
    try:
        with tx.begin_nested():
            job.result = job.work(tx)
    except Exception as error:
        job.error = error
    job.over = True
