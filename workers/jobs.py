"""Running one pending row. The row is the truth: the message only says which one to look at.

A job that only writes to the database gets `handler(tx, object_id)`: its row is deleted in the transaction that does
the work, so the work is done exactly once, and a doubled or late message finds nothing. A job that talks to the outside
gets `handler(store, object_id)` with transactions of its own; it is leased while it runs and its row is deleted
afterwards, so it may run again after a crash and must be safe to repeat.
"""

from __future__ import annotations

import logging
import random
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib import import_module
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, false, or_, select, update
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.store import Store
from coordinator.timeline import sending_hold
from coordinator.timeline.models import Pending
from workers.app import MAIN

log = logging.getLogger("coordinator.jobs")

ATTEMPTS = 12  # with the pauses below: dead after about twenty minutes of failing
LONGEST_PAUSE = 300.0
#: A job that talks to the outside and takes longer is begun again, and finds what it holds held (`Later`).
OUTSIDE_LEASE = timedelta(seconds=20)
#: A lease that ends later than this was given before the clock was set back; its holder renews or is gone.
LONGEST_LEASE = timedelta(seconds=60)
DEAD = "job.dead"


# Built once, on the table: every job passes here.
_rows: Any = Pending.__table__
_NAME = select(_rows.c.job).where(_rows.c.id == bindparam("pending"))
_FREE = (
    select(_rows.c.id)
    .where(_rows.c.id == bindparam("pending"), _rows.c.dead == false(), _rows.c.ready_at <= bindparam("now"))
    .with_for_update(skip_locked=True)
)
_TAKE = delete(_rows).where(_rows.c.id.in_(_FREE.scalar_subquery())).returning(_rows.c.object_id)


@dataclass(frozen=True)
class Job:
    """What follows from an entry. `name` is fixed by hand and stands in rows; `handler` is `module:function`."""

    name: str
    handler: str
    queue: str = MAIN
    outside: bool = False


class Later(Exception):
    """Raised by a job: not now. The row waits until `at` (or a second) and no attempt is counted."""

    def __init__(self, at: datetime | None = None) -> None:
        super().__init__()
        self.at = at


def run(store: Store, pending_id: int, lease: str, jobs: Mapping[str, Job]) -> None:
    """Do what the pending row asks for, if it is still there. Never raises. `lease`: what it was sent under."""
    try:
        _run(store, pending_id, clock.parse(lease), jobs)
    except Later as later:
        _put_off(store, pending_id, later.at or clock.now() + timedelta(seconds=1))
    except Exception as fault:
        log.warning("pending %s: %s", pending_id, where(fault))
        try:
            note_failure(store, pending_id, type(fault).__name__)
        except Exception as again:  # the database is away: the lease runs out and the relay sends it again
            log.warning("pending %s: the failure could not be noted: %s", pending_id, where(again))


def _run(store: Store, pending_id: int, lease: datetime, jobs: Mapping[str, Job]) -> None:
    with store.read() as tx:
        name = tx.execute(_NAME, {"pending": pending_id}).scalar_one_or_none()
    if name is None:
        return
    job = jobs[name]
    handler = handler_of(job.handler)
    if job.outside:
        _run_outside(store, pending_id, lease, handler)
        return
    with store.unit_of_work() as tx:
        object_id = _take(tx, pending_id)
        if object_id is not None:
            handler(tx, object_id)


def _take(tx: Session, pending_id: int) -> int | None:
    """Delete the row and so lock it until the transaction ends; None when it is done, not due, or in other hands."""
    return tx.execute(_TAKE, {"pending": pending_id, "now": clock.now()}).scalar_one_or_none()


def _run_outside(store: Store, pending_id: int, lease: datetime, handler: Callable[[Store, int], None]) -> None:
    """Take the row under the lease the message was sent with, or when nobody holds it: messages may wait long."""
    mine = clock.now() + OUTSIDE_LEASE
    with store.unit_of_work() as tx:
        if sending_hold.stops(tx, own=True):
            raise Later()
        take = (
            update(Pending)
            .where(Pending.id == pending_id, Pending.dead.is_(False), Pending.ready_at <= clock.now(), _free(lease))
            .values(lease_until=mine)
            .returning(Pending.object_id)
        )
        object_id = tx.execute(take).scalar_one_or_none()
    if object_id is None:  # done, put off, or given up meanwhile
        return
    handler(store, object_id)
    with store.unit_of_work() as tx:  # a worker that woke late leaves the row to the one that has it now
        tx.execute(delete(Pending).where(Pending.id == pending_id, Pending.lease_until == mine))


def _free(lease: datetime) -> ColumnElement[bool]:
    held, now = Pending.lease_until, clock.now()
    return or_(held == lease, held.is_(None), held <= now, held > now + LONGEST_LEASE)


def note_failure(store: Store, pending_id: int, fault: str) -> None:
    """Count the attempt and let the row wait; after the last one it is dead, on record, and the duty role is told.

    `fault` is the name of the error's class: its text may hold marked content and is kept nowhere.
    """
    with store.unit_of_work() as tx:
        row = tx.get(Pending, pending_id, with_for_update=True)
        if row is None or row.dead:
            return
        row.attempts += 1
        row.last_fault = fault[:200]
        row.lease_until = None
        row.ready_at = clock.now() + pause_after(row.attempts)
        if row.attempts >= ATTEMPTS:
            bury(tx, row)


def bury(tx: Session, row: Pending) -> None:
    """Give up on a row, loudly: it stays for a person to look at and send again."""
    row.dead = True
    row.lease_until = None
    log.error("pending %s (%s %s, job %s) is dead: %s", row.id, row.kind, row.object_id, row.job, row.last_fault)
    timeline.append(
        tx, DEAD, "A job was given up after repeated failures; it waits for a person to send it again.",
        actor="system", about=("pending", row.id), exercise=row.exercise,
        values={"kind": row.kind, "object": row.object_id, "job": row.job, "fault": row.last_fault,
                "attempts": row.attempts},
    )  # fmt: skip
    if row.kind != DEAD:
        timeline.pending(tx, DEAD, row.id, exercise=row.exercise)


def pause_after(attempts: int) -> timedelta:
    """How long a row waits after so many failures: doubling from a second to five minutes, give or take a tenth."""
    seconds = min(2.0 ** (attempts - 1), LONGEST_PAUSE)
    return timedelta(seconds=seconds * random.uniform(0.9, 1.1))


def where(fault: BaseException) -> str:
    """Class and place of an error, without its text."""
    frames = traceback.extract_tb(fault.__traceback__)[-3:]
    return type(fault).__name__ + "".join(f" {frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in frames)


@cache
def handler_of(path: str) -> Callable[..., Any]:
    """The function that `module:function` names, imported at first use."""
    module, _, function = path.partition(":")
    return getattr(import_module(module), function)


def _put_off(store: Store, pending_id: int, at: datetime) -> None:
    with store.unit_of_work() as tx:
        tx.execute(update(Pending).where(Pending.id == pending_id).values(ready_at=at, lease_until=None))
