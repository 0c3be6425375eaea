"""Documents for the playbook tests, built step by step: short names in, whole CACAO 2.0 documents out."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from playbooks.coordination import EXTENSION_ID
from playbooks.document import Playbook, load
from playbooks.effects import BeginWork, Effect, StepRecorded
from playbooks.events import WorkFinished
from playbooks.interpreter import apply, start
from playbooks.state import State

NAMESPACE = uuid.UUID("2f5b2b8e-0c51-4c1c-9a56-0d2f6a3f6f10")
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
SAID = {"on_completion", "on_success", "on_failure", "on_true", "on_false", "next_steps", "cases"}


def sid(name: str) -> str:
    """The step id of `type:name`, or of a bare name of an action or an end (names that begin with "end")."""
    kind, _, rest = name.partition(":")
    if not rest:
        kind, rest = ("end" if name.startswith("end") else "start" if name == "start" else "action"), name
    return f"{kind}--{uuid.uuid5(NAMESPACE, rest)}"


def action(name: str = "", *, work: dict[str, Any] | None = None, commands: Any = None, **rest: Any) -> dict[str, Any]:
    """An action for a person; `work` is our extension's data."""
    step = {
        "type": "action", "name": name or "Do it", "agent": sid("individual:officer"),
        "commands": commands or [{"type": "manual", "command": "Do it.", "playbook_activity": "deliver-content"}],
    }
    if work:
        step["step_extensions"] = {EXTENSION_ID: work}
    return step | _linked(rest)


def block(kind: str, **rest: Any) -> dict[str, Any]:
    """A control step; `join` sets our extension's option of a parallel block."""
    step: dict[str, Any] = {"type": kind}
    join = rest.pop("join", None)
    if join:
        step["step_extensions"] = {EXTENSION_ID: {"kind": "join", **join}}
    return step | _linked(rest)


def end() -> dict[str, Any]:
    """An end step."""
    return {"type": "end"}


def _linked(rest: dict[str, Any]) -> dict[str, Any]:
    found = dict(rest)
    for name in SAID & set(found):
        value = found[name]
        if isinstance(value, str):
            found[name] = sid(value)
        elif isinstance(value, list):
            found[name] = [sid(each) for each in value]
        else:
            found[name] = {case: sid(each) for case, each in value.items()}
    return found


def document(steps: dict[str, dict[str, Any]], first: str, *, variables: Any = None, **rest: Any) -> dict[str, Any]:
    """A whole document that starts with `first`; `rest` goes to the top."""
    return {
        "type": "playbook", "spec_version": "cacao-2.0", "id": f"playbook--{uuid.uuid5(NAMESPACE, 'playbook')}",
        "name": "A playbook for tests", "created_by": f"identity--{uuid.uuid5(NAMESPACE, 'me')}",
        "created": "2026-01-15T09:00:00.000Z", "modified": "2026-01-15T09:00:00.000Z",
        **({"playbook_variables": variables} if variables else {}),
        "workflow_start": sid("start"),
        "workflow": {
            sid("start"): {"type": "start", "on_completion": sid(first)},
            **{sid(name): body for name, body in steps.items()},
        },
        "agent_definitions": {sid("individual:officer"): {"type": "individual", "name": "Officer"}},
        "extension_definitions": {EXTENSION_ID: {
            "type": "extension-definition", "name": "Coordination", "version": "1.0.0",
            "created_by": f"identity--{uuid.uuid5(NAMESPACE, 'me')}",
            "schema": "https://coordinator.example/schemas/coordination-1.0.json",
        }},
        **_linked({name: value for name, value in rest.items()}),
    }


def line(**rest: Any) -> dict[str, Any]:
    """a, then b, then the end."""
    return document({"a": action(on_completion="b"), "b": action(on_completion="end"), "end": end()}, "a", **rest)


def two_branches(**rest: Any) -> dict[str, Any]:
    """a and b side by side, then `after`; `rest` goes to the block."""
    ways = {} if "on_success" in rest else {"on_completion": "after"}
    return document({
        "parallel:p": block("parallel", next_steps=["a", "b"], **ways, **rest),
        "a": action(on_completion="end a"), "b": action(on_completion="end b"), "end a": end(), "end b": end(),
        "after": action(on_completion="end"), "on failure": action(on_completion="end"), "end": end(),
    }, "parallel:p")


class Desk:
    """A run in a test: keeps the state, remembers effects, and knows the work at hand by the name of its step."""

    def __init__(self, raw: dict[str, Any] | bytes, **kwargs: Any) -> None:
        self.playbook: Playbook = load(raw)
        self.now = NOW
        self.effects: list[Effect] = []
        self.state: State
        self.state, effects = start(self.playbook, now=self.now, **kwargs)
        self.effects += effects

    def send(self, event: Any, *, after: timedelta = timedelta(0), **kwargs: Any) -> list[Effect]:
        """Let time pass, tell of one event, and answer its effects."""
        self.now += after
        self.state, effects = apply(self.playbook, State.from_dict(self.state.to_dict()), event, now=self.now, **kwargs)
        self.effects += effects
        return effects

    def done(self, name: str, **values: Any) -> list[Effect]:
        """The work last begun at a step succeeds."""
        return self.send(WorkFinished(self.key(name), "successful", values))

    def failed(self, name: str, reason: str = "could not") -> list[Effect]:
        """The work last begun at a step fails."""
        return self.send(WorkFinished(self.key(name), "failed", reason=reason))

    def key(self, name: str) -> str:
        """The key of the work last begun at a step."""
        return next(
            each.key for each in reversed(self.effects) if isinstance(each, BeginWork) and each.step == sid(name)
        )

    def work(self, name: str) -> BeginWork:
        """The work last begun at a step."""
        return next(each for each in reversed(self.effects) if isinstance(each, BeginWork) and each.step == sid(name))

    def token(self, name: str) -> str:
        """The token that stands at a step."""
        return next(each.id for each in self.state.tokens.values() if each.step == sid(name))

    def history(self, *names: str) -> list[str]:
        """What was recorded: "what" for one name, "name what" for several or none."""
        known = {sid(name): name for name in names}
        return [
            each.what if len(names) == 1 else f"{known.get(each.step, each.type)} {each.what}"
            for each in self.effects
            if isinstance(each, StepRecorded) and (not names or each.step in known)
        ]

    def last(self, kind: type) -> Any:
        """The last effect of a kind; None if there was none."""
        return next((each for each in reversed(self.effects) if isinstance(each, kind)), None)
