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
from functools import partial
from typing import Any, Generic, TypeVar

from sqlalchemy.orm import Session

from coordinator import db
from coordinator.store import Store

T = TypeVar("T")
MOST = 32

log = logging.getLogger("coordinator.together")


@dataclass(frozen=True)
class Work(Generic[T]):
    """`alone(tx)` does it. Where `all_of` is given it can be done as one of a set as well: `all_of(tx, items)` gives a
    result for each item, None for one that must be done alone."""

    alone: Callable[[Session], T]
    all_of: Callable[[Session, Sequence[Any]], Sequence[T | None]] | None = None
    item: Any = None


#: What follows from a result in another transaction, or None.
Then = Callable[[Any], Work[Any] | None]


class _Job:
    """What one request wants done: `work`, and then what `then` makes of its result."""

    def __init__(self, work: Work[Any], then: Then | None) -> None:
        self.work = work
        self._asleep = threading.Lock()
        self._asleep.acquire()
        self.settled = False
        self.alone = False
        self.result: Any = None
        self.error: BaseException | None = None
        self._then = then

    def sleep(self) -> None:
        """Until `wake`; at once where that was before."""
        self._asleep.acquire()

    def wake(self) -> None:
        """Whoever waits goes on. Never called twice without `sleep` in between, but by its own thread."""
        if self._asleep.locked():
            self._asleep.release()

    def settle(self, result: Any) -> None:
        self.settled, self.result = True, result

    def fail(self, error: BaseException) -> None:
        self.settled, self.alone, self.error = True, False, self.error or error

    def goes_on(self) -> bool:
        """Whether there is more to do; `work` is it then."""
        if self.error is not None or self.alone or self._then is None:
            return False
        try:
            following = self._then(self.result)
        except Exception as error:
            self.fail(error)
            return False
        self._then = None
        if following is not None:
            self.work, self.settled = following, False
        return following is not None


class Together:
    """One for a store in a process. `run(work)` is `unit_of_work()` for a function of the transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: deque[_Job] = deque()
        self._lock = threading.Lock()
        self._busy = False

    def run(self, work: Work[Any], then: Then | None = None) -> Any:
        """Do `work` and commit; then what `then` makes of its result, in another transaction; gives the last result.

        What it raises is raised here, and only its own changes are undone. Nothing in it waits for anything outside
        the database or commits. Whoever has the turn does it, so it must not look for the request.
        """
        job = _Job(work, then)
        if work.all_of is not None or self._store.one_machine:
            self._do_in_turn(job)
            db.note_commit()
        else:
            job.alone = True
        while job.alone or not job.settled:
            job.alone = False
            job.settle(db.again(partial(self._alone, job.work)))
            job.goes_on()
        if job.error is not None:
            raise job.error
        return job.result

    def _alone(self, work: Work[Any]) -> Any:
        with self._store.unit_of_work() as tx:
            return work.alone(tx)

    def _do_in_turn(self, job: _Job) -> None:
        with self._lock:
            self._waiting.append(job)
            first, self._busy = not self._busy, True
        if not first:
            job.sleep()
        if not (job.settled or job.alone):  # else the one before us did it along with its own
            self._take_turn()

    def _take_turn(self) -> None:
        """All who wait, up to their last transaction, so that they stay together; then the next one has the turn."""
        nudges: set[str] = set()
        batch = self._one_transaction(nudges)
        again = [job for job in batch if job.goes_on()]
        if again:
            self._one_transaction(nudges, again)
        self._hand_on()
        for job in batch:
            job.wake()
        if nudges:
            self._store.live.nudge(nudges)

    def _one_transaction(
        self, nudges: set[str], batch: Sequence[_Job] = (), *, apart: bool = False
    ) -> Sequence[_Job]:
        """Do `batch`, or else those who wait when the database is ours."""
        try:
            with self._store.unit_of_work() as tx:
                batch = batch or self._gathered()
                self._do(tx, batch, apart)
                nudges |= tx.info["nudges"]  # told after the turn: the next writer need not wait for Redis
                tx.info["nudges"].clear()
        except _NotAsASet as fault:
            log.warning("%s pieces of work are done one by one: %s", len(batch), type(fault.__cause__).__name__)
            for job in batch:
                job.settled = False
            return self._one_transaction(nudges, batch, apart=True)
        except BaseException as error:  # of a single one, or of the commit: then it failed for everybody in it
            batch = batch or self._gathered()
            for job in batch:
                job.fail(error)
        return batch

    def _gathered(self) -> list[_Job]:
        with self._lock:
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST))]

    def _hand_on(self) -> None:
        """The first of those who came meanwhile has the next turn."""
        with self._lock:
            self._busy = bool(self._waiting)
            if self._waiting:
                self._waiting[0].wake()

    def _do(self, tx: Session, batch: Sequence[_Job], apart: bool) -> None:
        for alike in _alike(batch) if not apart else ():
            _do_as_a_set(tx, alike)
        if len(batch) == 1 and not batch[0].settled:
            batch[0].settle(batch[0].work.alone(tx))
        for job in batch:
            if not job.settled and self._store.one_machine:
                _do_apart(tx, job)
            job.alone = not job.settled


class _NotAsASet(Exception):
    """The set failed, for the reason in `__cause__`: nothing of the transaction may stay."""


def _alike(batch: Sequence[_Job]) -> list[list[_Job]]:
    """The jobs that can be done as a set, each set for itself."""
    sets: dict[Any, list[_Job]] = {}
    for job in batch:
        if job.work.all_of is not None:
            sets.setdefault(job.work.all_of, []).append(job)
    return list(sets.values())


def _do_as_a_set(tx: Session, alike: Sequence[_Job]) -> None:
    """Raises _NotAsASet where it fails: the transaction is given up then, and each is done apart in another one.

    There is no savepoint for a set: sets rarely fail, and it would cost each of them two statements.
    """
    all_of = alike[0].work.all_of
    assert all_of is not None
    try:
        results = all_of(tx, [job.work.item for job in alike])
    except Exception as fault:
        raise _NotAsASet from fault
    for job, result in zip(alike, results, strict=True):
        if result is not None:
            job.settle(result)


def _do_apart(tx: Session, job: _Job) -> None:
    """A failure undoes its own changes only."""
    try:
        with tx.begin_nested():
            job.settle(job.work.alone(tx))
    except Exception as error:
        job.fail(error)
