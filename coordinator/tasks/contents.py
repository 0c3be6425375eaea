"""What a task says and what it was answered, sealed in its row: variables of a run are filled into both.

Under the data key of the incident the task was opened for, bound to the task. Here alone it is sealed and opened.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sqlalchemy.orm import Session

from coordinator.tasks.models import Task
from coordinator.timeline.keys import Erased, seal, unseal
from coordinator.timeline.queries import ERASED


@dataclass(frozen=True, kw_only=True)
class Contents:
    """`fields`: variable name -> {label, type, options?, required?}; `values`: answers by that name, None before."""

    instructions: str = ""
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    options: list[str] = field(default_factory=list)
    checklist: list[str] = field(default_factory=list)
    values: dict[str, Any] | None = None


def contents_of(tx: Session, task: Task) -> Contents:
    """What it says. Where its key was destroyed it says so, and the list it stands in is still shown."""
    if task.sealed is None or task.data_key_id is None:
        return Contents()
    try:
        return Contents(**json.loads(unseal(tx, task.data_key_id, task.sealed, about=_about(task))))
    except Erased:
        return Contents(instructions=ERASED)


def values_of(tx: Session, task: Task) -> dict[str, Any]:
    """What it was answered, by field; empty before."""
    return contents_of(tx, task).values or {}


def keep_contents(tx: Session, task: Task, contents: Contents) -> None:
    """Seal what it says. The task has its id and its data key."""
    plain = json.dumps(asdict(contents), separators=(",", ":")).encode()
    task.sealed = seal(tx, task.data_key_id or 0, plain, about=_about(task))


def keep_values(tx: Session, task: Task, values: dict[str, Any]) -> None:
    """Add what it was answered."""
    keep_contents(tx, task, replace(contents_of(tx, task), values=values))


def _about(task: Task) -> str:
    return f"task/{task.id}"
