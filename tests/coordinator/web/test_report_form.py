"""The report form: what was written stays, what is wrong is said, what is sent is there once."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

from sqlalchemy import func, select

from coordinator.incidents.models import Attachment, Draft, Incident, Report, ReportBody
from tests.alerting import phone, put_contact, settings_of
from tests.coordinator.web.conftest import REPORT, Desk, visible_text
from tests.factories import OWN, person


def rows(desk: Desk, model: type) -> int:
    with desk.store.read() as tx:
        return int(tx.execute(select(func.count()).select_from(model)).scalar_one())


def test_a_report_gets_a_receipt_with_its_reference(desk: Desk, file_report: Callable[..., str]) -> None:
    officer = desk.sit("liaison-officer")
    reference = file_report(
        officer, states_affected="Finland, ee", sectors=["health"], humanitarian_flags=["life-at-risk"]
    )
    page = officer.text(f"/incidents/{reference}")
    assert "Ransomware at two hospitals" in page and "Life at risk" in page and "Finland, Estonia" in page
    assert "22 Nov 2026, 03:10 UTC" in page  # 05:10 in Tallinn


def test_the_receipt_says_whether_anybody_was_told_and_whom_to_call_where_nobody_was(
    desk: Desk, file_report: Callable[..., str]
) -> None:
    officer = desk.sit("liaison-officer")
    file_report(officer)
    with desk.store.read() as tx:
        page = f"/report/sent/{tx.execute(select(Report.public_id)).scalar_one()}"
    assert "Nobody was called or written to" in officer.text(page) and "no number" in officer.text(page)
    with desk.store.unit_of_work() as tx:
        put_contact(tx, phone("+372 600 1234"), code="own-desk", organisation=OWN)
    assert "call the duty desk: +372 600 1234" in officer.text(page)
    person(desk.store, "duty-officer")
    assert "Nobody was called" in officer.text(page)
    with settings_of(desk.store, smtp_url="smtp://127.0.0.1:1"):
        assert "The duty officer is told now, by mail." in officer.text(page)
        assert "Nobody was called" not in officer.text(page)


def test_an_empty_form_says_everything_that_is_missing_and_leads_to_each_field(desk: Desk) -> None:
    officer = desk.sit("liaison-officer")
    officer.get("/report")
    answer = officer.post("/report", {})
    assert answer.status_code == 422
    assert "<title>Error: Report an incident" in answer.text
    linked = set(re.findall(r'<li><a href="#([\w-]+)">', answer.text))
    assert {"title", "tlp", "noticed_at_date"} <= linked
    assert all(f'id="{name}"' in answer.text for name in linked)
    assert rows(desk, Report) == 0


def test_no_label_is_chosen_for_the_writer(desk: Desk) -> None:
    page = desk.sit("liaison-officer").get("/report").text
    labels = re.findall(r'<input type="radio" id="[\w-]+" name="tlp"[^>]*>', page)
    assert len(labels) == 5
    assert not any("checked" in label for label in labels)


def test_what_was_written_is_there_again_after_a_mistake(desk: Desk) -> None:
    officer = desk.sit("liaison-officer")
    officer.get("/report")
    sent = REPORT | {
        "tlp": "",
        "states_affected": "Atlantis",
        "sectors": ["health", "energy"],
        "description": "<b>line\r\ntwo",
    }
    answer = officer.post("/report", sent)
    assert answer.status_code == 422
    assert 'value="Atlantis"' in answer.text and "&lt;b&gt;line\ntwo" in answer.text
    assert len(re.findall(r'name="sectors" value="(?:health|energy)" checked', answer.text)) == 2
    assert "states_affected-wrong" in answer.text or "#states_affected" in answer.text


def test_sent_twice_by_an_impatient_hand_it_is_one_report(desk: Desk) -> None:
    officer = desk.sit("liaison-officer")
    officer.get("/report")
    first, second = officer.post("/report", REPORT), officer.post("/report", REPORT)
    assert first.location == second.location
    assert rows(desk, Report) == rows(desk, Incident) == 1


def test_the_same_form_with_other_content_asks_before_it_becomes_a_second_report(desk: Desk) -> None:
    officer = desk.sit("liaison-officer")
    officer.get("/report")
    officer.post("/report", REPORT)
    changed = officer.post("/report", REPORT | {"title": "Something else"})
    assert changed.status_code == 422 and "sent before with other content" in visible_text(changed.text)
    assert rows(desk, Incident) == 1


def test_drafts_are_kept_on_the_server_and_gone_when_sent(desk: Desk) -> None:
    officer = desk.sit("liaison-officer")
    officer.get("/report")
    kept = officer.post("/report/draft", {"title": "Half a thought", "sectors": ["energy"]}).location
    draft = kept.partition("draft=")[2]
    page = officer.get(kept).text
    assert 'value="Half a thought"' in page and 'name="sectors" value="energy" checked' in page
    assert "Half a thought" in officer.text("/report")
    assert desk.sit("coordinator").get(kept).status_code == 404
    officer.get(kept)
    assert officer.post("/report", REPORT | {"draft": draft}).status_code == 303
    assert rows(desk, Draft) == 0


def test_the_page_itself_keeps_the_draft_while_one_writes(desk: Desk) -> None:
    officer = desk.sit("liaison-officer")
    officer.get("/report")
    accept = {"Accept": "application/json"}
    first = officer.post("/report/draft", {"title": "One"}, headers=accept).get_json()["draft"]
    second = officer.post("/report/draft", {"title": "Two", "draft": first}, headers=accept).get_json()["draft"]
    assert first == second and rows(desk, Draft) == 1


def test_a_secrecy_marking_is_refused_without_echo_and_its_draft_erased(desk: Desk) -> None:
    officer = desk.sit("liaison-officer")
    officer.get("/report")
    draft = officer.post("/report/draft", {"title": "Something"}).location.partition("draft=")[2]
    officer.get(f"/report?draft={draft}")
    answer = officer.post("/report", REPORT | {"title": "NATO SECRET submarine plans", "draft": draft})
    assert answer.status_code == 422
    assert "submarine" not in answer.text
    assert rows(desk, Draft) == rows(desk, Report) == rows(desk, ReportBody) == 0
    officer.get("/report")
    assert "submarine" not in officer.post("/report/draft", {"title": "NATO SECRET submarine plans"}).text
    assert rows(desk, Draft) == 0


def test_what_others_told_us_is_bound_to_them_and_entered_as_voice(desk: Desk, file_report: Callable[..., str]) -> None:
    officer = desk.sit("liaison-officer")
    told = {"source": "told", "originator": "FI-CSIRT", "contact_name": "Aino", "contact_phone": "+358401234567",
            "told_how": "voice", "aware_at_date": "2026-11-22", "aware_at_time": "05:40"}  # fmt: skip
    reference = file_report(officer, **told)
    page = officer.text(f"/incidents/{reference}")
    with desk.store.read() as tx:  # what the caller said, not when it was typed in; the form is in Tallinn's time
        row = tx.execute(select(Incident)).scalar_one()
        assert [f"{at:%H:%M}" for at in (row.noticed_at, row.aware_at)] == ["03:10", "03:40"]
    assert "Originator FI-CSIRT claimed, not confirmed" in page
    assert "by voice, entered by an officer" in page and "Aino" in page


def test_whose_information_it_is_must_be_said(desk: Desk) -> None:
    officer = desk.sit("liaison-officer")
    officer.get("/report")
    answer = officer.post("/report", REPORT | {"source": ""})
    assert answer.status_code == 422 and 'href="#source"' in answer.text
    answer = officer.post("/report", REPORT | {"source": "told", "originator": ""})
    assert answer.status_code == 422 and 'href="#originator"' in answer.text


def test_files_are_kept_and_only_ever_downloaded(desk: Desk, file_report: Callable[..., str]) -> None:
    officer = desk.sit("liaison-officer")
    body = b"<script>alert(1)</script>" * 1000
    reference = file_report(officer, files=(io.BytesIO(body), "../../note.html", "text/html"))
    page = officer.get(f"/incidents/{reference}").text
    assert "note.html" in page and "not scanned" in page
    path = re.search(rf"/incidents/{reference}/attachments/\d+", page)
    assert path is not None
    file = officer.get(path[0])
    assert file.data == body
    assert file.headers["Content-Disposition"].startswith("attachment")
    assert file.mimetype == "application/octet-stream"
    assert file.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in file.headers["Content-Security-Policy"]


def test_a_file_larger_than_other_requests_comes_with_the_form(desk: Desk) -> None:
    officer = desk.sit("liaison-officer")
    officer.get("/report")
    body = io.BytesIO(b"x" * (2 * desk.store.settings.max_body_bytes))
    assert officer.post("/report", REPORT | {"files": (body, "log.bin")}).status_code == 303
    assert rows(desk, Attachment) == 1


def test_too_large_a_file_is_refused_in_words(desk: Desk) -> None:
    officer = desk.sit("liaison-officer")
    officer.get("/report")
    body = io.BytesIO(b"x" * (desk.store.settings.max_attachment_bytes + 1))
    answer = officer.post("/report", REPORT | {"files": (body, "big.bin")})
    assert answer.status_code == 413
    assert rows(desk, Attachment) == 0
