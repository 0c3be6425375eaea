"""Answers to alerts: by link, by machine, noted after a call; repeated, wrong, late, withdrawn."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.alerts import rungs
from coordinator.alerts import service as alerts
from coordinator.alerts.models import Acknowledgement, Alert
from coordinator.alerts.queries import call_script
from coordinator.alerts.released import answer_page
from coordinator.errors import Gone, Invalid, NotFound, Refused
from coordinator.incidents.holds import open_holds
from coordinator.incidents.items import marking_of, read_item
from coordinator.incidents.models import Hold, ItemVersion
from coordinator.markings import Marking
from coordinator.partners.models import Contact
from coordinator.sharing.approvals import approve
from coordinator.store import Store
from coordinator.tasks.models import Task
from coordinator.timeline.models import Entry, EntryValue, Pending
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
from tests.receiving import run_due

OFFICER = Principal(99, "Officer", "coordinator")


@pytest.fixture
def desk(store: Store, world: World) -> Iterator[Store]:
    """A partner with two contacts: a mailbox and a telephone at the first, a mailbox at the second."""
    with mail_server(MailBox()) as url, settings_of(store, smtp_url=url):
        with store.unit_of_work() as tx:
            put_organisation(tx, PARTNER)
            put_contact(tx, mailbox(), phone())
            put_contact(tx, mailbox("second@fi.example"), code="fi-second", order=2)
        yield store


def told(store: Store, *, ack: str = "person", tlp: str = "GREEN", **more: object) -> int:
    with store.unit_of_work() as tx:
        answer = alerts.tell(
            tx, incident=put_incident(tx, tlp=tlp), kind="initial", title="canary-title", body="canary-body",
            purpose="network-defence", info_category="incident-notification", requested_by="user:99",
            audience={"organisations": [PARTNER]}, ack=ack, **more,  # type: ignore[arg-type]
        )  # fmt: skip
        return answer.permitted[0].id


def climb(store: Store) -> None:
    for alert_id in due(store, "alert.rung"):
        with store.unit_of_work() as tx:
            alerts.climb(tx, alert_id)
    run_due(store)


def token(store: Store, alert_id: int, rung: int = 0) -> str:
    with store.read() as tx:
        return rungs.ack_token(tx, deliveries(store, alert_id)[rung])


def answer(store: Store, alert_id: int, **fields: object) -> alerts.AckResult:
    given = {"token": token(store, alert_id), "kind": "person", "by": "Aino", "answer": "acknowledged", **fields}
    with store.unit_of_work() as tx:
        return alerts.acknowledge(tx, **given)  # type: ignore[arg-type]


def ways(store: Store, alert_id: int) -> list[tuple[str, str, str]]:
    with store.read() as tx:
        codes = dict(tx.execute(select(Contact.id, Contact.code)).all())  # type: ignore[arg-type]
    return [(codes[row.contact_id], row.kind, row.state) for row in deliveries(store, alert_id)]


def holds(store: Store, alert_id: int) -> list[str]:
    with store.read() as tx:
        return [each.kind for each in open_holds(tx, tx.get_one(Alert, alert_id).incident_id or 0)]


# ---------------------------------------------------------------- answers


def test_a_person_acknowledges_by_link_and_everything_stops(desk: Store) -> None:
    alert = told(desk)
    assert holds(desk, alert) == ["alert"]
    result = answer(desk, alert)
    row = alert_of(desk, alert)
    assert (row.state, row.acknowledged_at, result.assurance) == ("acknowledged", result.at, "link")
    assert holds(desk, alert) == []
    assert ways(desk, alert) == [("fi-duty", "email", "cancelled")]
    run_due(desk)
    with time_machine.travel(clock.now() + timedelta(hours=5), tick=True), desk.unit_of_work() as tx:
        for _ in range(5):
            alerts.climb(tx, alert)
        assert tx.execute(select(Task)).first() is None
    assert len(deliveries(desk, alert)) == 1


def test_the_same_answer_again_gets_the_same_result(desk: Store) -> None:
    alert = told(desk)
    first, second = answer(desk, alert), answer(desk, alert)
    assert (first.repeated, second.repeated) == (False, True)
    assert first.at == second.at
    with desk.read() as tx:
        assert len(tx.execute(select(Acknowledgement)).scalars().all()) == 1
    assert due(desk, "alert.acknowledged") == [alert]


def test_a_machine_does_not_answer_for_a_person(desk: Store) -> None:
    alert = told(desk, ack="person")
    run_due(desk)
    answer(desk, alert, kind="system")
    assert alert_of(desk, alert).state == "handed-over"
    assert holds(desk, alert) == ["alert"]
    answer(desk, alert, kind="person")
    assert alert_of(desk, alert).state == "acknowledged"


def test_the_token_is_nowhere_in_the_database(desk: Store) -> None:
    alert = told(desk)
    secret = token(desk, alert)
    assert len(secret) >= 32
    with desk.read() as tx:
        for row in deliveries(desk, alert):
            assert secret not in str(vars(row))
        assert all(secret.encode() not in each.sealed for each in tx.execute(select(EntryValue)).scalars())


def test_a_withdrawn_or_expired_link_says_so_and_takes_nothing(desk: Store) -> None:
    alert = told(desk)
    with time_machine.travel(clock.now() + timedelta(days=31), tick=True), pytest.raises(Gone):
        answer(desk, alert)
    with desk.unit_of_work() as tx:
        alerts.withdraw(tx, alert, principal=OFFICER, reason="Wrong partner.")
    with pytest.raises(Gone):
        answer(desk, alert)
    with desk.read() as tx, pytest.raises(Gone) as gone:
        answer_page(tx, token(desk, alert))
    assert "canary" not in gone.value.detail


@pytest.mark.parametrize(("fields", "pointer"), [
    ({"kind": "robot"}, "/kind"), ({"answer": "maybe"}, "/answer"), ({"by": "x" * 201}, "/by"), ({"by": ""}, "/by"),
    ({"by": " \u200b. -"}, "/by"), ({"by": "112"}, "/by"),
    ({"note": "x" * 4001}, "/note"),
])  # fmt: skip
def test_an_answer_that_cannot_be_read_names_its_field(
    desk: Store, fields: dict[str, object], pointer: str
) -> None:
    alert = told(desk)
    with pytest.raises(Invalid) as refusal:
        answer(desk, alert, **fields)
    assert [fault.pointer for fault in refusal.value.errors] == [pointer]


@pytest.mark.parametrize("note", [None, "", " \n"])
def test_a_question_says_what_is_asked_unless_it_is_a_systems(desk: Store, note: str | None) -> None:
    alert = told(desk)
    with pytest.raises(Invalid) as refusal:
        answer(desk, alert, answer="question", note=note)
    assert [fault.pointer for fault in refusal.value.errors] == ["/note"]
    answer(desk, alert, answer="question", note=note, worded=False)


def test_a_question_keeps_its_words_under_the_alerts_label_as_the_partners(desk: Store, world: World) -> None:
    alert = told(desk)
    answer(desk, alert, answer="question", note="Which version?")
    answer(desk, alert, answer="question", note="Which version?")
    answer(desk, alert, answer="question", note="And when?")
    assert alert_of(desk, alert).state == "queued"
    with desk.read() as tx:
        notes = list(tx.execute(select(ItemVersion).where(ItemVersion.kind == "partner-reply")).scalars())
        assert [read_item(tx, each) for each in notes] == ["Which version?", "And when?"]
        assert {each.originator_id for each in notes} == {world.partner_id}
        assert marking_of(notes[0]) == Marking(tlp="GREEN")
        assert len(tx.execute(select(Task).where(Task.title.contains("question"))).scalars().all()) == 2


def test_not_for_me_moves_on_marks_the_contact_and_opens_a_task(desk: Store) -> None:
    alert = told(desk)
    run_due(desk)
    answer(desk, alert, answer="not-for-me")
    run_due(desk)
    assert ways(desk, alert) == [("fi-duty", "email", "handed-over"), ("fi-second", "email", "handed-over")]
    with desk.read() as tx:
        assert tx.execute(select(Contact.suspect_since).where(Contact.code == "fi-duty")).scalar_one() is not None
        assert tx.execute(select(Task.title)).scalars().all() == [f"Check the points of contact at {PARTNER}"]
    answer(desk, alert, token=token(desk, alert, 1))
    assert alert_of(desk, alert).state == "acknowledged"


def test_an_officer_notes_an_answer_given_another_way(desk: Store) -> None:
    alert = told(desk)
    with desk.unit_of_work() as tx:
        noted = alerts.acknowledge_for(tx, alert, principal=OFFICER, by="Aino, on the phone", answer="acknowledged")
    assert (noted.assurance, alert_of(desk, alert).state) == ("noted-by-officer", "acknowledged")
    other = told(desk)
    with desk.unit_of_work() as tx:
        alerts.withdraw(tx, other, principal=OFFICER, reason="Wrong.")
        with pytest.raises(Refused):
            alerts.acknowledge_for(tx, other, principal=OFFICER, by="Aino", answer="acknowledged")


# ---------------------------------------------------------------- the ladder


def test_silence_reminds_then_takes_the_next_channel_then_the_next_contact_then_a_person(desk: Store) -> None:
    alert = told(desk)
    start = clock.now()
    run_due(desk)
    for minutes in (31, 61, 121, 241):
        with time_machine.travel(start + timedelta(minutes=minutes), tick=True):
            climb(desk)
    assert ways(desk, alert) == [
        ("fi-duty", "email", "handed-over"), ("fi-duty", "email", "handed-over"),
        ("fi-duty", "voice", "handed-over"), ("fi-second", "email", "handed-over"),
    ]  # fmt: skip
    with desk.read() as tx:
        titles = tx.execute(select(Task.title).order_by(Task.id)).scalars().all()
        assert titles == [f"Call {PARTNER}: an alert", f"{PARTNER} has not answered an alert: look after it"]
        decisions = tx.execute(select(Entry.kind).where(Entry.kind == "decision.made")).scalars().all()
    assert len(decisions) == 3  # one for each way; within the hour the reminder goes by the first
    assert len({row.ack_hash for row in deliveries(desk, alert)}) == 4


def test_a_reminder_says_that_it_is_one_and_stands_in_the_thread(desk: Store) -> None:
    box = MailBox()
    with mail_server(box) as url, settings_of(desk, smtp_url=url):
        told(desk)
        run_due(desk)
        with time_machine.travel(clock.now() + timedelta(minutes=31), tick=True):
            climb(desk)
    first, second = (each.content.decode() for each in box.letters)
    assert "Reminder:" in second and "Reminder:" not in first
    first_id = next(line for line in first.splitlines() if line.startswith("Message-ID:")).split(" ")[1]
    assert f"In-Reply-To: {first_id}" in second


def test_a_timer_that_fires_twice_climbs_once(desk: Store) -> None:
    alert = told(desk)
    run_due(desk)
    with time_machine.travel(clock.now() + timedelta(minutes=31), tick=True), desk.unit_of_work() as tx:
        alerts.climb(tx, alert)
        alerts.climb(tx, alert)
    assert len(deliveries(desk, alert)) == 2


def test_at_the_end_of_the_ladder_a_person_takes_over_and_the_incident_stays_open(desk: Store) -> None:
    alert = told(desk, ladder=())
    run_due(desk)
    for _ in range(4):
        with desk.unit_of_work() as tx:
            alerts.next_rung(tx, alert)
        run_due(desk)
    assert len(deliveries(desk, alert)) == 3
    assert alert_of(desk, alert).state == "handed-over"
    with desk.read() as tx:
        assert "Nobody has answered" in tx.execute(select(Task.title).order_by(Task.id.desc())).scalars().first()
        assert tx.execute(select(Hold.kind).where(Hold.settled_at.is_(None))).scalars().all().count("alert") == 0
        assert "task" in holds(desk, alert)


def test_silence_never_goes_beyond_the_party(desk: Store) -> None:
    with desk.unit_of_work() as tx:
        put_organisation(tx, "SE-CSIRT")
        put_contact(tx, mailbox("se@se.example"), code="se", organisation="SE-CSIRT")
    alert = told(desk, ladder=())
    for _ in range(6):
        run_due(desk)
        with desk.unit_of_work() as tx:
            alerts.next_rung(tx, alert)
    assert {code for code, _, _ in ways(desk, alert)} == {"fi-duty", "fi-second"}


# ---------------------------------------------------------------- the page


def test_the_page_shows_a_green_text_to_the_holder_of_the_link(desk: Store) -> None:
    alert = told(desk)
    with desk.read() as tx:
        page = answer_page(tx, token(desk, alert))
        assert tx.execute(select(Pending)).scalars().all() != []
    assert (page["title"], page["body"], page["label"]) == ("canary-title", "canary-body", "TLP:GREEN")
    assert page["reference"].startswith("REF-") and page["answers"] == []


def test_above_green_the_page_shows_the_text_only_to_one_who_signed_in_there(desk: Store, world: World) -> None:
    with desk.unit_of_work() as tx:
        agreement(tx)
    with settings_of(desk, base_url="https://us.example"):
        alert = told(desk, tlp="AMBER")
        inside = person(desk, "partner-user", "Aino", organisation_id=world.partner_id)
        outside = person(desk, "partner-user", "Liga", organisation_id=world.other_id)
        with desk.read() as tx:
            shown = {
                name: answer_page(tx, token(desk, alert), reader=reader)["body"]
                for name, reader in (("nobody", None), ("inside", inside), ("outside", outside), ("ours", OFFICER))
            }
    assert shown == {"nobody": None, "inside": "canary-body", "outside": None, "ours": None}


def test_a_red_text_is_shown_to_the_named_person_alone(desk: Store, world: World) -> None:
    marking = Marking(tlp="RED", named_recipients={"aino@ee.example"})
    with desk.unit_of_work() as tx:
        agreement(tx, ceiling="RED")
        put_contact(tx, phone(), tlp_max="RED", person={"name": "Aino", "email": "aino@ee.example"})
        put_contact(tx, mailbox("x@fi.example"), code="fi-second", order=2)
        told_ = alerts.tell(
            tx, incident=put_incident(tx, tlp="RED"), kind="initial", title="canary-title", body="canary-body",
            purpose="network-defence", info_category="incident-notification", requested_by="user:99",
            audience={"organisations": [PARTNER]}, marking=marking,
        )  # fmt: skip
    second = person(desk, "release-authority")
    with desk.unit_of_work() as tx:
        alert = alerts.raise_approved(tx, approve(tx, told_.referred[0].id, principal=second).id).id
    named = person(desk, "partner-user", "Aino", organisation_id=world.partner_id)
    colleague = person(desk, "partner-user", "Eero", organisation_id=world.partner_id)
    with settings_of(desk, base_url="https://us.example"), desk.read() as tx:
        assert answer_page(tx, token(desk, alert), reader=named)["body"] == "canary-body"
        assert answer_page(tx, token(desk, alert), reader=colleague)["body"] is None


def test_amber_by_mail_needs_the_portal_to_be_behind_https(desk: Store) -> None:
    with desk.unit_of_work() as tx:
        agreement(tx)
        called = alerts.tell(
            tx, incident=put_incident(tx, tlp="AMBER"), kind="initial", title="T", body="B", purpose="network-defence",
            info_category="incident-notification", requested_by="user:99",
            audience={"contact_kind": "technical"},
        ).permitted[0]  # fmt: skip
        assert called.plan is not None
        plan = [(each["channel"], each["result"], each["reasons"]) for each in called.plan]
        assert plan[0] == ("voice", "permit", [])
        assert ("email", "deny", ["D-CHANNEL-CLEAR-TEXT"]) in plan


def test_a_mail_for_an_amber_alert_says_nothing_of_it(desk: Store) -> None:
    box = MailBox()
    with desk.unit_of_work() as tx:
        agreement(tx)
    with mail_server(box) as url, settings_of(desk, smtp_url=url, base_url="https://us.example"):
        told(desk, tlp="AMBER")
        run_due(desk)
    [letter] = box.letters
    assert b"canary" not in letter.content
    assert b"TLP:AMBER" in letter.content and b"https://us.example/a/" in letter.content


def test_the_script_of_a_call_is_the_cleared_text(desk: Store) -> None:
    alert = told(desk)
    with desk.read() as tx:
        assert "canary-body" in call_script(tx, alert)
        with pytest.raises(NotFound):
            call_script(tx, 999)


def test_content_is_in_no_row_in_the_open(desk: Store) -> None:
    """R24: titles and texts are in sealed item versions only."""
    with desk.unit_of_work() as tx:
        put_system(tx, "https://csirt.fi.example/hook")
        put_contact(tx, webhook(), code="fi-hook", order=0)
    told(desk)
    with desk.read() as tx:
        for table in ("releases", "share_decisions", "alerts", "deliveries", "pending", "entries", "holds", "tasks"):
            rows = tx.connection().exec_driver_sql(f"SELECT * FROM {table}").all()
            assert "canary" not in repr(rows), table
