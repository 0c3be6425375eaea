"""Bringing alerts to partners on real parts: retries, a kill at the worst moment, the rules asked again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from pytest_httpserver import HTTPServer
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from werkzeug import Request, Response

from coordinator import clock
from coordinator.alerts import service as alerts
from coordinator.alerts.models import Alert, DeliveryAttempt
from coordinator.alerts.sending import Outcome, claim, settle
from coordinator.errors import Refused
from coordinator.incidents.holds import open_holds
from coordinator.incidents.items import write_item
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.markings import Marking
from coordinator.partners.models import Contact, Endpoint
from coordinator.sharing.models import ShareDecision
from coordinator.store import Store
from coordinator.tasks.contents import contents_of
from coordinator.tasks.models import Task
from tests.alerting import alert_of, deliveries, due, put_contact, put_incident, webhook
from tests.factories import PARTNER, person
from tests.owner import past_protection
from tests.receiving import Receiver, attempts, officer, run_due, tasks, told
from workers import deliver as worker
from workers.jobs import Later

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
    past_protection(desk, "releases", "UPDATE releases SET purpose = 'commercial'")
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
        alerts.redeliver(tx, deliveries(desk, alert)[0].id, principal=officer())
    run_due(desk)
    assert alert_of(desk, alert).state == "delivered"


# ---------------------------------------------------------------- what it was decided on changed meanwhile


def raise_incident(tx: Session, alert: Alert) -> None:
    tx.execute(update(Incident).where(Incident.id == alert.incident_id).values(tlp="AMBER"))


def raise_item(tx: Session, alert: Alert) -> None:
    part = tx.execute(select(ItemVersion).where(ItemVersion.kind == "note")).scalar_one()
    write_item(tx, kind="note", content="What we saw.", marking=Marking(tlp="AMBER"), author="user:1", item=part.item,
               info_category="incident-notification", incident=tx.get_one(Incident, alert.incident_id))  # fmt: skip


def repoint(tx: Session, alert: Alert) -> None:
    tx.execute(update(Endpoint).where(Endpoint.direction == "out").values(url="https://elsewhere.example/hook"))


@pytest.mark.parametrize(
    ("change", "sources", "code"),
    [(raise_incident, "incident", "D-LABEL-RAISED"), (raise_item, "items", "D-LABEL-RAISED"),
     (repoint, "incident", "ADDRESS-CHANGED")],
)  # fmt: skip
def test_a_retry_stops_when_what_it_was_decided_on_changed_and_a_person_reads_why(
    desk: Store, receiver: Receiver, change: Callable[[Session, Alert], None], sources: str, code: str
) -> None:
    receiver.status = 503
    with desk.unit_of_work() as tx:
        put_contact(tx, webhook())
        incident = put_incident(tx)
        note = write_item(tx, kind="note", content="What we saw.", marking=Marking(tlp="GREEN"), author="user:1",
                          info_category="incident-notification", incident=incident)  # fmt: skip
        alert_id = alerts.tell(
            tx, incident=incident, kind="initial", title="Ransomware", body="What we saw.", purpose="network-defence",
            info_category="incident-notification", requested_by="user:99", audience={"organisations": [PARTNER]},
            ack="", items=[note] if sources == "items" else (),
        ).permitted[0].id  # fmt: skip
    run_due(desk)
    with desk.unit_of_work() as tx:
        change(tx, tx.get_one(Alert, alert_id))
    with time_machine.travel(clock.now() + timedelta(minutes=1), tick=True):
        run_due(desk)
    assert attempts(desk, alert_id) == ["retry", "withheld"] and len(receiver.seen) == 1
    with desk.read() as tx:
        task = tx.execute(select(Task).where(Task.title.like("An alert to%held back%"))).scalar_one()
        said = contents_of(tx, task).instructions
    assert code in said and len(said) > len(code) + 80


def test_what_our_own_words_say_is_not_bound_by_a_label_raised_later(desk: Store, receiver: Receiver) -> None:
    alert_id = told(desk, marking=Marking(tlp="GREEN"))
    with desk.unit_of_work() as tx:
        raise_incident(tx, tx.get_one(Alert, alert_id))
    run_due(desk)
    assert attempts(desk, alert_id) == ["delivered"]
