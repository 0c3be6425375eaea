"""Failure travels outward; a person mends, pauses, cancels."""

from datetime import timedelta
from typing import Any

import pytest

from playbooks.effects import (
    BeginWork,
    CancelTimer,
    CancelWork,
    Ignored,
    NeedsAttention,
    RunEnded,
    SetTimer,
)
from playbooks.events import (
    Cancel,
    Pause,
    Resume,
    Retry,
    Skip,
    TimerFired,
    WorkFinished,
)
from tests.playbooks.documents import Desk, action, block, document, end, line, sid, two_branches

HOUR = timedelta(hours=1)
TEXT = {"type": "string", "value": ""}


def nested(**rest: Any) -> dict[str, Any]:
    """a parallel around an if around the step that fails."""
    outer = {name: rest.pop(name) for name in ("outer",) if name in rest}.get("outer", {})
    inner = rest.pop("inner", {})
    own = rest.pop("own", {})

    def ways(following: str, more: dict[str, str]) -> dict[str, str]:
        return {("on_success" if more else "on_completion"): following, **more}

    return document({
        "parallel:p": block("parallel", next_steps=["if-condition:i", "b"], **ways("end", outer)),
        "if-condition:i": block("if-condition", condition="__x__:value = ''", on_true="a", **ways("end i", inner)),
        "a": action(**ways("end a", own)), "b": action(on_completion="end b"),
        "mend own": action(on_completion="end a"), "mend inner": action(on_completion="end i"),
        "mend outer": action(on_completion="end"), "exception": action(on_completion="end x"),
        "end a": end(), "end b": end(), "end i": end(), "end": end(), "end x": end(),
    }, "parallel:p", variables={"__x__": TEXT}, **rest)


@pytest.mark.parametrize(
    ("rest", "handler", "when", "final"),
    [
        ({"own": {"on_failure": "mend own"}}, "mend own", "at once", "completed"),
        ({"inner": {"on_failure": "mend inner"}}, "mend inner", "at once", "completed"),
        ({"outer": {"on_failure": "mend outer"}}, "mend outer", "after b", "completed"),
        ({"workflow_exception": sid("exception")}, "exception", "after b", "failed"),
    ],
)
def test_a_failure_goes_to_the_nearest_handler_outward(rest: Any, handler: str, when: str, final: str) -> None:
    desk = Desk(nested(**rest))
    desk.failed("a")
    assert bool(desk.history(handler)) is (when == "at once")
    desk.done("b")
    desk.done(handler)
    assert desk.state.status == final


def test_a_failure_nobody_handles_waits_for_a_person_and_goes_on_after_it_is_mended() -> None:
    desk = Desk(nested())
    desk.failed("a", "the line is dead")
    assert desk.state.status == "waiting"  # the other branch still runs
    desk.done("b")
    assert desk.state.status == "needs-attention"
    assert "the line is dead" in desk.last(NeedsAttention).reason
    desk.send(Retry(desk.token("a"), "the line is back"))
    assert desk.state.status == "waiting"
    assert desk.key("a").split(":")[3] == "2"
    desk.done("a")
    assert desk.state.status == "completed"


@pytest.mark.parametrize("mend", [Retry, Skip])
def test_a_failed_branch_can_be_mended_while_the_others_still_run(mend: Any) -> None:
    desk = Desk(two_branches())
    desk.failed("a")
    desk.send(mend(desk.token("a")))
    if mend is Retry:
        desk.done("a")
    desk.done("b")
    desk.done("after")
    assert desk.state.status == "completed"


def test_the_exception_route_is_taken_once() -> None:
    desk = Desk(line(workflow_exception=sid("b")))
    desk.failed("a")
    assert desk.key("b")
    desk.failed("b")
    assert desk.state.status == "needs-attention"
    desk.send(Skip(desk.token("b")))
    assert desk.state.status == "failed"


def test_on_completion_is_not_taken_by_a_failure() -> None:
    desk = Desk(line())
    desk.failed("a")
    assert desk.history("b") == []
    assert desk.state.status == "needs-attention"


def test_a_step_can_be_done_again_or_passed_over_with_values() -> None:
    raw = document({
        "a": action(on_completion="b", out_args=["__x__"]), "b": action(on_completion="end"), "end": end(),
    }, "a", variables={"__x__": TEXT, "__y__": TEXT})
    desk = Desk(raw)
    first = desk.key("a")
    desk.send(Retry(desk.token("a")))
    assert desk.last(CancelWork).key == first != desk.key("a")
    desk.send(Skip(desk.token("a"), "known already", {"__x__": "v", "__y__": "not mine"}))
    assert desk.history("a")[-1] == "skipped"
    assert desk.state.variables == {"__x__": "v", "__y__": ""}




def test_a_paused_run_takes_results_in_and_begins_nothing() -> None:
    desk = Desk(two_branches(timeout=3_600_000))
    timer = desk.last(SetTimer).key
    desk.send(Pause())
    assert desk.state.status == "paused"
    desk.done("a")
    desk.done("b")
    assert desk.history("a")[-1] == "succeeded"
    assert desk.history("after") == []
    assert isinstance(desk.send(Pause())[0], Ignored)
    desk.send(TimerFired(timer), after=2 * HOUR)
    desk.send(Resume())
    assert desk.history("after") == ["entered", "waiting"]


def test_a_timer_that_fires_in_a_pause_is_heard_afterwards() -> None:
    desk = Desk(document({"a": action(on_completion="end", timeout=1000), "end": end()}, "a"))
    timer = desk.last(SetTimer).key
    desk.send(Pause())
    assert desk.send(TimerFired(timer), after=HOUR) == []
    desk.send(Resume())
    assert desk.history("a")[-1] == "timed-out"


def test_cancelling_calls_off_all_that_is_open() -> None:
    desk = Desk(two_branches(timeout=1000))
    effects = desk.send(Cancel("false alarm"))
    assert desk.state.status == "cancelled"
    assert {each.key for each in effects if isinstance(each, CancelWork)} == {desk.key("a"), desk.key("b")}
    assert any(isinstance(each, CancelTimer) for each in effects)
    assert effects[-1] == RunEnded("cancelled", "false alarm")


def test_the_state_of_a_long_run_does_not_grow() -> None:
    steps: dict[str, Any] = {f"s{at}": action(on_completion=f"s{at + 1}") for at in range(999)}
    steps |= {"s999": action(on_completion="end"), "end": end()}
    desk = Desk(document(steps, "s0"))
    sizes = set()
    for at in range(1_000):
        sizes.add(len(str(desk.state.to_dict())) // 100)
        begun = len([each for each in desk.effects if isinstance(each, BeginWork)])
        assert begun == at + 1
        desk.send(WorkFinished(desk.effects[-2].key, "successful"))  # type: ignore[union-attr]
    assert desk.state.status == "completed"
    assert max(sizes) - min(sizes) <= 1
