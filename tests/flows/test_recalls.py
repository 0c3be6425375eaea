"""Something that left is asked back: from everybody who had it, with a reminder, open until each has answered; the
thing itself is to be had no more; who answered what stands on the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select, update

from coordinator import clock
from coordinator.agreements.queries import current
from coordinator.agreements.service import record_agreement
from coordinator.alerts import released
from coordinator.alerts import service as alerts
from coordinator.alerts.models import Alert, Delivery
from coordinator.alerts.rungs import ack_token
from coordinator.errors import Refused
from coordinator.incidents.holds import open_holds
from coordinator.incidents.items import write_item
from coordinator.incidents.models import Incident
from coordinator.incidents.references import reference_of
from coordinator.markings import Marking
from coordinator.partners.models import Contact
from coordinator.sharing.models import ReleaseItem
from coordinator.sharing.service import permits_now
from coordinator.status import ledger
from coordinator.status.ledger import Asked
from coordinator.store import Store
from coordinator.tasks.models import Task
from tests.alerting import (
    MailBox,
    agreement,
    due,
    mail_server,
    mailbox,
    put_contact,
    put_incident,
    put_organisation,
    settings_of,
)
from tests.asked import asked
from tests.coordinator.web.conftest import Desk, visible_text
from tests.factories import OTHER, PARTNER, person, small_world, token_for
from workers import deliver as worker

THIRD = "PL-CERT"


class Sent:
    """FI, LV and PL were told, each by mail; FI's letter and LV's left, PL's waits."""

    def __init__(self, desk: Desk, box: MailBox) -> None:
        self.desk, self.store, self.box = desk, desk.store, box
        self.officer = desk.who("coordinator")
        with self.store.unit_of_work() as tx:
            for code in (PARTNER, OTHER, THIRD):
                put_organisation(tx, code)
                put_contact(tx, mailbox(f"desk@{code.lower()}.example"), code=code.lower(), organisation=code)
            row = put_incident(tx, owner_id=self.officer.user_id)
            version = write_item(
                tx, kind="note", content="A hash.", marking=Marking(tlp="GREEN"), incident=row, author="user:1",
                info_category="incident-notification",
            )  # fmt: skip
            self.incident, self.item, self.reference = row.id, version.item, reference_of(row)
            told = alerts.tell(
                tx, incident=row, kind="initial", title="Ransomware seen", body="What we saw.", items=[version],
                purpose="network-defence", info_category="incident-notification", ack="",
                requested_by=self.officer.actor, audience={"organisations": [PARTNER, OTHER, THIRD]},
            )  # fmt: skip
            self.alerts = {each.recipient: each.id for each in told.permitted}
        self.send(PARTNER, OTHER)

    def send(self, *codes: str, kind: str = "initial") -> None:
        with self.store.read() as tx:
            query = select(Delivery.id).join(Alert, Alert.id == Delivery.alert_id).where(
                Alert.recipient.in_(codes), Alert.kind == kind, Delivery.state == "queued")  # fmt: skip
            ids = list(tx.execute(query).scalars())
        for number in ids:
            worker.deliver(self.store, number)

    def asks(self, code: str, *, kind: str = "recall") -> str:
        """The link of the message that asks this recipient to delete it, or to take the right text."""
        with self.store.read() as tx:
            query = select(Delivery).join(Alert, Alert.id == Delivery.alert_id).where(
                Alert.recipient == code, Alert.kind == kind)  # fmt: skip
            return f"/a/{ack_token(tx, tx.execute(query.order_by(Delivery.id)).scalars().first())}"

    def first_link(self, code: str) -> str:
        with self.store.read() as tx:
            query = select(Delivery).where(Delivery.alert_id == self.alerts[code])
            return f"/a/{ack_token(tx, tx.execute(query).scalars().first())}"

    def states(self) -> dict[str, str]:
        with self.store.read() as tx:
            lines = ledger.lines(tx, principal=self.officer, asked=Asked(item=self.item))["items"]
        return {line["recipient"]: line["recall"]["state"] for line in lines if line["recall"]}

    def holds(self) -> int:
        with self.store.read() as tx:
            return len(open_holds(tx, self.incident))


@pytest.fixture
def sent(store: Store) -> Iterator[Sent]:
    box = MailBox()
    with mail_server(box) as url, settings_of(store, smtp_url=url):
        yield Sent(Desk(store, small_world(store)), box)


