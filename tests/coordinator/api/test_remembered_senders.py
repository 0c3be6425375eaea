"""The signed door remembers who signed; what changed since counts from the very next message."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import event, select

from coordinator import prepared
from coordinator.app import create_app
from coordinator.incidents.models import Report
from coordinator.partners.models import Endpoint, EndpointKey, Organisation
from coordinator.partners.service import add_secret, disable_endpoint, revoke_key
from coordinator.partners.signing import generate_secret
from tests.factories import PartnerSystem, native


@pytest.fixture
def remembered(partner):
    """A partner whose endpoint and key this process has just seen."""
    assert partner.post(native(title="First"), "first").status_code == 202
    return partner


def posted(partner, name="second"):
    return partner.post(native(title=name), name)


@pytest.fixture
def asked(store, monkeypatch):
    """What the database is asked from now on; on PostgreSQL some of it goes to the driver in one pipeline."""
    said = []
    note = lambda *of: said.append(of[2])  # noqa: E731
    event.listen(store.engine, "before_cursor_execute", note)
    send = prepared._sent
    monkeypatch.setattr(prepared, "_sent", lambda to, sql, *of, **how: said.append(sql) or send(to, sql, *of, **how))
    yield said
    event.remove(store.engine, "before_cursor_execute", note)


def test_a_sender_is_looked_up_once(remembered, asked):
    assert posted(remembered).status_code == 202
    assert len([said for said in asked if "endpoint_keys" in said]) == 1  # whether it still holds, as it is kept
    assert not [said for said in asked if "endpoint_keys.sealed" in said]


@pytest.mark.parametrize("change", ["revoked", "run out", "disabled"])
def test_what_no_longer_holds_is_refused_at_once_and_nothing_is_kept(store, world, remembered, change):
    with store.unit_of_work() as tx:
        key = tx.execute(select(EndpointKey)).scalar_one()
        if change == "revoked":
            revoke_key(tx, key.id, actor="cli:test", reason="lost")
        elif change == "run out":
            key.not_after = key.created_at
        else:
            disable_endpoint(tx, world.endpoint_id, actor="cli:test", reason="lost")
    assert posted(remembered).status_code == 401
    with store.read() as tx:
        assert tx.execute(select(Report.message_id)).scalars().all() == ["first"]


def test_a_new_secret_is_taken_at_once(store, client, world, remembered):
    with store.unit_of_work() as tx:
        newer = generate_secret()
        add_secret(tx, world.endpoint_id, newer, actor="cli:test")
    assert posted(PartnerSystem(client, replace(world, secret=newer))).status_code == 202


def test_what_changed_about_a_sender_counts_for_the_next_report(store, world, remembered):
    with store.unit_of_work() as tx:
        tx.get_one(Organisation, world.partner_id).active = False
    assert posted(remembered, "inactive").get_json()["disposition"] == "quarantined"
    with store.unit_of_work() as tx:
        tx.get_one(Organisation, world.partner_id).active = True
        tx.get_one(Endpoint, world.endpoint_id).restricted = True
    assert posted(remembered, "restricted").get_json()["disposition"] == "accepted"
    with store.read() as tx:
        kept = {name: said for name, said in tx.execute(select(Report.message_id, Report.disposition))}
    assert kept == {"first": "accepted", "inactive": "quarantined", "restricted": "accepted"}


def test_another_process_remembers_for_itself(store, world, remembered):
    other = PartnerSystem(create_app(store, pages=False).test_client(), world)
    with store.unit_of_work() as tx:
        revoke_key(tx, tx.execute(select(EndpointKey.id)).scalar_one(), actor="cli:test", reason="lost")
    assert [posted(each).status_code for each in (other, remembered)] == [401, 401]
