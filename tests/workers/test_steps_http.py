"""Steps of type http-api against a real server on this machine: what is sent by itself, and what a person gets."""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from sqlalchemy import select
from werkzeug import Request, Response

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.alerts.changes import withdraw
from coordinator.alerts.models import Alert
from coordinator.partners import http_hosts
from coordinator.partners.queries import organisation_by_code
from coordinator.runs import service as runs
from coordinator.runs.models import HttpAttempt, HttpCall
from coordinator.sharing.approvals import approve, refuse
from coordinator.sharing.models import ShareDecision
from coordinator.status import ledger
from coordinator.store import Store
from coordinator.timeline.keys import destroy
from coordinator.timeline.models import Pending
from coordinator.upkeep import doctor
from playbooks.events import Cancel
from tests.alerting import agreement, due, put_organisation, settings_of
from tests.asked import asked
from tests.factories import PARTNER, person
from tests.playbooks.documents import action, document, end, sid
from tests.workers.drained import drain
from tests.workers.running import Running, run_of
from workers import call_service
from workers.steps import ARMS

VARIABLES = {"__status__": {"type": "string", "value": ""}, "__ticket__": {"type": "string", "value": ""},
             "__level__": {"type": "string", "value": "high"}}  # fmt: skip
TOKEN = "Bearer canary-7d1e"


@pytest.fixture
def officer(desk: Store) -> Principal:
    return person(desk, "duty-officer")


def listed(store: Store, server: HTTPServer, **more: Any) -> None:
    fields = {"id": "fi-api", "organisation": PARTNER, "origin": server.url_for(""), "methods": ["POST"],
              "credential": TOKEN}  # fmt: skip
    with store.unit_of_work() as tx:
        http_hosts.put_http_host(tx, fields | more, actor="cli:test")


def run(store: Store, server: HTTPServer, *, content: str = '{"level": "fixed"}', line: str = "POST /tickets HTTP/1.1",
        headers: Any = None, **incident: Any) -> Running:  # fmt: skip
    command: dict[str, Any] = {"type": "http-api", "command": line, "content": content}
    step = action("Ask", commands=[command | ({"headers": headers} if headers else {})],
                  out_args=["__status__", "__ticket__"], on_completion="end")  # fmt: skip
    step["targets"] = [sid("http-api:service")]
    target = {"type": "http-api", "name": "Service", "address": {"url": [server.url_for("")]}}
    whole = document({"a": step, "end": end()}, "a", variables=VARIABLES,
                     target_definitions={sid("http-api:service"): target})  # fmt: skip
    return run_of(store, whole, with_incident=True, **incident)


def send(store: Store) -> None:
    """Send what is due, and let follow what follows."""
    for call_id in due(store, "http.due"):
        call_service.send(store, call_id)
    drain(store)


def ledger_of(store: Store, officer: Principal) -> list[dict[str, Any]]:
    with store.read() as tx:
        return ledger.lines(tx, principal=officer, asked=ledger.Asked())["items"]


def calls(store: Store) -> list[HttpCall]:
    with store.read() as tx:
        return list(tx.execute(select(HttpCall).order_by(HttpCall.id)).scalars())


def test_a_listed_service_is_asked_with_its_credential_and_the_answer_fills_variables(
    desk: Store, httpserver: HTTPServer, officer: Principal
) -> None:
    listed(desk, httpserver)
    seen: list[Request] = []

    def take(request: Request) -> Response:
        request.get_data()
        seen.append(request)
        return Response('{"ticket": 17, "text": "' + "x" * 400 + '"}', status=201)

    httpserver.expect_request("/tickets").respond_with_handler(take)
    done = run(desk, httpserver)
    assert done.state == "running" and done.tasks() == []
    send(desk)
    assert done.state == "completed"
    assert {name: done.variables[name] for name in ("__status__", "__ticket__")} == {
        "__status__": "201", "__ticket__": "17"}
    assert seen[0].headers["Authorization"] == TOKEN and seen[0].get_data() == b'{"level": "fixed"}'
    row = calls(desk)[0]
    assert seen[0].headers["Idempotency-Key"] == row.idempotency_key
    assert row.decision_id is None  # nothing of the incident is in it
    assert b"canary" not in row.request_sealed + (row.answer_sealed or b"")
    assert TOKEN not in str(done.said("http.asked"))


