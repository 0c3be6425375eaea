"""What was taken back, withdrawn or amended is not made to hold again by whoever has the application's password."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from coordinator.agreements.service import record_consent
from coordinator.alerts import published
from coordinator.alerts import service as alerts
from coordinator.markings import Marking
from coordinator.sharing import standing
from coordinator.sharing.approvals import approve, void
from coordinator.sharing.models import Approval, Release, ShareDecision
from coordinator.sharing.service import decide_share
from coordinator.store import Store
from tests.alerting import agreement, put_contact, put_incident, put_organisation, put_system, webhook
from tests.factories import OTHER, PARTNER, World
from tests.releasing import clearing, referred, release

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


WAYS = (
    "UPDATE deliveries SET channel_id = (SELECT max(id) FROM channels)", "UPDATE deliveries SET kind = 'email'",
    "UPDATE deliveries SET ack_hash = 'mine'",
    "UPDATE deliveries SET decision_id = (SELECT max(id) FROM share_decisions)",
    "UPDATE deliveries SET state = 'queued'", "DELETE FROM deliveries", "UPDATE alerts SET state = 'queued'",
    "UPDATE alerts SET organisation_id = (SELECT id FROM organisations WHERE code = 'LV-MFA')",
    "UPDATE alerts SET partner_reference = 'REF'", "UPDATE alerts SET withdrawn_at = NULL",
    "UPDATE standing_clearances SET revoked_at = NULL", "UPDATE standing_clearances SET confirmed_by = 1",
    "INSERT INTO deliveries (alert_id, rung, contact_id, channel_id, kind, webhook_id, state, decision_id, attempts,"
    " fence, ack_hash, ack_expires_at, created_at, exercise) SELECT alert_id, 9,"
    " (SELECT max(contact_id) FROM channels),"
    " (SELECT max(id) FROM channels), kind, 'msg_x', 'queued', decision_id, 0, 0, 'x', ack_expires_at, created_at, ''"
    " FROM deliveries",
)  # fmt: skip


def test_nothing_is_turned_to_another_way_or_reader_and_what_was_taken_back_stays_so(
    store: Store, world: World
) -> None:
    with store.unit_of_work() as tx:
        for code, slug in ((PARTNER, "fi-out"), (OTHER, "lv-out")):
            put_organisation(tx, code)
            put_system(tx, f"https://{slug}.example/hook", code=code, slug=slug)
            put_contact(tx, webhook(slug), code=slug, organisation=code)
        told = [
            alerts.tell(
                tx, incident=put_incident(tx), kind="initial", title="Seen", body="What we saw.", ack="",
                purpose="network-defence", info_category="incident-notification", requested_by="user:99",
                audience={"organisations": [code]},
            ).permitted[0].id
            for code in (PARTNER, OTHER)
        ]  # fmt: skip
        alerts.withdraw(tx, told[0], principal=clearing(tx), reason="Not to them.")
        first, second = clearing(tx, "coordinator"), clearing(tx)
        cleared = standing.propose(tx, title="Call us", body="Please call our desk.", language="en", principal=first)
        standing.confirm(tx, cleared.id, principal=second)
        standing.revoke(tx, cleared.id, principal=second, reason="No more.")
        # what is tried is tried on what is over
        tx.execute(text("UPDATE deliveries SET state = 'cancelled' WHERE state = 'queued'"))
    for change in WAYS:
        with pytest.raises(DatabaseError, match="refused|denied"), store.unit_of_work() as tx:
            tx.execute(text(change))
            pytest.fail(f"taken: {change}")


PUBLISHED = (
    "INSERT INTO public_notices (release_id, incident_id, recipient, decision_id, decision_result, content_digest,"
    " public_id, published_at, published_by, withdraw_reason, exercise) VALUES (:release, :incident, 'PUBLIC',"
    " :decision, 'permit', :digest, 'pub-x', :at, 1, '', '')"
)


def test_nothing_is_put_on_the_public_page_that_no_release_authority_cleared(store: Store, world: World) -> None:
    """A decision that permits was put in past the use cases, with the application's password."""
    with store.unit_of_work() as tx:
        row = release(tx, put_incident(tx, tlp="CLEAR"), marking=Marking(tlp="CLEAR"))
        asked = decide_share(tx, row, published.addressee(tx))
        assert asked.result == "refer"
        forged = {each.name: getattr(asked, each.name) for each in ShareDecision.__table__.columns if each.name != "id"}
        made = ShareDecision(**forged | {"result": "permit", "reasons": []})
        tx.add(made)
        tx.flush()
        values = {"release": row.id, "incident": row.incident_id, "decision": made.id, "digest": row.content_digest,
                  "at": made.evaluated_at.isoformat(sep=" ")}  # fmt: skip
    with pytest.raises(DatabaseError, match="release authority"), store.unit_of_work() as tx:
        tx.execute(text(PUBLISHED), values)
