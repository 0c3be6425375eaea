"""A row whose kind nobody knows is dead on arrival: every kind the code writes is in the one table."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from coordinator.incidents.rules import Status
from workers.relay import JOBS, SUBSCRIBERS

ROOT = Path(__file__).resolve().parents[2]


def pending_calls() -> Iterator[tuple[str, ast.expr]]:
    for file in sorted([*ROOT.glob("coordinator/**/*.py"), *ROOT.glob("workers/**/*.py")]):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "pending" and len(node.args) > 2:
                yield f"{file.relative_to(ROOT)}:{node.lineno}", node.args[1]


def test_every_kind_that_is_written_is_in_the_table_of_subscribers() -> None:
    written = {str(kind.value): where for where, kind in pending_calls() if isinstance(kind, ast.Constant)}
    assert len(written) > 15
    unknown = {kind: where for kind, where in written.items() if kind not in SUBSCRIBERS and kind not in JOBS}
    assert unknown == {}


def test_every_status_of_an_incident_is_in_the_table_of_subscribers() -> None:
    assert [status for status in Status if f"incident.{status}" not in SUBSCRIBERS] == []
