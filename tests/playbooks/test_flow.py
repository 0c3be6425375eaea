"""The way through a playbook: steps, branches, joins, loops, and events that come late or twice."""

from typing import Any

import pytest

from playbooks.effects import (
    CancelWork,
    Ignored,
    Notice,
    RunEnded,
)
from playbooks.events import (
    Cancel,
    Happened,
    Resume,
    Retry,
    Skip,
    TimerFired,
    Told,
    Voted,
    WorkFinished,
)
from tests.playbooks.documents import Desk, action, block, document, end, line, two_branches

TEXT = {"type": "string", "value": ""}


def test_steps_follow_each_other_and_the_end_completes_the_run() -> None:
    desk = Desk(line())
    assert desk.state.status == "waiting"
    desk.done("a")
    desk.done("b")
    assert desk.state.status == "completed"
    assert desk.last(RunEnded).state == "completed"
    assert desk.state.tokens == {}
    assert desk.history() == [
        "start entered", "start succeeded", "action entered", "action waiting", "action succeeded",
        "action entered", "action waiting", "action succeeded", "end entered", "end succeeded",
    ]


def test_a_late_doubled_or_unknown_event_changes_nothing() -> None:
    desk = Desk(line())
    first = desk.key("a")
    desk.done("a")
    before = desk.state.to_dict()
    for event in (WorkFinished(first, "successful"), WorkFinished("9:nothing:0:1:0", "failed"), TimerFired("x/timeout"),
                  TimerFired(first + "/timeout"), Retry("77"), Skip("77"), Resume(), Happened("status"),
                  Told(desk.key("b"), ("c",)), Voted(desk.key("b"), "coordinator", "ann", True),
                  WorkFinished(desk.key("b"), "perhaps")):
        effects = desk.send(event)
        assert [type(each) for each in effects] == [Ignored], event
        assert desk.state.to_dict() == before
    desk.done("b")
    assert isinstance(desk.send(Cancel())[0], Ignored)
    assert desk.state.status == "completed"


def test_keys_and_tokens_come_from_counters_so_that_a_replay_is_the_same() -> None:
    runs = []
    for _ in range(2):
        desk = Desk(two_branches())
        desk.done("b")
        desk.done("a")
        desk.done("after")
        runs.append((desk.effects, desk.state.to_dict()))
    assert runs[0] == runs[1]


def test_commands_for_people_are_one_task_and_a_request_is_work_of_its_own() -> None:
    commands = [
        {"type": "manual", "command": "one"}, {"type": "ssh", "command": "reboot"},
        {"type": "http-api", "command": "GET /x HTTP/1.1"}, {"type": "bash", "command": "rm"},
    ]
    desk = Desk(document({"a": action(commands=commands, on_completion="end"), "end": end()}, "a"))
    kinds = []
    while not desk.state.ended:
        work = desk.work("a")
        kinds.append((work.kind, [each["text"] for each in work.spec["commands"]]))
        desk.send(WorkFinished(work.key, "successful"))
    assert kinds == [("task", ["one", "reboot"]), ("http-api", ["GET /x HTTP/1.1"]), ("task", ["rm"])]




@pytest.mark.parametrize(("value", "way"), [("yes", "a"), ("no", "b"), ("", "b")])
def test_an_if_takes_one_branch_and_goes_on_after_it(value: str, way: str) -> None:
    desk = Desk(document({
        "if-condition:i": block("if-condition", condition="__x__:value = 'yes'", on_true="a", on_false="b",
                                on_completion="after"),
        "a": action(on_completion="end a"), "b": action(on_completion="end b"), "end a": end(), "end b": end(),
        "after": action(on_completion="end"), "end": end(),
    }, "if-condition:i", variables={"__x__": {"type": "string", "value": value}}))
    desk.done(way)
    assert desk.history("end " + way) == ["entered", "succeeded", "branch-ended"]
    desk.done("after")
    assert desk.state.status == "completed"


def test_an_if_without_a_branch_for_the_answer_goes_on_at_once() -> None:
    desk = Desk(document({
        "if-condition:i": block("if-condition", condition="__x__:value = 'yes'", on_true="a", on_completion="after"),
        "a": action(on_completion="end a"), "end a": end(), "after": action(on_completion="end"), "end": end(),
    }, "if-condition:i", variables={"__x__": TEXT}))
    assert desk.history("if-condition:i") == ["entered", "succeeded"]
    assert desk.key("after")


