"""Timers of agreements and consents that were recorded before there were any: made once, whoever comes first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import time_machine
from sqlalchemy import delete, select, update

from coordinator import clock
from coordinator.agreements.models import Agreement, Consent
from coordinator.agreements.service import record_consent
from coordinator.store import Store
from coordinator.timeline.models import Pending
from tests.alerting import agreement, put_organisation
from tests.factories import OTHER, PARTNER, World
from workers import due

KINDS = ("agreement.turns", "agreement.end", "consent.ends")


def timers(store: Store) -> list[tuple[str, int, Any]]:
    with store.read() as tx:
        query = select(Pending.kind, Pending.object_id, Pending.ready_at).where(Pending.kind.in_(KINDS))
        return sorted(tuple(row) for row in tx.execute(query))


def registered(store: Store) -> list[tuple[str, int, Any]]:
    """An agreement that ends in a hundred days, amended once, and two consents, one of them withdrawn; the timers."""
    now = clock.now()
    with store.unit_of_work() as tx:
        put_organisation(tx, OTHER)
        agreement(tx, expires_on=now + timedelta(days=300))
        agreement(tx, expires_on=now + timedelta(days=100))
        for purpose in ("network-defence", "incident-response"):
            record_consent(tx, {"from": PARTNER, "to": OTHER, "purpose": purpose, "evidence": "letter",
                                "valid_until": now + timedelta(days=5)}, actor="cli:test")  # fmt: skip
        tx.execute(update(Consent).where(Consent.purpose == "network-defence").values(withdrawn_at=now))
        old = tx.execute(select(Agreement.id).where(Agreement.current.is_(False))).scalar_one()
        gone = tx.execute(select(Consent.id).where(Consent.withdrawn_at.is_not(None))).scalar_one()
        tx.execute(delete(Pending).where(Pending.kind == "consent.ends", Pending.object_id == gone))
        tx.execute(delete(Pending).where(Pending.kind.startswith("agreement."), Pending.object_id == old))
    return timers(store)


def test_what_an_older_version_did_not_leave_is_made_once_by_two_at_once(store: Store, world: World) -> None:
    wanted = registered(store)
    assert [kind for kind, _, _ in wanted] == ["agreement.end"] * 3 + ["agreement.turns", "consent.ends"]
    with store.unit_of_work() as tx:
        tx.execute(delete(Pending).where(Pending.kind.in_(KINDS)))
    go, both = Barrier(2), [Store(store.settings) for _ in range(2)]

    def mend(one: Store) -> None:
        go.wait(30)
        due.mend_register(one)

    try:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(mend, both))
    finally:
        for one in both:
            one.close()
    assert timers(store) == wanted
    due.mend_register(store)
    assert timers(store) == wanted


def test_one_that_is_there_or_over_is_left_alone(store: Store, world: World) -> None:
    wanted = registered(store)
    due.mend_register(store)
    assert timers(store) == wanted
    with store.unit_of_work() as tx:
        tx.execute(delete(Pending).where(Pending.kind.in_(KINDS)))
    with time_machine.travel(clock.now() + timedelta(days=101), tick=False):
        due.mend_register(store)
    assert timers(store) == []
