"""The two playbooks of the measurements: one that alerts at once, one that is nothing but steps."""

from __future__ import annotations

import json
import uuid
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator.runs import activation, catalogue
from coordinator.runs.models import PlaybookVersion
from playbooks.coordination import EXTENSION_ID

_SPACE = uuid.UUID("6a7b38b4-3f7e-4a52-8f0e-0d6c1f0f9b11")


def alert_at_once() -> bytes:
    """Chosen by every incident whose triage is accepted; its first step alerts the affected states."""
    tell = {
        "kind": "alert", "message": "initial", "audience": {"affected_states": True}, "tlp_max": "AMBER",
        "purpose": "incident-response", "category": "incident-notification", "attribution": "withhold",
    }  # fmt: skip
    return _document("Alert at once", [_action("Alert the affected states", work=tell)], trigger={"all": []})


def chain(steps: int, *, waits_ms: int = 0) -> bytes:
    """So many steps after each other, of a kind that no person and no partner takes part in.

    `waits_ms`: each waits for a timer of its own first, and so is a row, a message and a transaction of its own.
    """
    one = {"kind": "set", "values": {"__done__": "1"}}
    variables = {"__done__": {"type": "string", "value": "0"}}
    more = {"out_args": ["__done__"]} | ({"delay": waits_ms} if waits_ms else {})
    actions = [_action(f"Step {number}", work=one, **more) for number in range(steps)]
    return _document(f"{steps} steps, {waits_ms} ms", actions, playbook_variables=variables)


def install(tx: Session, raw: bytes) -> int:
    """Import and activate; returns the id of the version."""
    catalogue.import_playbook(tx, raw, actor="cli:benchmark")
    version = select(PlaybookVersion.id).where(PlaybookVersion.playbook_id == json.loads(raw)["id"])
    return activation.activate(tx, tx.execute(version).scalar_one(), actor="cli:benchmark").id


def _action(name: str, *, work: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "action", "name": name, "agent": _id("individual", "officer"),
        "commands": [{"type": "manual", "command": name, "playbook_activity": "deliver-content"}],
        "step_extensions": {EXTENSION_ID: work}, **more,
    }  # fmt: skip


def _document(
    name: str, actions: list[dict[str, Any]], *, trigger: dict[str, Any] | None = None, **more: Any
) -> bytes:
    ids = [_id("action", str(number)) for number in range(len(actions))]
    ids.append(_id("end", "end"))
    workflow = {_id("start", "start"): {"type": "start", "on_completion": ids[0]}}
    for number, action in enumerate(actions):
        workflow[ids[number]] = action | {"on_completion": ids[number + 1]}
    workflow[ids[-1]] = {"type": "end"}
    options = {"kind": "playbook", "trigger": trigger, "internal": False, "priority": 1}
    chosen = {"playbook_extensions": {EXTENSION_ID: options}} if trigger else {}
    return json.dumps({
        "type": "playbook", "spec_version": "cacao-2.0", "id": _id("playbook", name), "name": name,
        "created_by": _id("identity", "me"), "created": "2026-01-15T09:00:00.000Z",
        "modified": "2026-01-15T09:00:00.000Z", "workflow_start": _id("start", "start"), "workflow": workflow,
        "agent_definitions": {_id("individual", "officer"): {"type": "individual", "name": "Officer"}},
        "extension_definitions": {EXTENSION_ID: {
            "type": "extension-definition", "name": "Coordination", "version": "1.0.0",
            "created_by": _id("identity", "me"),
            "schema": "https://coordinator.example/schemas/coordination-1.0.json",
        }},
        **chosen, **more,
    }).encode()  # fmt: skip


def _id(kind: str, name: str) -> str:
    return f"{kind}--{uuid.uuid5(_SPACE, f'{kind} {name}')}"
