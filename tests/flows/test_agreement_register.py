"""The register of agreements as those who keep it meet it: two persons add, suspend, renew; each rule with its clause;
the text attached and hashed; what went out under it; what no agreement covers; what originators said."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.agreements import queries
from coordinator.agreements.models import Agreement, AgreementDocument
from coordinator.sharing.models import ShareDecision
from coordinator.sharing.service import decide_share
from coordinator.store import Store
from coordinator.tasks.models import Task
from tests.alerting import addressee, due, put_contact, put_incident, put_system, webhook
from tests.coordinator.web.conftest import Browser, Desk, visible_text
from tests.factories import small_world
from tests.releasing import release
from workers.due import agreement_due

FORM = {
    "agreement_id": "MOU-FI", "title": "Arrangement on cyber incidents", "kind": "cert-cert",
    "parties": "EE-MFA both 2025-01-10\nFI-CSIRT both 2025-01-12", "tlp_ceiling": "AMBER",
    "info_categories_allowed": ["incident-notification", "situational-report"],
    "permitted_purposes": ["network-defence", "incident-response"], "onward_sharing": "own-organisation",
    "effective_from": "2025-01-15", "expires_on": "2027-01-15", "retention_max": "P1Y", "renewal": "automatic",
    "termination_notice": "P3M", "clause-tlp_ceiling": "Art. 4(2)", "clause-retention_max": "Art. 7",
    "reason": "Signed in Helsinki, note 12/2025",
}  # fmt: skip


@pytest.fixture
def desk(sqlite_store: Store) -> Desk:
    sqlite_store.settings = replace(sqlite_store.settings, outbound_allow_private=True)
    desk = Desk(sqlite_store, small_world(sqlite_store))
    with sqlite_store.unit_of_work() as tx:
        put_system(tx, "https://csirt.fi.example/hook")
        put_contact(tx, webhook())
    for role in ("administrator", "agreement-manager", "legal-adviser", "coordinator"):
        desk.who(role)
    return desk


def asked(browser: Browser, path: str, data: dict[str, Any]) -> int:
    answer = browser.post(path, data)
    assert answer.status_code == 303, visible_text(answer.text)
    assert answer.location.startswith("/changes/"), answer.location
    return int(answer.location.rsplit("/", 1)[1])


def accept(browser: Browser, number: int) -> None:
    browser.get(f"/changes/{number}")
    answer = browser.post(f"/changes/{number}/accept")
    assert answer.status_code == 303, visible_text(answer.text)


def decided(tx: Session, title: str) -> ShareDecision:
    incident = put_incident(tx, tlp="AMBER")
    contact = put_contact(tx, webhook())
    return decide_share(tx, release(tx, incident, title=title), addressee(tx, contact))


def test_an_agreement_from_its_first_day_to_its_renewal(desk: Desk) -> None:
    manager, legal, coordinator = (desk.sit(role) for role in ("agreement-manager", "legal-adviser", "coordinator"))
    listed = manager.text("/agreements")
    assert "The register is empty" in listed and "FI-CSIRT nothing covers:" in listed
    with desk.store.unit_of_work() as tx:
        assert "D-NO-AGREEMENT" in decided(tx, "Before").reasons

    # Added: a wrong field is named; what is right waits, and the other one sees the fields and clauses.
    manager.get("/agreements/new")
    wrong = manager.post("/agreements/new", FORM | {"retention_max": "a year"})
    assert wrong.status_code == 422 and "ISO 8601" in wrong.text
    silent = manager.post("/agreements/new", FORM | {"reason": " "})
    assert silent.status_code == 422 and "Say why" in silent.text
    first = asked(manager, "/agreements/new", FORM)
    assert manager.post(f"/changes/{first}/accept").status_code == 409
    page = legal.text(f"/changes/{first}")
    assert "Tlp ceiling – AMBER" in page and "Art. 4(2)" in page and "note 12/2025" in page
    accept(legal, first)
    page = coordinator.text("/agreements/MOU-FI")
    assert "We may give FI-CSIRT: incident notification and situational report, up to TLP:AMBER" in page
    assert "It may be kept for at most 1 year. Art. 7" in page and "In force" in page
    assert "Signed in Helsinki, note 12/2025" in page, "why, beside the version"
    assert "MOU-FI" in manager.text("/agreements")

    # Its text: kept sealed, hashed, with a label of its own; the terms name it, in a version that two persons make.
    text = b"%PDF-1.7 the arrangement"
    manager.get("/agreements/MOU-FI")
    number = asked(manager, "/agreements/MOU-FI/document", {"tlp": "AMBER", "document": (io.BytesIO(text), "mou.pdf")})
    accept(legal, number)
    with desk.store.read() as tx:
        kept = tx.execute(select(AgreementDocument)).scalar_one()
        assert kept.sha256 == hashlib.sha256(text).hexdigest() and text not in kept.sealed
        assert queries.version(tx, "MOU-FI").terms["instrument_text_ref"]["sha256"] == kept.sha256
    download = coordinator.get(f"/agreements/documents/{kept.id}")
    assert download.data == text and download.headers["Content-Disposition"].startswith("attachment")

    # Something goes out under it, and the page says so to whoever may know.
    with desk.store.unit_of_work() as tx:
        decision = decided(tx, "Under it")
        assert (decision.result, decision.agreement, decision.agreement_version) == ("permit", "MOU-FI", 2)
    assert "What went under it (1)" in coordinator.text("/agreements/MOU-FI")
    assert "You have no need to know of what went under it" in manager.text("/agreements/MOU-FI")

    # Suspended by two: nothing flows until it is over; its status follows from the dates.
    manager.get("/agreements/MOU-FI")
    assert manager.post("/agreements/MOU-FI/suspend", {"why": ""}).status_code == 422
    until = f"{clock.now() + timedelta(days=30):%Y-%m-%d}"
    accept(legal, asked(manager, "/agreements/MOU-FI/suspend", {"why": "Note 3/2026", "to": until}))
    with desk.store.unit_of_work() as tx:
        refused = decided(tx, "While it is suspended")
        assert refused.reasons == ["D-NO-AGREEMENT"] and refused.agreement_problems == {"MOU-FI": ["A-SUSPENDED"]}
    assert "Suspended" in coordinator.text("/agreements/MOU-FI")

    # Renewed by a row of its own that names the one before.
    page = manager.get("/agreements/new?renews=MOU-FI").text
    assert 'value="MOU-FI"' in page and 'value="2027-01-15"' in page
    renewal = FORM | {"agreement_id": "MOU-FI-2", "supersedes": "MOU-FI", "effective_from": "2027-01-15",
                      "expires_on": "2029-01-15"}  # fmt: skip
    accept(legal, asked(manager, "/agreements/new", renewal))
    with desk.store.read() as tx:
        rows = tx.execute(select(Agreement.key, Agreement.version).order_by(Agreement.id)).all()
        assert [tuple(row) for row in rows] == [("MOU-FI", 1), ("MOU-FI", 2), ("MOU-FI", 3), ("MOU-FI-2", 1)]
        later = datetime(2027, 2, 1, tzinfo=UTC)
        assert {row["key"]: row["status"] for row in queries.standing(tx, later)} == {
            "MOU-FI": "superseded", "MOU-FI-2": "in-force"}  # fmt: skip


def test_whoever_keeps_the_register_is_reminded_once_for_the_version_in_force(desk: Desk) -> None:
    manager, legal = desk.sit("agreement-manager"), desk.sit("legal-adviser")
    manager.get("/agreements/new")
    soon = clock.now() + timedelta(days=200)
    first = FORM | {"expires_on": f"{soon:%Y-%m-%d}", "renewal": "none"}
    accept(legal, asked(manager, "/agreements/new", first))
    manager.get("/agreements/MOU-FI/amend")
    accept(legal, asked(manager, "/agreements/MOU-FI/amend", first | {"title": "Another title"}))
    with time_machine.travel(soon - timedelta(days=89), tick=True):
        for agreement_id in due(desk.store, "agreement.end"):
            with desk.store.unit_of_work() as tx:
                agreement_due(tx, agreement_id)
                agreement_due(tx, agreement_id)  # a job may come twice
    with desk.store.read() as tx:
        tasks = tx.execute(select(Task.title, Task.role)).all()
    assert [tuple(row) for row in tasks] == [(f"Agreement MOU-FI: ends on {soon:%Y-%m-%d}", "agreement-manager")]


def test_what_an_originator_said_is_bound_to_purpose_and_time_and_nothing_is_assumed(desk: Desk) -> None:
    manager, legal = desk.sit("agreement-manager"), desk.sit("legal-adviser")
    said = {"from": "FI-CSIRT", "to": "LV-MFA", "purpose": "network-defence", "item": "*",
            "valid_until": f"{clock.now() + timedelta(days=30):%Y-%m-%d}", "evidence": "Mail of 3 May"}  # fmt: skip
    manager.get("/agreements/consents/new")
    assert manager.post("/agreements/consents/new", said).status_code == 422, "silence is no consent"
    assert manager.post("/agreements/consents/new", said | {"answer": "granted", "valid_until": ""}).status_code == 422
    assert manager.post("/agreements/consents/new", said | {"answer": "refused"}).status_code == 303
    number = asked(manager, "/agreements/consents/new", said | {"answer": "granted"})
    assert standing(desk) == []
    accept(legal, number)
    [row] = standing(desk)
    assert (row["to"], row["purpose"]) == ("LV-MFA", "network-defence")
    manager.get("/agreements")
    assert manager.post(f"/agreements/consents/{row['id']}/withdraw", {"reason": "They wrote again"}).status_code == 303
    assert standing(desk) == [], "withdrawing waits for nobody"
    page = manager.text("/agreements")
    assert "Withdrawn" in page and "Refused" in page


def standing(desk: Desk) -> list[dict[str, Any]]:
    with desk.store.read() as tx:
        return queries.consents(tx, originator_id=desk.world.partner_id)