def test_what_did_not_answer_is_sent_again_under_the_same_key_and_each_attempt_is_a_row(
    desk: Store, httpserver: HTTPServer, officer: Principal
) -> None:
    listed(desk, httpserver)
    keys: list[str] = []

    def take(request: Request) -> Response:
        keys.append(request.headers["Idempotency-Key"])
        return Response(status=503 if len(keys) == 1 else 200)

    httpserver.expect_request("/tickets").respond_with_handler(take)
    done = run(desk, httpserver)
    send(desk)
    assert done.state == "running"
    with desk.unit_of_work() as tx:  # its pause is over
        tx.execute(select(Pending).where(Pending.kind == "http.due")).scalar_one().ready_at = clock.now()
    send(desk)
    assert done.state == "completed" and len(keys) == 2 and len(set(keys)) == 1
    with desk.read() as tx:
        tries = tx.execute(select(HttpAttempt.number, HttpAttempt.status).order_by(HttpAttempt.id)).all()
    assert [tuple(each) for each in tries] == [(1, 503), (2, 200)]


def test_with_a_value_of_the_incident_it_needs_a_permit_for_that_organisation(
    desk: Store, httpserver: HTTPServer, officer: Principal
) -> None:
    listed(desk, httpserver)
    httpserver.expect_request("/tickets").respond_with_data("{}")
    refused = run(desk, httpserver, content='{"level": "__level__:value"}', tlp="AMBER")
    task = refused.tasks()[0]
    assert refused.state == "waiting" and "sharing rules do not permit" in asked(desk, task).instructions
    assert calls(desk) == [] and httpserver.log == []
    with desk.unit_of_work() as tx:
        agreement(tx)
    with desk.read() as tx:  # what was only forecast leaves no decision behind
        query = select(ShareDecision).where(ShareDecision.recipient == PARTNER)
        assert tx.execute(query).first() is None
    refused.done(officer, __status__="200")
    assert refused.state == "completed"


def test_a_permit_is_recorded_and_asked_again_before_it_is_sent(
    desk: Store, httpserver: HTTPServer, officer: Principal
) -> None:
    listed(desk, httpserver)
    httpserver.expect_request("/tickets").respond_with_data("{}")
    done = run(desk, httpserver, content='{"level": "__level__:value"}', tlp="CLEAR")
    row = calls(desk)[0]
    with desk.read() as tx:
        decision = tx.get_one(ShareDecision, row.decision_id)
        assert (decision.result, decision.recipient) == ("permit", PARTNER)
    with desk.unit_of_work() as tx:
        http_hosts.disable_http_host(tx, "fi-api", actor="cli:test", reason="A test.")
    send(desk)
    assert done.state == "needs-attention" and httpserver.log == [] and calls(desk)[0].state == "failed"


def test_what_was_asked_stands_in_the_ledger_with_its_permit(
    desk: Store, httpserver: HTTPServer, officer: Principal
) -> None:
    listed(desk, httpserver)
    httpserver.expect_request("/tickets").respond_with_data("{}")
    done = run(desk, httpserver, content='{"level": "__level__:value"}', tlp="CLEAR")
    assert ledger_of(desk, officer) == []  # nothing has left yet
    send(desk)
    assert done.state == "completed"
    line = ledger_of(desk, officer)[0]
    assert (line["recipient"], line["sure"], line["tlp"], line["kind"]) == (PARTNER, "delivered", "CLEAR", "automatic")
    assert line["decision"] == calls(desk)[0].decision_id


