"""What a service was given by a request: who holds it, what follows of it, and a worker killed on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from pytest_httpserver import HTTPServer
from sqlalchemy import select
from werkzeug import Request, Response

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.alerts import corrections, recalls, released, reviews
from coordinator.alerts import service as alerts
from coordinator.alerts.models import Alert
from coordinator.alerts.recalls import LOOK
from coordinator.errors import Invalid
from coordinator.incidents.models import Incident
from coordinator.partners.queries import organisation_by_code
from coordinator.runs.models import HttpAttempt, HttpCall
from coordinator.status import ledger, ledger_file
from coordinator.store import Store
from coordinator.tasks.models import Task
from coordinator.tasks.service import complete_task
from coordinator.timeline.queries import entries
from coordinator.timeline.verify import verify
from tests.asked import asked
from tests.factories import PARTNER, person
from tests.workers.drained import drain
from tests.workers.running import Running
from tests.workers.test_steps_http import calls, ledger_of, listed, run, send
from workers import call_service

ASKED = '{"level": "__level__:value"}'
UPDATE = {"title": "News", "body": "It is contained.", "purpose": "incident-response",
          "info_category": "incident-notification", "requested_by": "user:1"}  # fmt: skip
ONE_ATTEMPT = """
import json, sys
from dataclasses import replace
from pathlib import Path
from coordinator import config
from coordinator.store import Store
from coordinator.vault import open_master_key
from workers import call_service
said = json.loads(sys.argv[1])
settings = config.load({}, data_dir=Path(said["data_dir"]))
settings = replace(settings, database_url=said["url"], outbound_allow_private=True)
call_service.send(Store(settings, vault=open_master_key(Path(said["key"]), create=False)), said["call"])
"""


@pytest.fixture
def officer(desk: Store) -> Principal:
    return person(desk)


@pytest.fixture
def asking(desk: Store, httpserver: HTTPServer, officer: Principal) -> Running:
    """A run whose request, with a value of its incident, the service has answered."""
    listed(desk, httpserver)
    httpserver.expect_request("/tickets").respond_with_data("{}")
    done = run(desk, httpserver, content=ASKED, tlp="CLEAR")
    send(desk)
    assert done.state == "completed"
    return done


def held(store: Store) -> Alert:
    with store.read() as tx:
        return tx.execute(select(Alert).where(Alert.kind == "automatic")).scalar_one()


def messages(store: Store) -> list[str]:
    """What was sent or is on its way to somebody outside, besides the request."""
    with store.read() as tx:
        query = select(Alert.kind).where(Alert.organisation_id.is_not(None), Alert.kind != "automatic")
        return list(tx.execute(query.order_by(Alert.id)).scalars())


def to_do(store: Store) -> list[tuple[str, str]]:
    with store.read() as tx:
        found = tx.execute(select(Task).where(Task.title.contains(PARTNER), Task.state == "open")).scalars().all()
    return [(task.title, asked(store, task).instructions) for task in found]


def test_a_recall_names_the_service_as_a_holder_and_a_person_asks_for_it(
    desk: Store, httpserver: HTTPServer, officer: Principal, asking: Running
) -> None:
    with desk.unit_of_work() as tx:
        recalls.recall_alert(tx, held(desk).id, principal=officer, reason="It was not ours to tell.")
    drain(desk)
    assert messages(desk) == [] and len(httpserver.log) == 1
    line = ledger_of(desk, officer)[0]
    assert (line["kind"], line["recipient"], line["recall"]["state"]) == ("automatic", PARTNER, "not-sent")
    [(title, said)] = to_do(desk)
    assert "delete what its system was given by a request" in title
    assert "Nothing goes to a system by itself" in said and "It was not ours to tell." in said


@pytest.mark.parametrize(("outcome", "result", "state", "by", "note"), [
    ("successful", {"answer": "deleted", "said": "The ticket is gone."}, "deleted", "Aino", "The ticket is gone."),
    ("successful", {"answer": "cannot-delete", "said": "Their law keeps it a year."}, "cannot-delete", "Aino",
     "Their law keeps it a year."),
    ("failed", {"note": "Nobody answers there."}, "could-not", "Coordinator", "Nobody answers there."),
])  # fmt: skip
def test_what_somebody_there_said_became_of_it_is_the_answer_to_the_recall(
    desk: Store, officer: Principal, asking: Running, outcome: str, result: dict[str, str], state: str, by: str,
    note: str,
) -> None:  # fmt: skip
    with desk.unit_of_work() as tx:
        recalls.recall_alert(tx, held(desk).id, principal=officer, reason="It was not ours to tell.")
        task = tx.execute(select(Task).where(Task.title.contains("by a request"), Task.state == "open")).scalar_one()
        if outcome == "successful":
            with pytest.raises(Invalid):  # kept or not: somebody there said it, and something
                complete_task(tx, task.id, principal=officer, outcome=outcome, result=result)
            result = result | {"spoke_with": "Aino"}
        complete_task(tx, task.id, principal=officer, outcome=outcome, result=result)
    drain(desk)
    recall = ledger_of(desk, officer)[0]["recall"]
    assert (recall["state"], recall["by"], recall["note"]) == (state, by, note) and recall["answered_at"] is not None
    with desk.read() as tx:
        said = [entry["values"] for entry in entries(tx, incident_id=asking.incident_id, limit=1000)
                if entry["kind"] == "alert.acknowledged"]  # fmt: skip
        asked_for = ledger.Asked()
        [row] = next(iter(ledger_file.batches(desk, principal=officer, asked=asked_for)))
    assert [(each["answer"], each["assurance"]) for each in said] == [(state, "noted-by-officer")]
    cells = dict(zip(ledger_file.COLUMNS, row, strict=True))
    assert (cells["recall_state"], cells["recall_answered_by"], cells["recall_note"]) == (state, by, note)
    assert [title for title, _ in to_do(desk)] == ([] if state == "deleted" else [LOOK[state].format(code=PARTNER)])


def test_a_later_answer_takes_the_place_of_that_nobody_could_say(
    desk: Store, officer: Principal, asking: Running
) -> None:
    with desk.unit_of_work() as tx:
        recalls.recall_alert(tx, held(desk).id, principal=officer, reason="It was not ours to tell.")
        task = tx.execute(select(Task).where(Task.title.contains("by a request"), Task.state == "open")).scalar_one()
        complete_task(tx, task.id, principal=officer, outcome="failed", result={"note": "Nobody answers there."})
    drain(desk)
    for _again in range(2):
        with desk.unit_of_work() as tx:
            alerts.acknowledge_for(tx, held(desk).id, by="Aino", answer="deleted", principal=officer)
    drain(desk)
    recall = ledger_of(desk, officer)[0]["recall"]
    assert (recall["state"], recall["by"]) == ("deleted", "Aino")


def test_an_update_and_a_correction_go_to_no_system_and_a_person_has_to_say_it_once(
    desk: Store, httpserver: HTTPServer, officer: Principal, asking: Running
) -> None:
    for _again in range(2):
        with desk.unit_of_work() as tx:
            told = alerts.tell(tx, incident=tx.get_one(Incident, asking.incident_id), kind="update", **UPDATE)
        assert told.permitted == told.referred == told.denied == told.unreachable == ()
    assert [title for title, _ in to_do(desk)] == [f"Tell {PARTNER}, whose system was given something, what is new"]
    with desk.unit_of_work() as tx:
        incident = tx.get_one(Incident, asking.incident_id)
        corrections.correct(tx, incident, str(held(desk).id), **UPDATE)
    drain(desk)
    assert messages(desk) == [] and len(httpserver.log) == 1
    assert to_do(desk)[1][0] == f"Tell {PARTNER} that what its system was given was corrected"


def test_a_label_raised_afterwards_lists_the_service_among_those_who_have_it(
    desk: Store, officer: Principal, asking: Running
) -> None:
    with desk.unit_of_work() as tx:
        incident = tx.get_one(Incident, asking.incident_id)
        incident.tlp, incident.marking = "RED", {**incident.marking, "tlp": "RED"}
        reviews.after_raise(tx, incident.id)
    with desk.read() as tx:
        [row] = tx.execute(select(reviews.Review)).scalars()
    assert row.alerts == [held(desk).id] and row.answer == ""


def test_the_partner_reads_on_its_own_page_what_its_system_was_asked(desk: Store, asking: Running) -> None:
    with desk.read() as tx:
        organisation = organisation_by_code(tx, PARTNER)
    reader = person(desk, "partner-user", organisation_id=organisation.id if organisation else None)
    with desk.unit_of_work() as tx:  # that it was read goes on record
        [line] = released.released(tx, reader=reader)["items"]
        page = released.one_released(tx, line["public_id"], reader=reader)
    assert (line["kind"], line["kind_name"]) == ("automatic", "Request to a service of yours")
    assert "POST" in page["body"] and page["asks_answer"] is False


def test_a_worker_killed_between_the_request_and_its_note_asks_again_under_the_same_key(
    desk: Store, httpserver: HTTPServer, officer: Principal
) -> None:
    listed(desk, httpserver)
    keys: list[str] = []
    workers: list[subprocess.Popen[bytes]] = []

    def take(request: Request) -> Response:
        keys.append(request.headers["Idempotency-Key"])
        if len(keys) == 1:  # it has the request, and the worker dies before it hears of that
            os.kill(workers[0].pid, signal.SIGKILL)
            workers[0].wait()
        return Response('{"ticket": 9}', status=201)

    httpserver.expect_request("/tickets").respond_with_handler(take)
    done = run(desk, httpserver, content=ASKED, tlp="CLEAR")
    number = calls(desk)[0].id
    said = {"data_dir": str(desk.settings.data_dir), "url": desk.settings.database_url, "call": number,
            "key": str(desk.settings.master_key_file)}  # fmt: skip
    workers.append(subprocess.Popen([sys.executable, "-c", ONE_ATTEMPT, json.dumps(said)]))
    assert workers[0].wait(timeout=60) == -signal.SIGKILL and len(keys) == 1
    with desk.unit_of_work() as tx:
        row = tx.get_one(HttpCall, number)
        assert (row.state, row.fence) == ("waiting", 1) and tx.execute(select(HttpAttempt.id)).first() is None
        assert row.lease_until is not None
        row.lease_until = clock.now() - timedelta(seconds=1)  # its time with the dead worker is over
    call_service.send(desk, number)
    drain(desk)
    assert done.state == "completed" and done.variables["__ticket__"] == "9"
    assert len(keys) == 2 and len(set(keys)) == 1
    with desk.read() as tx:
        assert [tuple(each) for each in tx.execute(select(HttpAttempt.number, HttpAttempt.status))] == [(2, 201)]
        assert not verify(tx).broken
    assert [each["state"] for each in done.said("http.answered")] == ["done"] and len(done.said("http.asked")) == 1
    [line] = ledger_of(desk, officer)
    assert (line["recipient"], line["sure"]) == (PARTNER, "delivered")