def test_everybody_who_had_it_is_asked_and_stays_open_until_the_answer(sent: Sent) -> None:
    browser, visitor = sent.desk.sit("coordinator"), sent.desk.visitor()
    path = f"/incidents/{sent.reference}/alerts/{sent.alerts[PARTNER]}"
    browser.get(path)
    assert browser.post(f"{path}/recall", {"recall_reason": "", "whom": "all"}).status_code == 422
    assert browser.post(f"{path}/recall", {"recall_reason": "Wrong hash.", "whom": "all"}).status_code == 303
    assert sent.states() == {PARTNER: "open", OTHER: "open"}
    sent.send(PARTNER, OTHER, kind="recall")
    with sent.store.read() as tx:
        assert tx.get_one(Alert, sent.alerts[THIRD]).state == "withdrawn", "what had not left never does"
        asked = {row.recipient: row for row in tx.execute(select(Alert).where(Alert.kind == "recall")).scalars()}
        assert {code: row.in_reply_to_id for code, row in asked.items()} == {
            code: sent.alerts[code] for code in (PARTNER, OTHER)}  # fmt: skip
    letter = sent.box.letters[-1].content.decode()
    assert "[TLP:CLEAR]" in letter and "Ransomware" not in letter and "Wrong hash" not in letter

    # The thing itself is behind no link any more, and the rules let it out to them no more.
    assert "What we saw." not in visitor.get(sent.first_link(PARTNER)).text
    assert "This was recalled" in visitor.get(sent.first_link(PARTNER)).text
    with sent.store.read() as tx:
        assert not permits_now(tx, tx.get_one(Alert, sent.alerts[PARTNER]).decision_id, now=clock.now())

    # Received is no answer; deleted is, and a reason is needed where it cannot be.
    assert visitor.post(sent.asks(PARTNER), {"answer": "acknowledged", "by": "Desk"}).status_code == 303
    assert sent.states()[PARTNER] == "open" and sent.holds() == 2
    assert visitor.post(sent.asks(PARTNER), {"answer": "deleted", "by": "Desk"}).status_code == 303
    assert visitor.post(sent.asks(OTHER), {"answer": "cannot-delete", "by": "Desk"}).status_code == 422
    said = {"answer": "cannot-delete", "by": "Desk", "note": "In a backup."}
    assert visitor.post(sent.asks(OTHER), said).status_code == 303
    assert sent.states() == {PARTNER: "deleted", OTHER: "cannot-delete"} and sent.holds() == 0
    page = browser.text(f"/ledger?item={sent.item}")
    assert "Recalled: deleted there" in page and "In a backup." in page
    assert "cannot delete what was recalled" in browser.text("/tasks")
    assert browser.post(f"{path}/recall", {"recall_reason": "Again.", "whom": "all"}).status_code == 409


def test_an_item_is_recalled_from_the_ledger_and_through_the_api_and_whoever_is_silent_is_reminded(sent: Sent) -> None:
    browser, client = sent.desk.sit("coordinator"), sent.desk.app.test_client()
    browser.get(f"/ledger?item={sent.item}")
    assert browser.post("/ledger/recall", {"item": sent.item, "reason": "Wrong hash."}).status_code == 303
    assert sent.states() == {PARTNER: "open", OTHER: "open"}
    sent.send(PARTNER, OTHER, kind="recall")
    with time_machine.travel(clock.now() + timedelta(minutes=31), tick=True):
        for number in due(sent.store, "alert.rung"):
            with sent.store.unit_of_work() as tx:
                alerts.climb(tx, number)
        sent.send(PARTNER, OTHER, kind="recall")
    reminders = [each.content.decode() for each in sent.box.letters if b"Reminder" in each.content]
    assert len(reminders) == 2
    token = {"Authorization": f"Bearer {token_for(sent.store)}"}
    again = client.post(f"/api/v1/items/{sent.item}/recall", json={"reason": "Once more."}, headers=token)
    assert again.status_code == 409
    [line] = [each for each in client.get(f"/api/v1/ledger?partner={PARTNER}", headers=token).json["items"]
              if each["kind"] == "initial"]  # fmt: skip
    assert line["recall"]["state"] == "open" and line["recall"]["reason"] == "Wrong hash."


def test_the_partner_view_shows_that_it_was_recalled_and_takes_the_answer_of_whoever_signed_in(sent: Sent) -> None:
    reader = person(sent.store, "partner-user", organisation_id=sent.desk.world.partner_id)
    with sent.store.unit_of_work() as tx:
        alerts.recall_alert(tx, sent.alerts[PARTNER], principal=sent.officer, reason="Only for LV.", only=True)
    sent.send(PARTNER, OTHER, kind="recall")
    with sent.store.unit_of_work() as tx:
        listed = {each["kind"]: each for each in released.released(tx, reader=reader)["items"]}
        assert listed["initial"]["title"] is None and listed["initial"]["recalled_at"] is not None
        one = released.one_released(tx, listed["initial"]["public_id"], reader=reader)
        assert one["body"] is None
        asks = released.one_released(tx, listed["recall"]["public_id"], reader=reader)
        assert asks["about"]["public_id"] == one["public_id"] and asks["offered"][0] == "deleted"
        released.answer_released(tx, asks["public_id"], reader=reader, answer="not-received")
    assert sent.states() == {PARTNER: "not-received"}, "LV was not asked: it was recalled from FI alone"


