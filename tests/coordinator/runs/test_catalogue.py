"""Playbooks in the catalogue: checked when they come, one version active, bytes that never change."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import DatabaseError

from coordinator import clock
from coordinator.errors import Invalid, NotFound, Refused
from coordinator.runs import activation, catalogue, service
from coordinator.runs.models import PlaybookVersion, Run
from coordinator.store import Store
from coordinator.timeline.models import Pending
from coordinator.timeline.queries import entries
from playbooks.coordination import EXTENSION_ID
from playbooks.document import load
from playbooks.library import shipped
from tests.alerting import COMMUNITY, agreement, put_organisation
from tests.factories import PARTNER, person, small_world
from tests.playbooks.documents import line


def take(store: Store, document: dict[str, Any]) -> str:
    with store.unit_of_work() as tx:
        return catalogue.import_playbook(tx, json.dumps(document).encode(), actor="cli:test")


def rows(store: Store) -> list[PlaybookVersion]:
    with store.read() as tx:
        return list(tx.execute(select(PlaybookVersion).order_by(PlaybookVersion.id)).scalars())


def use(store: Store, at: int) -> None:
    with store.unit_of_work() as tx:
        activation.activate(tx, rows(store)[at].id, actor="system")


def test_a_document_is_taken_once_and_is_not_active_until_somebody_says_so(store: Store) -> None:
    assert "not active yet" in take(store, line())
    assert "here already" in take(store, line())
    with store.read() as tx:
        assert [row.state for row in rows(store)] == ["imported"]
        assert catalogue.active_playbooks(tx) == []


def test_a_document_with_faults_is_refused_with_a_pointer_for_each(store: Store) -> None:
    wrong = line()
    del wrong["workflow_start"]
    with pytest.raises(Invalid) as refused:
        take(store, wrong)
    assert any("workflow_start" in fault.pointer or "workflow_start" in fault.detail for fault in refused.value.errors)
    for raw in (b"", b"{", b"[]", b"\xff", b'{"type": "playbook"}'):
        with pytest.raises(Invalid), store.unit_of_work() as tx:
            catalogue.import_playbook(tx, raw, actor="cli:test")
    assert rows(store) == []


def test_the_same_version_with_other_content_is_refused(store: Store) -> None:
    take(store, line())
    with pytest.raises(Refused):
        take(store, line() | {"name": "Another name"})


def test_the_same_version_brought_in_twice_at_the_same_instant_is_one_version(store: Store) -> None:
    gate = Barrier(4)

    def bring(number: int) -> str:
        gate.wait()
        try:
            return take(store, line() | {"name": f"Name {number % 2}"})
        except Refused:
            return "refused"

    with ThreadPoolExecutor(4) as pool:
        said = [each if each == "refused" else each.split(": ")[1] for each in pool.map(bring, range(4))]
    assert len(rows(store)) == 1
    assert sorted(said) == ["here already, imported", "imported, not active yet", "refused", "refused"]


def test_a_newer_version_takes_the_place_of_the_active_one_and_the_bytes_stay(store: Store) -> None:
    for modified in ("2026-01-15T09:00:00.000Z", "2026-02-15T09:00:00.000Z"):
        take(store, line() | {"modified": modified})
    for row in rows(store):
        with store.unit_of_work() as tx:
            activation.activate(tx, row.id, actor="user:1")
    assert [row.state for row in rows(store)] == ["replaced", "active"]
    with store.read() as tx:
        assert catalogue.export_playbook(tx, line()["id"]) == rows(store)[1].document
        with pytest.raises(NotFound):
            catalogue.export_playbook(tx, "playbook--nobody")
    with pytest.raises(DatabaseError), store.unit_of_work() as tx:
        tx.execute(update(PlaybookVersion).values(document=b"{}"))


def test_a_version_out_of_use_is_not_made_active_again(store: Store) -> None:
    take(store, line())
    with store.unit_of_work() as tx:
        activation.withdraw(tx, rows(store)[0].id, actor="user:1", reason="Wrong.")
    with pytest.raises(Refused), store.unit_of_work() as tx:
        activation.activate(tx, rows(store)[0].id, actor="user:1")


def test_the_shipped_playbooks_come_in_once_active_and_never_over_a_persons_choice(store: Store) -> None:
    with store.unit_of_work() as tx:
        assert len(catalogue.ship_library(tx)) == len(shipped())
    with store.unit_of_work() as tx:
        assert catalogue.ship_library(tx) == []
    assert {row.state for row in rows(store)} == {"active"}
    chosen = rows(store)[0]
    own = json.loads(chosen.document) | {"modified": "2027-01-01T00:00:00.000Z"}
    take(store, own)
    with store.unit_of_work() as tx:
        activation.activate(tx, rows(store)[-1].id, actor="user:1")
        catalogue.ship_library(tx)
    assert {row.id: row.state for row in rows(store)}[chosen.id] == "replaced"
    assert rows(store)[0].digest == load(chosen.document).digest


@pytest.mark.parametrize("withdrawn", [False, True])
def test_a_new_version_of_a_shipped_playbook_waits_for_two_persons(store: Store, withdrawn: bool) -> None:
    name, raw = shipped()[0]
    earlier = json.loads(raw) | {"modified": "2026-11-22T09:00:00.000Z"}
    take(store, earlier)
    with store.unit_of_work() as tx:
        activation.activate(tx, rows(store)[0].id, actor=catalogue.SHIPPED)
        if withdrawn:
            activation.withdraw(tx, rows(store)[0].id, actor="user:1", reason="Not for us.")
        lines = catalogue.ship_library(tx)
    states = [row.state for row in rows(store) if row.playbook_id == earlier["id"]]
    assert states == ["revoked" if withdrawn else "active", "imported"]
    assert [line for line in lines if "two persons" in line] == [line for line in lines if line.startswith(name)]


def test_two_starts_with_one_key_are_one_run(store: Store, world: object) -> None:
    take(store, line())
    version_id = rows(store)[0].id
    with store.unit_of_work() as tx:
        activation.activate(tx, version_id, actor="system")
    for _ in range(2):
        with store.unit_of_work() as tx:
            service.start_run(tx, version_id, started_by="user:1", once_key="only")
    with store.read() as tx:
        assert len(tx.execute(select(Run)).scalars().all()) == 1


def test_a_run_that_may_not_start_is_refused_and_says_why(store: Store, world: object) -> None:
    take(store, line() | {"valid_from": "2020-01-01T00:00:00.000Z", "valid_until": "2020-02-01T00:00:00.000Z"})
    use(store, 0)
    with pytest.raises(Refused) as refused, store.unit_of_work() as tx:
        service.start_run(tx, rows(store)[0].id, started_by="user:1")
    assert "not valid" in refused.value.detail
    take(store, line() | {"modified": "2026-03-01T00:00:00.000Z"})
    use(store, 1)
    with pytest.raises(Invalid) as invalid, store.unit_of_work() as tx:
        service.start_run(tx, rows(store)[1].id, started_by="user:1", variables={"__nobody__": "x"})
    assert invalid.value.errors[0].pointer == "/variables/__nobody__"


def needing(*names: str) -> dict[str, Any]:
    """A playbook that needs these to start."""
    return line(playbook_extensions={EXTENSION_ID: {"kind": "playbook", "needs": list(names)}})


@pytest.mark.parametrize(("name", "refused"), [("MOU", False), ("MOU", True), (COMMUNITY, False), ("nothing", True)])
def test_what_a_playbook_needs_is_there_or_it_does_not_start(
    sqlite_store: Store, name: str, refused: bool
) -> None:
    small_world(sqlite_store)
    with sqlite_store.unit_of_work() as tx:
        put_organisation(tx, PARTNER)
        agreement(tx, expires_on=clock.now() - timedelta(days=1) if name == "MOU" and refused else None)
    take(sqlite_store, needing(name))
    use(sqlite_store, 0)
    if not refused:
        with sqlite_store.unit_of_work() as tx:
            service.start_run(tx, 1, started_by="system")
        return
    with pytest.raises(Refused) as refusal, sqlite_store.unit_of_work() as tx:
        service.start_run(tx, 1, started_by="system")
    assert name in refusal.value.detail


def test_a_role_that_nobody_has_keeps_nothing_from_starting_and_is_told(sqlite_store: Store) -> None:
    small_world(sqlite_store)
    person(sqlite_store, "coordinator")
    take(sqlite_store, needing("coordinator", "legal-adviser"))
    use(sqlite_store, 0)
    with sqlite_store.unit_of_work() as tx:
        run_id = service.start_run(tx, 1, started_by="system").id
    with sqlite_store.read() as tx:
        said = [each["values"] for each in entries(tx, incident_id=None, limit=50) if each["kind"] == "run.notice"]
        assert said == [{"roles": ["legal-adviser"]}]
        told = select(Pending.object_id).where(Pending.kind == "run.notice")
        assert tx.execute(told).scalar_one() == run_id
