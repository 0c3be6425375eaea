"""The questions CACAO 2.0 leaves open, where no other test asks the interpreter (docs/playbooks-semantics.md)."""

import base64
from datetime import timedelta
from typing import Any

import pytest

from playbooks.checks import check
from playbooks.effects import BeginWork, Ignored, NeedsAttention, SetTimer
from playbooks.events import TimerFired, WorkFinished
from playbooks.simulate import simulate
from tests.playbooks.documents import NOW, Desk, action, block, document, end, line, sid

TEXT = {"type": "string", "value": ""}


def faults(raw: dict[str, Any]) -> dict[str, str]:
    return {each.pointer: each.severity for each in check(raw)}


def test_on_success_without_on_failure_leaves_failure_to_the_exception_rule() -> None:
    raw = document({"a": action(on_success="end"), "end": end()}, "a")
    desk = Desk(raw)
    desk.failed("a")
    assert desk.state.status == "needs-attention" and isinstance(desk.last(NeedsAttention), NeedsAttention)
    desk = Desk(raw | {"workflow_exception": sid("x"), "workflow": raw["workflow"] | {
        sid("x"): action(on_completion="end x"), sid("end x"): end()}})  # fmt: skip
    desk.failed("a")
    desk.done("x")
    assert desk.state.status == "failed"


def test_on_failure_alone_is_refused() -> None:
    raw = document({"a": action(on_failure="end"), "end": end()}, "a")
    assert faults(raw)[f"/workflow/{sid('a')}/on_failure"] == "fault"


@pytest.mark.parametrize("work", [None, {"kind": "task", "role": "analyst", "due": {"within": "PT1H"}}])
def test_a_step_for_people_without_timeout_waits_for_ever(work: Any) -> None:
    desk = Desk(document({"a": action(work=work, on_completion="end"), "end": end()}, "a"))
    assert not [each for each in desk.effects if isinstance(each, SetTimer)]
    desk.now += timedelta(days=3_650)
    desk.done("a")
    assert desk.state.status == "completed"


def test_a_timeout_of_more_than_32_bits_of_milliseconds_is_kept_whole() -> None:
    month = 2_592_000_000
    desk = Desk(document({"a": action(on_completion="end", timeout=month), "end": end()}, "a"))
    assert desk.last(SetTimer).due_at == NOW + timedelta(days=30)


@pytest.mark.parametrize("steps", [
    {"parallel:p": block("parallel", next_steps=["a", "b"], on_completion="end"),
     "a": action(on_completion="c"), "b": action(on_completion="c"), "c": action(on_completion="end c")},
])  # fmt: skip
def test_a_step_in_the_middle_of_two_parallel_branches_is_refused(steps: dict[str, Any]) -> None:
    raw = document({**steps, "end c": end(), "end": end()}, "parallel:p")
    assert faults(raw)[f"/workflow/{sid('c')}"] == "fault"


def test_two_branches_that_name_one_variable_are_refused() -> None:
    raw = document({
        "parallel:p": block("parallel", next_steps=["a", "b"], on_completion="end"),
        "a": action(on_completion="end a", out_args=["__x__"]), "b": action(on_completion="end b", out_args=["__x__"]),
        "end a": end(), "end b": end(), "end": end(),
    }, "parallel:p", variables={"__x__": TEXT})  # fmt: skip
    assert faults(raw)[f"/workflow/{sid('parallel:p')}/next_steps/1"] == "fault"


@pytest.mark.parametrize("value", ["true", "yes", "", "1", "TRUE"])
def test_a_variable_alone_is_true_if_its_value_is_the_string_true(value: str) -> None:
    desk = Desk(document({
        "if-condition:i": block("if-condition", condition="__x__:value", on_true="a", on_completion="b"),
        "a": action(on_completion="end a"), "end a": end(), "b": action(on_completion="end"), "end": end(),
    }, "if-condition:i", variables={"__x__": {"type": "string", "value": value}}))  # fmt: skip
    assert desk.work("a" if value == "true" else "b")


def test_a_condition_that_cannot_be_reckoned_fails_its_step_when_it_gets_there() -> None:
    raw = document({
        "a": action(on_completion="if-condition:i", out_args=["__x__"]),
        "if-condition:i": block("if-condition", condition="__x__:value > 3", on_true="b", on_completion="end"),
        "b": action(on_completion="end b"), "end b": end(), "end": end(),
    }, "a", variables={"__x__": {"type": "integer", "value": "1"}})  # fmt: skip
    desk = Desk(raw)
    desk.state.variables["__x__"] = "many"
    desk.done("a")
    assert desk.state.status == "needs-attention" and "integer" in desk.last(NeedsAttention).reason


