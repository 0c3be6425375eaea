"""What comes from outside about tasks: shapes only. What a result must say depends on the task and is in rules.py."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from coordinator.markings import Tlp
from coordinator.outside.faults import Shape, load
from coordinator.outside.fields import Choice, Text, Whole


class CompleteSchema(Shape):
    """`POST /api/v1/tasks/{id}/complete`. `tlp`: of what is said, where that is stricter than the incident."""

    outcome = Choice(("successful", "failed"), required=True)
    result = fields.Dict(keys=fields.String(), load_default=dict, metadata={"description": "Values by field name."})
    tlp = Choice(tuple(map(str, Tlp)))


class AssignSchema(Shape):
    """Give a task to one person, or back to its role where `assignee` is absent; `reason` where another has it."""

    assignee = Whole(1, 2**53)
    reason = Text(2000, lines=True)


def load_completion(data: Any) -> dict[str, Any]:
    """{"outcome", "result"}. Raises Invalid."""
    return load(CompleteSchema(), data)


def load_assignment(data: Any) -> dict[str, Any]:
    """{"assignee"} or {}. Raises Invalid."""
    return load(AssignSchema(), data)
