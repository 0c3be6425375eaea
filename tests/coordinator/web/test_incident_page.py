"""The page of an incident: everything on it, every move, and what others changed meanwhile."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import select

from coordinator import clock
from coordinator.accounts.models import User
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.models import Incident
from coordinator.incidents.references import parse_reference
from coordinator.markings import Iep, Marking
from coordinator.tasks.service import open_task
from tests.coordinator.web.conftest import Browser, Desk, visible_text


def task_on(desk: Desk, reference: str, **more: object) -> int:
    with desk.store.unit_of_work() as tx:
        incident = lock_incident(tx, parse_reference(reference) or 0)
        given = {"title": "Ask the hospital", "role": "coordinator", "created_by": "system"} | more
        return open_task(tx, incident=incident, **given).id  # type: ignore[arg-type]


def move(browser: Browser, reference: str, to: str, **fields: str) -> object:
    browser.get(f"/incidents/{reference}/status/{to}")
    return browser.post(f"/incidents/{reference}/status/{to}", fields)


def test_from_reported_to_closed_and_open_again(desk: Desk, file_report: Callable[..., str]) -> None:
    reference = file_report(desk.sit("liaison-officer"))
    coordinator = desk.sit("coordinator")
    for to, fields in (
        ("triage", {}), ("active", {}), ("resolved", {"outlook": "stable"}), ("closed", {"note": "Cleaned, watched."}),
        ("active", {"reason": "It came back."}),
    ):  # fmt: skip
        answer = move(coordinator, reference, to, **fields)
        assert answer.status_code == 303, visible_text(answer.text)  # type: ignore[attr-defined]
    page = coordinator.text(f"/incidents/{reference}")
    assert "Active" in page and "It came back." in page and "Cleaned, watched." in page
    assert "Owner Coordinator" in page


def test_a_refusal_lists_what_is_still_open(desk: Desk, file_report: Callable[..., str]) -> None:
    reference = file_report(desk.sit("liaison-officer"))
    coordinator = desk.sit("coordinator")
    move(coordinator, reference, "triage"), move(coordinator, reference, "active")
    number = task_on(desk, reference, blocks="resolve")
    assert "First finish what is open Task : Ask the hospital" in coordinator.text(
        f"/incidents/{reference}/status/resolved"
    )
    answer = move(coordinator, reference, "resolved", outlook="stable")
    assert answer.status_code == 409  # type: ignore[attr-defined]
    assert f'href="/tasks/{number}"' in answer.text and "Ask the hospital" in answer.text  # type: ignore[attr-defined]


def test_what_a_move_asks_for_is_said_beside_its_field(desk: Desk, file_report: Callable[..., str]) -> None:
    reference = file_report(desk.sit("liaison-officer"))
    coordinator = desk.sit("coordinator")
    move(coordinator, reference, "triage")
    answer = move(coordinator, reference, "rejected")
    assert answer.status_code == 422 and 'href="#reason"' in answer.text  # type: ignore[attr-defined]
    assert coordinator.get(f"/incidents/{reference}/status/closed").status_code == 404


def test_two_people_have_to_ask_to_reject_what_touches_lives(desk: Desk, file_report: Callable[..., str]) -> None:
    reference = file_report(desk.sit("liaison-officer"), humanitarian_flags=["life-at-risk"])
    first, second = desk.sit("coordinator"), desk.sit("duty-officer")
    move(first, reference, "triage")
    asked = move(first, reference, "rejected", reason="False alarm")
    assert asked.status_code == 409 and "second person" in visible_text(asked.text)  # type: ignore[attr-defined]
    assert move(second, reference, "rejected", reason="I called: false alarm").status_code == 303  # type: ignore[attr-defined]


def test_a_change_made_from_an_old_page_is_not_lost_on_others(desk: Desk, file_report: Callable[..., str]) -> None:
    reference = file_report(desk.sit("liaison-officer"))
    first, second = desk.sit("coordinator"), desk.sit("duty-officer")
    path = f"/incidents/{reference}/edit"
    first.get(path), second.get(path)
    fields = {"title": "Ransomware at three hospitals", "classification": "malicious-code", "tlp": "AMBER",
              "suspected_malicious": "yes", "cross_border": "unknown", "determination": "suspected"}  # fmt: skip
    assert first.post(path, fields).status_code == 303
    stale = second.post(path, fields | {"title": "Nothing happened"})
    assert stale.status_code == 412
    assert "changed by somebody else" in visible_text(stale.text) and 'value="Nothing happened"' in stale.text
    assert "Ransomware at three hospitals" in second.text(f"/incidents/{reference}")


def test_a_case_is_restricted_to_named_people_and_stays_theirs(desk: Desk, file_report: Callable[..., str]) -> None:
    reference, lead = file_report(desk.sit("liaison-officer")), desk.sit("coordinator")
    named, other = desk.sit("analyst"), desk.sit("legal-adviser")
    path = f"/incidents/{reference}"
    fields = {"title": "Ransomware at two hospitals", "classification": "malicious-code", "tlp": "AMBER",
              "suspected_malicious": "yes", "cross_border": "unknown", "determination": "suspected"}  # fmt: skip
    assert "cannot be undone" in lead.text(f"{path}/edit")
    with desk.store.read() as tx:
        numbers = {role: str(number) for number, role in tx.execute(select(User.id, User.role))}
    people = {"restricted_to": [numbers["analyst"], numbers["coordinator"]]}
    assert lead.post(f"{path}/edit", fields | people).status_code == 303
    assert [one.get(path).status_code for one in (named, lead, other)] == [200, 200, 404]
    analyst = numbers["analyst"]
    assert f'value="{analyst}" checked' in lead.get(f"{path}/edit").text
    lead.get(f"{path}/edit")
    assert lead.post(f"{path}/edit", fields | {"restricted_to": [numbers["coordinator"]]}).status_code == 303
    assert [one.get(path).status_code for one in (named, lead, other)] == [404, 200, 404]


def test_a_severity_needs_its_reason(desk: Desk, file_report: Callable[..., str]) -> None:
    reference = file_report(desk.sit("liaison-officer"))
    coordinator, path = desk.sit("coordinator"), f"/incidents/{reference}/edit"
    coordinator.get(path)
    fields = {"severity": "4", "title": "Ransomware at two hospitals", "tlp": "AMBER"}
    answer = coordinator.post(path, fields)
    assert answer.status_code == 422 and "reason" in visible_text(answer.text)
    coordinator.get(path)
    assert coordinator.post(path, fields | {"severity_reason": "Two states"}).status_code == 303
    assert "4 Severe" in coordinator.text(f"/incidents/{reference}")


def test_a_label_is_raised_by_anybody_and_lowered_by_its_originator_only(
    desk: Desk, file_report: Callable[..., str]
) -> None:
    reference = file_report(desk.sit("liaison-officer"), source="told", originator="FI-CSIRT")
    coordinator, path = desk.sit("coordinator"), f"/incidents/{reference}/edit"
    coordinator.get(path)
    answer = coordinator.post(path, {"tlp": "GREEN", "title": "Ransomware at two hospitals"})
    assert answer.status_code == 409 and "Only the originator" in visible_text(answer.text)


def test_notes_show_their_label_and_who_wrote_them(desk: Desk, file_report: Callable[..., str]) -> None:
    reference = file_report(desk.sit("liaison-officer"))
    officer = desk.sit("liaison-officer")
    officer.get(f"/incidents/{reference}")
    assert (
        officer.post(
            f"/incidents/{reference}/notes", {"text": "Called the hospital.\r\nBackups are there."}
        ).status_code
        == 303
    )
    page = officer.text(f"/incidents/{reference}")
    assert "TLP:AMBER Note Liaison Officer" in page and "Called the hospital." in page
    empty = officer.post(f"/incidents/{reference}/notes", {"text": ""})
    assert empty.status_code == 422 and 'href="#text"' in empty.text


def test_what_kind_a_note_is_and_what_binds_it_stands_with_it(desk: Desk, file_report: Callable[..., str]) -> None:
    officer, coordinator = desk.sit("liaison-officer"), desk.sit("coordinator")
    path = f"/incidents/{file_report(officer)}"
    officer.get(path)
    said = {"text": "Probably the same group.", "info_category": "attribution-assessment", "personal_data": "on"}
    assert officer.post(f"{path}/notes", said).status_code == 303
    page = officer.text(path)
    assert "Attribution assessment · PERSONAL DATA" in page and "LEGAL BASIS" not in page
    form = coordinator.get(f"{path}/markings").text
    item = re.findall(r'value="(itm-[^"]+)"', form)[-1]
    given = {"item": item, "pap": "RED", "pd_basis": "Cybersecurity Act, section 14", "reason": "Asked the adviser."}
    assert coordinator.post(f"{path}/markings", given).status_code == 303
    assert "PAP:RED · PERSONAL DATA · LEGAL BASIS: Cybersecurity Act, section 14" in officer.text(path)


def test_a_policy_an_embargo_and_names_are_said_on_the_page_of_label_and_caveats(
    desk: Desk, file_report: Callable[..., str]
) -> None:
    coordinator = desk.sit("coordinator")
    reference = file_report(desk.sit("liaison-officer"))
    path = f"/incidents/{reference}/markings"
    coordinator.get(path)
    given = {
        "iep_encrypt_in_transit": "must", "iep_attribution": "must-not", "iep_start_date_date": "2026-12-01",
        "iep_start_date_time": "08:00", "iep_external_reference": "our terms", "zone": "Europe/Tallinn",
        "embargo_until_date": "2026-12-02", "reason": "They asked.", "named_recipients": "a@fi.example\r\nb@fi.example",
    }  # fmt: skip
    wrong = coordinator.post(path, given)
    assert wrong.status_code == 422
    for field in ("iep_external_reference", "embargo_until_date"):
        assert f'href="#{field}"' in wrong.text
    assert 'value="our terms"' in wrong.text and 'value="must" selected' in wrong.text and "b@fi.example" in wrong.text
    right = given | {"iep_external_reference": "https://fi.example/iep", "embargo_until_time": "10:00"}
    coordinator.get(path)
    answer = coordinator.post(path, right)
    assert answer.status_code == 422 and 'href="#named_recipients"' in answer.text
    coordinator.get(path)
    assert coordinator.post(path, right | {"tlp": "RED"}).status_code == 303
    with desk.store.read() as tx:
        marking = Marking.from_json(tx.execute(select(Incident.marking)).scalar_one())
    assert marking.iep == Iep(encrypt_in_transit="must", attribution="must-not", start_date="2026-12-01T06:00:00Z",
                              external_reference="https://fi.example/iep")  # fmt: skip
    assert marking.named_recipients == {"a@fi.example", "b@fi.example"}
    assert marking.embargo_until == datetime(2026, 12, 2, 8, tzinfo=UTC)


def test_what_kind_of_information_a_text_of_a_report_is_can_be_said(
    desk: Desk, file_report: Callable[..., str]
) -> None:
    coordinator = desk.sit("coordinator")
    path = f"/incidents/{file_report(desk.sit('liaison-officer'))}"
    items = re.findall(r'value="(itm-[^"]+)"', coordinator.get(f"{path}/markings").text)
    given = {"item": items[0], "info_category": "attribution-assessment", "reason": "It names a group."}
    whole = coordinator.post(f"{path}/markings", given | {"item": ""})
    assert whole.status_code == 422 and 'href="#info_category"' in whole.text
    coordinator.get(f"{path}/markings")
    assert coordinator.post(f"{path}/markings", given).status_code == 303
    assert "Attribution assessment" in coordinator.text(path)
    coordinator.get(f"{path}/markings")
    back = coordinator.post(f"{path}/markings", given | {"info_category": "technical-indicators"})
    assert back.status_code == 409 and "two persons" in visible_text(back.text)


def test_linked_incidents_show_on_both(desk: Desk, file_report: Callable[..., str]) -> None:
    officer, coordinator = desk.sit("liaison-officer"), desk.sit("coordinator")
    one, other = file_report(officer), file_report(officer, title="A second hospital")
    coordinator.get(f"/incidents/{one}")
    assert coordinator.post(f"/incidents/{one}/links", {"other": other, "kind": "related"}).status_code == 303
    assert "A second hospital" in coordinator.text(f"/incidents/{one}")
    assert one in coordinator.text(f"/incidents/{other}")
    missing = coordinator.post(f"/incidents/{one}/links", {"other": "INC-2026-999999", "kind": "related"})
    assert missing.status_code == 422 and 'href="#other"' in missing.text


def test_the_incident_is_shown_as_it_stood(desk: Desk, file_report: Callable[..., str]) -> None:
    started = clock.now()
    with time_machine.travel(started, tick=True) as travel:
        reference = file_report(desk.sit("liaison-officer"))
        coordinator = desk.sit("coordinator")
        travel.shift(timedelta(minutes=5))
        then = clock.now()
        travel.shift(timedelta(minutes=5))
        move(coordinator, reference, "triage")
        coordinator.get(f"/incidents/{reference}/edit")
        fields = {"title": "A better title", "severity": "5", "severity_reason": "Lives", "tlp": "AMBER+STRICT"}
        assert coordinator.post(f"/incidents/{reference}/edit", fields).status_code == 303
        page = coordinator.text(f"/incidents/{reference}/at?date={then:%Y-%m-%d}&time={then:%H:%M}")
        assert "Ransomware at two hospitals" in page and "A better title" not in page
        assert "TLP:AMBER Reported Not assessed" in page
        assert "File servers are encrypted." in page
        before = started - timedelta(days=1)
        assert "did not exist then" in coordinator.text(f"/incidents/{reference}/at?date={before:%Y-%m-%d}&time=10:00")
        assert coordinator.get(f"/incidents/{reference}/at?date=yesterday").status_code == 404


def test_opening_it_is_on_record_and_shown_on_request(desk: Desk, file_report: Callable[..., str]) -> None:
    reference = file_report(desk.sit("liaison-officer"))
    coordinator = desk.sit("coordinator")
    coordinator.text(f"/incidents/{reference}")
    coordinator.text(f"/incidents/{reference}")
    assert "opened the incident" not in coordinator.text(f"/incidents/{reference}/timeline")
    read = coordinator.text(f"/incidents/{reference}/timeline?readings=1")
    assert read.count("Coordinator Somebody opened the incident") == 1


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{7*7}}",
    "\u202eevil\u202c",
    "'; DROP TABLE x;--",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_text(desk: Desk, file_report: Callable[..., str], text: str) -> None:
    officer = desk.sit("liaison-officer")
    reference = file_report(
        officer, title=text, description=text, asks=text, external_id="x" + text[:20].replace("\u202e", "")
    )
    officer.get(f"/incidents/{reference}")
    officer.post(f"/incidents/{reference}/notes", {"text": text})
    for path in (f"/incidents/{reference}", "/board", f"/board?q={text[:30]}", f"/incidents/{reference}/timeline"):
        html = officer.get(path).text
        assert "<script>alert" not in html and "<img src=x" not in html and ">49<" not in html
    assert 'dir="auto"' in officer.get(f"/incidents/{reference}").text
