"""Ways that close, alerts taken back, calls, and what the envelope says."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from coordinator import clock
from coordinator.alerts import service as alerts
from coordinator.alerts.models import Alert
from coordinator.alerts.sending import claim, settle
from coordinator.errors import NotFound
from coordinator.incidents.holds import open_holds
from coordinator.incidents.models import Incident
from coordinator.interchange.cloudevents import load_event
from coordinator.markings import Marking
from coordinator.partners.models import Endpoint
from coordinator.sharing.models import ShareDecision
from coordinator.store import Store
from coordinator.tasks.contents import contents_of
from coordinator.tasks.models import Task
from coordinator.tasks.service import complete_task
from coordinator.timeline import queries as timeline
from tests.alerting import (
    MailBox,
    agreement,
    alert_of,
    courier,
    deliveries,
    due,
    mail_server,
    mailbox,
    phone,
    put_contact,
    settings_of,
    webhook,
)
from tests.factories import person
from tests.receiving import Receiver, attempts, officer, run_due, tasks, told
from workers import deliver as worker

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


def test_a_way_that_was_closed_meanwhile_is_not_used(desk: Store, receiver: Receiver) -> None:
    box = MailBox()
    with mail_server(box) as url, settings_of(desk, smtp_url=url):
        alert = told(desk, webhook(), mailbox())
        with desk.unit_of_work() as tx:
            tx.execute(update(Endpoint).values(state="disabled"))
        run_due(desk)
        run_due(desk)
    assert receiver.seen == []
    assert [(row.kind, row.state) for row in deliveries(desk, alert)] == [
        ("webhook", "failed"), ("email", "handed-over"),
    ]  # fmt: skip


def test_what_was_delivered_is_not_made_less_by_a_later_mail(desk: Store, receiver: Receiver) -> None:
    box = MailBox()
    with mail_server(box) as url, settings_of(desk, smtp_url=url):
        alert = told(desk, webhook(), mailbox(), ack="person", ladder=())
        run_due(desk)
        with desk.unit_of_work() as tx:
            alerts.next_rung(tx, alert)
        run_due(desk)
    assert [row.state for row in deliveries(desk, alert)] == ["delivered", "handed-over"]
    assert alert_of(desk, alert).state == "delivered"


def test_a_way_that_the_rules_refuse_is_passed_over(desk: Store) -> None:
    """AMBER by plain mail is refused: after the call that did not get through the other desk is called."""
    with desk.unit_of_work() as tx:
        agreement(tx)
        put_contact(tx, phone("+358111"), code="fi-other", order=2)
    alert = told(desk, phone(), mailbox(), tlp="AMBER", ack="person", ladder=())
    run_due(desk)
    with desk.unit_of_work() as tx:
        alerts.next_rung(tx, alert)
    assert [row.kind for row in deliveries(desk, alert)] == ["voice", "voice"]
    with desk.read() as tx:
        results = tx.execute(select(ShareDecision.result, ShareDecision.channel_kind).order_by(ShareDecision.id)).all()
        assert [tuple(each) for each in results] == [("permit", "voice"), ("deny", "email"), ("permit", "voice")]


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
        alerts.withdraw(tx, alert, principal=officer(), reason="Wrong partner.")
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
        alerts.withdraw(tx, alert, principal=officer(), reason="Too late.")
    with desk.unit_of_work() as tx:
        settle(tx, parcel, outcome, now=clock.now(), jitter=0.0)
    assert (alert_of(desk, alert).state, attempts(desk, alert)) == ("withdrawn", ["delivered"])
    assert deliveries(desk, alert)[0].state == "cancelled"


def test_nobody_withdraws_an_alert_of_an_incident_they_may_not_know(desk: Store) -> None:
    alert = told(desk)
    with desk.unit_of_work() as tx:
        tx.execute(update(Incident).values(restricted=True))
    with desk.unit_of_work() as tx, pytest.raises(NotFound):
        alerts.withdraw(tx, alert, principal=officer(), reason="No.")


# ---------------------------------------------------------------- a call


def test_a_call_becomes_a_task_whose_outcome_is_the_answer(desk: Store) -> None:
    alert = told(desk, phone(), ack="person")
    run_due(desk)
    with desk.read() as tx:
        task = tx.execute(select(Task).where(Task.kind == "voice")).scalar_one()
        said = contents_of(tx, task).instructions
        lines = said.splitlines()
        assert "+358000000" in said
        assert "TLP:GREEN" in lines and lines[-1] == "TLP:GREEN"
        # The call is due when the ladder stops waiting for it.
        assert task.due_at == tx.get_one(Alert, alert).created_at + timedelta(minutes=30)
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


def test_a_courier_is_a_task_to_take_a_letter_by_the_rules_of_voice(desk: Store) -> None:
    with desk.unit_of_work() as tx:
        agreement(tx)
    alert = told(desk, courier(), tlp="AMBER", ack="person")
    run_due(desk)
    with desk.read() as tx:
        task = tx.execute(select(Task).where(Task.kind == "voice")).scalar_one()
        said = contents_of(tx, task).instructions
        assert task.title.startswith("Courier to ") and "Take a letter to Duty desk, Street 1" in said
        assert "What we saw" not in said
        task_id = task.id
    rider = person(desk, "duty-officer")
    with desk.unit_of_work() as tx:
        complete_task(tx, task_id, principal=rider, outcome="successful",
                      result={"spoke_with": "Aino", "answer": "acknowledged"})  # fmt: skip
        worker.finish_call(tx, task_id)
    assert alert_of(desk, alert).state == "acknowledged"


def test_the_text_of_an_amber_call_is_not_in_the_task(desk: Store) -> None:
    with desk.unit_of_work() as tx:
        agreement(tx)
    told(desk, phone(), tlp="AMBER")
    run_due(desk)
    with desk.read() as tx:
        assert "What we saw" not in contents_of(tx, tx.execute(select(Task)).scalar_one()).instructions


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
