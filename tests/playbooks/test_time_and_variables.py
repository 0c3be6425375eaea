"""Delays, timeouts, deadlines, chains; variables by scope and type."""

from datetime import timedelta
from typing import Any

import pytest

from playbooks.effects import (
    CancelTimer,
    CancelWork,
    DueChanged,
    Escalate,
    Ignored,
    NeedsAttention,
    Remind,
    SetTimer,
)
from playbooks.events import (
    FactsChanged,
    HandedToPerson,
    TimerFired,
    WorkFinished,
)
from playbooks.interpreter import StartRefused
from tests.playbooks.documents import NOW, Desk, action, block, document, end, line, sid, two_branches

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
TEXT = {"type": "string", "value": ""}


def test_a_delay_comes_before_the_step_is_entered() -> None:
    desk = Desk(document({"a": action(on_completion="end", delay=60_000), "end": end()}, "a"))
    timer = desk.last(SetTimer)
    assert (timer.purpose, timer.due_at) == ("delay", NOW + MINUTE)
    assert desk.history("a") == []
    desk.send(TimerFired(timer.key), after=MINUTE)
    assert desk.history("a") == ["entered", "waiting"]


def test_a_timeout_fails_the_step_and_a_late_result_is_not_taken() -> None:
    desk = Desk(document({
        "a": action(on_success="end", on_failure="b", timeout=3_600_000), "b": action(on_completion="end"),
        "end": end(),
    }, "a"))
    key, timer = desk.key("a"), desk.last(SetTimer)
    desk.send(TimerFired(timer.key), after=HOUR)
    assert desk.history("a")[-1] == "timed-out"
    assert desk.last(CancelWork).key == key
    assert isinstance(desk.send(WorkFinished(key, "successful"))[0], Ignored)
    assert desk.key("b")


ASKING = [{"type": "http-api", "command": "GET /x HTTP/1.1"}]


def test_what_is_done_by_itself_has_a_maximum_where_the_document_sets_none() -> None:
    desk = Desk(document({"a": action(commands=ASKING, on_success="end", on_failure="b"),
                          "b": action(on_completion="end"), "end": end()}, "a"))  # fmt: skip
    timer = desk.last(SetTimer)
    assert (timer.purpose, timer.due_at) == ("timeout", NOW + 24 * HOUR)
    desk.send(TimerFired(timer.key), after=24 * HOUR)
    assert desk.history("a")[-1] == "timed-out" and desk.key("b")


def test_a_person_who_gets_it_instead_has_no_maximum_and_the_documents_own_stays() -> None:
    for more, called_off in (({}, True), ({"timeout": 1000}, False)):
        desk = Desk(document({"a": action(commands=ASKING, on_completion="end", **more), "end": end()}, "a"))
        desk.send(HandedToPerson(desk.key("a")))
        assert (desk.last(CancelTimer) is not None) is called_off


def test_a_person_after_a_machine_in_one_step_has_no_maximum() -> None:
    commands = [*ASKING, {"type": "manual", "command": "Look at it."}]
    desk = Desk(document({"a": action(commands=commands, on_completion="end"), "end": end()}, "a"))
    desk.done("a")
    assert desk.state.tokens[desk.token("a")].timers == {}


def test_a_result_in_time_takes_the_timer_away() -> None:
    desk = Desk(document({"a": action(on_completion="end", timeout=1000), "end": end()}, "a"))
    timer = desk.last(SetTimer)
    desk.done("a")
    assert desk.last(CancelTimer).key == timer.key


def test_a_timeout_of_a_block_calls_off_what_is_open_in_it() -> None:
    raw = two_branches(on_success="after", on_failure="on failure", timeout=1000)
    desk = Desk(raw)
    desk.done("a")
    desk.send(TimerFired(desk.last(SetTimer).key), after=HOUR)
    assert desk.history("b")[-1] == "skipped"
    assert desk.history("parallel:p")[-1] == "timed-out"
    assert desk.key("on failure")