def test_a_request_whose_worker_was_killed_may_have_left_and_one_that_was_withdrawn_does_not_go_again(
    desk: Store, httpserver: HTTPServer, officer: Principal
) -> None:
    listed(desk, httpserver)
    httpserver.expect_request("/tickets").respond_with_data("", status=503)
    run(desk, httpserver, content='{"level": "__level__:value"}', tlp="CLEAR")
    number = calls(desk)[0].id
    with desk.unit_of_work() as tx:
        assert isinstance(call_service._claim(tx, number), call_service._Held)
    assert [line["sure"] for line in ledger_of(desk, officer)] == ["perhaps"], "what it had sent nobody knows"
    with desk.unit_of_work() as tx:
        tx.get_one(HttpCall, number).lease_until = clock.now() - timedelta(seconds=1)
    call_service.send(desk, number)
    with desk.unit_of_work() as tx:
        withdraw(tx, tx.execute(select(Alert.id)).scalar_one(), principal=officer, reason="Not to them.")
    call_service.send(desk, number)
    assert len(httpserver.log) == 1 and calls(desk)[0].state == "failed"
    with desk.read() as tx:
        assert tx.execute(select(Alert.state)).scalar_one() == "withdrawn"


def test_what_came_back_of_a_request_withdrawn_meanwhile_does_not_undo_that(
    desk: Store, httpserver: HTTPServer, officer: Principal
) -> None:
    listed(desk, httpserver)
    run(desk, httpserver, content='{"level": "__level__:value"}', tlp="CLEAR")
    number = calls(desk)[0].id
    with desk.unit_of_work() as tx:
        held = call_service._claim(tx, number)
        assert isinstance(held, call_service._Held)
        withdraw(tx, tx.execute(select(Alert.id)).scalar_one(), principal=officer, reason="Not to them.")
    with desk.unit_of_work() as tx:
        call_service._settle(tx, held, call_service.http_api.Answer(outcome="done", said="answered 200", status=200))
    with desk.read() as tx:
        assert tx.execute(select(Alert.state)).scalar_one() == "withdrawn"
    assert [line["sure"] for line in ledger_of(desk, officer)] == ["delivered"]


@pytest.mark.parametrize("answer", ["approve", "refuse"])
def test_a_request_that_needs_clearance_waits_for_it_and_then_goes(
    desk: Store, httpserver: HTTPServer, officer: Principal, answer: str
) -> None:
    listed(desk, httpserver)
    httpserver.expect_request("/tickets").respond_with_data("{}")
    authority = person(desk, "release-authority")
    with desk.unit_of_work() as tx:
        put_organisation(tx, "SE-CSIRT")
        another = organisation_by_code(tx, "SE-CSIRT").id
    waiting = run(desk, httpserver, content='{"level": "__level__:value"}', tlp="GREEN", originator_id=another)
    send(desk)
    assert (waiting.state, waiting.tasks(), httpserver.log) == ("waiting", [], [])
    with desk.unit_of_work() as tx:
        decision_id = calls(desk)[0].decision_id
        if answer == "approve":
            approve(tx, decision_id, principal=authority)
        else:
            refuse(tx, decision_id, principal=authority, reason="Not now.")
    drain(desk)
    with desk.read() as tx:  # what goes outside drain leaves leased
        asked = tx.execute(select(Pending.object_id).where(Pending.kind == "http.due")).scalars().all()
    assert asked == ([calls(desk)[0].id] if answer == "approve" else [])
    call_service.send(desk, calls(desk)[0].id)
    drain(desk)
    assert waiting.state == ("completed" if answer == "approve" else "needs-attention")
    assert len(httpserver.log) == len(ledger_of(desk, officer)) == (answer == "approve")


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"line": "DELETE /tickets HTTP/1.1"}, "not allowed for this service"),
        ({"line": "POST http://other.example/x HTTP/1.1"}, "not on the list"),
        ({"line": "curl everything"}, "does not begin with a method"),
        ({"headers": {"Connection": ["close"]}}, "may not set"),
    ],
)
def test_what_is_not_plainly_allowed_is_a_persons_task_that_shows_it(
    desk: Store, httpserver: HTTPServer, officer: Principal, more: dict[str, Any], why: str
) -> None:
    listed(desk, httpserver)
    given = run(desk, httpserver, **more)
    task = given.tasks()[0]
    shown = asked(desk, task).instructions
    assert given.state == "waiting" and why in shown
    assert more.get("line", "POST /tickets") in shown and calls(desk) == []
    given.done(officer, __status__="200", __ticket__="4")
    assert given.state == "completed" and given.variables["__ticket__"] == "4"


