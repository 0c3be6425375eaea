"""Bringing alerts to partners on real parts: retries, ends of the ladder, a kill at the worst moment, the guards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
import time_machine
from pytest_httpserver import HTTPServer
from sqlalchemy import select, update
from werkzeug import Request, Response

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.alerts import service as alerts
from coordinator.alerts.models import Alert, DeliveryAttempt
from coordinator.alerts.sending import Outcome, claim, settle
from coordinator.errors import NotFound, Refused
from coordinator.incidents.holds import open_holds
from coordinator.incidents.models import Incident
from coordinator.interchange.cloudevents import load_event
from coordinator.markings import Marking
from coordinator.partners.models import Contact, Endpoint
from coordinator.sharing.models import Release, ShareDecision
from coordinator.store import Store
from coordinator.tasks.models import Task
from coordinator.tasks.service import complete_task
from coordinator.timeline import queries as timeline
from tests.alerting import (
    MailBox,
    agreement,
    alert_of,
    deliveries,
    due,
    mail_server,
    mailbox,
    phone,
    put_contact,
    put_incident,
    put_organisation,
    put_system,
    settings_of,
    webhook,
)
from tests.factories import PARTNER, World, person
from workers import deliver as worker
from workers.jobs import Later


@dataclass
class Receiver:
    """A partner's system that answers as told and keeps what it got."""

    url: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    seen: list[Request] = field(default_factory=list)

    def take(self, request: Request) -> Response:
        request.get_data()
        self.seen.append(request)
        return Response(status=self.status, headers=self.headers)


@pytest.fixture
def receiver(httpserver: HTTPServer) -> Receiver:
    made = Receiver(httpserver.url_for("/hook"))
    httpserver.expect_request("/hook").respond_with_handler(made.take)
    return made


@pytest.fixture
def desk(store: Store, world: World, receiver: Receiver) -> Iterator[Store]:
    """A store that may post to this machine, with a partner whose system is the receiver."""
    with settings_of(store, outbound_allow_private=True, smtp_url="smtp://127.0.0.1:1"):
        with store.unit_of_work() as tx:
            put_organisation(tx, PARTNER)
            put_system(tx, receiver.url)
        yield store


def told(store: Store, *channels: dict[str, object], ack: str = "", tlp: str = "GREEN", **more: object) -> int:
    """One alert to the partner's contact with these channels; the alert's id."""
    with store.unit_of_work() as tx:
        put_contact(tx, *(channels or (webhook(),)))
        answer = alerts.tell(
            tx, incident=put_incident(tx, tlp=tlp), kind="initial", title="Ransomware", body="What we saw.",
            purpose="network-defence", info_category="incident-notification", requested_by="user:99",
            audience={"organisations": [PARTNER]}, ack=ack, **more,  # type: ignore[arg-type]
        )  # fmt: skip
        return answer.permitted[0].id


def run_due(store: Store, *, until: object = None) -> list[int]:
    found = due(store, "delivery.due", until=until)  # type: ignore[arg-type]
    for delivery_id in found:
        worker.deliver(store, delivery_id)
    return found


def attempts(store: Store, alert_id: int) -> list[str]:
    ids = [row.id for row in deliveries(store, alert_id)]
    with store.read() as tx:
        query = select(DeliveryAttempt.outcome).where(DeliveryAttempt.delivery_id.in_(ids))
        return list(tx.execute(query.order_by(DeliveryAttempt.id)).scalars())


def tasks(store: Store) -> list[str]:
    with store.read() as tx:
        return list(tx.execute(select(Task.title).where(Task.state == "open").order_by(Task.id)).scalars())


# ---------------------------------------------------------------- retries


def test_a_failing_endpoint_is_tried_again_with_the_same_id_and_the_same_bytes(desk: Store, receiver: Receiver) -> None:
    receiver.status = 503
    alert = told(desk)
    run_due(desk)
    [row] = deliveries(desk, alert)
    assert (row.state, row.attempts) == ("queued", 1)
    with time_machine.travel(row.next_attempt_at, tick=True):
        receiver.status = 200
        run_due(desk)
    first, second = receiver.seen
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.get_data() == second.get_data()
    assert alert_of(desk, alert).state == "delivered"
    assert attempts(desk, alert) == ["retry", "delivered"]


def test_retry_after_is_honoured(desk: Store, receiver: Receiver) -> None:
    receiver.status, receiver.headers = 429, {"Retry-After": "3600"}
    alert = told(desk)
    run_due(desk)
    [row] = deliveries(desk, alert)
    assert row.next_attempt_at - clock.now() > timedelta(minutes=59)


