"""A clock that jumps: on record, sends wait, and everything goes on when it returns or a person confirms it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import time_machine
from sqlalchemy import select, update

from coordinator import clock, timeline
from coordinator.store import Store
from coordinator.timeline import sending_hold
from coordinator.timeline.models import Entry, Pending
from coordinator.timeline.queries import entries
from coordinator.timeline.verify import checkpoint, verify
from tests.factories import World
from workers import due, periodic, relay, timekeeper
from workers.app import Periodic

TWO_HOURS = timedelta(hours=2)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    timekeeper.forget()
    yield
    timekeeper.forget()


def kinds(store: Store) -> list[str]:
    with store.read() as tx:
        return [entry["kind"] for entry in entries(tx, incident_id=None)]


def held(store: Store) -> bool:
    with store.read() as tx:
        return bool(sending_hold.kinds(tx))


def say(store: Store, text: str = "Something.") -> None:
    with store.unit_of_work() as tx:
        timeline.append(tx, "test.said", text, actor="system")


def leave(store: Store, *, kind: str = "note.added", after: timedelta = timedelta()) -> int:
    with store.unit_of_work() as tx:
        timeline.pending(tx, kind, 1, ready_at=clock.now() + after if after else None)
        return tx.execute(select(Pending.id).order_by(Pending.id.desc()).limit(1)).scalar_one()


@pytest.mark.parametrize(("seconds", "recorded", "stops"), [
    (0, False, False), (4, False, False), (30, True, False), (90, True, True), (-30, True, False), (-7200, True, True),
])  # fmt: skip
def test_a_step_over_five_seconds_is_recorded_and_over_sixty_sends_wait(
    store: Store, seconds: int, recorded: bool, stops: bool
) -> None:
    timekeeper.watch(store)
    with time_machine.travel(clock.now() + timedelta(seconds=seconds)):
        assert timekeeper.jumped() is recorded
        timekeeper.watch(store)
        timekeeper.watch(store)
        assert (kinds(store).count("clock.stepped"), held(store)) == (int(recorded), stops)


@pytest.mark.parametrize("jump", [TWO_HOURS, -TWO_HOURS], ids=["forward", "back"])
def test_a_clock_that_returns_lifts_the_hold_by_itself(store: Store, jump: timedelta) -> None:
    timekeeper.watch(store)
    with time_machine.travel(clock.now() + jump):
        timekeeper.watch(store)
        assert held(store)
        timekeeper.forget()  # the process was started anew meanwhile
        timekeeper.watch(store)
        assert held(store)
    timekeeper.watch(store)
    assert not held(store)
    timekeeper.watch(store)  # entries of two hours ahead are explained
    assert not held(store)


def test_a_clock_that_was_set_back_while_nothing_ran_is_noticed_by_the_record(store: Store) -> None:
    with time_machine.travel(clock.now() + TWO_HOURS):
        say(store)
    timekeeper.watch(store)
    timekeeper.watch(store)
    assert held(store)


@pytest.mark.parametrize("jump", [TWO_HOURS, -TWO_HOURS], ids=["forward", "back"])
def test_a_person_who_lifts_the_hold_confirms_the_clock_as_it_is(store: Store, jump: timedelta) -> None:
    say(store)
    timekeeper.watch(store)
    with time_machine.travel(clock.now() + jump):
        timekeeper.watch(store)
        with store.unit_of_work() as tx:
            [hold] = sending_hold.open_holds(tx)
            sending_hold.lift(tx, hold.id, actor="user:1", reason="Compared with my watch.")
        timekeeper.watch(store)
        assert not held(store)
        timekeeper.forget()
        timekeeper.watch(store)
        assert not held(store)


def test_the_time_of_entries_never_runs_backwards(store: Store) -> None:
    say(store)
    with time_machine.travel(clock.now() - TWO_HOURS):
        say(store)
        with store.unit_of_work() as tx:
            checkpoint(tx)
        say(store)
    with store.read() as tx:
        times: list[datetime] = list(tx.execute(select(Entry.at).order_by(Entry.id)).scalars())
        assert times == sorted(times) and verify(tx).broken == ""


def test_while_the_clock_is_doubted_no_timer_fires_and_what_is_to_be_done_at_once_is_done(
    store: Store, world: World
) -> None:
    timekeeper.watch(store)
    timer = leave(store, kind="timer", after=timedelta(hours=1))
    with time_machine.travel(clock.now() + TWO_HOURS):
        timekeeper.watch(store)
        at_once = leave(store, kind="task.opened")
        claimed = {each.pending_id for each in relay.claim(store)}
        assert timer not in claimed and at_once in claimed
    assert timer not in {each.pending_id for each in relay.claim(store)}


def test_after_a_step_back_rows_and_rounds_of_the_future_do_not_wait_for_it(store: Store, world: World) -> None:
    with time_machine.travel(clock.now() + TWO_HOURS):
        row, leased = leave(store, kind="task.opened"), leave(store, kind="task.completed")
        with store.unit_of_work() as tx:
            tx.execute(update(Pending).where(Pending.id == leased).values(
                ready_at=clock.now() - TWO_HOURS * 2, lease_until=clock.now() + timedelta(seconds=10)))  # fmt: skip
        assert periodic.is_mine(store, Periodic("test", 10, ""))
    assert periodic.is_mine(store, Periodic("test", 10, ""))
    due.find_stuck(store)
    assert {row, leased} <= {each.pending_id for each in relay.claim(store)}
