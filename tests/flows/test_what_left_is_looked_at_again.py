"""What was sent rests on a consent, a label, an agreement. When one of them goes, what waits stops by itself, a person
decides about what left, the runs that share it pause, and the originator is told."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import select

from coordinator import clock
from coordinator.agreements.models import Consent
from coordinator.agreements.queries import current
from coordinator.agreements.service import record_agreement, record_consent, withdraw_consent
from coordinator.alerts.models import Alert, Delivery, DeliveryAttempt, Review
from coordinator.alerts.service import tell
from coordinator.incidents import service
from coordinator.incidents.items import newest_version, write_item
from coordinator.incidents.models import Incident
from coordinator.incidents.references import reference_of
from coordinator.markings import Marking
from coordinator.runs.models import PlaybookVersion, Run, StepAttempt
from coordinator.runs.pausing import pause_sharing
from coordinator.runs.saved import wishes_of
from coordinator.sharing import approvals
from coordinator.sharing.models import Recalled, Release
from coordinator.store import Store
from coordinator.tasks.models import Task
from tests.alerting import agreement, put_contact, put_incident, put_organisation, put_system, settings_of, webhook
from tests.asked import asked
from tests.coordinator.web.conftest import Desk, visible_text
from tests.factories import OTHER, PARTNER, small_world, token_for
from tests.releasing import clearing
from tests.workers.drained import drain


class House:
    """FI told us something as AMBER and consents that LV has it; LV has an agreement and a system."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.store = desk, desk.store
        self.owner = desk.who("coordinator")
        with self.store.unit_of_work() as tx:
            for code, slug in ((PARTNER, "fi-out"), (OTHER, "lv-out")):
                put_organisation(tx, code)
                put_system(tx, f"https://{slug}.example/hook", code=code, slug=slug)
                put_contact(tx, webhook(slug), code=slug, organisation=code)
            agreement(tx, code=OTHER)
            record_consent(tx, {
                "from": PARTNER, "to": OTHER, "purpose": "*", "item": "*", "evidence": "mail of today",
                "valid_until": clock.now() + timedelta(days=30),
            }, actor="user:1")  # fmt: skip
            fi = desk.world.partner_id
            row = put_incident(tx, tlp="AMBER", originator_id=fi, source_id=fi, owner_id=self.owner.user_id)
            self.incident, self.reference = row.id, reference_of(row)
            note = write_item(tx, kind="note", content="Ours.", marking=Marking(tlp="GREEN"), author="user:1",
                              info_category="incident-notification", incident=row)  # fmt: skip
            self.item, self.version = note.item, note.id

    def ask(self, title: str) -> int:
        """To LV, and nobody has cleared it; the release."""
        return self._tell(title, cleared=False)

    def tell(self, title: str, **more: Any) -> int:
        """To LV, cleared by a second person where one is needed; the alert."""
        number = self._tell(title, **more)
        with self.store.read() as tx:
            return tx.execute(select(Alert.id).where(Alert.release_id == number)).scalar_one()

    def release_state(self, number: int) -> str:
        with self.store.read() as tx:
            return tx.get_one(Release, number).state

    def _tell(self, title: str, *, cleared: bool = True, kind: str = "initial", **more: Any) -> int:
        with self.store.unit_of_work() as tx:
            told = tell(
                tx, incident=tx.get_one(Incident, self.incident), kind=kind, title=title, body="What we heard.",
                purpose="network-defence", info_category="incident-notification", requested_by=self.owner.actor,
                audience={"organisations": [OTHER]}, ack="", **more,
            )  # fmt: skip
            number = told.release.id
            for decision in told.referred if cleared else ():
                approvals.approve(tx, decision.id, principal=clearing(tx))
        drain(self.store)
        return number

    def sent(self, alert_id: int) -> None:
        """As if its system had taken it."""
        with self.store.unit_of_work() as tx:
            one = tx.execute(select(Delivery).where(Delivery.alert_id == alert_id)).scalar_one()
            one.state, one.attempts = "delivered", 1
            tx.get_one(Alert, alert_id).state = "delivered"
            tx.add(DeliveryAttempt(delivery_id=one.id, number=1, decision_id=one.decision_id, at=clock.now(),
                                   outcome="delivered"))  # fmt: skip

    def follows(self) -> None:
        drain(self.store)

    def states(self, *alerts: int) -> list[str]:
        with self.store.read() as tx:
            return [tx.get_one(Alert, each).state for each in alerts]

    def question(self) -> Task:
        with self.store.read() as tx:
            return tx.execute(select(Task).where(Task.kind == "decision", Task.state == "open")).scalar_one()

    def decide(self, option: str) -> None:
        browser, number = self.desk.sit("coordinator"), self.question().id
        browser.get(f"/tasks/{number}")
        answer = browser.post(f"/tasks/{number}/complete", {
            "outcome": "successful", "f_option": option, "f_rationale": "As their note of today says."})  # fmt: skip
        assert answer.status_code == 303, visible_text(answer.text)
        self.follows()

    def told_originator(self) -> list[str]:
        with self.store.read() as tx:
            query = select(Alert.kind).where(Alert.recipient == PARTNER).order_by(Alert.id)
            return list(tx.execute(query).scalars())