def test_a_delivery_dies_loudly_after_three_days_and_can_be_sent_again(desk: Store, receiver: Receiver) -> None:
    receiver.status = 500
    alert = told(desk)
    started = clock.now()
    run_due(desk)
    while (row := deliveries(desk, alert)[0]).state == "queued":
        with time_machine.travel(row.next_attempt_at, tick=True):
            run_due(desk)
            last = clock.now()
    assert last - started >= timedelta(hours=75)
    assert (row.state, alert_of(desk, alert).state, len(attempts(desk, alert))) == ("dead", "failed", 10)
    assert due(desk, "alert.failed", until=last + timedelta(days=1)) == [alert]
    assert tasks(desk) == [f"An alert could not be delivered. Recipient: {PARTNER}"]

    receiver.status = 200
    officer = person(desk, "coordinator")
    with time_machine.travel(last + timedelta(hours=1), tick=True):
        with desk.unit_of_work() as tx:
            alerts.redeliver(tx, row.id, principal=officer)
        run_due(desk)
    assert alert_of(desk, alert).state == "delivered"
    assert len({request.headers["webhook-id"] for request in receiver.seen}) == 1
    with desk.unit_of_work() as tx, pytest.raises(Refused):
        alerts.redeliver(tx, row.id, principal=officer)


def test_an_attempt_before_its_time_is_put_off_and_not_made(desk: Store, receiver: Receiver) -> None:
    receiver.status = 503
    alert = told(desk)
    run_due(desk)
    [row] = deliveries(desk, alert)
    with pytest.raises(Later) as later:
        worker.deliver(desk, row.id)
    assert later.value.at == row.next_attempt_at
    assert len(receiver.seen) == 1


