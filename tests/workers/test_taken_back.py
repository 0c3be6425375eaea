"""What a person took back does not leave, whatever happens to it afterwards."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from coordinator.alerts import rungs
from coordinator.alerts import service as alerts
from coordinator.alerts.models import Alert
from coordinator.incidents.models import Incident
from coordinator.partners.models import Channel
from coordinator.runs import duplicates
from coordinator.store import Store
from tests.alerting import alert_of, deliveries, put_contact, put_organisation, put_system, webhook
from tests.factories import OTHER
from tests.owner import past_protection
from tests.receiving import Receiver, attempts, officer, run_due, told
from workers.steps import ARMS


def withdrawn(tx: Session, alert: int) -> None:
    alerts.withdraw(tx, alert, principal=officer(), reason="Wrong partner.")


def answered(tx: Session, alert: int) -> None:
    alerts.acknowledge_for(tx, alert, principal=officer(), by="Their desk", answer="acknowledged")


@pytest.mark.parametrize("over", [withdrawn, answered])
def test_what_was_over_while_its_incident_was_a_duplicate_does_not_go_when_it_is_none_again(
    desk: Store, receiver: Receiver, over: Callable[[Session, int], None]
) -> None:
    alert = told(desk, ack="person")
    with desk.unit_of_work() as tx:
        tx.execute(update(Incident).values(status="duplicate"))
    run_due(desk)
    assert [each.state for each in deliveries(desk, alert)] == ["withheld"]
    with desk.unit_of_work() as tx:
        over(tx, alert)
    with desk.unit_of_work() as tx:
        incident = tx.get_one(Incident, alert_of(desk, alert).incident_id)
        incident.status = "active"
        tx.flush()
        duplicates._give_back(tx, incident, {"runs": [], "tasks": [], "moved": []}, arms=ARMS)
    run_due(desk)
    assert receiver.seen == []


def test_a_worker_does_not_send_what_was_withdrawn_though_it_is_queued(desk: Store, receiver: Receiver) -> None:
    alert = told(desk)
    with desk.unit_of_work() as tx:
        row = tx.get_one(Alert, alert)
        [delivery] = rungs.deliveries_of(tx, row)
        row.state = "withdrawn"  # by whatever way
        number = delivery.id
    run_due(desk)
    assert receiver.seen == []
    [row] = deliveries(desk, alert)
    assert (row.id, row.state) == (number, "cancelled")


def test_a_delivery_that_the_owner_of_the_database_turned_to_another_partner_does_not_go(
    desk: Store, receiver: Receiver
) -> None:
    alert = told(desk, {"kind": "email", "address": "desk@csirt.fi.example"})
    with desk.unit_of_work() as tx:
        put_organisation(tx, OTHER)
        put_system(tx, receiver.url, code=OTHER, slug="lv-out")
        other = put_contact(tx, webhook("lv-out"), code="lv-cyber", organisation=OTHER).id
        channel = tx.execute(select(Channel.id).where(Channel.contact_id == other)).scalar_one()
    past_protection(desk, "deliveries", "UPDATE deliveries SET channel_id = :channel, contact_id = :contact,"
                    " kind = 'webhook'", channel=channel, contact=other)  # fmt: skip
    run_due(desk)
    assert receiver.seen == [] and attempts(desk, alert) == ["withheld"]
