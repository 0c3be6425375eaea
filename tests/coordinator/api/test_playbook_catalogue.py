"""The catalogue through the API: the same rules as the pages, for tools."""

from __future__ import annotations

import json
from typing import Any

from coordinator.store import Store
from playbooks.document import MAX_BYTES
from tests.factories import World, token_for
from tests.playbooks.documents import NOW, line, sid


def test_from_a_document_to_a_playbook_in_use_and_out_again(store: Store, world: World, client: Any) -> None:
    def call(role: str, method: str, path: str, body: Any = None) -> Any:
        said = {} if body is None else {"json": body}
        return getattr(client, method)(f"/api/v1/playbooks{path}", headers=tokens[role], **said)

    tokens = {role: {"Authorization": f"Bearer {token_for(store, role)}"}
              for role in ("coordinator", "legal-adviser", "analyst")}  # fmt: skip
    wrong = line() | {"workflow_start": "start--nowhere"}
    refused = call("coordinator", "post", "", wrong)
    assert refused.status_code == 422 and refused.json["errors"][0]["pointer"] == "/workflow_start"
    assert call("coordinator", "post", "/check", wrong).json["faults"][0]["pointer"] == "/workflow_start"
    assert call("analyst", "post", "", line()).status_code == 403
    taken = call("coordinator", "post", "", line())
    assert taken.status_code == 201
    number = taken.json["id"]
    assert call("coordinator", "post", f"/{number}/agree").json["state"] == "imported"
    assert call("coordinator", "post", f"/{number}/agree").status_code == 409
    assert call("legal-adviser", "post", f"/{number}/agree").json["state"] == "active"
    shown = call("analyst", "get", f"/{number}").json
    assert shown["starts"] == ["A person starts it."] and shown["signatures"] == []
    plain = call("analyst", "get", f"/{number}/document").json
    assert plain == line()
    assert call("analyst", "get", f"/{number}/document?signed=1").json["signatures"][0]["algorithm"] == "Ed25519"
    assert call("analyst", "get", f"/{number}/changes/{number}").json == {"changes": []}
    script = {"start": NOW.isoformat(), "events": [
        {"after": "PT1M", "step": sid("a"), "what": "succeed"}, {"after": "PT2M", "step": sid("b"), "what": "succeed"},
    ]}  # fmt: skip
    played = call("analyst", "post", f"/{number}/simulate", script).json
    assert played["exit_code"] == 0 and played["lines"][-1]["state"] == "completed"
    assert call("analyst", "post", f"/{number}/simulate", {"start": 1}).status_code == 422
    assert call("coordinator", "post", f"/{number}/withdraw", {"reason": "Wrong."}).json["state"] == "revoked"
    assert [each["state"] for each in call("analyst", "get", "").json["items"]] == ["revoked"]
    assert call("analyst", "get", f"/{2**60}").status_code == 404
    assert json.loads(client.get("/api/v1/openapi.json").data)["paths"]["/api/v1/playbooks"]


def test_a_document_may_be_as_large_as_through_the_command(store: Store, world: World, client: Any) -> None:
    headers = {"Authorization": f"Bearer {token_for(store, 'coordinator')}", "Content-Type": "application/json"}
    for room, code in ((-10_000, 201), (10_000, 413)):
        raw = json.dumps(line()).ljust(MAX_BYTES + room)
        assert client.post("/api/v1/playbooks", data=raw, headers=headers).status_code == code
