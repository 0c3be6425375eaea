"""Telling: exercises apart, threads, everyone told so far, ceilings, what keeps an incident open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes, policy

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.alerts import service as alerts
from coordinator.alerts.letters import event_for, letter_for
from coordinator.alerts.models import Alert, Delivery
from coordinator.errors import Invalid, Refused
from coordinator.incidents.holds import open_holds
from coordinator.incidents.models import Incident
from coordinator.markings import Marking
from coordinator.sharing.service import decide_share, prepare_release
from coordinator.store import Store
from coordinator.tasks.models import Task
from tests.alerting import (
    MailBox,
    addressee,
    agreement,
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
from tests.factories import OTHER, PARTNER, World, person
from tests.receiving import run_due

EXERCISE = "EX-2026"


@pytest.fixture
def desk(store: Store, world: World) -> Iterator[tuple[Store, MailBox]]:
    """Two partners with a mailbox each."""
    box = MailBox()
    with mail_server(box) as url, settings_of(store, smtp_url=url):
        with store.unit_of_work() as tx:
            for code in (PARTNER, OTHER):
                put_organisation(tx, code)
                put_contact(tx, mailbox(f"desk@{code.lower()}.example"), code=code, organisation=code)
        yield store, box


def tell(tx: Session, incident: Incident | None, kind: str = "initial", **more: object) -> alerts.Told:
    fields = {
        "kind": kind, "title": f"canary {kind}", "body": "What we saw.", "purpose": "network-defence",
        "info_category": "incident-notification", "requested_by": "user:99", "incident": incident, "ack": "", **more,
    }  # fmt: skip
    return alerts.tell(tx, **fields)  # type: ignore[arg-type]


# ---------------------------------------------------------------- whom, and in which thread


def test_an_update_goes_to_everyone_told_so_far_with_a_decision_and_a_thread_of_its_own(
    desk: tuple[Store, MailBox],
) -> None:
    store, box = desk
    with store.unit_of_work() as tx:
        incident = put_incident(tx)
        first = tell(tx, incident, audience={"organisations": [PARTNER, OTHER]})
    run_due(store)
    with store.unit_of_work() as tx:
        update = tell(tx, tx.get_one(Incident, incident.id), "update")
        assert {alert.recipient for alert in update.permitted} == {PARTNER, OTHER}
        assert {alert.in_reply_to_id for alert in update.permitted} == {alert.id for alert in first.permitted}
        assert len({alert.decision_id for alert in (*first.permitted, *update.permitted)}) == 4
        assert update.release.in_reply_to_id == first.release.id
    run_due(store)
    mails = [message_from_bytes(each.content, policy=policy.default) for each in box.letters]
    for receiver in {str(each["To"]) for each in mails}:
        thread = [each for each in mails if each["To"] == receiver]
        assert thread[1]["In-Reply-To"] == thread[0]["Message-ID"]
        assert thread[1]["Subject"].startswith("[TLP:GREEN] Update: canary update")


def test_who_was_only_told_in_vain_is_not_told_further(desk: tuple[Store, MailBox]) -> None:
    store, _ = desk
    officer = person(store, "coordinator")
    with store.unit_of_work() as tx:
        incident = put_incident(tx)
        first = tell(tx, incident, audience={"organisations": [PARTNER, OTHER]})
        alerts.withdraw(tx, first.permitted[0].id, principal=officer, reason="Wrong.")
        told = tell(tx, incident, "closure")
        assert [alert.recipient for alert in told.permitted] == [first.permitted[1].recipient]


def test_each_partner_has_a_reference_of_its_own_and_never_ours(desk: tuple[Store, MailBox]) -> None:
    store, box = desk
    with store.unit_of_work() as tx:
        incident = put_incident(tx)
        first = tell(tx, incident, audience={"organisations": [PARTNER, OTHER]})
        second = tell(tx, incident, "update")
        references = {(alert.recipient, alert.partner_reference) for alert in (*first.permitted, *second.permitted)}
        assert len(references) == 2 and all(text.startswith("REF-") for _, text in references)
    run_due(store)
    assert len(box.letters) == 4 and not [each for each in box.letters if b"INC-" in each.content]


def test_an_audience_is_asked_for(desk: tuple[Store, MailBox]) -> None:
    store, _ = desk
    with store.unit_of_work() as tx, pytest.raises(Invalid):
        tell(tx, put_incident(tx))


def test_a_text_above_the_ceiling_of_a_step_is_refused_whole(desk: tuple[Store, MailBox]) -> None:
    store, _ = desk
    with store.unit_of_work() as tx:
        incident = put_incident(tx, tlp="AMBER")
        with pytest.raises(Refused):
            tell(tx, incident, audience={"organisations": [PARTNER]}, tlp_max="GREEN")
        assert tx.execute(select(Alert)).first() is None


# ---------------------------------------------------------------- exercises


def test_an_exercise_goes_by_its_own_channels_only_and_is_bannered(desk: tuple[Store, MailBox]) -> None:
    store, box = desk
    with store.unit_of_work() as tx:
        put_system(tx, "https://ex.fi.example/hook", slug="fi-ex", exercise=EXERCISE)
        contact = put_contact(tx, webhook("fi-ex"), code="fi-ex", order=9)
        contact_channel = addressee(tx, contact)
        assert contact_channel.exercise == EXERCISE
        incident = put_incident(tx, exercise=EXERCISE)
        told = tell(tx, incident, audience={"organisations": [PARTNER, OTHER]})
        assert [(alert.recipient, alert.exercise) for alert in told.permitted] == [(PARTNER, EXERCISE)]
        assert [each.code for each in told.unreachable] == [OTHER]
        [delivery] = tx.execute(select(Delivery)).scalars()
        assert event_for(tx, told.permitted[0], delivery).data["exercise"] == EXERCISE
        letter, _ = letter_for(tx, told.permitted[0], delivery)
        assert letter.subject.startswith("EXERCISE [TLP:GREEN]")
    assert box.letters == []


def test_a_real_text_is_refused_on_an_exercise_channel(desk: tuple[Store, MailBox]) -> None:
    store, _ = desk
    with store.unit_of_work() as tx:
        put_system(tx, "https://ex.fi.example/hook", slug="fi-ex", exercise=EXERCISE)
        way = addressee(tx, put_contact(tx, webhook("fi-ex"), code="fi-ex", order=9))
        release = prepare_release(
            tx, kind="initial", title="T", body="B", purpose="network-defence", marking=Marking(tlp="CLEAR"),
            info_category="incident-notification", requested_by="user:99", incident=put_incident(tx, exercise=EXERCISE),
        )  # fmt: skip
        assert decide_share(tx, release, way).result == "permit"
        real = addressee(tx, put_contact(tx, mailbox("x@fi.example"), code="fi-real"))
        assert decide_share(tx, release, replace(real, channel_id=None)).reasons == ["D-EXERCISE-MIX"]


def test_our_own_people_are_told_of_an_exercise_as_one(desk: tuple[Store, MailBox]) -> None:
    store, box = desk
    person(store, "duty-officer")
    with store.unit_of_work() as tx:
        alerts.tell_own(tx, key="new-incident", role="duty-officer", incident=put_incident(tx, exercise=EXERCISE))
    run_due(store)
    assert b"EXERCISE EXERCISE EXERCISE" in box.letters[0].content


# ---------------------------------------------------------------- what keeps an incident open


def test_an_alert_on_its_way_keeps_the_incident_open_until_it_is_sent(desk: tuple[Store, MailBox]) -> None:
    store, _ = desk
    with store.unit_of_work() as tx:
        incident = put_incident(tx)
        tell(tx, incident, audience={"organisations": [PARTNER]})
        [hold] = open_holds(tx, incident.id)
        assert (hold.kind, hold.blocks, hold.text) == ("alert", "close", f"An alert to {PARTNER} is under way")
    run_due(store)
    with store.read() as tx:
        assert open_holds(tx, incident.id) == []


def test_a_call_not_made_is_called_off_when_the_answer_came_another_way(desk: tuple[Store, MailBox]) -> None:
    store, _ = desk
    officer = person(store, "coordinator")
    with store.unit_of_work() as tx:
        put_contact(tx, phone(), code=PARTNER)
        incident = put_incident(tx)
        [alert] = tell(tx, incident, audience={"organisations": [PARTNER]}, ack="person").permitted
    run_due(store)
    with store.unit_of_work() as tx:
        assert tx.execute(select(Task.state)).scalars().all() == ["open"]
        alerts.acknowledge_for(tx, alert.id, principal=officer, by="Aino", answer="acknowledged")
        assert tx.execute(select(Task.state)).scalars().all() == ["cancelled"]
        assert open_holds(tx, incident.id) == []
    for task_id in due(store, "task.cancelled"):
        with store.unit_of_work() as tx:
            alerts.finish_call(tx, task_id)
    with store.read() as tx:
        assert tx.get_one(Alert, alert.id).state == "acknowledged"


def test_a_check_that_a_person_answered_verifies_the_contact(desk: tuple[Store, MailBox]) -> None:
    store, _ = desk
    officer, start = person(store, "duty-officer"), clock.now()
    with store.unit_of_work() as tx:
        contact = put_contact(tx, mailbox(), code=PARTNER)
        told = tell(tx, None, "check", audience={"directory": "technical"}, ack="person",
                    marking=Marking(tlp="CLEAR"), info_category="contact-check")  # fmt: skip
        mine = next(alert for alert in told.permitted if alert.recipient == PARTNER)
        alerts.acknowledge_for(tx, mine.id, principal=officer, by="Aino", answer="acknowledged")
        tx.refresh(contact)
        assert contact.verified_on >= start


def test_what_is_denied_is_on_record_and_tells_nobody(desk: tuple[Store, MailBox]) -> None:
    store, box = desk
    with store.unit_of_work() as tx:
        agreement(tx, ceiling="GREEN")
        told = tell(tx, put_incident(tx, tlp="AMBER"), audience={"organisations": [PARTNER]})
        assert told.permitted == told.referred == ()
        assert told.denied[0].agreement_problems == {"MOU": ["A-TLP-CEILING"]}
        assert told.release.state == "refused"
    run_due(store)
    assert box.letters == []
