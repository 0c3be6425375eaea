"""What the interpreter asks of whoever runs it. Plain data, in the order it is to be done."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class StepRecorded:
    """For the run's history. `what` is entered, waiting, succeeded, failed, timed-out, skipped, branch-ended, loop,
    reminded or escalated; `at` aware UTC."""

    step: str
    token: str
    type: str
    what: str
    at: datetime
    iteration: int = 0
    attempt: int = 1
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BeginWork:
    """Start this piece of work. `spec` is as interpreter.py says for each kind; `due_at` aware UTC or None."""

    key: str
    token: str
    step: str
    kind: str
    spec: Mapping[str, Any]
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CancelWork:
    """The work is called off (timeout, cancelled, skipped, done again); what comes of it will be ignored."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class WorkSettled:
    """The interpreter itself found this work to be over (answers or votes enough, time up, the awaited event): close
    it. Alerts already sent stay sent. `outcome` is successful or failed."""

    key: str
    outcome: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Send TimerFired(key) at `due_at`. The same key again moves the timer."""

    key: str
    due_at: datetime
    purpose: str


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """The timer is not wanted any more."""

    key: str


@dataclass(frozen=True, slots=True)
class Remind:
    """Remind whoever holds this piece of work."""

    key: str
    role: str


@dataclass(frozen=True, slots=True)
class Escalate:
    """Bring in a role, or go on to the next-contact, next-channel or deputy of those still silent."""

    key: str
    to_role: str
    to: str


@dataclass(frozen=True, slots=True)
class DueChanged:
    """The deadline of this piece of work was reckoned anew, from corrected facts."""

    key: str
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Notice:
    """Tell a coordinator; the run goes on."""

    step: str
    token: str
    text: str


@dataclass(frozen=True, slots=True)
class NeedsAttention:
    """The run stands until a person sends Retry, Skip or Cancel."""

    reason: str
    step: str
    token: str


@dataclass(frozen=True, slots=True)
class RunEnded:
    """completed, failed or cancelled."""

    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Ignored:
    """The event changed nothing: late, twice, unknown, or not for this state."""

    reason: str
    key: str = ""


Effect = (
    StepRecorded | BeginWork | CancelWork | WorkSettled | SetTimer | CancelTimer | Remind | Escalate | DueChanged
    | Notice | NeedsAttention | RunEnded | Ignored
)
