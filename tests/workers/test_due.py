"""What the sweeper does by time."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from sqlalchemy import delete, func, select, update

from coordinator import clock, timeline
from coordinator.accounts.models import SignInLink
from coordinator.accounts.service import create_link
from coordinator.incidents import intake
from coordinator.incidents.models import Incident, Report, ReportBody
from coordinator.partners.queries import intake_endpoint
from coordinator.runs.models import Timer
from coordinator.store import Store
from coordinator.timeline.models import Checkpoint, DataKey, Heartbeat, Pending
from coordinator.timeline.queries import entries
from coordinator.timeline.verify import verify
from tests.factories import World, native, person
from tests.playbooks.documents import action, document, end
from tests.workers.drained import drain
from tests.workers.running import run_of
from workers import due, periodic
from workers.app import PERIODIC, Periodic
from workers.jobs import handler_of


def kinds(store: Store) -> list[str]:
    with store.read() as tx:
        return [entry["kind"] for entry in entries(tx, incident_id=None)]


@pytest.mark.parametrize("work", PERIODIC, ids=lambda work: work.name)
def test_all_periodic_work_may_be_done_twice(store: Store, world: World, work: Periodic) -> None:
    for _ in range(2):
        handler_of(work.handler)(store)


def test_of_many_relays_one_does_the_round_and_the_next_comes_after_its_time(store: Store) -> None:
    work = Periodic("test", 10, "")
    assert [periodic.is_mine(store, work) for _ in range(3)] == [True, False, False]
    with time_machine.travel(clock.now() + timedelta(seconds=11), tick=False):
        assert [periodic.is_mine(store, work) for _ in range(2)] == [True, False]


def test_a_checkpoint_leaves_the_database_and_proves_the_record(store: Store, world: World, tmp_path: Path) -> None:
    store.settings = replace(store.settings, checkpoint_sink=str(tmp_path / "checkpoint.json"))
    with store.unit_of_work() as tx:
        timeline.append(tx, "test.said", "Something.", actor="system")
    due.checkpoint(store)
    due.checkpoint(store)  # nothing happened since
    with store.read() as tx:
        assert tx.execute(select(func.count()).select_from(Checkpoint)).scalar_one() == 1
        kept = (tmp_path / "checkpoint.json").read_bytes()
        assert json.loads(kept)["number"] == 1
        assert verify(tx, against=kept).broken == ""


def test_a_timer_that_lost_its_wake_up_gets_a_new_one(store: Store, world: World) -> None:
    person(store, "duty-officer")
    run = run_of(store, document({"a": action(on_completion="end") | {"delay": 1000}, "end": end()}, "a"))
    with store.unit_of_work() as tx:
        tx.execute(delete(Pending).where(Pending.kind == "timer"))
    with time_machine.travel(clock.now() + timedelta(minutes=6), tick=False):
        due.find_stuck(store)
        drain(store)
    assert len(run.tasks()) == 1
    with store.read() as tx:
        assert tx.execute(select(Timer.fired_at)).scalar_one() is not None


def test_a_report_that_was_kept_and_not_read_is_read_by_a_worker_once(store: Store, world: World) -> None:
    with store.unit_of_work() as tx:  # and then the process was killed
        kept = intake.keep_raw(
            tx, via="webhook", media_type="application/json", raw=json.dumps(native()).encode(), message_id="msg_a",
            endpoint=intake_endpoint(tx, world.endpoint),
        )  # fmt: skip
    due.find_unread(store)
    assert disposition(store, kept.report_id) == "received", "whoever kept it may still be at it"
    with time_machine.travel(clock.now() + timedelta(seconds=30), tick=False):
        due.find_unread(store)
        due.find_unread(store)
        with store.read() as tx:
            told = select(func.count()).select_from(Pending).where(Pending.kind == "report.received")
            assert tx.execute(told).scalar_one() == 1
        drain(store)
    assert disposition(store, kept.report_id) == "accepted"
    with store.unit_of_work() as tx:  # word of one that was read after all changes nothing
        timeline.pending(tx, "report.received", kept.report_id)
    drain(store)
    with store.read() as tx:
        assert tx.execute(select(func.count()).select_from(Incident)).scalar_one() == 1


def disposition(store: Store, report_id: int) -> str:
    with store.read() as tx:
        return tx.execute(select(Report.disposition).where(Report.id == report_id)).scalar_one()


def test_what_has_had_its_time_is_taken_away(store: Store, world: World) -> None:
    someone = person(store, "coordinator")
    with store.unit_of_work() as tx:
        create_link(tx, someone.user_id, actor="cli:test")
        tx.add(Heartbeat(name="worker@gone:1", kind="worker", at=clock.now(), detail={}))
    due.expire(store)
    with store.read() as tx:
        assert tx.execute(select(func.count()).select_from(SignInLink)).scalar_one() == 1
    with time_machine.travel(clock.now() + timedelta(days=40), tick=False):
        due.expire(store)
    with store.read() as tx:
        assert tx.execute(select(func.count()).select_from(SignInLink)).scalar_one() == 0
        assert tx.execute(select(Heartbeat.name).where(Heartbeat.kind == "worker")).all() == []


def test_what_was_refused_goes_after_thirty_days_with_its_key_and_leaves_a_tombstone(
    store: Store, world: World
) -> None:
    with store.unit_of_work() as tx:
        kept = intake.keep_raw(tx, via="webhook", media_type="application/json", raw=b'{"title": ', message_id="m",
                               endpoint=intake_endpoint(tx, world.endpoint), endpoint_key_id=1)  # fmt: skip
        intake.read_report(tx, kept.report_id)
    due.expire(store)
    with store.read() as tx:
        assert tx.execute(select(func.count()).select_from(ReportBody)).scalar_one() == 1
    with time_machine.travel(clock.now() + timedelta(days=31), tick=False):
        due.expire(store)
        due.expire(store)
    with store.read() as tx:
        assert tx.execute(select(func.count()).select_from(ReportBody)).scalar_one() == 0
        report = tx.execute(select(Report)).scalar_one()
        assert tx.get_one(DataKey, report.data_key_id).wrapped is None
        [entry] = [each for each in entries(tx, incident_id=None) if each["kind"] == "report.erased"]
        assert entry["values"]["digest"] == report.raw_digest and entry["values"]["report"] == report.public_id
        assert entry["values"]["rule"] == "refused-report-30-days" and verify(tx).broken == ""


def test_rows_that_wait_too_long_are_counted(store: Store, world: World) -> None:
    with store.unit_of_work() as tx:
        timeline.pending(tx, "timer", 1)
        tx.execute(update(Pending).values(ready_at=clock.now() - timedelta(minutes=10)))
    due.find_stuck(store)
    with store.read() as tx:
        detail = tx.execute(select(Heartbeat.detail).where(Heartbeat.kind == due.ROWS)).scalar_one()
    assert detail["stuck"] == 1 and detail["oldest_ready_at"]
