"""Two versions in words."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from playbooks.compare import compare
from playbooks.document import load
from playbooks.library import shipped
from tests.playbooks.documents import action, document, end, sid

TASK = {"kind": "task", "role": "analyst", "due": {"within": "PT4H"}, "checklist": ["Read it"]}


def base() -> dict[str, Any]:
    return document({
        "a": action("Look", work=dict(TASK), on_completion="b"), "b": action("Write", on_completion="end"),
        "end": end(),
    }, "a", variables={"__x__": {"type": "string", "value": "1"}})  # fmt: skip


def ours(raw: dict[str, Any]) -> dict[str, Any]:
    return next(iter(raw["workflow"][sid("a")]["step_extensions"].values()))


def add_step(raw: dict[str, Any]) -> None:
    raw["workflow"][sid("c")] = action("Ask", on_completion="end")
    raw["workflow"][sid("b")]["on_completion"] = sid("c")


def remove_step(raw: dict[str, Any]) -> None:
    del raw["workflow"][sid("b")]
    raw["workflow"][sid("a")]["on_completion"] = sid("end")


CHANGES: list[tuple[Callable[[dict[str, Any]], Any], list[str]]] = [
    (lambda raw: None, []),
    (lambda raw: raw.update(name="Another"), ["The name changed from A playbook for tests to Another."]),
    (add_step, ["Step added: “Ask”.", f"“Write”: what follows changed from end {sid('end')[-8:]} to “Ask”."]),
    (remove_step, ["Step removed: “Write”.", f"“Look”: what follows changed from “Write” to end {sid('end')[-8:]}."]),
    (lambda raw: ours(raw).update(due={"within": "PT2H"}),
     ["“Look”: the deadline changed from within PT4H to within PT2H."]),
    (lambda raw: ours(raw).update(role="coordinator", checklist=[]),
     ["“Look”: the role changed from analyst to coordinator; the checklist changed from Read it to nothing."]),
    (lambda raw: raw["playbook_variables"].update(__y__={"type": "string"}), ["Variable added: __y__."]),
    (lambda raw: raw["playbook_variables"]["__x__"].update(value="2"), ["Variable changed: __x__."]),
    (lambda raw: raw["workflow"][sid("b")]["commands"][0].update(command="Do more."),
     ["“Write”: what is asked changed from Do it. to Do more.."]),
]


@pytest.mark.parametrize(("change", "said"), CHANGES)
def test_each_change_is_one_sentence(change: Callable[[dict[str, Any]], Any], said: list[str]) -> None:
    newer = copy.deepcopy(base())
    change(newer)
    assert compare(load(base()), load(newer)) == said


@pytest.mark.parametrize(("name", "raw"), shipped())
def test_a_document_does_not_differ_from_itself(name: str, raw: bytes) -> None:
    assert compare(load(raw), load(raw)) == []