def test_a_called_playbook_that_calls_back_is_refused() -> None:
    raw = line()
    raw["workflow"][sid("b")] = block("playbook-action", playbook_id=raw["id"], on_completion="end")
    assert faults(raw)[f"/workflow/{sid('b')}/playbook_id"] == "fault"
    other = "playbook--8d5493cf-27e6-4591-a895-0aa842644b3e"
    raw["workflow"][sid("b")]["playbook_id"] = other
    desk = Desk(raw, callers=(other,))
    desk.done("a")
    assert "may not call itself" in desk.last(NeedsAttention).reason


@pytest.mark.parametrize("kind", ["bash", "ssh", "powershell", "sigma", "jupyter", "elastic", "never-heard-of"])
def test_a_command_for_a_machine_becomes_a_task_that_shows_it(kind: str) -> None:
    hidden = base64.b64encode(b"rm -rf /tmp/x\n# twice").decode()
    commands = [{"type": kind, "command": "id"}, {"type": kind, "command_b64": hidden}]
    desk = Desk(document({"a": action(commands=commands, on_completion="end"), "end": end()}, "a"))
    work = desk.work("a")
    assert work.kind == "task"
    assert [each["text"] for each in work.spec["commands"]] == ["id", "rm -rf /tmp/x\n# twice"]


@pytest.mark.parametrize("hidden", ["AAEC/w==", "not base64 at all"])
def test_what_is_no_text_behind_base64_is_shown_as_it_stands(hidden: str) -> None:
    commands = [{"type": "bash", "command_b64": hidden}]
    desk = Desk(document({"a": action(commands=commands, on_completion="end"), "end": end()}, "a"))
    assert desk.work("a").spec["commands"][0]["text"] == hidden


def test_an_unknown_extension_is_named_and_the_run_goes_on() -> None:
    foreign = "extension-definition--11111111-1111-4111-8111-111111111111"
    step = action(on_completion="end") | {"step_extensions": {foreign: {"x": 1}}}
    desk = Desk(document({"a": step, "end": end()}, "a"))
    assert desk.work("a").spec["foreign_extensions"] == [foreign]
    desk.done("a")
    assert desk.state.status == "completed"


def test_several_targets_are_named_in_the_one_task_of_a_person() -> None:
    step = action(on_completion="end", targets=[sid("group:x"), sid("group:y")])
    targets = {sid(f"group:{each}"): {"type": "group", "name": each.upper()} for each in "xy"}
    desk = Desk(document({"a": step, "end": end()}, "a", target_definitions=targets))
    assert len([each for each in desk.effects if isinstance(each, BeginWork)]) == 1
    assert [each["name"] for each in desk.work("a").spec["targets"]] == ["X", "Y"]


def test_a_jump_back_is_refused() -> None:
    raw = line()
    raw["workflow"][sid("b")]["on_completion"] = sid("a")
    assert faults(raw)[f"/workflow/{sid('b')}/on_completion"] == "fault"


def test_a_late_result_changes_nothing() -> None:
    desk = Desk(document({"a": action(on_completion="end", timeout=1_000), "end": end()}, "a"))
    key = desk.key("a")
    desk.send(TimerFired(f"{key}/timeout"), after=timedelta(seconds=1))
    before = desk.state.to_dict()
    (ignored,) = desk.send(WorkFinished(key, "successful"))
    assert isinstance(ignored, Ignored) and desk.state.to_dict() == before


def test_a_delay_can_be_called_off() -> None:
    from playbooks.events import Cancel

    desk = Desk(document({"a": action(on_completion="end", delay=60_000), "end": end()}, "a"))
    timer = desk.last(SetTimer)
    assert timer.purpose == "delay"
    desk.send(Cancel("Enough."))
    (ignored,) = desk.send(TimerFired(timer.key), after=timedelta(minutes=1))
    assert isinstance(ignored, Ignored) and desk.state.status == "cancelled"


def test_the_dry_run_says_of_a_switch_without_a_match_that_it_was_skipped() -> None:
    raw = document({
        "switch-condition:s": block("switch-condition", switch="__x__:value", cases={"a": "a"}, on_completion="end"),
        "a": action(on_completion="end a"), "end a": end(), "end": end(),
    }, "switch-condition:s", variables={"__x__": TEXT})  # fmt: skip
    lines, code = simulate(raw, {"start": NOW.isoformat()})
    assert code == 0 and (sid("switch-condition:s"), "skipped") in [(each.get("step"), each["what"]) for each in lines]
    assert faults(raw)[f"/workflow/{sid('switch-condition:s')}/cases"] == "warning"


def test_a_notification_playbook_composes_something() -> None:
    raw = line(playbook_types=["notification"], playbook_activities=["deliver-content"])
    assert faults(raw)["/playbook_activities"] == "warning"
    raw["playbook_activities"].append("compose-content")
    assert "/playbook_activities" not in faults(raw)


def test_the_validity_of_a_revoked_playbook_is_not_looked_at() -> None:
    raw = line(revoked=True, valid_from="2026-02-01T00:00:00.000Z", valid_until="2026-01-01T00:00:00.000Z")
    assert faults(raw) == {"/revoked": "warning"}
