"""The state of a run: its live tokens, their scopes, and a few counters. Never a history, so that it stays small.

A token is one thread of control. The first walks the main flow; a block keeps its own token and has one child for each
open branch. Everything is JSON (`to_dict`, `from_dict`) and may be kept as one document or as a row for each token.
"""

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from playbooks.variables import Value

ENDED = frozenset({"completed", "failed", "cancelled"})
# ready: to be entered · delayed: before its step's delay · waiting: work begun · block: branches open ·
# ended, failed: a branch that is over, kept until its block settles · stopped: needs a person
TOKEN_STATUSES = ("ready", "delayed", "waiting", "block", "ended", "failed", "stopped")


@dataclass(slots=True)
class Token:
    """Where one thread of control stands.

    `iteration` is the pass of the innermost while around it (0 outside), `attempt` counts retries, `unit` the command
    group at work, `passes` the passes a while has begun, `branch` its place among its block's branches. `scope` holds
    what a parallel branch wrote (None elsewhere), `local` the step's own variables, `timers` purpose → instant,
    `data` the progress of the work (recipients, answers, votes, values). `scope_sources` and `local_sources` say where
    those values came from, `under` what the conditions around it were decided on.
    """

    id: str
    parent: str | None
    step: str
    status: str = "ready"
    iteration: int = 0
    attempt: int = 1
    unit: int = 0
    passes: int = 0
    branch: int = 0
    entered_at: str = ""
    reason: str = ""
    children: list[str] = field(default_factory=list)
    scope: dict[str, Value] | None = None
    local: dict[str, Value] = field(default_factory=dict)
    scope_sources: dict[str, list[str]] = field(default_factory=dict)
    local_sources: dict[str, list[str]] = field(default_factory=dict)
    under: list[str] = field(default_factory=list)
    timers: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The key of the work at this step: unique in the run for ever."""
        return f"{self.id}:{self.step}:{self.iteration}:{self.attempt}:{self.unit}"


@dataclass(slots=True)
class State:
    """A run. `status` is running, waiting, paused, needs-attention, completed, failed or cancelled.

    `sources`: variable name → what its value came from, as events named it; a name that is not in it has the document's
    own value.
    """

    playbook: str
    version: str
    digest: str
    started_at: str
    status: str = "running"
    paused: bool = False
    in_exception: bool = False
    next_token: int = 1
    steps: int = 0
    variables: dict[str, Value] = field(default_factory=dict)
    sources: dict[str, list[str]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    anchors: dict[str, str] = field(default_factory=dict)
    pins: dict[str, str] = field(default_factory=dict)
    callers: list[str] = field(default_factory=list)
    ready: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    tokens: dict[str, Token] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether nothing can happen to it any more."""
        return self.status in ENDED

    def copy(self) -> "State":
        """An independent copy."""
        return copy.deepcopy(self)

    def to_dict(self) -> dict[str, Any]:
        """As JSON data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "State":
        """From what to_dict gave."""
        plain = copy.deepcopy(dict(data))
        tokens = {key: Token(**each) for key, each in plain.pop("tokens").items()}
        return cls(**plain, tokens=tokens)
