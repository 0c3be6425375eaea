"""More new incidents from one endpoint than an hour allows: kept and answered, and grouped as one."""

from __future__ import annotations

import multiprocessing
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from coordinator import clock
from coordinator.app import create_app
from coordinator.errors import Invalid
from coordinator.incidents import flood, quarantine, quarantine_queries
from coordinator.incidents.models import Flood, Incident, Quarantined, Report
from coordinator.store import Store
from coordinator.tasks.models import Task
from coordinator.timeline import queries as record
from coordinator.timeline.models import Pending
from tests.alerting import settings_of
from tests.factories import PartnerSystem, World, at_endpoint, inbound_endpoint, native, person
from tests.harness.processes import PATIENCE
from workers import due

LIMIT = 5
PROCESSES = multiprocessing.get_context("spawn")


@pytest.fixture
def store(store):
    with settings_of(store, flood_limit=LIMIT):
        yield store


def send(partner, count, **fields):
    return [partner.post(native(title=f"Number {number}", **fields)).get_json()["disposition"]
            for number in range(count)]  # fmt: skip


def count(store, model, *where):
    with store.read() as tx:
        return tx.execute(select(func.count()).select_from(model).where(*where)).scalar_one()


def test_what_comes_over_the_limit_is_one_flood_with_one_word_to_our_people(store, partner):
    assert send(partner, LIMIT + 7) == ["accepted"] * LIMIT + ["quarantined"] * 7
    assert (count(store, Incident), count(store, Flood)) == (LIMIT, 1)
    with store.read() as tx:
        waiting = tx.execute(select(Pending.kind)).scalars().all()
        assert waiting.count("flood.began") == 1
        assert waiting.count("incident.opened") == waiting.count("report.accepted") == LIMIT
        assert "report.quarantined" not in waiting and "quarantine.due" not in waiting
        rows = tx.execute(select(Quarantined.reason, Quarantined.flood_id)).all()
        assert {tuple(row) for row in rows} == {("flood", 1)}


def test_further_reports_on_known_incidents_and_other_endpoints_are_no_flood(store, client, world, partner):
    send(partner, LIMIT, external_id="FI-1")
    assert count(store, Incident) == 1
    send(partner, LIMIT - 1)
    assert partner.post(native(external_id="FI-1", title="More")).get_json()["disposition"] == "update"
    assert send(partner, 1, language="fi") == ["quarantined"]
    with store.unit_of_work() as tx:
        _, secret = inbound_endpoint(tx, world.other_id, "lv-in")
    assert send(at_endpoint(client, world, "lv-in", secret), 2) == ["accepted"] * 2


def test_life_at_risk_in_a_flood_still_calls_a_person(store, partner):
    send(partner, LIMIT)
    send(partner, 1, humanitarian_flags=["life-at-risk"])
    assert count(store, Pending, Pending.kind == "report.quarantined") == 1


def test_the_next_hour_has_room_again(store, partner):
    send(partner, LIMIT + 1)
    with store.unit_of_work() as tx:  # an hour later, as the database sees it: reports cannot be moved in time
        flood._rooms.pop(store)
        opened = {"endpoint_id": 1, "since": clock.now() + timedelta(seconds=1), "most": LIMIT}
        assert tx.execute(flood._OPENED, opened).scalar_one() == 0
        assert flood.over(tx, {1: 1}) == {1}


def test_no_limit_means_no_flood(store, partner):
    with settings_of(store, flood_limit=0):
        assert send(partner, LIMIT * 2) == ["accepted"] * LIMIT * 2


def test_room_for_several_is_taken_at_once_and_never_more_than_there_is(store, partner):
    with store.unit_of_work() as tx:
        assert flood.over(tx, {1: LIMIT + 1, 2: LIMIT}) == {1}
        assert flood.over(tx, {1: LIMIT}) == set()


def test_many_at_once_begin_one_flood(store, app, world, partner):
    send(partner, LIMIT)

    def post(number):
        system = at_endpoint(app.test_client(), world, world.endpoint, world.secret)
        system.post(native(title=f"At once {number}"), f"at-once-{number}")

    threads = [threading.Thread(target=post, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (count(store, Flood), count(store, Quarantined)) == (1, 8)


def test_two_processes_at_once_open_exactly_as_many_as_the_limit_says(store, world):
    """Each tries from four threads to open far more than the limit."""
    said, go = PROCESSES.Queue(), PROCESSES.Barrier(2)
    going = [
        PROCESSES.Process(target=_post_many, args=(store.settings, world.endpoint, world.secret, name, said, go))
        for name in ("one", "two")
    ]
    for process in going:
        process.start()
    outcomes = [said.get(timeout=PATIENCE) for _ in going]
    for process in going:
        process.join(PATIENCE)
    assert [process.exitcode for process in going] == [0, 0]
    assert sum(each["accepted"] for each in outcomes) == LIMIT == count(store, Incident)
    assert sum(each["quarantined"] for each in outcomes) == 2 * 4 * 6 - LIMIT


def _post_many(settings, endpoint, secret, name, said, go):
    """One process: its own store, four threads with six reports each."""
    own = Store(settings)
    app = create_app(own, pages=False)
    go.wait(PATIENCE)

    def post(thread):
        system = PartnerSystem(app.test_client(), World(0, 0, 0, 0, secret, endpoint))
        return [system.post(native(title=f"{name} {thread} {number}"), f"{name}-{thread}-{number}").get_json()
                for number in range(6)]  # fmt: skip

    with ThreadPoolExecutor(4) as pool:
        answers = [answer for several in pool.map(post, range(4)) for answer in several]
    own.close()
    said.put(Counter(answer["disposition"] for answer in answers))


def test_its_one_task_goes_when_all_of_it_was_handled_and_the_next_one_is_another(store, partner, world):
    officer = person(store, "duty-officer")
    send(partner, LIMIT + 3)
    with store.unit_of_work() as tx:
        due.flood_began(tx, 1)
        [task] = tx.execute(select(Task)).scalars()
        assert (task.role, task.state) == ("duty-officer", "open")
        assert quarantine_queries.flood_of_task(tx, task.id) == 1
        [shown] = quarantine_queries.floods(tx)
        assert (shown["endpoint"], shown["from"], shown["waiting"]) == ("fi-in", "FI-CSIRT", 3)
        first = quarantine_queries.waiting(tx, principal=officer, flood_id=1)[0]["report"]
        assert quarantine.release(tx, first, principal=officer).disposition == "accepted"
    with pytest.raises(Invalid), store.unit_of_work() as tx:
        quarantine.refuse_flood(tx, 1, principal=officer, reason="")
    with store.unit_of_work() as tx:
        assert quarantine.refuse_flood(tx, 1, principal=officer, reason="Their key was stolen.") == 2
        due.flood_over(tx, 1)
        assert tx.get_one(Task, task.id).state == "cancelled"
        assert quarantine_queries.floods(tx) == []
        [entry] = [one for one in record.entries(tx, incident_id=None) if one["kind"] == "flood.refused"]
        assert len(entry["values"]["reports"]) == 2
    assert count(store, Report, Report.disposition == "rejected") == 2
    assert send(partner, 1, language="sv") == ["quarantined"]
    assert (count(store, Flood), count(store, Flood, Flood.over_at.is_(None))) == (2, 1)


def test_a_flood_that_is_over_before_its_task_is_made_gets_none(store, partner):
    send(partner, LIMIT + 1)
    with store.unit_of_work() as tx:
        tx.execute(update(Flood).values(over_at=clock.now(), open_slot=None))
        due.flood_began(tx, 1)
    assert count(store, Task) == 0