@pytest.mark.parametrize(
    ("value", "way", "what"), [("red", "a", "succeeded"), ("blue", "b", "succeeded"), ("grey", None, "skipped")]
)
def test_a_switch_takes_the_case_or_is_passed_over(value: str, way: str | None, what: str) -> None:
    desk = Desk(document({
        "switch-condition:s": block("switch-condition", switch="__x__:value", cases={"red": "a", "blue": "b"},
                                    on_completion="after"),
        "a": action(on_completion="end a"), "b": action(on_completion="end b"), "end a": end(), "end b": end(),
        "after": action(on_completion="end"), "end": end(),
    }, "switch-condition:s", variables={"__x__": {"type": "string", "value": value}}))
    if way:
        desk.done(way)
    assert desk.history("switch-condition:s")[-1] == what
    assert desk.key("after")


def test_a_while_runs_until_its_condition_fails_and_says_so_before_each_further_pass() -> None:
    desk = Desk(document({
        "while-condition:w": block("while-condition", condition="__n__:value < 3", on_true="a", on_completion="end"),
        "a": action(on_completion="end a", out_args=["__n__"]), "end a": end(), "end": end(),
    }, "while-condition:w", variables={"__n__": {"type": "integer", "value": "0"}}))
    for count in (1, 2, 3):
        assert desk.key("a").split(":")[2] == str(count)
        desk.done("a", __n__=str(count))
    assert desk.state.status == "completed"
    assert desk.history("while-condition:w") == ["entered", "waiting", "loop", "loop", "succeeded"]


def test_a_while_that_never_ends_stops_for_a_person_who_is_told() -> None:
    desk = Desk(document({
        "while-condition:w": block("while-condition", condition="__n__:value < 3", on_true="a", on_completion="end"),
        "a": action(work={"kind": "set", "values": {"__m__": "x"}}, on_completion="end a"),
        "end a": end(), "end": end(),
    }, "while-condition:w", variables={"__n__": {"type": "integer", "value": "0"}, "__m__": TEXT}))
    assert desk.state.status == "needs-attention"
    assert "1000 times" in desk.last(Notice).text
    desk.send(Skip(desk.token("while-condition:w")))
    assert desk.state.status == "completed"


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_a_parallel_waits_for_all_its_branches_and_goes_on_once(order: tuple[str, str]) -> None:
    desk = Desk(two_branches())
    for name in order:
        assert desk.last(RunEnded) is None
        assert desk.history("after") == []
        desk.done(name)
    assert desk.history("after") == ["entered", "waiting"]
    desk.done("after")
    assert desk.state.status == "completed"


def test_branches_share_an_end_or_the_playbooks_end_and_still_return() -> None:
    desk = Desk(document({
        "parallel:p": block("parallel", next_steps=["a", "b"], on_completion="after"),
        "a": action(on_completion="end"), "b": action(on_completion="end"),
        "after": action(on_completion="end"), "end": end(),
    }, "parallel:p"))
    desk.done("a")
    desk.done("b")
    assert desk.state.status == "waiting"
    desk.done("after")
    assert desk.state.status == "completed"


def test_a_block_without_a_next_step_ends_its_own_branch() -> None:
    desk = Desk(document({
        "if-condition:i": block("if-condition", condition="__x__:value = ''", on_true="a"),
        "a": action(on_completion="end"), "end": end(),
    }, "if-condition:i", variables={"__x__": TEXT}))
    desk.done("a")
    assert desk.state.status == "completed"


@pytest.mark.parametrize(
    ("join", "events", "expected"),
    [
        ({}, ["a-", "b+"], "on failure"),
        ({"fail": "settled"}, ["a-"], None),
        ({"fail": "fast"}, ["a-"], "on failure"),
        ({"need": 1}, ["a+"], "after"),
        ({"need": 1}, ["a-"], None),
        ({"need": 1}, ["a-", "b+"], "after"),
        ({"need": 1, "fail": "fast"}, ["a-"], None),
        ({"need": 1}, ["a-", "b-"], "on failure"),
        ({"need": "all"}, ["a+", "b+"], "after"),
    ],
)
def test_a_join_says_how_many_must_succeed_and_when_failure_shows(join: Any, events: list[str], expected: Any) -> None:
    raw = two_branches(on_success="after", on_failure="on failure", join=join)
    desk = Desk(raw)
    for each in events:
        (desk.done if each.endswith("+") else desk.failed)(each[0])
    taken = [name for name in ("after", "on failure") if desk.history(name)]
    assert taken == ([expected] if expected else [])


def test_what_is_left_of_a_decided_block_is_called_off() -> None:
    desk = Desk(two_branches(join={"need": 1}))
    other = desk.key("b")
    desk.done("a")
    assert desk.last(CancelWork).key == other
    assert desk.history("b")[-1] == "skipped"
    assert isinstance(desk.send(WorkFinished(other, "successful"))[0], Ignored)
