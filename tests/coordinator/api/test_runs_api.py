"""Runs through the API: the same rules as the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from coordinator.app import create_app
from coordinator.store import Store
from tests.factories import small_world, token_for
from tests.playbooks.documents import action, document, end, sid
from tests.workers.drained import drain
from tests.workers.running import keep, run_of

TASK = {"kind": "task", "role": "analyst"}
RAW = document({"a": action("Look", work=TASK, on_completion="end"), "end": end()}, "a")


@pytest.fixture
def api(sqlite_store: Store) -> Callable[..., Any]:
    small_world(sqlite_store)
    client = create_app(sqlite_store, pages=False).test_client()
    headers = {role: {"Authorization": f"Bearer {token_for(sqlite_store, role)}"}
               for role in ("coordinator", "analyst")}  # fmt: skip

    def call(role: str, method: str, path: str, body: Any = None) -> Any:
        return getattr(client, method)(f"/api/v1/runs{path}", headers=headers[role], **({"json": body} if body else {}))

    return call


def test_a_run_is_looked_at_given_on_moved_and_ended(sqlite_store: Store, api: Any) -> None:
    run = run_of(sqlite_store, RAW, with_incident=True)
    shown = api("analyst", "get", f"/{run.run_id}").json
    token = shown["waiting"][0]["token"]
    assert shown["variables"] == []
    assert (shown["state"], shown["waiting"][0]["step"], shown["newer"]) == ("waiting", sid("a"), [])
    assert api("analyst", "post", f"/{run.run_id}/ask", {"do": "pause", "reason": "x"}).status_code == 403
    given = {"do": "reassign", "token": token, "role": "coordinator", "reason": "Nobody is there."}
    (at,) = api("coordinator", "post", f"/{run.run_id}/ask", given).json["waiting"]
    assert [task["role"] for task in at["tasks"]] == ["coordinator"]
    wrong = api("coordinator", "post", f"/{run.run_id}/ask", {"do": "pause"})
    assert wrong.status_code == 422 and wrong.json["errors"][0]["pointer"] == "/reason"
    newer = RAW | {"modified": "2026-03-01T09:00:00.000Z"}
    newer = newer | {"workflow": {**newer["workflow"], sid("a"): action("Look well", work=TASK, on_completion="end")}}
    to = keep(sqlite_store, newer)
    assert api("analyst", "get", f"/{run.run_id}").json["newer"] == [{"id": to, "version": newer["modified"]}]
    (place,) = api("analyst", "get", f"/{run.run_id}/places/{to}").json["places"]
    assert (place["step"], place["how"]) == (sid("a"), "anew")
    asked = api("coordinator", "post", f"/{run.run_id}/ask", {"do": "move", "to": to, "reason": "Mended."})
    assert asked.status_code == 202 and asked.json["asked"][0]["do"] == "move"
    drain(sqlite_store)
    assert api("analyst", "get", f"/{run.run_id}").json["version"] == newer["modified"]
    for do, state in (("pause", "paused"), ("resume", "waiting"), ("cancel", "cancelled")):
        api("coordinator", "post", f"/{run.run_id}/ask", {"do": do, "reason": "Because."})
        drain(sqlite_store)
        assert api("analyst", "get", f"/{run.run_id}").json["state"] == state
    assert api("coordinator", "post", f"/{run.run_id}/ask", {"do": "pause", "reason": "x"}).status_code == 409
    for path in (f"/{run.run_id + 1}", f"/{2**60}", f"/{run.run_id}/places/99"):
        assert api("analyst", "get", path).status_code == 404


def test_a_run_of_a_restricted_incident_is_not_there_for_others(sqlite_store: Store, api: Any) -> None:
    run = run_of(sqlite_store, RAW, with_incident=True, restricted=True)
    assert api("analyst", "get", f"/{run.run_id}").status_code == 404
    assert api("coordinator", "post", f"/{run.run_id}/ask", {"do": "pause", "reason": "x"}).status_code == 404
