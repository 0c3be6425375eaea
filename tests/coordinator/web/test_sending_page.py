"""Stopping and resuming all sending, on the pages."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from coordinator import clock
from coordinator.agreements.service import record_consent
from coordinator.alerts import service as alerts
from coordinator.tasks.service import open_task
from coordinator.timeline import sending_hold
from coordinator.timeline.models import Epoch
from coordinator.timeline.queries import entries
from tests.alerting import agreement, put_contact, put_incident, put_organisation, put_system, webhook
from tests.coordinator.web.conftest import Desk
from tests.factories import OTHER, PARTNER


def stop(desk: Desk, role: str = "duty-officer", reason: str = "Our mail server was taken over.") -> None:
    browser = desk.sit(role, second_factor=False)
    browser.get("/sending")
    assert browser.post("/sending/stop", {"reason": reason}).status_code == 303


def test_a_duty_officer_stops_all_sending_and_every_page_says_so(desk: Desk) -> None:
    stop(desk)
    for role, path in (("analyst", "/board"), ("administrator", "/users"), ("auditor", "/record")):
        assert "All sending is on hold since" in desk.sit(role).text(path)
    assert "taken over" not in desk.sit("analyst").text("/sending")
    assert "Our mail server was taken over." in desk.sit("coordinator").text("/sending")


def test_a_reason_is_needed_and_the_field_says_so(desk: Desk) -> None:
    browser = desk.sit("duty-officer")
    browser.get("/sending")
    answer = browser.post("/sending/stop", {"reason": "  "})
    assert answer.status_code == 422 and "Say why in a few words." in answer.text


def test_only_those_who_may_stop_and_only_others_resume_with_a_second_factor(desk: Desk) -> None:
    for role in ("analyst", "administrator", "liaison-officer"):
        browser = desk.sit(role)
        browser.get("/sending")
        assert browser.post("/sending/stop", {"reason": "x"}).status_code == 403
    stop(desk)
    for role, factor, code in (("duty-officer", True, 403), ("coordinator", False, 302), ("coordinator", True, 303)):
        browser = desk.sit(role, second_factor=factor)
        browser.get("/sending")
        assert browser.post("/sending/1/lift", {"reason": "The mail server is ours again."}).status_code == code
    assert "Sending goes on." in desk.sit("duty-officer").text("/sending")
    with desk.store.read() as tx:
        said = [(entry["kind"], entry["actor"]) for entry in entries(tx, incident_id=None)
                if entry["kind"].startswith("sending.")]  # fmt: skip
    officer, coordinator = desk.who("duty-officer").actor, desk.who("coordinator").actor
    assert said == [("sending.held", officer), ("sending.resumed", coordinator)]


def test_after_a_restore_the_page_lists_what_stood_and_what_is_missing(desk: Desk) -> None:
    person = desk.who("coordinator")
    with desk.store.unit_of_work() as tx:
        tx.add(Epoch(number=2, began_at=clock.now(), began_by="cli:root", backup_at=clock.now(),
                     backup_digest="0" * 64, gap={"lost_entries": 17}))  # fmt: skip
        sending_hold.begin(tx, sending_hold.RESTORE, actor="cli:root", reason="Restored from a backup.")
        assert tx.execute(select(Epoch.number)).scalar_one() == 2
        put_organisation(tx, PARTNER)
        put_system(tx, "https://csirt.fi.example/hook")
        put_contact(tx, webhook())
        agreement(tx)
        record_consent(tx, {
            "item": "*", "from": PARTNER, "to": OTHER, "purpose": "incident-response", "granted_by": "FI duty desk",
            "granted_at": clock.now(), "evidence": "Mail of yesterday",
        }, actor="cli:test")  # fmt: skip
        incident = put_incident(tx)
        alerts.tell(
            tx, incident=incident, kind="initial", title="Told", body="Told.", purpose="network-defence",
            info_category="incident-notification", requested_by="user:99", audience={"organisations": [PARTNER]},
        )  # fmt: skip
        open_task(tx, title="Call the ministry back", role="coordinator", created_by="user:1", incident=incident,
                  due_at=clock.now() + timedelta(hours=1))  # fmt: skip
    text = desk.sit("coordinator").text("/sending")
    for words in ("17 entries of the record are missing", "Waiting to be sent", "Running clocks", "Consents in force",
                  "Agreements in force", "Accounts that may sign in", person.name, PARTNER,
                  f"{PARTNER} → {OTHER} , incident-response", "MOU version 1: Arrangement",
                  "Waiting to be sent 1", "Running clocks 1", "task of coordinator"):  # fmt: skip
        assert words in text, words
