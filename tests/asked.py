"""What a task or a step asks for, opened: its row holds it sealed."""

from __future__ import annotations

from typing import Any

from coordinator.runs.models import StepAttempt
from coordinator.runs.saved import spec_of
from coordinator.store import Store
from coordinator.tasks.contents import Contents, contents_of
from coordinator.tasks.models import Task


def asked(store: Store, task: Task) -> Contents:
    with store.read() as tx:
        return contents_of(tx, task)


def spec(store: Store, attempt: StepAttempt) -> dict[str, Any]:
    with store.read() as tx:
        return spec_of(tx, attempt)
