"""An originator is asked whether what it told us may go on: refused decision → request → answer → second person → the
release; and everything that is not a consent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import func, select

from coordinator import clock
from coordinator.agreements import queries
from coordinator.alerts import consents
from coordinator.alerts.models import Alert, ConsentRequest, Delivery
from coordinator.alerts.rungs import ack_token
from coordinator.incidents.items import write_item
from coordinator.incidents.models import Incident
from coordinator.incidents.references import reference_of
from coordinator.markings import Marking
from coordinator.sharing.models import ShareDecision
from coordinator.sharing.service import decide_share, prepare_release
from coordinator.store import Store
from coordinator.tasks.models import Task
from tests.alerting import (
    addressee,
    agreement,
    due,
    put_contact,
    put_incident,
    put_organisation,
    put_system,
    webhook,
)
from tests.coordinator.web.conftest import Browser, Desk, visible_text
from tests.factories import OTHER, PARTNER, small_world, token_for
from tests.releasing import clearing, release
from workers.due import consent_due


class Asking:
    """FI told us something as AMBER; LV is to have it; there is an agreement with LV."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.store = desk, desk.store
        with self.store.unit_of_work() as tx:
            for code, slug in ((PARTNER, "fi-out"), (OTHER, "lv-out")):
                put_organisation(tx, code)
                put_system(tx, f"https://{slug}.example/hook", code=code, slug=slug)
                put_contact(tx, webhook(slug), code=slug, organisation=code)
            agreement(tx, code=OTHER)
            fi = desk.world.partner_id
            row = put_incident(tx, tlp="AMBER", originator_id=fi, source_id=fi)
            version = write_item(
                tx, kind="note", content="What FI saw.", marking=Marking(tlp="AMBER"), originator_id=fi, incident=row,
                info_category="incident-notification", author="user:1",
            )  # fmt: skip
            self.incident, self.item, self.version, self.reference = row.id, version.item, version.id, reference_of(row)
        self.decision = self.decide().id

    def decide(self, *, items: bool = False) -> ShareDecision:
        """Ask the rules whether LV may have it: as the incident, or made from the one item."""
        with self.store.unit_of_work() as tx:
            incident = tx.get_one(Incident, self.incident)
            made = release(tx, incident)
            if items:
                made = prepare_release(
                    tx, kind="initial", title="Seen", body="What FI saw.", purpose="network-defence", incident=incident,
                    info_category="incident-notification", requested_by="user:99", items=[self.version],
                    originator_id=self.desk.world.partner_id,
                )  # fmt: skip
            contact = put_contact(tx, webhook("lv-out"), code="lv-out", organisation=OTHER)
            return decide_share(tx, made, addressee(tx, contact))

    def form(self, **more: Any) -> dict[str, Any]:
        now = clock.now()
        return {
            "from": PARTNER, "to": OTHER, "purpose": "network-defence", "valid_until": f"{now + timedelta(days=20):%F}",
            "reply_by": f"{now + timedelta(days=2):%F}", "reason": "LV sees the same.", "tlp": "GREEN", **more,
        }  # fmt: skip

    def ask(self, browser: Browser, **more: Any) -> int:
        browser.get(f"/consents/new?decision={self.decision}")
        answer = browser.post("/consents/new", self.form(**more))
        assert answer.status_code == 303, visible_text(answer.text)
        return int(answer.location.rsplit("/", 1)[1])

    def link(self, request_id: int) -> str:
        with self.store.read() as tx:
            query = select(Delivery).join(Alert, Alert.id == Delivery.alert_id).join(
                ConsentRequest, ConsentRequest.release_id == Alert.release_id)  # fmt: skip
            return ack_token(tx, tx.execute(query.where(ConsentRequest.id == request_id)).scalars().one())

    def answer(self, request_id: int, said: str, **more: str) -> Any:
        path = f"/a/{self.link(request_id)}"
        return self.desk.visitor().post(path, {"answer": said, "by": "Duty desk", **more})

    def state(self, request_id: int) -> str:
        with self.store.read() as tx:
            return tx.get_one(ConsentRequest, request_id).state

    def standing(self) -> list[dict[str, Any]]:
        with self.store.read() as tx:
            return queries.consents(tx, originator_id=self.desk.world.partner_id)

    def tasks(self) -> list[str]:
        with self.store.read() as tx:
            return list(tx.execute(select(Task.title).where(Task.state == "open").order_by(Task.id)).scalars())


