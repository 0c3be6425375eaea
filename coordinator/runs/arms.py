"""What an advancing run needs from above: whoever begins the work of its steps (workers/steps.py brings it)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy.orm import Session

from coordinator.incidents.models import Incident
from coordinator.runs.models import Run, StepAttempt
from playbooks.document import Playbook
from playbooks.events import Event


@dataclass(frozen=True)
class Begun:
    """A piece of work to begin, with everything around it; rows are locked by this transaction."""

    run: Run
    incident: Incident | None
    playbook: Playbook
    attempt: StepAttempt
    spec: Mapping[str, Any]
    due_at: datetime | None

    @property
    def key(self) -> str:
        return self.attempt.key


class Arms(Protocol):
    """Does what steps ask for, inside the run's own transaction. What is known at once is answered as events."""

    def begin(self, tx: Session, work: Begun) -> Sequence[Event]:
        """Open the task, tell the audience, ask for the decision … Raises CoordinatorError: the step has failed."""

    def remind(self, tx: Session, attempt: StepAttempt) -> None:
        """Remind whoever has this work."""

    def escalate(self, tx: Session, attempt: StepAttempt, *, to_role: str, to: str) -> None:
        """Bring in a role; for alerts go on to the next-contact, next-channel or deputy of those still silent."""

    def call_off(self, tx: Session, attempt: StepAttempt, *, reason: str) -> None:
        """Close what is still open of this work."""

    def due_changed(self, tx: Session, attempt: StepAttempt, due_at: datetime | None) -> None:
        """The deadline was reckoned anew."""