def test_a_correction_follows_the_very_alert_it_corrects(sent: Sent) -> None:
    with sent.store.unit_of_work() as tx:
        incident = tx.get_one(Incident, sent.incident)
        told = alerts.tell(
            tx, incident=incident, kind="correction", title="The right hash", body="It is another one.", ack="",
            purpose="network-defence", info_category="incident-notification", requested_by=sent.officer.actor,
            marking=Marking(tlp="GREEN"), audience={"organisations": [PARTNER]},
        )  # fmt: skip
        assert [each.in_reply_to_id for each in told.permitted] == [sent.alerts[PARTNER]]


def test_a_correction_goes_to_everybody_who_was_given_it_and_stays_open_until_each_has_answered(sent: Sent) -> None:
    browser, visitor = sent.desk.sit("coordinator"), sent.desk.visitor()
    path = f"/incidents/{sent.reference}/alerts"
    assert f"/alerts/new?corrects={sent.alerts[PARTNER]}" in browser.get(f"{path}/{sent.alerts[PARTNER]}").text
    form = browser.get(f"{path}/new?corrects={sent.alerts[PARTNER]}").text
    assert "What we saw." in form and all(code in visible_text(form) for code in (PARTNER, OTHER, THIRD))
    said = {
        "corrects": str(sent.alerts[PARTNER]), "kind": "correction", "title": "The right hash", "body": "Another one.",
        "sources": "own", "tlp": "GREEN", "purpose": "network-defence", "info_category": "incident-notification",
    }  # fmt: skip
    assert "3 recipients are told now" in visible_text(browser.post(f"{path}/new", said).text)
    with sent.store.read() as tx:
        assert tx.execute(select(Alert.id).where(Alert.kind == "correction")).first() is None, "looked at, not sent"
    assert browser.post(f"{path}/new", said | {"step": "send", "once": "1"}).status_code == 303
    sent.send(PARTNER, OTHER, THIRD, kind="correction")
    with sent.store.read() as tx:
        assert tx.get_one(Alert, sent.alerts[THIRD]).state == "withdrawn", "the wrong text never follows the right one"
        told = {row.recipient: row for row in tx.execute(select(Alert).where(Alert.kind == "correction")).scalars()}
        assert {code: row.in_reply_to_id for code, row in told.items()} == sent.alerts
        assert {row.ack for row in told.values()} == {"person"}
    assert sent.holds() == 3 and "3 answers" in browser.text("/board")
    letter = sent.box.letters[-1].content.decode()
    assert "Correction" in letter

    # Each of them answers; who has not is on the board, and the corrected alert says what became of its correction.
    for code in (PARTNER, OTHER):
        answer = visitor.post(sent.asks(code, kind="correction"), {"answer": "acknowledged", "by": "Desk"})
        assert answer.status_code == 303
    assert sent.holds() == 1 and "1 answer" in browser.text("/board")
    assert "Corrected" in browser.text(f"{path}/{sent.alerts[PARTNER]}")


def test_an_item_is_corrected_through_the_api_and_whoever_cannot_be_told_is_a_task(sent: Sent) -> None:
    token = {"Authorization": f"Bearer {token_for(sent.store)}"}
    client = sent.desk.app.test_client()
    with sent.store.unit_of_work() as tx:
        tx.execute(update(Contact).where(Contact.code == OTHER.lower()).values(active=False))
    wanted = {"kind": "correction", "title": "The right hash", "body": "Another.", "purpose": "network-defence",
              "tlp": "GREEN", "corrects": sent.item}  # fmt: skip
    path = f"/api/v1/incidents/{sent.reference}/alerts"
    assert client.post(path, json=wanted | {"audience": [PARTNER]}, headers=token).status_code == 422
    assert client.post(path, json=wanted | {"corrects": "itm-none"}, headers=token).status_code == 409
    assert client.post(path, json=wanted, headers=token).status_code == 201
    with sent.store.read() as tx:
        told = set(tx.execute(select(Alert.recipient).where(Alert.kind == "correction")).scalars())
        assert told == {PARTNER, THIRD}
        assert tx.execute(select(Task.title).where(Task.title.startswith("Tell"))).scalars().all() == [
            f"Tell {OTHER} by another way that what it has was corrected"]  # fmt: skip


