"""Claiming, expanding and running rows, on both stores and without a broker."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select, text

from coordinator import clock, timeline
from coordinator.store import Store
from coordinator.timeline.models import Pending
from coordinator.timeline.queries import entries
from coordinator.upkeep import given_up
from workers import jobs, relay
from workers.jobs import Job, Later

TABLE = {
    "one": (Job("one", "tests.workers.test_relay:note"),),
    "two": (Job("two-a", "tests.workers.test_relay:note"), Job("two-b", "tests.workers.test_relay:note")),
    "fails": (Job("fails", "tests.workers.test_relay:fail"),),
    "later": (Job("later", "tests.workers.test_relay:later"),),
    "out": (Job("out", "tests.workers.test_relay:outside", "alerts", True),),
    "nothing": (),
    jobs.DEAD: (),
}
BY_NAME = {job.name: job for followers in TABLE.values() for job in followers}
AT = clock.parse("2030-01-01T00:00:00Z")


def note(tx, object_id):  # noqa: ANN001, ANN201
    timeline.append(tx, "test.done", "Done.", actor="system", values={"object": object_id})


def fail(tx, object_id):  # noqa: ANN001, ANN201
    note(tx, object_id)
    raise RuntimeError("SECRET")


def later(tx, object_id):  # noqa: ANN001, ANN201
    note(tx, object_id)
    raise Later(AT)


def outside(store, object_id):  # noqa: ANN001, ANN201
    with store.unit_of_work() as tx:
        note(tx, object_id)


def queue(store: Store, kind: str, *ids: int) -> None:
    with store.unit_of_work() as tx:
        for each in ids:
            timeline.pending(tx, kind, each)


def rows(store: Store) -> list[Pending]:
    with store.read() as tx:
        return list(tx.execute(select(Pending).order_by(Pending.id)).scalars())


def work(store: Store) -> list[str]:
    claimed = relay.claim(store, TABLE)
    for each in claimed:
        jobs.run(store, each.pending_id, clock.rfc3339(each.lease), BY_NAME)
    return [each.job.name for each in claimed]


def done(store: Store) -> list[int]:
    with store.read() as tx:
        found = entries(tx, incident_id=None, limit=1000)
    return [entry["values"]["object"] for entry in found if entry["kind"] == "test.done"]


def test_a_kind_with_two_subscribers_becomes_two_rows_with_fates_of_their_own(store: Store) -> None:
    queue(store, "two", 7)
    assert work(store) == ["two-a", "two-b"]
    assert done(store) == [7, 7] and rows(store) == []


def test_a_row_is_claimed_by_one_of_many_relays(store: Store) -> None:
    queue(store, "one", *range(60))
    with ThreadPoolExecutor(6) as pool:
        claims = list(pool.map(lambda _: relay.claim(store, TABLE), range(6)))
    ids = [each.pending_id for claimed in claims for each in claimed]
    assert len(ids) == len(set(ids)) == 60


def test_a_row_is_not_claimed_again_before_its_lease_is_over(store: Store) -> None:
    queue(store, "one", 1)
    assert len(relay.claim(store, TABLE)) == 1
    assert relay.claim(store, TABLE) == []
    with time_machine.travel(clock.now() + relay.LEASE + timedelta(seconds=1), tick=False):
        assert len(relay.claim(store, TABLE)) == 1


def test_what_could_not_be_published_is_given_back_unless_another_has_it_by_now(store: Store) -> None:
    queue(store, "one", 1, 2)
    claimed = relay.claim(store, TABLE)
    relay.give_back(store, claimed[:1])
    again = relay.claim(store, TABLE)
    assert [each.pending_id for each in again] == [claimed[0].pending_id]
    relay.give_back(store, claimed[:1])  # an old claim does not end the new one's lease
    assert relay.claim(store, TABLE) == []


def test_a_full_queue_is_left_alone_and_the_other_goes_on(store: Store) -> None:
    queue(store, "one", 1)
    queue(store, "out", 2)
    relay.give_back(store, relay.claim(store, TABLE))
    assert [each.job.name for each in relay.claim(store, TABLE, full=["main"])] == ["out"]


def test_what_is_real_never_waits_behind_an_exercise(store: Store) -> None:
    with store.unit_of_work() as tx:
        for number in range(100):
            timeline.pending(tx, "out", number, exercise="EX-1")
        timeline.pending(tx, "out", 777)
    claimed = relay.claim(store, TABLE)
    assert [each.queue for each in claimed] == ["alerts", "exercise", "exercise"], "the newest, but real: first"
    assert relay.claim(store, TABLE) == [], "no more of the exercise while two are in hand"
    for each in claimed:
        jobs.run(store, each.pending_id, clock.rfc3339(each.lease), BY_NAME)
    assert [each.queue for each in relay.claim(store, TABLE)] == ["exercise"] * 2
    assert relay.claim(store, TABLE, full=["exercise"]) == []


def test_a_kind_nobody_knows_is_dead_at_once_and_on_record(store: Store) -> None:
    queue(store, "no.such-kind", 1)
    assert relay.claim(store, TABLE) == []
    row = rows(store)[0]
    assert row.dead and row.last_fault == "UnknownKind"
    with store.read() as tx:
        assert "job.dead" in [entry["kind"] for entry in entries(tx, incident_id=None)]


def test_a_kind_without_followers_is_taken_away(store: Store) -> None:
    queue(store, "nothing", 1)
    assert relay.claim(store, TABLE) == [] and rows(store) == []


def test_the_same_message_at_the_same_time_does_the_work_once(store: Store) -> None:
    queue(store, "one", 1)
    queue(store, "out", 2)
    claimed = relay.claim(store, TABLE)
    with ThreadPoolExecutor(6) as pool:
        for each in claimed:
            lease = clock.rfc3339(each.lease)
            list(pool.map(lambda _, at=lease, row=each.pending_id: jobs.run(store, row, at, BY_NAME), range(6)))
    assert sorted(done(store)) == [1, 2] and rows(store) == []


def test_an_old_message_of_outside_work_is_void_once_the_row_is_leased_anew(store: Store) -> None:
    queue(store, "out", 2)
    first = relay.claim(store, TABLE)[0]
    with time_machine.travel(clock.now() + relay.LEASE + timedelta(seconds=1), tick=False):
        second = relay.claim(store, TABLE)[0]
        jobs.run(store, first.pending_id, clock.rfc3339(first.lease), BY_NAME)
        assert done(store) == []
        jobs.run(store, second.pending_id, clock.rfc3339(second.lease), BY_NAME)
    assert done(store) == [2]


def test_failing_work_leaves_nothing_waits_longer_each_time_and_dies_on_record(store: Store) -> None:
    queue(store, "fails", 1)
    waits = []
    now = clock.now()
    for _ in range(jobs.ATTEMPTS):
        with time_machine.travel(now, tick=False):
            assert work(store) == ["fails"]
            row = rows(store)[0]
            waits.append((row.ready_at - now).total_seconds())
            now = row.ready_at + timedelta(seconds=1)
    assert row.dead and row.attempts == jobs.ATTEMPTS and row.last_fault == "RuntimeError"
    assert done(store) == []
    assert waits == sorted(waits) or max(waits) > 250
    assert waits[0] < 2 and max(waits) <= 330
    with store.read() as tx:
        entry = [each for each in entries(tx, incident_id=None) if each["kind"] == "job.dead"][0]
        assert "SECRET" not in str(entry)
        assert tx.execute(select(Pending.kind).where(Pending.dead.is_(False))).scalars().all() == [jobs.DEAD]


def test_a_dead_row_sent_again_by_a_person_starts_afresh(store: Store) -> None:
    queue(store, "no.such-kind", 1)
    relay.claim(store, TABLE)
    with store.unit_of_work() as tx:
        tx.execute(text("UPDATE pending SET kind = 'one', job = '' WHERE dead"))
        given_up.revive(tx, rows_dead(tx), actor="user:1")
    assert "one" in work(store) and done(store) == [1]


def rows_dead(tx) -> int:  # noqa: ANN001
    return tx.execute(select(Pending.id).where(Pending.dead)).scalar_one()


def test_not_now_is_no_failure(store: Store) -> None:
    queue(store, "later", 1)
    work(store)
    row = rows(store)[0]
    assert (row.ready_at, row.attempts, row.lease_until) == (AT, 0, None)
    assert done(store) == []


def test_a_row_in_the_future_is_a_timer(store: Store) -> None:
    with store.unit_of_work() as tx:
        timeline.pending(tx, "one", 1, ready_at=clock.now() + timedelta(hours=1))
    assert work(store) == []
    with time_machine.travel(clock.now() + timedelta(hours=2), tick=False):
        assert work(store) == ["one"]


@pytest.mark.parametrize("job", sorted(relay.JOBS.values(), key=lambda job: job.name), ids=lambda job: job.name)
def test_every_job_of_the_table_has_its_function(job: Job) -> None:
    assert callable(jobs.handler_of(job.handler))


def test_no_two_jobs_share_a_name() -> None:
    every = [job for followers in relay.SUBSCRIBERS.values() for job in followers]
    assert len({job.name for job in every}) == len(set(every))
