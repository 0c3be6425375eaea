"""Telling partners from the pages: look first, send once, have it cleared, and the page behind the link."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select

from coordinator import clock
from coordinator.agreements.service import record_agreement
from coordinator.alerts.models import Alert, Delivery
from coordinator.alerts.rungs import ack_token
from coordinator.partners.models import Channel, Contact, Endpoint
from coordinator.sharing.models import Release, ShareDecision
from tests.alerting import settings_of
from tests.coordinator.web.conftest import Browser, Desk, visible_text

AGREEMENT = {
    "agreement_id": "MOU-1", "title": "Arrangement", "kind": "cert-cert", "legal_status": "operational",
    "parties": [{"party": "EE-MFA", "role": "both", "signed_on": "2026-01-01"},
                {"party": "FI-CSIRT", "role": "both", "signed_on": "2026-01-01"}],
    "info_categories_allowed": ["incident-notification", "technical-indicators"], "info_categories_excluded": [],
    "tlp_ceiling": "RED", "personal_data": "none", "permitted_purposes": ["incident-response"], "prohibited_uses": [],
    "onward_sharing": "own-organisation", "effective_from": "2026-01-02T00:00:00Z",
}  # fmt: skip
ALERT = {
    "kind": "initial", "audience": "organisations", "organisations": ["FI-CSIRT"], "title": "Loader seen",
    "body": "We saw a loader. Do you?", "sources": "own", "purpose": "incident-response",
    "info_category": "incident-notification", "ack": "person", "zone": "UTC",
}  # fmt: skip


@pytest.fixture
def told_desk(desk: Desk) -> Desk:
    """The desk with an agreement with FI-CSIRT and a contact there who is reached by webhook."""
    with desk.store.unit_of_work() as tx:
        record_agreement(tx, AGREEMENT, actor="cli:test")
        out = Endpoint(slug="fi-out", organisation_id=desk.world.partner_id, direction="out", url="https://fi.example/h",
                       allow_private=[])  # fmt: skip
        contact = Contact(code="fi-duty", organisation_id=desk.world.partner_id, kind="technical", languages=[],
                          time_zone="UTC", hours="24x7", tlp_max="RED", verified_on=clock.now())  # fmt: skip
        tx.add_all([out, contact])
        tx.flush()
        tx.add(Channel(contact_id=contact.id, position=1, kind="webhook", endpoint_id=out.id))
    return desk


def count(desk: Desk, model: type) -> int:
    with desk.store.read() as tx:
        return int(tx.execute(select(func.count()).select_from(model)).scalar_one())


def look(browser: Browser, reference: str, **fields: Any) -> Any:
    path = f"/incidents/{reference}/alerts/new"
    browser.get(path)
    answer = browser.post(path, ALERT | {"step": "look"} | fields)
    once = re.search(r'name="once" value="([^"]+)"', answer.text)
    browser.hidden["once"] = once[1] if once else ""
    return answer


def send(browser: Browser, reference: str, **fields: Any) -> Any:
    look(browser, reference, **fields)
    return browser.post(f"/incidents/{reference}/alerts/new", ALERT | {"step": "send"} | fields)


def test_the_rules_are_asked_before_anything_leaves_and_nothing_of_it_stays(
    told_desk: Desk, file_report: Callable[..., str]
) -> None:
    reference = file_report(told_desk.sit("liaison-officer"), tlp="GREEN")
    page = look(told_desk.sit("coordinator"), reference, organisations=["FI-CSIRT", "LV-MFA"])
    text = visible_text(page.text)
    assert "Nothing has left yet" in text
    assert "FI-CSIRT by Webhook" in text and "Permitted" in text
    assert "Under Arrangement (version 1)" in text
    assert "LV-MFA Cannot be reached" in text
    assert count(told_desk, Release) == count(told_desk, ShareDecision) == 0


def test_a_partners_page_names_its_agreements_to_those_who_read_them(told_desk: Desk) -> None:
    assert "Arrangement" in told_desk.sit("coordinator").text("/partners/FI-CSIRT")
    for role in ("administrator", "analyst"):
        said = told_desk.sit(role).text("/partners/FI-CSIRT")
        assert "MOU-1" in said and "Arrangement" not in said


def test_an_alert_is_sent_once_however_often_the_button_is_pressed(
    told_desk: Desk, file_report: Callable[..., str]
) -> None:
    reference, coordinator = file_report(told_desk.sit("liaison-officer"), tlp="GREEN"), told_desk.sit("coordinator")
    assert send(coordinator, reference).status_code == 303
    again = coordinator.post(f"/incidents/{reference}/alerts/new", ALERT | {"step": "send"})
    assert again.status_code == 409 and "sent already" in visible_text(again.text)
    assert count(told_desk, Alert) == 1
    assert "First alert to FI-CSIRT" in coordinator.text(f"/incidents/{reference}")


def test_what_is_missing_is_said_beside_its_field(told_desk: Desk, file_report: Callable[..., str]) -> None:
    reference = file_report(told_desk.sit("liaison-officer"))
    page = look(told_desk.sit("coordinator"), reference, title="", body="", audience="", sources="")
    assert page.status_code == 422
    assert {"title", "body", "audience", "sources"} <= set(re.findall(r'href="#(\w+)"', page.text))


def test_only_another_person_clears_what_the_rules_refer(told_desk: Desk, file_report: Callable[..., str]) -> None:
    reference = file_report(told_desk.sit("liaison-officer"), tlp="AMBER+STRICT")
    coordinator, releaser = told_desk.sit("coordinator"), told_desk.sit("release-authority")
    assert send(coordinator, reference, tlp="AMBER+STRICT").status_code == 303
    assert count(told_desk, Alert) == 0
    assert "You asked for it" in coordinator.text("/clearances")
    number = re.search(r'href="/clearances/(\d+)"', releaser.get("/clearances").text)
    assert number is not None
    page = releaser.text(f"/clearances/{number[1]}")
    assert "We saw a loader. Do you?" in page and "A second person has to approve" in page
    coordinator.get(f"/clearances/{number[1]}")
    own = coordinator.post(f"/clearances/{number[1]}/approve", {"hours": "24"})
    assert own.status_code in (403, 409)
    releaser.get(f"/clearances/{number[1]}")
    assert releaser.post(f"/clearances/{number[1]}/approve", {"hours": "24"}).status_code == 303
    with told_desk.store.read() as tx:
        assert tx.execute(select(ShareDecision.result).order_by(ShareDecision.id.desc())).scalars().first() == "permit"
    assert "Nothing waits" in releaser.text("/clearances")


def test_a_refusal_needs_its_reason_and_shows_on_the_incident(told_desk: Desk, file_report: Callable[..., str]) -> None:
    reference = file_report(told_desk.sit("liaison-officer"), tlp="AMBER+STRICT")
    coordinator, releaser = told_desk.sit("coordinator"), told_desk.sit("release-authority")
    send(coordinator, reference, tlp="AMBER+STRICT")
    number = re.search(r'href="/clearances/(\d+)"', releaser.get("/clearances").text)
    assert number is not None
    releaser.get(f"/clearances/{number[1]}")
    empty = releaser.post(f"/clearances/{number[1]}/refuse", {"reason": ""})
    assert empty.status_code == 422 and 'href="#reason"' in empty.text
    assert releaser.post(f"/clearances/{number[1]}/refuse", {"reason": "Not yet"}).status_code == 303
    page = coordinator.text(f"/incidents/{reference}")
    assert "Refused by a person" in page and "Not yet" in page


def test_clearing_asks_for_a_fresh_second_factor(told_desk: Desk, file_report: Callable[..., str]) -> None:
    from datetime import timedelta

    from sqlalchemy import update

    from coordinator.accounts.models import UserSession

    releaser = told_desk.sit("release-authority")
    with told_desk.store.unit_of_work() as tx:
        tx.execute(update(UserSession).values(second_factor_at=clock.now() - timedelta(hours=1)))
    answer = releaser.get("/clearances/1")
    assert answer.status_code == 302 and answer.location.startswith("/account/step-up?then=/clearances/1")
    releaser.get("/clearances")
    assert releaser.post("/clearances/1/approve").status_code == 403


# ---------------------------------------------------------------- behind the link


def link_of(desk: Desk, browser: Browser, reference: str, **fields: Any) -> str:
    assert send(browser, reference, **fields).status_code == 303
    with desk.store.read() as tx:
        return f"/a/{ack_token(tx, tx.execute(select(Delivery)).scalars().first())}"


def test_opening_the_link_changes_nothing_and_answering_is_recorded(
    told_desk: Desk, file_report: Callable[..., str]
) -> None:
    reference, coordinator = file_report(told_desk.sit("liaison-officer"), tlp="GREEN"), told_desk.sit("coordinator")
    path = link_of(told_desk, coordinator, reference, tlp="GREEN")
    for _scanner in range(3):
        page = told_desk.visitor().get(path)
        assert page.status_code == 200
        assert page.headers["Cache-Control"] == "no-store" and page.headers["Referrer-Policy"] == "no-referrer"
    assert "We saw a loader. Do you?" in visible_text(page.text)
    assert reference not in page.text  # the partner has a reference of its own
    assert "No answer yet" in coordinator.text(f"/incidents/{reference}/alerts/1")
    contact = told_desk.visitor()
    contact.get(path)
    nobody = contact.client.post(path, data={"answer": "acknowledged", "note": "A gateway fills this in."})
    assert nobody.status_code == 422 and 'href="#by"' in nobody.text and "not who answers" in nobody.text
    assert "A gateway fills this in." in nobody.text and "No answer yet" in coordinator.text(
        f"/incidents/{reference}/alerts/1")  # fmt: skip
    assert 'name="subject"' in contact.get(path).text
    every = {"answer": "acknowledged", "by": "A gateway", "note": "x", "subject": "x"}
    filled = contact.client.post(path, data=every)  # as a machine does that fills in whatever there is
    assert filled.status_code == 422 and 'href="#subject"' in filled.text and "only programs" in filled.text
    assert "No answer yet" in coordinator.text(f"/incidents/{reference}/alerts/1")
    answer = contact.client.post(path, data={"answer": "acknowledged", "by": "Hilja, duty", "subject": ""})
    assert answer.status_code == 303 and "Hilja" not in str(answer.headers)
    assert "Hilja" not in contact.text(path) + told_desk.visitor().text(path)
    assert "Thank you. Your acknowledgement is recorded." in contact.text(answer.location)
    shown = coordinator.text(f"/incidents/{reference}")
    assert "Acknowledged" in shown and "Hilja, duty (holder of the link)" in shown


def test_above_green_the_text_is_for_readers_who_signed_in(told_desk: Desk, file_report: Callable[..., str]) -> None:
    reference, coordinator = file_report(told_desk.sit("liaison-officer")), told_desk.sit("coordinator")
    path = link_of(told_desk, coordinator, reference, tlp="AMBER")
    stranger = told_desk.visitor().get(path)
    assert "loader" not in stranger.text.lower() and "TLP:AMBER" in stranger.text
    assert "Acknowledge" in visible_text(stranger.text)
    own = coordinator.get(path)  # signed in, but not one of those who were told
    assert "We saw a loader" not in own.text
    told_desk.people["partner-user"] = _partner_user(told_desk)
    reader = told_desk.sit("partner-user")
    assert "not given out at present" in reader.text(path), "these pages go over a clear wire"
    with settings_of(told_desk.store, base_url="https://us.example"):
        assert "We saw a loader. Do you?" in reader.text(path)
    assert "You answer as Partner Reader" in reader.text(path) and 'name="by"' not in reader.get(path).text
    reader.client.post(path, data={"answer": "acknowledged", "by": "Somebody else"})
    assert "Partner Reader (signed in)" in coordinator.text(f"/incidents/{reference}")


def _partner_user(desk: Desk) -> Any:
    from tests.factories import person

    return person(desk.store, "partner-user", "Partner Reader", desk.world.partner_id)


def test_a_question_needs_its_words_and_becomes_a_task(told_desk: Desk, file_report: Callable[..., str]) -> None:
    reference, coordinator = file_report(told_desk.sit("liaison-officer"), tlp="GREEN"), told_desk.sit("coordinator")
    path = link_of(told_desk, coordinator, reference, tlp="GREEN")
    contact = told_desk.visitor().client
    assert contact.post(path, data={"answer": "question", "by": "Aino"}).status_code == 422
    said = {"answer": "question", "note": "Which hash?", "by": "Aino"}
    assert contact.post(path, data=said).status_code == 303
    assert contact.post(path, data={"answer": "maybe", "by": "Aino"}).status_code == 422
    page = coordinator.text(f"/incidents/{reference}")
    assert "Which hash?" in page and "has a question on an alert" in page


def test_a_withdrawn_alert_shows_nothing_any_more(told_desk: Desk, file_report: Callable[..., str]) -> None:
    reference, coordinator = file_report(told_desk.sit("liaison-officer"), tlp="GREEN"), told_desk.sit("coordinator")
    path = link_of(told_desk, coordinator, reference, tlp="GREEN")
    page = f"/incidents/{reference}/alerts/1"
    coordinator.get(page)
    assert coordinator.post(f"{page}/withdraw", {"reason": ""}).status_code == 422
    assert coordinator.post(f"{page}/withdraw", {"reason": "Wrong text"}).status_code == 303
    gone = told_desk.visitor().get(path)
    assert gone.status_code == 410 and "loader" not in gone.text.lower()
    assert told_desk.visitor().client.post(path, data={"answer": "acknowledged", "by": "Aino"}).status_code == 410


def test_an_unknown_link_says_so_without_more(told_desk: Desk) -> None:
    answer = told_desk.visitor().get("/a/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
    assert answer.status_code == 404 and "not known here" in visible_text(answer.text)


def test_an_officer_notes_what_was_said_on_the_telephone(told_desk: Desk, file_report: Callable[..., str]) -> None:
    reference, coordinator = file_report(told_desk.sit("liaison-officer"), tlp="GREEN"), told_desk.sit("coordinator")
    send(coordinator, reference, tlp="GREEN")
    page = f"/incidents/{reference}/alerts/1"
    coordinator.get(page)
    assert coordinator.post(f"{page}/answer", {"by": "Aino", "answer": "acknowledged"}).status_code == 303
    assert "Aino (noted by our officer)" in coordinator.text(f"/incidents/{reference}")
