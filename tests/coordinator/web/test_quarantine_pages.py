"""The desk's pages for what was set aside, for a key in wrong hands, and for exercises."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from coordinator import clock
from tests.alerting import settings_of
from tests.coordinator.web.conftest import Desk
from tests.factories import PartnerSystem, native, running_exercise
from workers import due

CANARY = '<script>alert("x")</script> ward'


@pytest.fixture
def partner(desk: Desk) -> PartnerSystem:
    return PartnerSystem(desk.app.test_client(), desk.world)


def set_aside(partner: PartnerSystem, **fields: object) -> str:
    return partner.post(native(**{"exercise": "BALTIC-26", "title": CANARY} | fields)).get_json()["report"]


def test_the_duty_officer_sees_what_may_be_real_and_files_it_as_real(desk: Desk, partner: PartnerSystem) -> None:
    report, browser = set_aside(partner), desk.sit("duty-officer")
    assert "1 reports in quarantine" in browser.text("/board")
    shown = browser.text("/quarantine")
    assert "Possibly real" in shown and "It names an exercise that is not running" in shown
    page = browser.get(f"/quarantine/{report}")
    assert "This may be real." in page.text and "<script>alert" not in page.text
    assert browser.post(f"/quarantine/{report}/take").status_code == 303
    assert browser.post(f"/quarantine/{report}/decide", {"act": "release"}).status_code == 409
    answer = browser.post(f"/quarantine/{report}/decide", {"act": "real", "reason": "They said so by phone."})
    assert answer.status_code == 303
    assert "ward" in browser.text(answer.location) and "/incidents/INC-" in answer.location
    assert "Nothing waits here" in browser.text("/quarantine")
    assert browser.post(f"/quarantine/{report}/decide", {"act": "real"}).status_code == 409


def test_a_refusal_needs_a_reason_and_an_act_must_be_chosen(desk: Desk, partner: PartnerSystem) -> None:
    report, browser = set_aside(partner, originator="NOBODY-KNOWN", exercise="B-1"), desk.sit("duty-officer")
    browser.get(f"/quarantine/{report}")
    for said in ({"act": "refuse"}, {"reason": "x"}, {"act": "burn"}):
        assert browser.post(f"/quarantine/{report}/decide", said).status_code == 422
    assert browser.post(f"/quarantine/{report}/attach", {"incident": "INC-2026-000009"}).status_code == 422
    assert browser.post(f"/quarantine/{report}/decide", {"act": "refuse", "reason": "A drill."}).status_code == 303
    assert "It was decided already" in browser.text(f"/quarantine/{report}")


@pytest.mark.parametrize("role", ["liaison-officer", "administrator", "analyst"])
def test_quarantine_is_not_for_everybody(desk: Desk, partner: PartnerSystem, role: str) -> None:
    report, browser = set_aside(partner), desk.sit(role)
    for path in ("/quarantine", f"/quarantine/{report}", "/keys/1/reports"):
        assert browser.get(path).status_code == 403
    assert browser.post("/keys/1/reports/file").status_code == 403


def test_a_flood_is_one_page_on_which_single_ones_are_opened_and_the_rest_refused(
    desk: Desk, partner: PartnerSystem
) -> None:
    browser = desk.sit("duty-officer")
    with settings_of(desk.store, flood_limit=2):
        for number in range(6):
            partner.post(native(title=f"Number {number}"))
    with desk.store.unit_of_work() as tx:
        due.flood_began(tx, 1)
    assert "Open the flood" in browser.text("/tasks/1")
    assert "4 reports wait" in browser.text("/quarantine")
    shown = browser.get("/quarantine/floods/1")
    first = re.search(r"/quarantine/(rep-\w+)", shown.text)
    assert first is not None
    assert browser.post(f"/quarantine/{first[1]}/decide", {"act": "release"}).status_code == 303
    browser.get("/quarantine/floods/1")
    assert browser.post("/quarantine/floods/1/refuse", {"reason": ""}).status_code == 422
    assert browser.post("/quarantine/floods/1/refuse", {"reason": "Their key was stolen."}).status_code == 303
    assert "Everything of it was handled" in browser.text("/quarantine/floods/1")


def test_a_key_is_revoked_now_and_what_came_under_it_is_listed_and_doubted(
    desk: Desk, partner: PartnerSystem
) -> None:
    today = f"{clock.now():%Y-%m-%d}"
    for number in range(3):
        partner.post(native(title=f"=cmd|' {number}", external_id=f"=1+{number}"))
    browser = desk.sit("duty-officer")
    assert "Revoke now" in browser.text("/partners/FI-CSIRT")
    browser.get("/keys/1/revoke")
    assert browser.post("/keys/1/revoke").status_code == 422
    answer = browser.post("/keys/1/revoke", {"reason": "Their server was taken over."})
    assert answer.location == "/keys/1/reports"
    assert partner.post(native()).status_code == 401
    shown = browser.get("/keys/1/reports")
    reports = sorted(set(re.findall(r'value="(rep-\w+)"', shown.text)))
    assert len(reports) == 3
    assert browser.post("/keys/1/doubt", {"since": today, "reason": "x"}).status_code == 422
    assert browser.post("/keys/1/doubt", {"since": today, "report": reports[0]}).status_code == 422
    said = {"since": today, "report": reports[0], "reason": "Not theirs, they say."}
    assert browser.post("/keys/1/doubt", said).status_code == 303
    assert "Download the list" not in shown.text and browser.post("/keys/1/reports/file").status_code == 403
    coordinator = desk.sit("coordinator")
    assert "Download the list" in coordinator.text(f"/keys/1/reports?since={today}")
    table = coordinator.post("/keys/1/reports/file", {"since": today})
    lines = table.text.splitlines()
    assert (len(lines), table.mimetype, lines[0][:18]) == (4, "text/csv", "report,received_at")
    assert table.text.count("True") == 1 and table.text.count("'=1+") == 3
    assert browser.post("/keys/1/doubt", {"since": today, "all": "on", "reason": "All of it."}).status_code == 303
    reference = re.search(r"/incidents/(INC-[\d-]+)", browser.get("/keys/1/reports").text)
    assert reference is not None and "Sender in doubt" in browser.text(f"/incidents/{reference[1]}")
    later = f"{clock.now() + timedelta(days=2):%Y-%m-%d}"
    assert "Nothing came in under this key" in browser.text(f"/keys/1/reports?since={later}")


def test_a_key_is_rotated_with_an_overlap_and_the_one_before_is_shown_as_such(desk: Desk) -> None:
    browser = desk.sit("administrator")
    browser.get("/partners/FI-CSIRT")
    shown = browser.post("/endpoints/1/rotate", {"overlap_days": "1"})
    assert "for 1 more day" in shown.text and re.search(r"whsec_\S{40}", shown.text)
    page = browser.text("/partners/FI-CSIRT")
    assert "previous, until" in page and "current" in page and "whsec_" not in page


def test_an_exercise_is_registered_changed_and_ended_by_the_one_who_runs_it(desk: Desk) -> None:
    browser = desk.sit("exercise-controller")
    assert "No exercise is registered" in browser.text("/exercises")
    browser.get("/exercises/new")
    day = clock.now().date()
    said = {"code": "BALTIC-26", "title": "Baltic exercise", "starts_at_date": f"{day - timedelta(days=1)}",
            "starts_at_time": "09:00", "ends_at_date": f"{day + timedelta(days=1)}", "ends_at_time": "17:00",
            "organisations": ["FI-CSIRT", "LV-MFA"]}  # fmt: skip
    assert browser.post("/exercises/new", said | {"ends_at_date": "soon"}).status_code == 422
    assert browser.post("/exercises/new", said | {"ends_at_date": "2020-01-01"}).status_code == 422
    assert browser.post("/exercises/new", said).status_code == 303
    assert "Running" in browser.text("/exercises") and "LV-MFA" in browser.text("/exercises")
    assert browser.post("/exercises/BALTIC-26/edit", said | {"organisations": ["FI-CSIRT"]}).status_code == 303
    assert "LV-MFA" not in browser.text("/exercises")
    assert browser.post("/exercises/BALTIC-26/end").status_code == 303
    assert "Over" in browser.text("/exercises")
    assert browser.post("/exercises/BALTIC-26/edit", said).status_code == 409


def test_who_runs_no_exercise_reads_the_register_only(desk: Desk) -> None:
    with desk.store.unit_of_work() as tx:
        running_exercise(tx)
    browser = desk.sit("coordinator")
    assert "EX-1" in browser.text("/exercises")
    assert browser.get("/exercises/new").status_code == 403
