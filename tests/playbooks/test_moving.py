"""A run goes on with a newer version of its playbook: where the steps say how, and not at all where they do not."""

import copy
from typing import Any

import pytest

from playbooks.document import load
from playbooks.effects import BeginWork, CancelWork, Effect, RunEnded
from playbooks.moving import ANEW, GOES_ON, REFUSED, MoveRefused, move, plan
from tests.playbooks.documents import Desk, action, block, document, end, line, sid, two_branches

LATER = "2026-03-01T09:00:00.000Z"


def newer(raw: dict[str, Any], **steps: dict[str, Any] | None) -> dict[str, Any]:
    """The document a version later, with these steps (by bare name) in place of theirs, or without them."""
    made = copy.deepcopy(raw) | {"modified": LATER}
    for name, body in steps.items():
        made["workflow"].pop(sid(name.replace("_", " ")), None)
        if body is not None:
            made["workflow"][sid(name.replace("_", " "))] = body
    return made


def moved(desk: Desk, raw: dict[str, Any], **mapping: str) -> list[Effect]:
    new = load(raw)
    named = {sid(step.replace("_", " ")): sid(to) for step, to in mapping.items()}
    desk.state, effects = move(desk.playbook, new, desk.state, named, now=desk.now)
    desk.playbook = new
    desk.effects += effects
    return effects


def refused(desk: Desk, raw: dict[str, Any], **mapping: str) -> dict[str, str]:
    before = desk.state.to_dict()
    with pytest.raises(MoveRefused) as refusal:
        moved(desk, raw, **mapping)
    assert desk.state.to_dict() == before
    return dict(refusal.value.faults)


def test_what_was_left_as_it_was_goes_on_untouched_and_what_follows_is_new() -> None:
    desk = Desk(line())
    effects = moved(desk, newer(line(), a=action(on_completion="c"), c=action(on_completion="end"), b=None))
    assert effects == [] and desk.state.version == LATER
    desk.done("a")
    desk.done("c")
    assert desk.state.status == "completed"


def test_changed_work_is_called_off_and_begun_anew() -> None:
    desk = Desk(line())
    before = desk.key("a")
    effects = moved(desk, newer(line(), a=action("Do it otherwise", on_completion="b")))
    assert [type(each) for each in effects if isinstance(each, CancelWork | BeginWork)] == [CancelWork, BeginWork]
    assert desk.key("a") != before and desk.work("a").spec["title"] == "Do it otherwise"
    desk.done("a")
    desk.done("b")
    assert desk.state.status == "completed"


def test_a_step_that_is_gone_refuses_until_a_person_says_where_the_run_goes() -> None:
    desk = Desk(line())
    raw = newer(line(), a=None, first=action(on_completion="b"))
    raw["workflow"][sid("start")]["on_completion"] = sid("first")
    assert "no such step" in refused(desk, raw)[f"/mapping/{sid('a')}"]
    assert "another place" in refused(desk, newer(raw, aside=action(on_completion="end")), a="aside")[
        f"/mapping/{sid('a')}"
    ]
    moved(desk, raw, a="first")
    assert desk.key("first").startswith("2:")  # a token of its own, so that no key comes twice
    desk.done("first")
    desk.done("b")
    assert desk.state.status == "completed"


def test_a_stopped_run_goes_on_after_its_playbook_was_mended() -> None:
    desk = Desk(line())
    desk.failed("a")
    assert desk.state.status == "needs-attention"
    moved(desk, newer(line(), a=action("Easier", on_completion="b")))
    assert desk.state.status == "waiting"
    desk.done("a")
    desk.done("b")
    assert desk.state.status == "completed"


def test_branches_stay_in_their_block_and_failed_ones_are_tried_again() -> None:
    desk = Desk(two_branches())
    desk.failed("a")
    raw = newer(two_branches(), a=action("Easier", on_completion="end a"))
    assert [(place.step, place.how) for place in plan(desk.playbook, load(raw), desk.state, {})] == [
        (sid("parallel:p"), GOES_ON), (sid("a"), ANEW), (sid("b"), GOES_ON),
    ]  # fmt: skip
    moved(desk, raw)
    for name in ("a", "b", "after"):
        desk.done(name)
    assert desk.state.status == "completed"
    assert sum(isinstance(each, RunEnded) for each in desk.effects) == 1