def test_a_text_alone_is_no_recall(sent: Sent) -> None:
    browser, client = sent.desk.sit("coordinator"), sent.desk.app.test_client()
    said = {"kind": "recall", "title": "T", "body": "B", "purpose": "network-defence"}
    token = {"Authorization": f"Bearer {token_for(sent.store)}"}
    answer = client.post(f"/api/v1/incidents/{sent.reference}/alerts", json=said, headers=token)
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/kind")
    browser.get(f"/incidents/{sent.reference}/alerts/new")
    form = said | {"audience": "told", "info_category": "incident-notification", "sources": "own", "tlp": "GREEN"}
    assert browser.post(f"/incidents/{sent.reference}/alerts/new", form).status_code == 422
    with sent.store.unit_of_work() as tx, pytest.raises(Refused):
        alerts.tell(tx, incident=tx.get_one(Incident, sent.incident), requested_by="user:1",
                    info_category="incident-notification", **said)  # fmt: skip


def test_nobody_is_asked_twice_and_what_holds_nothing_of_a_case_is_not_asked_back(sent: Sent) -> None:
    with sent.store.unit_of_work() as tx:
        alerts.recall_alert(tx, sent.alerts[PARTNER], principal=sent.officer, reason="Wrong.")
    with sent.store.unit_of_work() as tx, pytest.raises(Refused):
        alerts.recall_alert(tx, sent.alerts[PARTNER], principal=sent.officer, reason="Wrong.")
    with sent.store.unit_of_work() as tx:
        recall = tx.execute(select(Alert.id).where(Alert.kind == "recall")).scalars().first()
        with pytest.raises(Refused):
            alerts.recall_alert(tx, recall or 0, principal=sent.officer, reason="No.")


def test_what_was_withdrawn_after_it_left_is_still_out_and_is_asked_back_all_the_same(sent: Sent) -> None:
    with sent.store.unit_of_work() as tx:
        for code in (OTHER, THIRD):  # LV's letter left, PL's never did
            alerts.withdraw(tx, sent.alerts[code], principal=sent.officer, reason="Stop it.")
    browser = sent.desk.sit("coordinator")
    path = f"/incidents/{sent.reference}/alerts/{sent.alerts[OTHER]}"
    assert "Recall it" in browser.text(path) and "Withdraw the alert" not in browser.text(path)
    assert "Recall it" not in browser.text(f"/incidents/{sent.reference}/alerts/{sent.alerts[THIRD]}")
    form = {"recall_reason": "Not theirs.", "whom": "all"}
    assert browser.post(f"{path}/recall", form).status_code == 303
    assert sent.states() == {PARTNER: "open", OTHER: "open"}
    late = browser.post(f"{path}/wrong", {"wrong_reason": "Meant for PL.", "wrong_recall": "now"})
    assert late.status_code == 303, "what is asked back already may still be marked as wrong"


def test_a_wrong_release_opens_an_incident_of_its_own_with_what_is_owed_and_the_recall(sent: Sent) -> None:
    with sent.store.unit_of_work() as tx:
        agreement(tx)  # with FI; its next version says in what time a breach is reported
        more = {"breach_report_due": "PT24H", "clause_refs": {"breach_report_due": "Art. 9"}}
        record_agreement(tx, dict(current(tx)[0].terms) | more, actor="cli:test")
        theirs = write_item(
            tx, kind="note", content="FI's own.", marking=Marking(tlp="GREEN"), author="user:1",
            info_category="incident-notification", originator_id=sent.desk.world.partner_id,
            incident=tx.get_one(Incident, sent.incident),
        )  # fmt: skip
        tx.add(ReleaseItem(release_id=tx.get_one(Alert, sent.alerts[OTHER]).release_id, item_version_id=theirs.id))
    browser = sent.desk.sit("coordinator")
    path = f"/incidents/{sent.reference}/alerts/{sent.alerts[OTHER]}"
    browser.get(path)
    assert browser.post(f"{path}/wrong", {"wrong_reason": ""}).status_code == 422
    answer = browser.post(f"{path}/wrong", {"wrong_reason": "Meant for PL.", "wrong_recall": "now"})
    assert answer.status_code == 303, visible_text(answer.text)
    page = browser.text(answer.location)
    assert "Restricted" in page and "Meant for PL." in page and sent.reference in page
    assert f"Report to {PARTNER} that its information went to {OTHER} by mistake" in page
    with sent.store.read() as tx:
        task = tx.execute(select(Task).where(Task.title.startswith("Report to"))).scalar_one()
        assert task.due_at is not None and timedelta(hours=23) < task.due_at - clock.now() <= timedelta(hours=24)
        assert "Art. 9" in asked(sent.store, task).instructions
    assert sent.states() == {OTHER: "open"}, "only whoever should not have it is asked"
    assert browser.post(f"{path}/wrong", {"wrong_reason": "Again."}).status_code == 409
    analyst = sent.desk.sit("analyst")
    assert analyst.get(answer.location).status_code == 404
