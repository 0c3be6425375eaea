"""Several processes at the same runs at the same moment: nothing is lost, nothing goes on twice."""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from sqlalchemy import func, select

from coordinator import clock, config, migrations
from coordinator.alerts import service as alerts
from coordinator.alerts.models import Alert, Delivery
from coordinator.alerts.rungs import ack_token
from coordinator.runs.models import Run, Timer
from coordinator.store import Store
from coordinator.timeline.models import Entry
from coordinator.vault import open_master_key
from tests.alerting import mailbox, put_contact, put_organisation, settings_of
from tests.factories import small_world
from tests.harness.processes import PATIENCE
from tests.playbooks.documents import action, document, end
from tests.postgres import Database, PostgresServer
from tests.workers.drained import OUTSIDE, drain
from tests.workers.running import run_of
from workers import jobs, relay

PARTNERS = 5
CHECK = {"kind": "alert", "message": "check", "audience": {"directory": "all"}, "tlp_max": "CLEAR",
         "purpose": "situational-awareness", "category": "contact-check",
         "ack": {"from": "each", "by": "person", "within": "P1D", "on_expiry": "fail"},
         "out": {"acknowledged_count": "__count__"}}  # fmt: skip
#: Forked before the store is opened: no connection crosses a fork.
PROCESSES = multiprocessing.get_context("spawn")


def work_on(settings: Any, tokens: list[str], go: Any, seconds: float) -> None:
    """A process of its own: answers these links, then does whatever is due, until nothing is left for a while."""
    store = Store(settings)
    go.wait(PATIENCE)
    for token in tokens:
        with store.unit_of_work() as tx:
            alerts.acknowledge(tx, token=token, kind="person", by="Desk", answer="acknowledged", assurance="link")
    last = time.monotonic() + seconds
    while time.monotonic() < last:
        for each in relay.claim(store):
            if each.job.name not in OUTSIDE:
                jobs.run(store, each.pending_id, clock.rfc3339(each.lease), relay.JOBS)
                last = time.monotonic() + seconds
        time.sleep(0.01)
    store.close()


def two_at_once(store: Store, shares: list[list[str]], *, seconds: float = 1.0) -> None:
    """Two processes with their tokens start at the same moment; returns when both are done."""
    go = PROCESSES.Barrier(len(shares))
    running = [PROCESSES.Process(target=work_on, args=(store.settings, share, go, seconds)) for share in shares]
    for each in running:
        each.start()
    for each in running:
        each.join(PATIENCE)
        assert each.exitcode == 0


def ended(store: Store, run_id: int) -> tuple[str, int]:
    with store.read() as tx:
        times = select(func.count()).select_from(Entry).where(Entry.kind == "run.ended", Entry.object_id == run_id)
        return tx.get_one(Run, run_id).state, tx.execute(times).scalar_one()


def test_five_contacts_acknowledge_in_the_same_second_from_two_processes(store: Store) -> None:
    small_world(store)
    with store.unit_of_work() as tx:
        for number in range(PARTNERS):
            put_organisation(tx, f"P{number}")
            put_contact(tx, mailbox(f"duty@p{number}.example"), code=f"p{number}-duty", organisation=f"P{number}",
                        tlp_max="RED")  # fmt: skip
    with settings_of(store, smtp_url="smtp://127.0.0.1:1"):
        run = run_of(store, document({
            "a": action(work=CHECK, out_args=["__count__"], on_completion="end"), "end": end(),
        }, "a", variables={"__count__": {"type": "integer", "value": "0"}}))  # fmt: skip
        with store.unit_of_work() as tx:
            query = select(Delivery).join(Alert, Alert.id == Delivery.alert_id).where(Alert.user_id.is_(None))
            tokens = [ack_token(tx, each) for each in tx.execute(query.order_by(Delivery.id)).scalars()]
        assert len(tokens) == PARTNERS and run.state == "waiting"
        two_at_once(store, [tokens[:3], tokens[2:]])  # one contact answers in both
        drain(store)
    assert ended(store, run.run_id) == ("completed", 1)
    assert run.variables["__count__"] == str(PARTNERS)


@pytest.mark.parametrize("runs", [12])
def test_timers_due_in_one_minute_fire_once_each_with_two_workers(store: Store, runs: int) -> None:
    """The short form; at the end of this file is the long one."""
    timers_with_two_workers(store, runs)


def timers_with_two_workers(store: Store, runs: int) -> None:
    small_world(store)
    wait = {"kind": "wait", "event": "time", "until": {"within": "PT1H"}}
    raw = document({"a": action(work=wait, on_completion="end"), "end": end()}, "a")
    made = []
    start = clock.now() - timedelta(minutes=62)
    for number in range(runs):  # an hour ago, within one minute
        with time_machine.travel(start + timedelta(seconds=number * 60 / runs), tick=False):
            made.append(run_of(store, raw).run_id)
    two_at_once(store, [[], []], seconds=2.0)
    drain(store)
    assert [ended(store, run_id) for run_id in made] == [("completed", 1)] * runs
    with store.read() as tx:
        assert tx.execute(select(func.count()).select_from(Timer).where(Timer.fired_at.is_(None))).scalar_one() == 0


def main(runs: int, database: Database | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        made = config.load({}, data_dir=Path(folder))
        if database is not None:
            made = replace(made, database_url=database.app_url, owner_database_url=database.owner_url)
        opened = Store(made, vault=open_master_key(made.master_key_file, create=True))
        migrations.upgrade(made)
        timers_with_two_workers(opened, runs)
        opened.close()
    print(f"{runs} timers fired once each on {'PostgreSQL' if database else 'SQLite'}")


if __name__ == "__main__":  # the long form: python -m tests.workers.test_at_once 1000 [--postgresql]
    if "--postgresql" in sys.argv:
        with PostgresServer() as server:
            main(int(sys.argv[1]), server.new_database())
    else:
        main(int(sys.argv[1]), None)
