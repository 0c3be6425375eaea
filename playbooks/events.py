"""What may happen to a run, as the interpreter is told of it. Plain data; a key names one piece of work or a timer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class WorkFinished:
    """A piece of work is over. `outcome` is successful or failed. `values` as interpreter.py says for each kind.

    `sources` are names, of the caller's choosing, of what the values came from; none means the incident.
    """

    key: str
    outcome: str
    values: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    by: str = ""
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HandedToPerson:
    """What the run could have done by itself waits for a person: a status that is refused, a duty to be submitted."""

    key: str


@dataclass(frozen=True, slots=True)
class Told:
    """An alert has its recipients: told or to be told once cleared, and refused by a sharing decision."""

    key: str
    recipients: tuple[str, ...]
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """A recipient of an alert answered (acknowledged, not-for-me, question) or cannot be told (refused, failed)."""

    key: str
    recipient: str
    answer: str
    by: str = "person"


@dataclass(frozen=True, slots=True)
class Voted:
    """A person answered an approval. `by` tells persons apart; `role` is the one they answered in."""

    key: str
    role: str
    by: str
    approve: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Happened:
    """Something outside happened that steps may wait for: report-update, partner-reply, acknowledgement, status."""

    event: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer came due."""

    key: str


@dataclass(frozen=True, slots=True)
class FactsChanged:
    """The incident's facts as they are now."""

    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Cancel:
    """A person ends the run."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """A person holds the run."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Resume:
    """A person lets a paused run go on."""


@dataclass(frozen=True, slots=True)
class Retry:
    """A person has a step done again."""

    token: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Skip:
    """A person has the run go on as if the step had succeeded, with these values for its out_args."""

    token: str
    reason: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


Event = (
    WorkFinished | HandedToPerson | Told | Answered | Voted | Happened | TimerFired | FactsChanged | Cancel | Pause
    | Resume | Retry | Skip
)
