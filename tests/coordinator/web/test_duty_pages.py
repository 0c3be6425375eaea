"""A duty on its pages: begun, shown where people look, met with evidence, set aside, its rule signed."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

from coordinator import clock
from coordinator.incidents.models import Incident
from coordinator.obligations import register
from coordinator.partners.service import put_setting
from tests.coordinator.web.conftest import Desk, visible_text


def test_a_duty_from_its_beginning_to_its_end(desk: Desk, file_report: Callable[..., str]) -> None:
    with desk.store.unit_of_work() as tx:
        register.ship_rules(tx)
    reference, coordinator = file_report(desk.sit("liaison-officer")), desk.sit("coordinator")
    assert "No duty was begun here." in coordinator.text(f"/incidents/{reference}")
    answer = coordinator.post(f"/incidents/{reference}/duties", {"rule": "CH-ISG"})
    assert answer.status_code == 303, visible_text(answer.text)
    page = coordinator.text(answer.location)
    assert "Not running yet" in page and "Advisory." in page and "waits for: Detected" in page
    basis = clock.now() - timedelta(hours=1)
    given = {"basis_at_date": f"{basis:%Y-%m-%d}", "basis_at_time": f"{basis:%H:%M}"}
    assert coordinator.post("/duties/1/basis", given).status_code == 422  # no reason
    assert coordinator.post("/duties/1/basis", given | {"why": "The log says so."}).status_code == 303
    with desk.store.unit_of_work() as tx:
        tx.get_one(Incident, 1).owner_id = desk.who("coordinator").user_id
    for path in (f"/incidents/{reference}", "/board", "/tasks"):
        assert "Information Security Act" in coordinator.text(path)
    assert coordinator.post("/duties/1/meet", {"evidence": "Receipt 17"}).status_code == 422  # no instant
    now = clock.now()
    met = {"submitted_at_date": f"{now:%Y-%m-%d}", "submitted_at_time": f"{now:%H:%M}", "evidence": "Receipt 17"}
    assert coordinator.post("/duties/1/meet", met).status_code == 303
    assert "Met" in coordinator.text("/duties/1") and "Receipt 17" in coordinator.text("/duties/1")
    assert coordinator.post("/duties/1/set-aside", {"state": "waived", "reason": "x"}).status_code == 409


def test_a_legal_adviser_signs_a_rule_and_a_coordinator_does_not(desk: Desk) -> None:
    with desk.store.unit_of_work() as tx:
        register.ship_rules(tx)
    lawyer, coordinator = desk.sit("legal-adviser"), desk.sit("coordinator")
    shown = coordinator.text("/duties/rules")
    assert "Sign this version" not in shown and "PT24H" not in shown
    for words in ("24 hours", "4 working days", "without undue delay", "the time that was given", "memory, to be"):
        assert words in shown
    assert coordinator.post("/duties/rules/1/sign", {"note": "x"}).status_code == 403
    lawyer.get("/duties/rules")
    assert lawyer.post("/duties/rules/1/sign", {"note": "Read against the Official Journal."}).status_code == 303
    assert "Read against the Official Journal." in lawyer.text("/duties/rules")


def test_a_service_is_put_on_the_list_and_its_credential_is_never_shown(desk: Desk) -> None:
    administrator, coordinator = desk.sit("administrator"), desk.sit("coordinator")
    assert "No service is on the list" in coordinator.text("/services")
    administrator.get("/services")
    given = {"id": "fi-api", "organisation": "FI-CSIRT", "origin": "https://api.fi.example/v1", "methods": ["POST"]}
    assert administrator.post("/services", given).status_code == 422  # no path in an origin
    given |= {"origin": "https://api.fi.example", "credential": "Bearer canary-7d1e"}
    assert administrator.post("/services", given).status_code == 303
    waiting = desk.sit("coordinator")
    change = waiting.text("/changes/1")
    assert "canary" not in change and "https://api.fi.example:443" in change
    waiting.get("/changes/1")
    assert "accepting adds it" in change
    assert waiting.post("/changes/1/accept").status_code == 303
    assert "accepting adds it" not in waiting.text("/changes/1")
    page = coordinator.text("/services")
    assert "api.fi.example" in page and "with a stored credential" in page and "canary" not in page
    administrator.get("/services")
    assert administrator.post("/services/fi-api/disable").status_code == 303
    assert "Not called any more" in coordinator.text("/services")


def test_what_rules_suggest_is_shown_with_reasons_and_answered_by_a_person(
    desk: Desk, file_report: Callable[..., str]
) -> None:
    with desk.store.unit_of_work() as tx:
        register.ship_rules(tx)
    reference = file_report(desk.sit("liaison-officer"))
    with desk.store.unit_of_work() as tx:
        row = tx.get_one(Incident, 1)
        row.humanitarian_flags, row.states_affected, row.sectors = ["hospital-or-medical"], ["FI"], ["health"]
        row.severity, row.severity_by = None, ""
    path, coordinator = f"/incidents/{reference}", desk.sit("coordinator")
    page = coordinator.text(path)
    assert "The facts suggest a severity" in page and "Humanitarian flags: Hospital" in page
    assert "may apply" not in page  # nobody knows yet how severe it is
    mark = re.search(r'name="mark" value="(\w+)"', coordinator.get(path).text)
    assert mark
    given = {"mark": mark[1], "level": "5", "do": "set", "because": ""}
    assert coordinator.post(f"{path}/suggested-severity", given).status_code == 422  # another level needs its reason
    assert coordinator.post(f"{path}/suggested-severity", given | {"level": "3"}).status_code == 303
    page = coordinator.text(path)
    assert "The facts suggest a severity" not in page and "2 duties may apply" in page
    assert "states affected: FI; sectors: health; severity: 3" in page
    assert coordinator.post(f"{path}/suggested-severity", given | {"level": "3"}).status_code == 409  # once


def test_a_rule_of_business_days_says_what_is_known_of_holidays(desk: Desk, file_report: Callable[..., str]) -> None:
    with desk.store.unit_of_work() as tx:
        register.ship_rules(tx)
    reference, coordinator = file_report(desk.sit("liaison-officer")), desk.sit("coordinator")
    assert "No holidays of US are known here: only weekends are left out." in coordinator.text("/duties/rules")
    coordinator.get(f"/incidents/{reference}")
    coordinator.post(f"/incidents/{reference}/duties", {"rule": "US-SEC-8K"})
    now = clock.now()
    given = {"basis_at_date": f"{now:%Y-%m-%d}", "basis_at_time": f"{now:%H:%M}", "why": "The board said so."}
    coordinator.post("/duties/1/basis", given)
    assert "No holidays of US are known here" in coordinator.text(f"/incidents/{reference}")
    with desk.store.unit_of_work() as tx:
        put_setting(tx, "holidays", {"US": ["2030-07-04"]}, actor="cli:test")
    assert "Holidays of US are known until 4 Jul 2030." in coordinator.text("/duties/1")