@pytest.fixture
def asking(store: Store) -> Asking:
    return Asking(Desk(store, small_world(store)))


def test_a_refused_decision_becomes_a_request_whose_answer_holds_once_another_person_confirms(asking: Asking) -> None:
    coordinator, authority = asking.desk.sit("coordinator"), asking.desk.sit("release-authority")
    assert "D-AMBER-ONWARD" in asking.decide().reasons
    assert f"/consents/new?decision={asking.decision}" in coordinator.get(f"/incidents/{asking.reference}").text
    number = asking.ask(coordinator)
    again = coordinator.post("/consents/new", asking.form())
    assert again.status_code == 409, "it is being asked already"

    # What the originator reads: our words and what is asked; of the incident, its title and text nothing.
    page = visible_text(asking.desk.visitor().get(f"/a/{asking.link(number)}").text)
    assert "LV sees the same." in page and OTHER in page and "We do not consent" in page
    assert "What FI saw" not in page and "Ransomware at a hospital" not in page and asking.reference not in page

    # Granted by whoever holds the link: nothing holds yet, and whoever asked cannot confirm it.
    assert asking.answer(number, "granted").status_code == 303
    assert asking.state(number) == "granted" and asking.standing() == []
    assert "D-AMBER-ONWARD" in asking.decide().reasons
    coordinator.get(f"/consents/{number}")
    assert coordinator.post(f"/consents/{number}/confirm").status_code == 409
    page = authority.text(f"/consents/{number}")
    assert "holder of the link" in page and "make sure with the originator" in page
    assert authority.post(f"/consents/{number}/confirm").status_code == 303
    [consent] = asking.standing()
    assert (consent["to"], consent["purpose"]) == (OTHER, "network-defence")
    assert asking.decide().reasons == ["R-TWO-PERSON"], "a consent lifts what it is for, and no more"
    assert any("consents that" in title for title in asking.tasks())

    # Withdrawn by the same way, at once and without anybody of ours.
    assert "We withdraw our consent" in asking.desk.visitor().get(f"/a/{asking.link(number)}").text
    assert asking.answer(number, "withdrawn").status_code == 303
    assert asking.state(number) == "withdrawn" and asking.standing() == []
    assert "D-AMBER-ONWARD" in asking.decide().reasons


def test_a_refusal_is_on_record_at_once_and_silence_stays_no_consent(asking: Asking) -> None:
    coordinator = asking.desk.sit("coordinator")
    refused = asking.ask(coordinator)
    assert asking.answer(refused, "refused", note="Not now.").status_code == 303
    assert asking.state(refused) == "refused"
    assert "Refused" in coordinator.text("/agreements") and "Not now." in coordinator.text(f"/consents/{refused}")
    silent = asking.ask(coordinator)
    with time_machine.travel(clock.now() + timedelta(days=3), tick=True):
        for number in due(asking.store, "consent.due"):
            with asking.store.unit_of_work() as tx:
                consent_due(tx, number)
        assert asking.state(silent) == "asked" and asking.standing() == []
        coordinator = asking.desk.sit("coordinator")
        assert "No answer in time: no consent" in coordinator.text("/consents")
    assert any("No answer is no consent" in title for title in asking.tasks())


