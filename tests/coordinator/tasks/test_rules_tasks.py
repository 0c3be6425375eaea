"""Who may do a task, what its result must say, when it is looked at again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import CoordinatorError, Invalid, NoRight, Refused
from coordinator.tasks import rules
from coordinator.tasks.rules import Given, Kind, Outcome, State

OPENED = datetime(2026, 11, 22, 3, 10, tzinfo=UTC)


def task(**more: Any) -> Given:
    return Given(**{"kind": Kind.TASK, "state": State.OPEN, "roles": {"analyst"}, **more})


@pytest.mark.parametrize(
    ("what", "role", "refused"),
    [
        (task(), "analyst", None),
        (task(), "coordinator", None),
        (task(), "legal-adviser", NoRight),
        (task(assignee_id=7), "legal-adviser", None),
        (task(assignee_id=8), "legal-adviser", NoRight),
        (task(roles={"analyst", "legal-adviser"}), "legal-adviser", None),
        (task(not_by={"user:7"}), "analyst", Refused),
        (task(not_by={"user:7"}), "coordinator", Refused),
        (task(state=State.DONE), "analyst", Refused),
        (task(state=State.CANCELLED), "analyst", Refused),
        (task(kind=Kind.APPROVAL), "analyst", None),
        (task(kind=Kind.APPROVAL), "coordinator", NoRight),
        (task(kind=Kind.APPROVAL, assignee_id=7), "legal-adviser", NoRight),
    ],
)
def test_a_task_is_done_by_its_role_its_assignee_or_a_coordinator_and_an_approval_by_its_role_alone(
    what: Given, role: str, refused: type[CoordinatorError] | None
) -> None:
    if refused is None:
        rules.check_may_do(what, user_id=7, role=role)
        return
    with pytest.raises(refused):
        rules.check_may_do(what, user_id=7, role=role)


FIELDS = {
    "__level__": {"label": "Level", "type": "integer", "required": True},
    "__known__": {"label": "Known?", "type": "bool"},
    "__kind__": {"label": "Kind", "options": ["a", "b"]},
    "__text__": {"label": "Text", "type": "text"},
}


def pointers(
    kind: Kind, fields: dict[str, Any], result: dict[str, Any], outcome: Outcome = Outcome.SUCCESSFUL
) -> set[str]:
    with pytest.raises(Invalid) as refused:
        rules.read_result(kind, fields, outcome=outcome, result=result)
    return {fault.pointer for fault in refused.value.errors}


def test_a_result_becomes_text_by_field_name() -> None:
    given_ = {"__level__": 3, "__known__": True, "__kind__": "b", "__text__": "über\nLinien", "note": "n"}
    read = rules.read_result(Kind.TASK, FIELDS, outcome=Outcome.SUCCESSFUL, result=given_)
    assert read == {"__level__": "3", "__known__": "true", "__kind__": "b", "__text__": "über\nLinien", "note": "n"}


def test_every_fault_of_a_result_is_named_at_once() -> None:
    wrong = {"__level__": "three", "__known__": "perhaps", "__kind__": "c", "__text__": ["x"], "other": "y"}
    assert pointers(Kind.TASK, FIELDS, wrong) == {
        "/result/__level__", "/result/__known__", "/result/__kind__", "/result/__text__", "/result/other"
    }  # fmt: skip
    assert pointers(Kind.TASK, FIELDS, {}) == {"/result/__level__"}
    assert pointers(Kind.TASK, FIELDS, {"__level__": 1, "__text__": "x" * 10_001}) == {"/result/__text__"}
    assert pointers(Kind.TASK, FIELDS, {"__level__": 1, "__text__": "\0"}) == {"/result/__text__"}


def test_what_could_not_be_done_needs_a_note_and_nothing_else() -> None:
    assert pointers(Kind.TASK, FIELDS, {}, Outcome.FAILED) == {"/result/note"}
    read = rules.read_result(Kind.TASK, FIELDS, outcome=Outcome.FAILED, result={"note": "Nobody answers."})
    assert read == {"note": "Nobody answers."}


def test_a_decision_asks_for_one_of_its_options_and_why() -> None:
    form = rules.form_of(Kind.DECISION, {}, options=["go", "stay"], title="Which?", variable="__way__", rationale=True)
    assert form["__way__"]["options"] == ["go", "stay"] and form["rationale"]["required"]
    assert pointers(Kind.DECISION, form, {"__way__": "fly"}) == {"/result/__way__", "/result/rationale"}


def test_an_approval_is_answered_and_a_refusal_gives_its_reason() -> None:
    form = rules.form_of(Kind.APPROVAL, {}, title="May it go?")
    assert pointers(Kind.APPROVAL, form, {"answer": "refuse"}) == {"/result/reason"}
    assert pointers(Kind.APPROVAL, form, {"answer": "approve", "note": "n"}, Outcome.FAILED) == {"/outcome"}
    read = rules.read_result(Kind.APPROVAL, form, outcome=Outcome.SUCCESSFUL, result={"answer": "approve"})
    assert read == {"answer": "approve"}


@given(st.dictionaries(st.text(), st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.lists(st.text()))))
def test_no_result_whatever_it_holds_is_echoed_or_breaks_anything(result: dict[str, Any]) -> None:
    try:
        read = rules.read_result(Kind.TASK, FIELDS, outcome=Outcome.SUCCESSFUL, result=result)
    except Invalid as refused:
        told = " ".join(fault.detail for fault in refused.errors)
        assert not any(isinstance(value, str) and len(value) > 20 and value in told for value in result.values())
    else:
        assert set(read) <= set(FIELDS) | {"note"}


def test_a_ladder_is_climbed_in_the_order_of_time() -> None:
    chain = [
        {"after": "PT2H", "to_role": "coordinator"}, {"after": "PT1H", "remind": True}, {"after": "PT1M", "done": True}
    ]  # fmt: skip
    rungs = rules.ladder_of(chain, opened_at=OPENED)
    assert [(rung.index, rung.at - OPENED) for rung in rungs] == [(1, timedelta(hours=1)), (0, timedelta(hours=2))]
    due = OPENED + timedelta(minutes=30)
    assert rules.next_look(rungs, due, overdue_told=False) == due
    assert rules.next_look(rungs, due, overdue_told=True) == OPENED + timedelta(hours=1)
    assert rules.next_look([], None, overdue_told=False) is None


def test_escalation_adds_the_role_it_brought_in() -> None:
    ladder = [{"to_role": "coordinator", "done": True}, {"to_role": "analyst"}]
    assert rules.roles_of("duty-officer", "", ladder) == {"duty-officer", "coordinator"}
