"""What was taken back, withdrawn or amended is not made to hold again by whoever has the application's password."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from coordinator.agreements.service import record_consent
from coordinator.sharing.approvals import approve, void
from coordinator.sharing.models import Approval, Release
from coordinator.store import Store
from tests.alerting import agreement, put_organisation, put_system
from tests.factories import OTHER, PARTNER, World
from tests.releasing import clearing, referred

CHANGES = (
    "UPDATE releases SET requested_by = 'user:7'", "UPDATE releases SET facts = '{}'", "DELETE FROM releases",
    "UPDATE releases SET state = 'released'", "UPDATE release_items SET enclosed = NOT enclosed",
    "DELETE FROM release_items", "UPDATE consents SET purpose = '*'", "UPDATE consents SET answer = 'granted'",
    "UPDATE consents SET valid_until = '2999-01-01 00:00:00+00:00'", "UPDATE consents SET withdrawn_at = NULL",
    "DELETE FROM consents", "UPDATE approvals SET until = '2999-01-01 00:00:00+00:00'",
    "UPDATE approvals SET voided_at = NULL", "UPDATE agreements SET current = (version = 1)",
)  # fmt: skip


def test_the_database_refuses_to_make_what_is_over_hold_again(store: Store, world: World) -> None:
    with store.unit_of_work() as tx:
        put_organisation(tx, PARTNER)
        put_system(tx, "https://csirt.fi.example/hook")
        decision = referred(tx, world)
        approve(tx, decision.id, principal=clearing(tx))
        void(tx, tx.query(Approval).one(), actor="user:1", under_way=True)
        tx.get_one(Release, decision.release_id).state = "withdrawn"
        record_consent(tx, {"from": PARTNER, "to": OTHER, "purpose": "network-defence"}, actor="user:1")
        tx.execute(text("UPDATE consents SET withdrawn_at = granted_at"))
        tx.execute(text(
            "INSERT INTO release_items (release_id, item_version_id, enclosed, field, exercise)"
            " SELECT id, title_version_id, FALSE, '', exercise FROM releases"
        ))  # fmt: skip
        agreement(tx)
        agreement(tx, ceiling="GREEN")
    for change in CHANGES:
        with pytest.raises(DatabaseError, match="refused|denied"), store.unit_of_work() as tx:
            tx.execute(text(change))
            pytest.fail(f"taken: {change}")
