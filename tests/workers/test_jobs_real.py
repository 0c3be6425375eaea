"""Rows, a real broker and real worker processes: done once whatever is lost, doubled, emptied or killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from coordinator import clock
from coordinator.timeline.models import Heartbeat, Pending
from tests.harness.processes import wait_for
from tests.workers.machine import TABLE, Machine, machine
from workers import app, relay


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path / "data") as made:
        yield made


def test_what_is_pending_is_done_once_and_its_row_is_gone(parts: Machine) -> None:
    parts.start("worker")
    parts.start("relay")
    parts.queue("test.write", *range(100))
    parts.queue("test.nothing", 1)
    parts.until_idle()
    assert parts.effects() == list(range(100))
    assert parts.stop("worker") == 0
    assert parts.stop("relay") == 0


def test_every_subscriber_of_a_kind_gets_its_own_row(parts: Machine) -> None:
    parts.start("worker")
    parts.start("relay")
    parts.queue("test.pair", 7)
    parts.until_idle()
    assert parts.effects("write") == [7] and parts.effects("other") == [7]


@pytest.mark.slow
def test_a_job_whose_worker_is_killed_is_done_by_another_and_leaves_one_effect(parts: Machine) -> None:
    parts.start("worker-1")
    parts.start("relay")
    parts.queue("test.hang-once", 1)
    mark = Path(parts.env["COORDINATOR_DATA_DIR"]) / "hangs-1"
    wait_for(mark.exists, what="the first worker to hang")
    parts.kill("worker-1")
    parts.start("worker-2")
    parts.until_idle()
    assert parts.effects() == [1]


def test_an_emptied_broker_loses_nothing(parts: Machine) -> None:
    parts.start("relay")
    parts.queue("test.write", *range(40))
    wait_for(lambda: _leased(parts) == 40, what="every row to be handed out")
    parts.flush_broker()  # every message is gone, no worker ever saw one
    parts.start("worker")
    parts.until_idle()
    assert parts.effects() == list(range(40))


def test_doubled_and_late_messages_do_nothing(parts: Machine) -> None:
    parts.queue("test.write", *range(20))
    parts.queue("test.outside", *range(20))
    claimed = relay.claim(parts.store, TABLE)
    assert len(claimed) == 40
    celery = app.make_celery(parts.broker.url)
    for _ in range(3):
        for each in claimed:
            celery.send_task(app.JOB, args=(each.pending_id, clock.rfc3339(each.lease), ""), queue=each.job.queue)
    celery.send_task(app.JOB, args=(999_999, clock.rfc3339(clock.now()), ""), queue="main")
    parts.start("worker-1")
    parts.start("worker-2")
    parts.until_idle()
    celery.send_task(app.JOB, args=(claimed[0].pending_id, clock.rfc3339(claimed[0].lease), ""), queue="main")
    parts.start("relay")
    parts.queue("test.write", 100)
    parts.until_idle()
    assert parts.effects() == [*range(20), 100]
    assert parts.effects("outside") == list(range(20))


def test_two_relays_hand_each_row_out_once(parts: Machine) -> None:
    parts.env["TEST_LEASE"] = "55"  # or what lay in the broker for long is sent again; over a minute it is not believed
    parts.start("relay-1")
    parts.start("relay-2")
    parts.queue("test.write", *range(40))
    wait_for(lambda: _queued(parts) >= 40, what="every row to be queued")
    assert _queued(parts) == 40
    parts.start("worker")
    parts.until_idle()
    assert parts.effects() == list(range(40))


def test_commits_go_on_while_the_broker_is_away_and_are_done_when_it_is_back(parts: Machine) -> None:
    parts.start("worker")
    parts.start("relay")
    parts.queue("test.write", 1)
    parts.until_idle()
    parts.kill("broker")
    parts.queue("test.write", *range(2, 30))
    parts.start_broker()
    parts.until_idle()
    assert parts.effects() == list(range(1, 30))
    assert parts.processes["worker"].poll() is None and parts.processes["relay"].poll() is None


@pytest.mark.slow
def test_a_worker_outlives_its_broker_with_messages_in_hand(parts: Machine) -> None:
    """Celery 5.7.0 with a pool of processes ended here, which is why its version is bounded (docs/decisions.md)."""
    worker = parts.start("worker")
    parts.start("relay")
    for round_ in range(3):
        parts.queue("test.slow", *range(round_ * 100, round_ * 100 + 40))
        wait_for(lambda: bool(_unacknowledged(parts)), what="messages in hand")
        parts.kill("broker")
        parts.start_broker()
    parts.until_idle()
    assert worker.poll() is None
    assert parts.effects() == [number for round_ in range(3) for number in range(round_ * 100, round_ * 100 + 40)]


def test_a_job_that_fails_waits_longer_each_time_and_says_only_the_kind_of_fault(parts: Machine) -> None:
    parts.start("worker")
    parts.start("relay")
    parts.queue("test.fail", 1)
    wait_for(lambda: _row(parts).attempts >= 2, what="a second attempt")
    row = _row(parts)
    assert row.last_fault == "RuntimeError" and row.ready_at > row.created_at and not row.dead
    assert parts.effects("fail") == []


def test_each_process_shows_that_it_lives_and_takes_its_sign_away_when_it_ends_well(parts: Machine) -> None:
    parts.start("worker")
    parts.start("relay")
    wait_for(lambda: {"worker", "relay"} <= _kinds(parts), what="signs of life")
    parts.stop("worker")
    parts.stop("relay")
    assert not {"worker", "relay"} & _kinds(parts)


def test_processes_forked_from_one_are_forked_again_and_end_with_it(parts: Machine) -> None:
    parent = parts.start("forks", sys.executable, "-m", "tests.workers.machine", "forks")
    wait_for(lambda: len(_children(parent.pid)) == 3, what="three children")
    before = _children(parent.pid)
    os.kill(min(before), signal.SIGKILL)
    wait_for(lambda: len(_children(parent.pid) - {min(before)}) == 3, what="another in its place")
    parts.queue("test.write", 1)
    parts.until_idle()
    orphans = _children(parent.pid)
    parts.kill("forks")
    wait_for(lambda: not any(_runs(pid) for pid in orphans), what="the children to end")


def _leased(parts: Machine) -> int:
    with parts.store.read() as tx:
        return tx.execute(text("SELECT count(*) FROM pending WHERE lease_until IS NOT NULL")).scalar_one()


def _queued(parts: Machine) -> int:
    from coordinator.live import connect

    return int(connect(parts.broker.url).llen("main"))


def _unacknowledged(parts: Machine) -> int:
    from coordinator.live import connect

    return int(connect(parts.broker.url).hlen("unacked"))


def _row(parts: Machine) -> Pending:
    with parts.store.read() as tx:
        return tx.query(Pending).filter(Pending.kind == "test.fail").one()


def _kinds(parts: Machine) -> set[str]:
    with parts.store.read() as tx:
        return {row.kind for row in tx.query(Heartbeat)}


def _children(pid: int) -> set[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout
    return {int(each) for each in found.split()}


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