def test_a_timer_that_fires_too_early_is_set_again() -> None:
    desk = Desk(document({"a": action(on_completion="end", timeout=3_600_000), "end": end()}, "a"))
    timer = desk.last(SetTimer)
    effects = desk.send(TimerFired(timer.key), after=MINUTE)
    assert effects[0] == timer
    assert desk.state.status == "waiting"


def test_a_timer_of_thirty_days_needs_nothing_in_between() -> None:
    desk = Desk(document({"a": action(on_completion="end", timeout=30 * 86_400_000), "end": end()}, "a"))
    assert desk.last(SetTimer).due_at == NOW + timedelta(days=30)


def test_reminders_and_escalations_come_in_their_time_and_stop_with_the_answer() -> None:
    chain = [{"after": "PT30M", "remind": True}, {"after": "PT1H", "to_role": "coordinator"}]
    desk = Desk(document({
        "a": action(work={"kind": "task", "role": "analyst", "chain": chain}, on_completion="end"), "end": end(),
    }, "a"))
    key = desk.key("a")
    desk.send(TimerFired(f"{key}/chain/0"), after=HOUR / 2)
    assert desk.last(Remind) == Remind(key, "analyst")
    desk.send(TimerFired(f"{key}/chain/1"), after=HOUR / 2)
    assert desk.last(Escalate) == Escalate(key, "coordinator", "")
    assert desk.history("a") == ["entered", "waiting", "reminded", "escalated"]
    desk.done("a")
    assert isinstance(desk.send(TimerFired(f"{key}/chain/1"))[0], Ignored)


def test_a_deadline_counts_from_a_fact_and_moves_when_the_fact_is_corrected() -> None:
    due = {"within": "PT24H", "from": "incident.aware_at"}
    work = {"kind": "task", "role": "analyst", "due": due}
    raw = document({"a": action(work=work, on_completion="end"), "end": end()}, "a")
    desk = Desk(raw, facts={"aware_at": "2026-11-23T06:00:00Z", "title": "not asked for"})
    assert desk.work("a").due_at == NOW + 21 * HOUR
    assert list(desk.state.facts) == ["aware_at"]
    desk.send(FactsChanged({"incident.aware_at": "2026-11-23T07:00:00Z"}))
    assert desk.last(DueChanged) == DueChanged(desk.key("a"), NOW + 22 * HOUR)
    assert Desk(raw).work("a").due_at is None




def test_only_out_args_leave_a_step_and_a_wrong_type_or_a_constant_fails_it() -> None:
    constant = {"type": "string", "value": "c", "constant": True}
    variables = {"__n__": {"type": "integer", "value": "1"}, "__c__": constant}
    raw = document({"a": action(on_completion="end", out_args=["__n__"]), "end": end()}, "a", variables=variables)
    desk = Desk(raw)
    desk.done("a", __n__=7, __c__="changed", __unknown__="x")
    assert desk.state.variables == {"__n__": "7", "__c__": "c"}
    desk = Desk(raw)
    desk.done("a", __n__="seven")
    assert desk.state.status == "needs-attention"
    raw["workflow"][sid("a")]["out_args"] = ["__c__"]
    desk = Desk(raw)
    desk.done("a", __c__="changed")
    assert "constant" in desk.last(NeedsAttention).reason


def test_variables_are_filled_into_texts_and_nothing_else_is() -> None:
    commands = [{"type": "manual", "command": "Call __who__:value about __what__:value; {__who__} $__who__"}]
    variables = {"__who__": {"type": "string", "value": "__what__:value"}, "__what__": {"type": "string"}}
    raw = document({"a": action(commands=commands, on_completion="end"), "end": end()}, "a", variables=variables)
    desk = Desk(raw)
    assert desk.work("a").spec["commands"][0]["text"] == (
        "Call __what__:value about (not known); {__who__} $__who__"
    )