@pytest.fixture
def house(sqlite_store: Store) -> Iterator[House]:
    with settings_of(sqlite_store, outbound_allow_private=True):
        yield House(Desk(sqlite_store, small_world(sqlite_store)))


def withdraw(house: House) -> None:
    with house.store.unit_of_work() as tx:
        consent = tx.execute(select(Consent)).scalar_one()
        withdraw_consent(tx, consent.id, actor=house.owner.actor, reason="They wrote again.")
    house.follows()


def test_a_withdrawn_consent_stops_what_waits_and_lists_who_has_it_and_the_originator_is_told(house: House) -> None:
    had, waits = house.tell("Seen"), house.tell("Seen again")
    house.sent(had)
    withdraw(house)
    assert house.states(had, waits) == ["delivered", "withheld"]
    task = house.question()
    assert task.assignee_id == house.owner.user_id and task.blocks == "close"
    assert "withdrew its consent" in task.title and OTHER in asked(house.store, task).instructions
    assert house.told_originator() == [], "the outcome is told when there is one"
    house.decide("recall")
    with house.store.read() as tx:
        assert [row.recipient for row in tx.execute(select(Recalled)).scalars()] == [OTHER]
        assert tx.execute(select(Review.answer)).scalar_one() == "recall"
        assert tx.execute(select(Alert.recipient).where(Alert.kind == "recall")).scalar_one() == OTHER
    assert house.told_originator() == ["update"]


@pytest.mark.parametrize("kind", ["update", "closure", "request"])
def test_whatever_kind_of_message_told_it_somebody_is_asked_and_it_is_asked_back(house: House, kind: str) -> None:
    house.sent(house.tell("Seen", kind=kind))
    withdraw(house)
    house.decide("recall")
    with house.store.read() as tx:
        assert [row.recipient for row in tx.execute(select(Recalled)).scalars()] == [OTHER]


def test_what_was_lawful_when_sent_may_stand_with_a_reason(house: House) -> None:
    house.sent(house.tell("Seen"))
    withdraw(house)
    house.decide("stands")
    with house.store.read() as tx:
        assert tx.execute(select(Recalled)).first() is None
    assert house.told_originator() == ["update"]
    withdraw(house)
    with house.store.read() as tx:
        assert len(tx.execute(select(Review)).all()) == 1, "asked once for a consent"


def test_where_nothing_had_left_nobody_is_asked_and_the_originator_is_told_so(house: House) -> None:
    waits = house.tell("Seen")
    withdraw(house)
    assert house.states(waits) == ["withheld"] and house.told_originator() == ["update"]
    with house.store.read() as tx:
        assert tx.execute(select(Task).where(Task.kind == "decision")).first() is None


def test_a_raised_label_or_an_added_caveat_stops_what_waits_and_asks_about_what_left(house: House) -> None:
    ours = {"items": [house.version], "marking": Marking(tlp="GREEN")}
    had, waits = house.tell("Ours", **ours), house.tell("Ours again", **ours)
    house.sent(had)
    browser = house.desk.sit("coordinator")
    path = f"/incidents/{house.reference}/markings"
    assert "Raise the label or add caveats" in browser.text(path)
    assert browser.post(path, {"item": house.item, "tlp": "CLEAR", "reason": "No."}).status_code == 409
    assert browser.post(path, {"item": house.item, "tlp": "GREEN", "reason": "Same."}).status_code == 422
    given = {"item": house.item, "caveats": ["orcon"], "reason": "They asked."}
    assert browser.post(path, given).status_code == 303
    house.follows()
    assert house.states(had, waits) == ["delivered", "withheld"]
    task = house.question()
    assert "Label or caveat raised" in task.title and OTHER in asked(house.store, task).instructions
    with house.store.read() as tx:
        assert newest_version(tx, house.item).marking["orcon"] is True
    client = house.desk.app.test_client()
    answer = client.post(f"/api/v1{path}", json={"item": house.item, "tlp": "AMBER", "reason": "Raised."},
                         headers={"Authorization": f"Bearer {token_for(house.store)}"})  # fmt: skip
    assert answer.status_code == 200, answer.json
    house.follows()
    house.question()  # still the one question: nobody is asked twice about the same alert
    house.decide("recall")
    with house.store.read() as tx:
        assert len(tx.execute(select(Recalled)).all()) == 1


def test_what_a_person_let_stand_is_asked_about_anew_when_it_is_raised_further(house: House) -> None:
    had = house.tell("Ours", items=[house.version], marking=Marking(tlp="GREEN"))
    house.sent(had)

    def raised(tlp: str) -> None:
        with house.store.unit_of_work() as tx:
            wanted = {"tlp": tlp, "title": f"Now {tlp}"}
            service.change_incident(tx, house.incident, wanted, principal=house.owner)
            before = newest_version(tx, house.item)
            write_item(
                tx, kind="note", content="Ours.", marking=Marking(tlp=tlp), author="user:1", item=before.item,
                info_category="incident-notification", incident=tx.get_one(Incident, house.incident),
            )  # fmt: skip
        house.follows()

    raised("AMBER")
    house.decide("stands")
    with house.store.unit_of_work() as tx:
        service.change_incident(tx, house.incident, {"title": "Only another title"}, principal=house.owner)
    house.follows()
    with house.store.read() as tx:
        assert tx.execute(select(Task).where(Task.kind == "decision", Task.state == "open")).first() is None
    raised("AMBER+STRICT")
    house.decide("recall")
    with house.store.read() as tx:
        assert [row.recipient for row in tx.execute(select(Recalled)).scalars()] == [OTHER]


