"""A disk that runs full: 503 before damage at every door, the draft is kept, and what is in goes on being worked on."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from sqlalchemy import func, select

from coordinator.incidents import service
from coordinator.incidents.models import Attachment, Report
from coordinator.store import Store
from coordinator.upkeep import doctor
from tests.coordinator.web.conftest import REPORT, Desk, desk  # noqa: F401
from tests.factories import PartnerSystem, native, person, token_for

FULL = 2**62
FILE = b"evidence"
ANNOUNCED = {"name": "a.txt", "media_type": "text/plain", "sha256": hashlib.sha256(FILE).hexdigest(), "size": len(FILE)}


def fill(store: Store, reserve: int = FULL) -> None:
    """As if the disk were full: its reserve is larger than what is free."""
    store.settings = replace(store.settings, disk_reserve_bytes=reserve)


def reports(store: Store) -> int:
    with store.read() as tx:
        return tx.execute(select(func.count(Report.id))).scalar_one()


def refused(answer: Any) -> bool:
    return answer.status_code == 503 and int(answer.headers["Retry-After"]) >= 30


def test_partners_and_tools_get_503_before_anything_is_written_and_later_202(
    store: Store, partner: PartnerSystem, client: Any
) -> None:
    assert partner.post(native(attachments=[ANNOUNCED])).status_code == 202
    token, officer = token_for(store, "coordinator", ["report"]), person(store, "coordinator", name="Other")
    fill(store)
    assert refused(partner.post(native(), message_id="m-1"))
    assert refused(partner.put(ANNOUNCED["sha256"], FILE))
    assert refused(client.post("/api/v1/reports", json=native(), headers={"Authorization": f"Bearer {token}"}))
    assert reports(store) == 1
    with store.unit_of_work() as tx:  # what is in goes on, and so does the record
        service.add_note(tx, 1, "The desk works on.", principal=officer)
    fill(store, 0)
    assert partner.post(native(), message_id="m-1").status_code == 202
    assert partner.put(ANNOUNCED["sha256"], FILE).status_code == 200
    with store.read() as tx:
        assert tx.execute(select(Attachment.state)).scalar_one() == "stored" and reports(store) == 2


def test_a_form_becomes_a_draft_and_can_be_sent_later(desk: Desk) -> None:  # noqa: F811
    browser = desk.sit("liaison-officer")
    browser.get("/report")
    fill(desk.store)
    answer = browser.post("/report", REPORT)
    assert refused(answer) and REPORT["title"] in answer.text and "kept as a draft" in answer.text
    assert reports(desk.store) == 0 and "/report?draft=" in browser.get("/report").text
    fill(desk.store, 0)
    browser.get("/report")
    assert browser.post("/report", REPORT).status_code == 303 and reports(desk.store) == 1


def test_doctor_says_that_the_disk_is_full(sqlite_store: Store) -> None:
    settings = replace(sqlite_store.settings, disk_reserve_bytes=FULL)
    found = {finding.name: finding for finding in doctor.examine(settings)}
    assert found["disk"].state == "wrong" and "no report is taken" in found["disk"].text
    assert (found["backup"].state, found["keys"].state, found["sending"].state) == ("warn", "ok", "ok")
    assert found["clocks"].state == "wrong"