def test_a_variable_of_a_step_stays_in_the_step() -> None:
    raw = document({
        "a": action(on_completion="b", out_args=["__x__"], step_variables={"__x__": {"type": "string", "value": "own"}},
                    commands=[{"type": "manual", "command": "__x__:value"}]),
        "b": action(on_completion="end", commands=[{"type": "manual", "command": "__x__:value"}]), "end": end(),
    }, "a", variables={"__x__": {"type": "string", "value": "playbook"}})
    desk = Desk(raw)
    assert desk.work("a").spec["commands"][0]["text"] == "own"
    desk.done("a", __x__="changed")
    assert desk.work("b").spec["commands"][0]["text"] == "playbook"


def parallel_writers(second: str) -> Desk:
    desk = Desk(document({
        "parallel:p": block("parallel", next_steps=["a", "b"], on_completion="after"),
        "a": action(on_completion="a2", out_args=["__x__"]), "b": action(on_completion="end b", out_args=[second]),
        "a2": action(on_completion="end a", commands=[{"type": "manual", "command": "__x__:value"}]),
        "after": action(on_completion="end"), "end a": end(), "end b": end(), "end": end(),
    }, "parallel:p", variables={"__x__": TEXT, "__y__": TEXT}))
    desk.done("a", __x__="from a")
    return desk


def test_parallel_branches_write_copies_that_are_merged_at_the_join() -> None:
    desk = parallel_writers("__y__")
    assert desk.work("a2").spec["commands"][0]["text"] == "from a"
    assert desk.state.variables["__x__"] == ""
    desk.done("b", __y__="from b")
    desk.done("a2")
    assert desk.state.variables == {"__x__": "from a", "__y__": "from b"}


def test_two_branches_that_write_one_variable_differently_fail_the_block() -> None:
    desk = parallel_writers("__x__")
    desk.done("b", __x__="from b")
    desk.done("a2")
    assert "different values" in desk.last(NeedsAttention).reason


def test_set_takes_texts_and_facts() -> None:
    values = {"__x__": "It is __y__:value.", "__y__": "incident.sectors"}
    desk = Desk(document({"a": action(work={"kind": "set", "values": values}, on_completion="end"), "end": end()}, "a",
                         variables={"__x__": TEXT, "__y__": TEXT}), facts={"sectors": ["health", "energy"]})
    assert desk.state.variables == {"__x__": "It is .", "__y__": "health, energy"}
    assert desk.history("a") == ["entered", "succeeded"]


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"__in__": "1", "__other__": "x"}, "/variables/__other__"),
        ({"__in__": "1", "__unknown__": "x"}, "/variables/__unknown__"),
        ({"__in__": "one"}, "/variables/__in__"),
        ({"__in__": ["x"]}, "/variables/__in__"),
        ({}, "/variables/__in__"),
    ],
)
def test_first_values_are_refused_by_name(given: Any, pointer: str) -> None:
    raw = line(variables={"__in__": {"type": "integer", "external": True}, "__other__": TEXT})
    with pytest.raises(StartRefused) as refusal:
        Desk(raw, variables=given)
    assert [each for each, _ in refusal.value.faults] == [pointer]
    assert Desk(raw, variables={"__in__": 5}).state.variables["__in__"] == "5"


@pytest.mark.parametrize(
    ("rest", "kwargs"),
    [
        ({"revoked": True}, {}),
        ({"valid_until": "2026-11-01T00:00:00.000Z"}, {}),
        ({"valid_from": "2026-12-01T00:00:00.000Z"}, {}),
        ({}, {"callers": (line()["id"],)}),
        ({}, {"callers": tuple(f"playbook--{at}" for at in range(8))}),
    ],
)
def test_a_start_is_refused_outside_validity_and_in_a_circle(rest: Any, kwargs: Any) -> None:
    with pytest.raises(StartRefused):
        Desk(line(**rest), **kwargs)
