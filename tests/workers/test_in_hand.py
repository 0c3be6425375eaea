"""Between the moment a worker takes a delivery in hand and the moment the bytes go: whatever changes then still counts,
and what may have gone counts as gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.alerts import recalls
from coordinator.alerts import service as alerts
from coordinator.alerts.models import Alert
from coordinator.alerts.sending import Outcome, Parcel, claim, settle
from coordinator.incidents.models import Incident
from coordinator.partners.models import Contact, Endpoint
from coordinator.sharing.models import Recalled
from coordinator.status import ledger
from coordinator.store import Store
from coordinator.timeline import sending_hold
from tests.alerting import (
    MailBox,
    agreement,
    alert_of,
    deliveries,
    mail_server,
    mailbox,
    put_organisation,
    put_system,
    settings_of,
)
from tests.factories import PARTNER, small_world
from tests.receiving import Receiver, attempts, officer, run_due, told
from workers import deliver as worker
from workers.channels import email


@pytest.fixture
def one_machine(sqlite_store: Store, receiver: Receiver) -> Iterator[Store]:
    """As `desk`, on SQLite alone: what is looked at is the same on both."""
    small_world(sqlite_store)
    with settings_of(sqlite_store, outbound_allow_private=True):
        with sqlite_store.unit_of_work() as tx:
            put_organisation(tx, PARTNER)
            put_system(tx, receiver.url)
        yield sqlite_store


def taken(desk: Store, alert: int) -> Parcel:
    """A worker has it in hand, and is as slow as can be."""
    [delivery] = deliveries(desk, alert)
    with desk.unit_of_work() as tx:
        parcel = claim(tx, delivery.id, now=clock.now())
    assert isinstance(parcel, Parcel)
    return parcel


def go_on(desk: Store, parcel: Parcel) -> None:
    """The worker goes on where it was."""
    outcome = worker.send(desk, parcel)
    with desk.unit_of_work() as tx:
        settle(tx, parcel, outcome, now=clock.now(), jitter=0.0)


def raised(tx: Session, alert: Alert) -> None:
    tx.execute(update(Incident).where(Incident.id == alert.incident_id).values(tlp="AMBER"))


def withdrawn(tx: Session, alert: Alert) -> None:
    alerts.withdraw(tx, alert.id, principal=officer(), reason="Wrong partner.")


def gone(tx: Session, alert: Alert) -> None:
    tx.execute(update(Contact).values(active=False))


def elsewhere(tx: Session, alert: Alert) -> None:
    tx.execute(update(Endpoint).where(Endpoint.direction == "out").values(url="https://elsewhere.example/hook"))


def recalled(tx: Session, alert: Alert) -> None:
    recalls.recall_alert(tx, alert.id, principal=officer(), reason="Not for them.")


def prohibited(tx: Session, alert: Alert) -> None:
    agreement(tx, info_categories_excluded=["incident-notification"], info_categories_allowed=["guidance"])


def duplicate(tx: Session, alert: Alert) -> None:
    tx.execute(update(Incident).where(Incident.id == alert.incident_id).values(status="duplicate"))


@pytest.mark.parametrize(
    ("change", "state"),
    [(raised, "withheld"), (withdrawn, "withdrawn"), (gone, "failed"), (elsewhere, "withheld"),
     (recalled, "delivered"), (prohibited, "withheld"), (duplicate, "withheld")],
)  # fmt: skip
def test_what_changes_after_a_worker_took_it_in_hand_still_stops_it(
    one_machine: Store, receiver: Receiver, change: Callable[[Session, Alert], None], state: str
) -> None:
    desk = one_machine
    with desk.unit_of_work() as tx:
        agreement(tx)
    alert = told(desk)
    parcel = taken(desk, alert)
    with desk.unit_of_work() as tx:
        change(tx, tx.get_one(Alert, alert))
    go_on(desk, parcel)
    assert receiver.seen == []
    run_due(desk)
    assert [request.get_data() for request in receiver.seen if b"Ransomware" in request.get_data()] == []
    if change is not recalled:
        assert "delivered" not in attempts(desk, alert)
        assert state in (alert_of(desk, alert).state, deliveries(desk, alert)[0].state)


def test_a_stop_of_all_sending_holds_what_a_worker_has_in_hand_and_afterwards_it_goes_once(
    one_machine: Store, receiver: Receiver
) -> None:
    desk = one_machine
    alert = told(desk)
    parcel = taken(desk, alert)
    with desk.unit_of_work() as tx:
        hold = sending_hold.begin(tx, sending_hold.EMERGENCY, actor="user:99", reason="A wrong text is going out.")
    go_on(desk, parcel)
    assert (receiver.seen, attempts(desk, alert)) == ([], [])
    with desk.unit_of_work() as tx:
        sending_hold.lift(tx, hold, actor="user:98", reason="It was not.")
    with time_machine.travel(clock.now() + timedelta(seconds=10), tick=True):
        run_due(desk)
        run_due(desk)
    assert (len(receiver.seen), attempts(desk, alert)) == (1, ["delivered"])


def test_of_two_workers_the_one_that_woke_late_sends_nothing(desk: Store, receiver: Receiver) -> None:
    alert = told(desk)
    late = taken(desk, alert)
    with time_machine.travel(clock.now() + timedelta(minutes=2), tick=True):
        worker.deliver(desk, deliveries(desk, alert)[0].id)
        go_on(desk, late)
    assert (len(receiver.seen), attempts(desk, alert)) == (1, ["delivered"])


def test_a_mail_server_that_is_slow_to_greet_gives_time_to_take_it_back(
    desk: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The letter is not begun before the last look: nothing of it reaches the server."""
    box = MailBox()
    alert = told(desk, mailbox())
    parcel, connect = taken(desk, alert), email._connect

    def slowly(*where: object) -> object:
        server = connect(*where)  # type: ignore[arg-type]
        with desk.unit_of_work() as tx:
            withdrawn(tx, tx.get_one(Alert, alert))
        return server

    monkeypatch.setattr(email, "_connect", slowly)
    with mail_server(box) as url, settings_of(desk, smtp_url=url):
        go_on(desk, parcel)
    assert (box.letters, attempts(desk, alert)) == ([], [])


