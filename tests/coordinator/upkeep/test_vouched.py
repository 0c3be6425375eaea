"""A row that would let something leave, put in with the application's own password, is found: nobody recorded it."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from coordinator.agreements.service import record_consent, withdraw_consent
from coordinator.sharing import standing
from coordinator.sharing.approvals import approve
from coordinator.store import Store
from coordinator.upkeep.vouched import prove
from tests.alerting import agreement, put_organisation, put_system
from tests.factories import OTHER, PARTNER, World
from tests.owner import past_protection
from tests.releasing import clearing, referred

FORGED = {
    "consent": "INSERT INTO consents (from_id, to_id, purpose, item, evidence, granted_at, recorded_by, answer)"
    " SELECT from_id, to_id, '*', '*', '', granted_at, recorded_by, 'granted' FROM consents WHERE id = 1",
    "approval": "INSERT INTO approvals (decision_id, user_id, role, answer, reason, at, until, content_digest,"
    " exercise) SELECT decision_id, 1, role, 'approve', '', at, until, content_digest, exercise FROM approvals"
    " WHERE id = 1",
    "agreements": "INSERT INTO agreements (key, version, current, terms, digest, created_at, recorded_by)"
    " SELECT 'FORGED', 1, TRUE, terms, digest, created_at, recorded_by FROM agreements WHERE id = 1",
}


@pytest.fixture
def house(store: Store, world: World) -> Store:
    with store.unit_of_work() as tx:
        put_organisation(tx, PARTNER)
        put_system(tx, "https://csirt.fi.example/hook")
        first = referred(tx, world)
        clearing(tx, "liaison-officer")
        approve(tx, first.id, principal=clearing(tx))
        for purpose in ("network-defence", "incident-response"):
            record_consent(tx, {"from": PARTNER, "to": OTHER, "purpose": purpose}, actor="user:1")
        withdraw_consent(tx, 2, actor="user:1", reason="They wrote again.")
        agreement(tx)
        agreement(tx, ceiling="GREEN")
    return store


def test_what_the_use_cases_wrote_is_vouched_for(house: Store) -> None:
    with house.read() as tx:
        assert prove(tx).broken == ""


@pytest.mark.parametrize("what", FORGED)
def test_a_row_that_nobody_recorded_is_named(house: Store, what: str) -> None:
    with house.unit_of_work() as tx:
        tx.execute(text(FORGED[what]))
    with house.read() as tx:
        assert what in prove(tx).broken


def test_a_withdrawal_that_the_owner_of_the_database_took_back_is_named(house: Store) -> None:
    past_protection(house, "consents", "UPDATE consents SET withdrawn_at = NULL")
    with house.read() as tx:
        assert "consent 2" in prove(tx).broken


def test_what_was_taken_back_and_made_to_hold_again_by_the_owner_of_the_database_is_named(house: Store) -> None:
    with house.unit_of_work() as tx:
        first, second = clearing(tx, "coordinator"), clearing(tx)
        text_ = standing.propose(tx, title="Call us", body="Please call our desk.", language="en", principal=first)
        standing.confirm(tx, text_.id, principal=second)
        standing.revoke(tx, text_.id, principal=second, reason="No more.")
    past_protection(house, "standing_clearances", "UPDATE standing_clearances SET revoked_at = NULL")
    with house.read() as tx:
        assert "clearance 1 of a fixed text: it was revoked" in prove(tx).broken