def test_a_block_with_open_branches_has_to_be_there() -> None:
    desk = Desk(two_branches())
    raw = newer(two_branches())
    raw["workflow"][sid("parallel:q")] = raw["workflow"].pop(sid("parallel:p"))
    raw["workflow"][sid("start")]["on_completion"] = sid("parallel:q")
    faults = refused(desk, raw)
    assert "no such step" in faults[f"/mapping/{sid('parallel:p')}"]
    assert "branches are open" in refused(desk, raw, **{"parallel:p": "parallel:q"})[f"/mapping/{sid('parallel:p')}"]
    crossed = newer(two_branches())
    crossed["workflow"][sid("parallel:p")]["next_steps"] = [sid("b"), sid("a")]
    moved(desk, crossed)  # the order of branches is no matter: each knows where it began
    assert desk.state.status == "waiting"


NAME = {"__x__": {"type": "string", "value": "many"}}


@pytest.mark.parametrize(
    ("raw", "place", "why"),
    [
        (line() | {"modified": "2026-01-01T09:00:00.000Z"}, "/to", "no newer version"),
        (line(), "/to", "no newer version"),
        (newer(line()) | {"id": "playbook--8d5493cf-27e6-4591-a895-0aa842644b3e"}, "/to", "another playbook"),
        (newer(line()) | {"revoked": True}, "/to", "revoked"),
        (newer(line(variables={"__x__": {"type": "integer", "value": "1"}})), "/variables/__x__", "refused"),
        (newer(line(variables=NAME | {"__y__": {"type": "string", "external": True}})), "/variables/__y__", "needs a"),
    ],
)
def test_a_version_that_cannot_be_gone_on_with_says_why(raw: dict[str, Any], place: str, why: str) -> None:
    assert why in refused(Desk(line(variables=NAME)), raw)[place]


def test_a_mapping_of_a_step_at_which_nothing_stands_is_refused() -> None:
    assert "does not stand" in refused(Desk(line()), newer(line()), b="a")[f"/mapping/{sid('b')}"]


def test_variables_keep_their_values_and_new_ones_begin_with_theirs() -> None:
    desk = Desk(line(variables=NAME))
    desk.state.variables["__x__"] = "few"
    moved(desk, newer(line(variables={"__x__": {"type": "string"}, "__z__": {"type": "string", "value": "z"}})))
    assert desk.state.variables == {"__x__": "few", "__z__": "z"}


def test_a_paused_run_moves_and_begins_nothing_before_it_goes_on() -> None:
    from playbooks.events import Pause, Resume

    desk = Desk(line())
    desk.send(Pause())
    effects = moved(desk, newer(line(), a=action("Otherwise", on_completion="b")))
    assert not [each for each in effects if isinstance(each, BeginWork)] and desk.state.status == "paused"
    desk.send(Resume())
    assert desk.work("a").spec["title"] == "Otherwise"


def test_a_loop_goes_on_in_its_pass() -> None:
    raw = document({
        "while-condition:w": block("while-condition", condition="__x__:value = 'many'", on_true="a",
                                   on_completion="end"),
        "a": action(on_completion="end a", out_args=["__x__"]), "end a": end(), "end": end(),
    }, "while-condition:w", variables=NAME)  # fmt: skip
    desk = Desk(raw)
    desk.done("a")
    moved(desk, newer(raw, a=action("More", on_completion="end a", out_args=["__x__"])))
    assert desk.state.tokens[desk.token("a")].iteration == 2
    desk.done("a", __x__="none")
    assert desk.state.status == "completed"
    assert REFUSED not in {place.how for place in plan(load(raw), load(raw), Desk(raw).state, {})}
