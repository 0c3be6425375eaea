"""A duty on its pages: begun, shown where people look, met with evidence, set aside, its rule signed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from coordinator import clock
from coordinator.obligations import register
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
        from coordinator.incidents.models import Incident

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
    assert waiting.post("/changes/1/accept").status_code == 303
    page = coordinator.text("/services")
    assert "api.fi.example" in page and "with a stored credential" in page and "canary" not in page
    administrator.get("/services")
    assert administrator.post("/services/fi-api/disable").status_code == 303
    assert "Not called any more" in coordinator.text("/services")