def test_an_agreement_that_is_suspended_stops_what_waits_under_it(house: House) -> None:
    waits = house.tell("Seen")
    with house.store.unit_of_work() as tx:
        terms = dict(current(tx)[0].terms) | {"suspended": [{"from": "2026-01-01T00:00:00Z", "reason": "Note 3"}]}
        record_agreement(tx, terms, actor="user:1")
    house.follows()
    assert house.states(waits) == ["withheld"]
    with house.store.read() as tx:
        last = tx.execute(select(DeliveryAttempt).order_by(DeliveryAttempt.id.desc())).scalars().first()
        assert last is not None and (last.outcome, last.detail) == ("withheld", "D-NO-AGREEMENT")


def test_a_suspension_from_a_later_date_is_noticed_at_that_date(house: House) -> None:
    """Also by what waits for a clearance; a version that was amended meanwhile is not looked at."""
    waits, asked = house.tell("Seen"), house.ask("Seen again")
    start = clock.now() + timedelta(hours=2)
    with house.store.unit_of_work() as tx:
        terms = dict(current(tx)[0].terms) | {"suspended": [{"from": clock.rfc3339(start), "reason": "Note 3"}]}
        record_agreement(tx, terms, actor="user:1")
    house.follows()
    assert house.states(waits) == ["queued"] and house.release_state(asked) == "awaiting-approval"
    with time_machine.travel(start + timedelta(seconds=1), tick=True):
        house.follows()
        assert house.states(waits) == ["withheld"] and house.release_state(asked) == "refused"


def test_what_waits_under_a_consent_stops_when_its_time_is_over(house: House) -> None:
    had, waits = house.tell("Seen"), house.tell("Seen again")
    house.sent(had)
    with time_machine.travel(clock.now() + timedelta(days=30, seconds=1), tick=True):
        house.follows()
        assert house.states(had, waits) == ["delivered", "withheld"]
        with house.store.read() as tx:
            assert tx.execute(select(Review)).first() is None, "nobody is asked about what left while it held"


def test_what_a_partner_told_as_amber_stays_here_and_its_markings_come_back_as_they_came(house: House) -> None:
    with house.store.unit_of_work() as tx:
        consent = tx.execute(select(Consent)).scalar_one()
        withdraw_consent(tx, consent.id, actor="user:1", reason="None any more.")
        marking = Marking(tlp="AMBER", orcon=True, not_rel_to=frozenset({OTHER}), no_attribution=True)
        kept = write_item(
            tx, kind="note", content="Theirs.", marking=marking, author="user:1", info_category="victim-identity",
            incident=tx.get_one(Incident, house.incident), originator_id=house.desk.world.partner_id,
        )  # fmt: skip
        assert Marking.from_json(newest_version(tx, kept.item).marking) == marking
        told = tell(
            tx, incident=tx.get_one(Incident, house.incident), kind="initial", title="On", body="Theirs.", items=[kept],
            purpose="network-defence", info_category="incident-notification", requested_by="user:9",
            audience={"organisations": [OTHER]}, ack="",
        )  # fmt: skip
        [refused] = told.denied
        assert {"D-AMBER-ONWARD", "D-ORCON", "D-NOT-RELEASABLE"} <= set(refused.reasons) and not told.permitted


def test_a_run_that_shares_under_it_is_asked_to_pause_and_another_one_is_not(house: House) -> None:
    alert = house.tell("Seen")
    with house.store.unit_of_work() as tx:
        release_id = tx.get_one(Alert, alert).release_id
        version = PlaybookVersion(playbook_id="p", version="1", name="P", digest="0" * 64, document=b"{}",
                                  imported_at=clock.now(), imported_by="cli:test", activated_by=[])  # fmt: skip
        tx.add(version)
        tx.flush()
        key_id = tx.get_one(Incident, house.incident).data_key_id
        runs = [Run(incident_id=house.incident, playbook_version_id=version.id, once_key=key, explanation=[],
                    data_key_id=key_id, started_by="user:1", started_at=clock.now()) for key in ("a", "b")]  # fmt: skip
        tx.add_all(runs)
        tx.flush()
        tx.add(StepAttempt(run_id=runs[0].id, key="s", step="s", kind="share", begun_at=clock.now(),
                           release_id=release_id))  # fmt: skip
        tx.flush()
        assert pause_sharing(tx, [release_id], reason="Withdrawn.") == [runs[0].id]
        assert [[wish["do"] for wish in wishes_of(tx, each)] for each in runs] == [["pause"], []]