def test_a_consent_to_one_item_opens_what_was_made_from_it_alone(asking: Asking) -> None:
    number = asking.ask(asking.desk.sit("coordinator"), item=asking.item)
    asking.answer(number, "granted")
    with asking.store.unit_of_work() as tx:
        consents.confirm(tx, number, principal=clearing(tx, "legal-adviser"))
    assert asking.decide(items=True).reasons == ["R-TWO-PERSON"]
    assert "D-AMBER-ONWARD" in asking.decide().reasons


def test_why_it_was_not_confirmed_is_told_to_those_who_read_cases(asking: Asking) -> None:
    number = asking.ask(asking.desk.sit("coordinator"))
    asking.answer(number, "granted")
    with asking.store.unit_of_work() as tx:
        consents.decline(tx, number, principal=clearing(tx, "legal-adviser"), reason="The gateway was theirs.")
    for role, told in (("coordinator", True), ("agreement-manager", False)):
        assert ("The gateway was theirs." in asking.desk.sit(role).text(f"/consents/{number}")) is told


def test_a_machine_may_refuse_and_never_grant(asking: Asking) -> None:
    number = asking.ask(asking.desk.sit("coordinator"))
    client, body = asking.desk.app.test_client(), {"kind": "system", "by": "FI system", "answer": "granted"}
    path = f"/api/v1/acknowledgements/{asking.link(number)}"
    answer = client.post(path, json=body)
    assert answer.status_code == 422 and answer.json["errors"][0]["pointer"] == "/kind"
    assert client.post(path, json=body | {"answer": "deleted"}).status_code == 422, "that is no answer to this"
    assert client.post(path, json=body | {"answer": "refused"}).status_code == 200
    assert asking.state(number) == "refused"


def test_it_is_asked_and_confirmed_through_the_api_too_and_the_request_is_decided_itself(asking: Asking) -> None:
    client = asking.desk.app.test_client()
    token, second = token_for(asking.store), token_for(asking.store, "agreement-manager")
    wanted = {name: text for name, text in asking.form(tlp="AMBER").items() if text}
    wanted |= {name: f"{wanted[name]}T00:00:00Z" for name in ("valid_until", "reply_by")}
    path = f"/api/v1/incidents/{asking.reference}/consent-requests"
    made = client.post(path, json=wanted, headers={"Authorization": f"Bearer {token}"})
    assert made.status_code == 201 and made.json["state"] == "not-sent", "no agreement covers AMBER of ours to FI"
    with asking.store.read() as tx:
        newest = tx.get_one(ShareDecision, tx.execute(select(func.max(ShareDecision.id))).scalar_one())
        assert (newest.recipient, newest.reasons) == (PARTNER, ["D-NO-AGREEMENT"])
    made = client.post(path, json=wanted | {"tlp": "GREEN", "purpose": "incident-response"},
                       headers={"Authorization": f"Bearer {token}"})  # fmt: skip
    assert made.json["state"] == "asked", made.json
    number = made.json["id"]
    asking.answer(number, "granted")
    done = client.post(f"/api/v1/consent-requests/{number}/confirm", json={},
                       headers={"Authorization": f"Bearer {second}"})  # fmt: skip
    assert done.status_code == 200 and done.json["state"] == "effective", done.json
    nobody = client.post(path, json=wanted | {"from": OTHER, "to": PARTNER},
                         headers={"Authorization": f"Bearer {token}"})  # fmt: skip
    assert nobody.status_code == 422 and nobody.json["errors"][0]["pointer"] == "/from"


def test_who_keeps_the_agreements_sees_what_is_asked_and_nothing_of_the_case(asking: Asking) -> None:
    request = asking.ask(asking.desk.sit("coordinator"))
    asking.answer(request, "granted", note="About our hospital.")
    manager, authority = asking.desk.sit("agreement-manager"), asking.desk.sit("release-authority")
    for word in ("LV sees the same.", "About our hospital."):
        assert word in authority.text(f"/consents/{request}") and word not in manager.text(f"/consents/{request}")
    assert "Confirm it" in manager.text(f"/consents/{request}"), "who, for whom, what for and how sure it is, they see"
