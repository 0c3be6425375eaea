"""Doing here what relay and worker would do: every row that is due, until none is. No broker, the same code."""

from __future__ import annotations

from collections.abc import Collection

from coordinator import clock
from coordinator.store import Store
from workers import jobs, relay

#: Jobs that talk to the outside; tests of those have a receiver.
OUTSIDE = frozenset(job.name for job in relay.JOBS.values() if job.outside)


def drain(store: Store, *, leave: Collection[str] = OUTSIDE, most: int = 500) -> list[str]:
    """Run what is due, oldest first, and what follows from it; returns the names of the jobs in order.

    A job that fails is an error here. Jobs named in `leave` stay leased and undone.
    """
    done: list[str] = []
    while claimed := relay.claim(store):
        for each in claimed:
            if each.job.name in leave:
                continue
            assert len(done) < most, done[-20:]
            done.append(each.job.name)
            with store.read() as tx:
                before = tx.get(relay.Pending, each.pending_id)
            jobs.run(store, each.pending_id, clock.rfc3339(each.lease), relay.JOBS)
            with store.read() as tx:
                after = tx.get(relay.Pending, each.pending_id)
            assert after is None or before is None or after.attempts == 0, f"{each.job.name}: {after.last_fault}"
    return done
