"""The page and calls for those who look after the installation: nothing of a case, and a way to try again."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select

from coordinator import clock
from coordinator.store import Store
from coordinator.timeline import sending_hold
from coordinator.timeline.models import Heartbeat, Pending
from coordinator.timeline.queries import entries
from tests.coordinator.web.conftest import Desk, desk, file_report  # noqa: F401
from tests.factories import World, token_for


def give_up(store: Store) -> int:
    now = clock.now()
    values = {"kind": "task.due", "object_id": 1, "job": "task-due", "created_at": now, "ready_at": now, "attempts": 12,
              "dead": True, "last_fault": "KeyError"}  # fmt: skip
    with store.unit_of_work() as tx:
        return tx.execute(insert(Pending).values(values).returning(Pending.id)).scalar_one()


def dead(store: Store) -> int:
    with store.read() as tx:
        return len(tx.execute(select(Pending.id).where(Pending.dead)).scalars().all())


def test_an_administrator_sees_how_it_is_without_case_content_and_tries_again(
    desk: Desk,  # noqa: F811
    file_report: Any,  # noqa: F811
) -> None:
    file_report(desk.sit("liaison-officer"))
    number = give_up(desk.store)
    with desk.store.unit_of_work() as tx:
        tx.add(Heartbeat(name="worker@a:1", kind="worker", at=clock.now(), detail={}))
    for role in ("administrator", "auditor"):
        text = desk.sit(role).text("/operations")
        for words in ("What doctor says", "task-due", "KeyError", "worker@a:1", "Last backup", "Newest checkpoint"):
            assert words in text
        assert "Ransomware" not in text and "INC-" not in text
    auditor, administrator = desk.sit("auditor"), desk.sit("administrator")
    auditor.get("/operations")
    assert auditor.post(f"/operations/given-up/{number}/retry").status_code == 403 and dead(desk.store) == 1
    administrator.get("/operations")
    for _ in range(2):
        assert administrator.post(f"/operations/given-up/{number}/retry").status_code == 303
    assert dead(desk.store) == 0
    give_up(desk.store)
    assert administrator.post("/operations/given-up/retry").status_code == 303 and dead(desk.store) == 0
    with desk.store.read() as tx:
        said = [entry["actor"] for entry in entries(tx, incident_id=None) if entry["kind"] == "job.revived"]
    assert said == [desk.who("administrator").actor] * 2


def test_a_tool_reads_the_same_retries_and_stops_sending(store: Store, world: World, client: Any) -> None:
    number = give_up(store)
    admin = {"Authorization": f"Bearer {token_for(store, 'administrator', ['admin', 'read'])}"}
    officer = {"Authorization": f"Bearer {token_for(store, 'duty-officer', ['coordinate'])}"}
    found = client.get("/api/v1/operations", headers=admin).get_json()
    assert [row["id"] for row in found["given_up"]] == [number] and found["sending"] == {"on_hold": [], "waiting": 0}
    assert found["disk"]["free_bytes"] > 0 and found["checkpoint"]["number"] is None
    assert client.get("/api/v1/operations", headers=officer).status_code == 403
    assert client.post(f"/api/v1/operations/given-up/{number}/retry", headers=admin).status_code == 200
    assert client.post("/api/v1/operations/given-up/999/retry", headers=admin).status_code == 404
    assert dead(store) == 0
    stop = "/api/v1/operations/sending/stop"
    assert client.post(stop, json={"reason": "Test"}, headers=admin).status_code == 403
    assert client.post(stop, json={}, headers=officer).status_code == 422
    assert client.post(stop, json={"reason": "Test"}, headers=officer).get_json()["on_hold"] == ["emergency"]
    with store.read() as tx:
        assert sending_hold.kinds(tx) == {"emergency"}
