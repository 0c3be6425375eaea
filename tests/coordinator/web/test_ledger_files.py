"""Who has which file: the ledger's page, file and API say the same of what went along, by each way of asking."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import pytest

from coordinator.accounts.service import create_token
from coordinator.alerts import drafts
from coordinator.alerts import service as alerts
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.incidents.references import reference_of
from tests.alerting import due, put_incident
from tests.coordinator.web.conftest import Desk
from tests.factories import OTHER, PARTNER
from tests.handing import two_partners
from tests.leaving import put_cleaned
from workers import deliver as worker


@pytest.fixture
def sent_desk(desk: Desk) -> Iterator[Desk]:
    with two_partners(desk.store):
        yield desk


def given(desk: Desk, content: str, *codes: str) -> tuple[str, str]:
    """A file of an incident of its own that left to these partners: (the incident's reference, the file's item)."""
    officer = desk.who("coordinator")
    with desk.store.unit_of_work() as tx:
        incident = put_incident(tx)
        version = put_cleaned(tx, incident, content)
        release = drafts.draft(
            tx, incident=incident, principal=officer, kind="initial", title="Ransomware", body="A file.",
            purpose="network-defence", info_category="incident-notification", items=[version], enclosed=[version],
        )  # fmt: skip
        drafts.submit(tx, release.id, codes=codes, principal=officer)
        found = reference_of(tx.get_one(Incident, incident.id)), tx.get_one(ItemVersion, version).item
    for decision_id in due(desk.store, "decision.approved"):
        with desk.store.unit_of_work() as tx:
            alerts.raise_approved(tx, decision_id)
    for delivery_id in due(desk.store, "delivery.due"):
        worker.deliver(desk.store, delivery_id)
    return found


def test_who_has_a_file_is_the_same_answer_on_the_page_in_the_file_and_by_api(sent_desk: Desk) -> None:
    first, item = given(sent_desk, "what both have", PARTNER, OTHER)
    second, _ = given(sent_desk, "what one has", OTHER)
    browser = sent_desk.sit("coordinator")
    officer = sent_desk.who("coordinator")
    with sent_desk.store.unit_of_work() as tx:
        token = create_token(tx, officer.user_id, name="t", scopes=["read"], actor="cli:test")

    def by_api(**asked: str) -> set[tuple[Any, ...]]:
        answer = browser.app.test_client().get(
            "/api/v1/ledger", query_string=asked, headers={"Authorization": f"Bearer {token}"}
        )
        return {(line["incident"], line["recipient"], file["name"], file["sha256"], file["taken_at"] or "not-taken")
                for line in answer.json["items"] for file in line["files"]}  # fmt: skip

    def by_file(**asked: str) -> set[tuple[Any, ...]]:
        browser.get("/ledger")
        answer = browser.post("/ledger/file", asked)
        assert answer.status_code == 200
        rows = csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff")))
        columns = ("files", "files_sha256", "files_taken_at")
        return {
            (row["incident"], row["recipient"], *each)
            for row in rows
            for each in zip(*(row[name].split() for name in columns), strict=True)
        }

    for asked, count in (
        ({}, 3), ({"incident": first}, 2), ({"incident": second}, 1), ({"partner": OTHER}, 2), ({"item": item}, 2),
        ({"item": item, "partner": PARTNER}, 1), ({"exercise": "EX-1"}, 0),
    ):  # fmt: skip
        said = by_api(**asked)
        assert len(said) == count and said == by_file(**asked), asked
        page = browser.get("/ledger", query_string=asked).text
        assert all(page.count(digest) == sum(one[3] == digest for one in said) for digest in {one[3] for one in said})
        assert page.count("who has this file") == count
    assert f'href="/ledger?item={item}"' in browser.get("/ledger").text
