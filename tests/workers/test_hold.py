"""Nothing leaves while sending is on hold, whoever asked for it; what waited goes out once afterwards."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from coordinator import clock
from coordinator.errors import Invalid, Refused
from coordinator.store import Store
from coordinator.timeline import sending_hold
from coordinator.timeline.queries import entries
from tests.alerting import alert_of, deliveries
from tests.receiving import Receiver, run_due, told
from workers import deliver as worker
from workers import jobs, relay
from workers.jobs import Later


def hold(store: Store, kind: str = sending_hold.EMERGENCY, reason: str = "Test.") -> int:
    with store.unit_of_work() as tx:
        return sending_hold.begin(tx, kind, actor="user:1", reason=reason)


def resume(store: Store, hold_id: int) -> None:
    with store.unit_of_work() as tx:
        sending_hold.lift(tx, hold_id, actor="user:2", reason="It was a test.")


@pytest.mark.parametrize("kind", ["emergency", "restore", "clock"])
def test_on_hold_nothing_leaves_and_afterwards_it_goes_out_once_under_the_same_id(
    desk: Store, receiver: Receiver, kind: str
) -> None:
    held = hold(desk, kind)
    alert = told(desk)
    [before] = deliveries(desk, alert)
    with pytest.raises(Later):
        run_due(desk)
    assert receiver.seen == [] and deliveries(desk, alert)[0].attempts == 0
    resume(desk, held)
    with time_machine.travel(clock.now() + timedelta(seconds=10), tick=True):
        worker.deliver(desk, before.id)
        worker.deliver(desk, before.id)
    assert [request.headers["webhook-id"] for request in receiver.seen] == [before.webhook_id]
    assert alert_of(desk, alert).state == "delivered"


def test_the_relay_leaves_what_talks_to_the_outside_and_a_worker_that_has_it_puts_it_off(
    desk: Store, receiver: Receiver
) -> None:
    told(desk)
    [sent_before] = [each for each in relay.claim(desk) if each.job.name == "deliver"]
    held = hold(desk)
    jobs.run(desk, sent_before.pending_id, clock.rfc3339(sent_before.lease), relay.JOBS)
    assert receiver.seen == []
    with time_machine.travel(clock.now() + timedelta(seconds=30), tick=True):
        assert not [each for each in relay.claim(desk) if each.job.outside]
        resume(desk, held)
        assert [each.job.name for each in relay.claim(desk) if each.job.outside] == ["deliver"]


def test_a_hold_is_one_for_its_kind_needs_a_reason_and_is_lifted_once(store: Store) -> None:
    with pytest.raises(Invalid):
        hold(store, reason=" ")
    first = hold(store)
    assert hold(store) == first
    resume(store, first)
    with pytest.raises(Refused):
        resume(store, first)
    assert hold(store) != first
    with store.read() as tx:
        said = [(entry["kind"], entry["values"]["reason"]) for entry in entries(tx, incident_id=None)]
        assert sending_hold.kinds(tx) == {"emergency"}
    assert said == [("sending.held", "Test."), ("sending.resumed", "It was a test."), ("sending.held", "Test.")]


def test_while_only_a_clock_is_doubted_our_own_people_are_still_told(store: Store) -> None:
    with store.read() as tx:
        assert not sending_hold.stops(tx, own=True)
    hold(store, sending_hold.CLOCK)
    with store.read() as tx:
        assert sending_hold.stops(tx) and not sending_hold.stops(tx, own=True)
    hold(store)
    with store.read() as tx:
        assert sending_hold.stops(tx, own=True)