def test_no_private_address_and_no_redirect(desk: Store, httpserver: HTTPServer, officer: Principal) -> None:
    listed(desk, httpserver)
    httpserver.expect_request("/tickets").respond_with_data("", status=302, headers={"Location": "/elsewhere"})
    moved = run(desk, httpserver)
    send(desk)
    assert moved.state == "needs-attention" and [each.path for each, _ in httpserver.log] == ["/tickets"]
    assert calls(desk)[0].outcome == "answered 302"


def test_a_private_address_is_not_called(desk: Store, httpserver: HTTPServer, officer: Principal) -> None:
    listed(desk, httpserver)
    with settings_of(desk, outbound_allow_private=False):
        inside = run(desk, httpserver)
        send(desk)
    assert inside.state == "needs-attention" and httpserver.log == []
    assert calls(desk)[0].outcome == "its address is not allowed"


def test_an_answer_after_the_step_is_over_is_kept_as_late(
    desk: Store, httpserver: HTTPServer, officer: Principal
) -> None:
    listed(desk, httpserver)
    begun = run(desk, httpserver)

    def take(request: Request) -> Response:
        with desk.unit_of_work() as tx:  # a person ends the run while the service is thinking
            runs.advance(tx, begun.run_id, [Cancel("over")], arms=ARMS)
        return Response('{"ticket": 5}', status=200)

    httpserver.expect_request("/tickets").respond_with_handler(take)
    send(desk)
    assert begun.state == "cancelled" and calls(desk)[0].state == "late"
    assert [each.state for each in begun.attempts()] == ["late"]
    assert begun.said("run.late")[0]["outcome"] == "successful"


def test_a_worker_that_wakes_late_writes_nothing(desk: Store, httpserver: HTTPServer, officer: Principal) -> None:
    listed(desk, httpserver)
    httpserver.expect_request("/tickets").respond_with_data("{}")
    run(desk, httpserver)
    number = calls(desk)[0].id
    with desk.unit_of_work() as tx:
        held = call_service._claim(tx, number)
    with desk.unit_of_work() as tx:  # its lease ran out and another worker took it
        tx.get_one(HttpCall, number).lease_until = clock.now() - timedelta(seconds=1)
    call_service.send(desk, number)
    with desk.unit_of_work() as tx:
        call_service._settle(tx, held, call_service.http_api.Answer(outcome="refused", said="old"))
    assert calls(desk)[0].state == "done"


def test_doctor_names_services_that_cannot_be_called(desk: Store, httpserver: HTTPServer) -> None:
    def said() -> tuple[str, str]:
        found = {each.name: each for each in doctor.look(desk, patience=1)}["services"]
        return found.state, found.text

    listed(desk, httpserver)
    assert said() == ("ok", "1 that playbooks call")
    with socket.socket() as nobody:  # bound, and nobody listens
        nobody.bind(("127.0.0.1", 0))
        listed(desk, httpserver, id="gone", origin=f"http://127.0.0.1:{nobody.getsockname()[1]}")
        assert said()[0] == "warn" and "gone: does not answer" in said()[1]
    with desk.unit_of_work() as tx:
        row = http_hosts.by_code(tx, "fi-api")
        assert row is not None and row.data_key_id is not None
        destroy(tx, row.data_key_id)
    assert "fi-api: its secret cannot be read" in said()[1]


def test_a_credential_does_not_follow_an_entry_to_another_origin(desk: Store, httpserver: HTTPServer) -> None:
    listed(desk, httpserver)
    with desk.unit_of_work() as tx:
        same = {"id": "fi-api", "organisation": PARTNER, "origin": httpserver.url_for(""), "methods": ["POST"]}
        assert http_hosts.put_http_host(tx, same | {"credential": TOKEN}, actor="cli:test") == ""
        http_hosts.put_http_host(
            tx, {"id": "fi-api", "organisation": PARTNER, "origin": "https://other.example", "methods": ["GET"]},
            actor="cli:test",
        )  # fmt: skip
        row = http_hosts.by_code(tx, "fi-api")
        assert row is not None and http_hosts.credential_of(tx, row) == {} and row.origin == "https://other.example:443"