# ---------------------------------------------------------------- what may have gone counts as gone


@pytest.mark.parametrize("killed", [False, True])
def test_what_a_worker_has_in_hand_is_asked_back_like_what_has_left(
    desk: Store, receiver: Receiver, killed: bool
) -> None:
    """The bytes are on their way, or went with a worker that was killed before it could say so."""
    alert = told(desk)
    parcel = taken(desk, alert)
    assert ledger_of(desk) == [(alert, "perhaps")]
    with desk.unit_of_work() as tx:
        if killed:
            tx.execute(update(Contact).values(suspect_since=clock.now()))
    if killed:
        with time_machine.travel(clock.now() + timedelta(minutes=2), tick=True):
            worker.deliver(desk, deliveries(desk, alert)[0].id)
        assert attempts(desk, alert) == ["withheld"]
        with desk.unit_of_work() as tx:
            tx.execute(update(Contact).values(suspect_since=None))
    with desk.unit_of_work() as tx:
        recalled(tx, tx.get_one(Alert, alert))
    if not killed:
        with desk.unit_of_work() as tx:
            assert settle(tx, parcel, Outcome("delivered"), now=clock.now(), jitter=0.0)
    with desk.read() as tx:
        assert tx.execute(select(Recalled.asks_id)).scalar_one() is not None, "they have it and nobody asks for it"
    assert ledger_of(desk)[-1] == (alert, "perhaps" if killed else "delivered")


def test_what_was_never_begun_is_told_to_nobody_and_asked_back_from_nobody(desk: Store, receiver: Receiver) -> None:
    alert = told(desk)
    parcel = taken(desk, alert)
    with desk.unit_of_work() as tx:
        withdrawn(tx, tx.get_one(Alert, alert))
    go_on(desk, parcel)
    assert ledger_of(desk) == []


def ledger_of(desk: Store) -> list[tuple[int, str]]:
    with desk.read() as tx:
        found = ledger.lines(tx, principal=officer(), asked=ledger.Asked(), alone=True)["items"]
    return [(each["alert"], each["sure"]) for each in found]