def test_redirects_are_not_followed(desk: Store, receiver: Receiver, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/elsewhere").respond_with_data("stolen")
    receiver.status, receiver.headers = 307, {"Location": httpserver.url_for("/elsewhere")}
    alert = told(desk)
    run_due(desk)
    assert attempts(desk, alert) == ["retry"]
    assert all(request.path == "/hook" for request, _ in httpserver.log)


# ---------------------------------------------------------------- killed, doubled, late


def test_killed_between_send_and_record_the_partner_gets_the_same_id_again(desk: Store, receiver: Receiver) -> None:
    alert = told(desk)
    [delivery] = deliveries(desk, alert)
    with desk.unit_of_work() as tx:
        parcel = claim(tx, delivery.id, now=clock.now())
    worker.send(desk, parcel)  # and here the worker dies
    with pytest.raises(Later):  # its lease still runs
        worker.deliver(desk, delivery.id)
    with time_machine.travel(clock.now() + timedelta(minutes=2), tick=True):
        worker.deliver(desk, delivery.id)
    assert len(receiver.seen) == 2
    assert len({request.headers["webhook-id"] for request in receiver.seen}) == 1
    assert len({request.get_data() for request in receiver.seen}) == 1
    assert (alert_of(desk, alert).state, attempts(desk, alert)) == ("delivered", ["delivered"])


def test_a_worker_that_woke_late_writes_nothing(desk: Store, receiver: Receiver) -> None:
    alert = told(desk)
    [delivery] = deliveries(desk, alert)
    with desk.unit_of_work() as tx:
        late = claim(tx, delivery.id, now=clock.now())
    with time_machine.travel(clock.now() + timedelta(minutes=2), tick=True):
        worker.deliver(desk, delivery.id)
    with desk.unit_of_work() as tx:
        assert not settle(tx, late, Outcome("retry", "late"), now=clock.now(), jitter=0.0)
    assert attempts(desk, alert) == ["delivered"]


def test_a_doubled_job_sends_once(desk: Store, receiver: Receiver) -> None:
    alert = told(desk)
    [delivery] = deliveries(desk, alert)
    worker.deliver(desk, delivery.id)
    worker.deliver(desk, delivery.id)
    assert len(receiver.seen) == 1


def test_no_transaction_is_open_while_the_partner_answers(desk: Store, httpserver: HTTPServer) -> None:
    """The receiver itself needs the database to answer: it would wait for ever for a sender that holds it."""
    alert = told(desk)
    [delivery] = deliveries(desk, alert)

    def answer(_request: Request) -> Response:
        with desk.unit_of_work() as tx:
            tx.execute(update(Alert).where(Alert.id == alert).values(reply_by=clock.now()))
        return Response(status=200)

    httpserver.clear()
    httpserver.expect_request("/hook").respond_with_handler(answer)
    worker.deliver(desk, delivery.id)
    assert alert_of(desk, alert).state == "delivered"


def test_an_answer_that_comes_before_we_wrote_the_delivery_down_stands(desk: Store, httpserver: HTTPServer) -> None:
    alert = told(desk, ack="system")
    [delivery] = deliveries(desk, alert)

    def answer(request: Request) -> Response:
        token = request.get_json(force=True)["data"]["acknowledge_api"].rsplit("/", 1)[1]
        with desk.unit_of_work() as tx:
            alerts.acknowledge(tx, token=token, kind="system", by="FI", answer="acknowledged")
        return Response(status=200)

    httpserver.clear()
    httpserver.expect_request("/hook").respond_with_handler(answer)
    worker.deliver(desk, delivery.id)
    assert alert_of(desk, alert).state == "acknowledged"
    assert attempts(desk, alert) == ["delivered"]


# ---------------------------------------------------------------- decided again at the send


def test_what_is_no_longer_permitted_is_withheld_and_a_person_has_a_task(desk: Store, receiver: Receiver) -> None:
    alert = told(desk)
    with desk.unit_of_work() as tx:
        tx.execute(update(Contact).values(suspect_since=clock.now()))
    run_due(desk)
    assert receiver.seen == []
    assert (alert_of(desk, alert).state, attempts(desk, alert)) == ("withheld", ["withheld"])
    assert tasks(desk) == [f"An alert to {PARTNER} was held back when it was to be sent"]
    with desk.read() as tx:
        incident = tx.get_one(Alert, alert).incident_id
        assert {hold.kind for hold in open_holds(tx, incident)} == {"task", "clearance"}


def test_an_alert_keeps_its_decision_and_each_attempt_names_its_own(desk: Store, receiver: Receiver) -> None:
    receiver.status = 503
    alert = told(desk)
    run_due(desk)
    first = alert_of(desk, alert).decision_id
    with time_machine.travel(clock.now() + timedelta(hours=2), tick=True):
        run_due(desk)
    with desk.read() as tx:
        used = list(tx.execute(select(DeliveryAttempt.decision_id).order_by(DeliveryAttempt.id)).scalars())
        assert [tx.get_one(ShareDecision, key).result for key in used] == ["permit", "permit"]
    assert used[0] == first and used[1] != first
    assert alert_of(desk, alert).decision_id == first


def test_a_text_that_was_altered_is_withheld(desk: Store, receiver: Receiver) -> None:
    alert = told(desk)
    with desk.unit_of_work() as tx:
        tx.execute(update(Release).values(purpose="commercial"))
    run_due(desk)
    assert receiver.seen == []
    assert alert_of(desk, alert).state == "withheld"


def test_what_was_withheld_goes_out_when_the_rules_permit_it_again(desk: Store, receiver: Receiver) -> None:
    alert = told(desk)
    with desk.unit_of_work() as tx:
        tx.execute(update(Contact).values(suspect_since=clock.now()))
    run_due(desk)
    with desk.unit_of_work() as tx:
        tx.execute(update(Contact).values(suspect_since=None))
        alerts.redeliver(tx, deliveries(desk, alert)[0].id, principal=_officer())
    run_due(desk)
    assert alert_of(desk, alert).state == "delivered"


# ---------------------------------------------------------------- ways that are closed


def test_a_system_that_is_gone_is_disabled_and_the_next_way_is_taken(desk: Store, receiver: Receiver) -> None:
    receiver.status = 410
    box = MailBox()
    with mail_server(box) as url, settings_of(desk, smtp_url=url):
        alert = told(desk, webhook(), mailbox())
        run_due(desk)
        run_due(desk)
    with desk.read() as tx:
        assert tx.execute(select(Endpoint.state).where(Endpoint.slug == "fi-out")).scalar_one() == "disabled"
    assert [(row.kind, row.state) for row in deliveries(desk, alert)] == [
        ("webhook", "failed"), ("email", "handed-over"),
    ]  # fmt: skip
    assert alert_of(desk, alert).state == "handed-over"
    assert tasks(desk) == ["The endpoint fi-out answered that it is gone: ask the partner and set it right"]
    assert len(box.letters) == 1


def test_without_the_setting_nothing_is_sent_to_this_machine(desk: Store, receiver: Receiver) -> None:
    with settings_of(desk, outbound_allow_private=False):
        alert = told(desk)
        run_due(desk)
    assert receiver.seen == []
    assert (attempts(desk, alert), alert_of(desk, alert).state) == (["refused"], "failed")


def test_a_range_allowed_for_one_endpoint_is_open_to_it(desk: Store, receiver: Receiver) -> None:
    with desk.unit_of_work() as tx:
        tx.execute(update(Endpoint).values(allow_private=["127.0.0.0/8", "::1/128"]))
    with settings_of(desk, outbound_allow_private=False):
        alert = told(desk)
        run_due(desk)
    assert alert_of(desk, alert).state == "delivered"


# ---------------------------------------------------------------- withdrawn


def test_a_withdrawn_alert_is_not_sent_and_its_link_is_gone(desk: Store, receiver: Receiver) -> None:
    alert = told(desk)
    with desk.unit_of_work() as tx:
        alerts.withdraw(tx, alert, principal=_officer(), reason="Wrong partner.")
    run_due(desk)
    assert receiver.seen == []
    with desk.read() as tx:
        incident_id = tx.get_one(Alert, alert).incident_id
        assert open_holds(tx, incident_id) == []
        assert timeline.entries(tx, incident_id=incident_id)[-1]["kind"] == "alert.withdrawn"


def test_withdrawn_while_it_was_being_sent_the_attempt_is_on_record(desk: Store, receiver: Receiver) -> None:
    alert = told(desk)
    [delivery] = deliveries(desk, alert)
    with desk.unit_of_work() as tx:
        parcel = claim(tx, delivery.id, now=clock.now())
    outcome = worker.send(desk, parcel)
    with desk.unit_of_work() as tx:
        alerts.withdraw(tx, alert, principal=_officer(), reason="Too late.")
    with desk.unit_of_work() as tx:
        settle(tx, parcel, outcome, now=clock.now(), jitter=0.0)
    assert (alert_of(desk, alert).state, attempts(desk, alert)) == ("withdrawn", ["delivered"])


def test_nobody_withdraws_an_alert_of_an_incident_they_may_not_know(desk: Store) -> None:
    alert = told(desk)
    with desk.unit_of_work() as tx:
        tx.execute(update(Incident).values(restricted=True))
    with desk.unit_of_work() as tx, pytest.raises(NotFound):
        alerts.withdraw(tx, alert, principal=_officer(), reason="No.")


# ---------------------------------------------------------------- a call


def test_a_call_becomes_a_task_whose_outcome_is_the_answer(desk: Store) -> None:
    alert = told(desk, phone(), ack="person")
    run_due(desk)
    with desk.read() as tx:
        task = tx.execute(select(Task).where(Task.kind == "voice")).scalar_one()
        assert "+358000000" in task.instructions
        lines = task.instructions.splitlines()
        assert "TLP:GREEN" in lines and lines[-1] == "TLP:GREEN"
        task_id = task.id
    caller = person(desk, "duty-officer")
    with desk.unit_of_work() as tx:
        complete_task(tx, task_id, principal=caller, outcome="successful",
                      result={"spoke_with": "Aino", "answer": "acknowledged"})  # fmt: skip
    assert due(desk, "task.completed") == [task_id]
    with desk.unit_of_work() as tx:
        worker.finish_call(tx, task_id)
    assert alert_of(desk, alert).state == "acknowledged"
    with desk.read() as tx:
        entry = timeline.entries(tx, incident_id=tx.get_one(Alert, alert).incident_id)[-1]
    assert entry["values"]["assurance"] == "noted-by-officer" and entry["actor"] == caller.actor


def test_the_text_of_an_amber_call_is_not_in_the_task(desk: Store) -> None:
    with desk.unit_of_work() as tx:
        agreement(tx)
    told(desk, phone(), tlp="AMBER")
    run_due(desk)
    with desk.read() as tx:
        assert "What we saw" not in tx.execute(select(Task.instructions)).scalar_one()


# ---------------------------------------------------------------- the envelope


def test_the_envelope_says_what_the_contract_says(desk: Store, receiver: Receiver) -> None:
    alert = told(desk)
    run_due(desk)
    row, event = alert_of(desk, alert), json.loads(receiver.seen[0].get_data())
    assert receiver.seen[0].content_type == "application/cloudevents+json"
    assert (event["specversion"], event["source"]) == ("1.0", "http://127.0.0.1:8080")
    data = event["data"]
    assert data["alert"] == row.public_id and data["reference"] == row.partner_reference
    assert data["handling"] == ["O-PURPOSE-network-defence", "O-TLP-GREEN"]
    assert (data["kind"], data["tlp"], data["originator"]) == ("initial", "GREEN", "EE-MFA")
    assert (data["states_affected"], data["language"]) == (["FI"], "en")
    assert "INC-" not in json.dumps(event)
    taken = load_event(event)  # another coordinator's intake takes this very body
    assert taken.report["external_id"] == row.partner_reference


def test_a_source_that_asked_not_to_be_named_is_not(desk: Store, receiver: Receiver) -> None:
    with desk.unit_of_work() as tx:
        agreement(tx)
    told(desk, tlp="GREEN", marking=Marking(tlp="GREEN", no_attribution=True))
    run_due(desk)
    assert "originator" not in json.loads(receiver.seen[0].get_data())["data"]


def _officer() -> Principal:
    return Principal(99, "Officer", "coordinator")
