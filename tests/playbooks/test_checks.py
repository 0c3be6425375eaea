"""What is wrong with a document is found, with its place, by the right measure, and in bounded time."""

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from playbooks.checks import Fault, check
from playbooks.coordination import EXTENSION_ID
from playbooks.document import load
from tests.playbooks.documents import action, block, document, end, sid

WITHOUT_US = "extension-definition--11111111-1111-4111-8111-111111111111"
VARIABLES = {
    "__x__": {"type": "string", "value": "a"}, "__n__": {"type": "integer", "value": "0"},
    "__c__": {"type": "string", "value": "c", "constant": True},
}


def whole() -> dict[str, Any]:
    """A document with every kind of step that is without fault by the strict measure."""
    raw = document({
        "a": action(on_completion="if-condition:i", out_args=["__n__"]),
        "if-condition:i": block("if-condition", condition="__n__:value < 3", on_true="b", on_completion="parallel:p"),
        "b": action(on_completion="end b"), "end b": end(),
        "parallel:p": block("parallel", next_steps=["c", "d"], on_completion="while-condition:w"),
        "c": action(on_completion="end c"), "end c": end(), "d": action(on_completion="end d"), "end d": end(),
        "while-condition:w": block("while-condition", condition="__n__:value < 3", on_true="e",
                                   on_completion="switch-condition:s"),
        "e": action(on_completion="end e", out_args=["__n__"]), "end e": end(),
        "switch-condition:s": block("switch-condition", switch="__x__:value", cases={"a": "f", "default": "end g"},
                                    on_completion="h"),
        "f": action(on_success="end f", on_failure="end f"), "end f": end(), "end g": end(),
        "h": action(work={"kind": "alert", "message": "check", "audience": {"directory": "all"},
                          "out": {"all_acknowledged": "__x__"}}, out_args=["__x__"], on_completion="end"),
        "end": end(),
    }, "a", variables=copy.deepcopy(VARIABLES))
    raw["playbook_types"] = ["notification"]
    raw["playbook_activities"] = ["compose-content", "deliver-content"]
    for each in raw["workflow"][sid("a")]["commands"]:
        each["playbook_activity"] = "compose-content"
    return raw


def step(raw: dict[str, Any], name: str) -> dict[str, Any]:
    return raw["workflow"][sid(name)]


def pointer(name: str, rest: str = "") -> str:
    return f"/workflow/{sid(name)}{rest}"


def ours(name: str, rest: str) -> str:
    return pointer(name, f"/step_extensions/{EXTENSION_ID}{rest}")


def test_a_whole_document_has_no_fault_by_either_measure() -> None:
    assert check(whole()) == []
    assert check(json.dumps(whole()).encode(), strict=True) == []


Change = Callable[[dict[str, Any]], Any]
HARD: list[tuple[str, Change, str]] = [
    ("another version", lambda d: d.update(spec_version="1.1"), "/spec_version"),
    ("no name", lambda d: d.pop("name"), "/name"),
    ("bad id", lambda d: d.update(id="playbook--1"), "/id"),
    ("offset", lambda d: d.update(created="2026-01-15T09:00:00.000+02:00"), "/created"),
    ("no such day", lambda d: d.update(created="2026-02-30T09:00:00.000Z"), "/created"),
    ("empty window", lambda d: d.update(valid_from="2026-02-01T00:00:00.000Z", valid_until="2026-01-01T00:00:00.000Z"),
     "/valid_until"),
    ("severity", lambda d: d.update(severity=101), "/severity"),
    ("workflow is a list", lambda d: d.update(workflow=[]), "/workflow"),
    ("start is missing", lambda d: d.update(workflow_start="start--x"), "/workflow_start"),
    ("start is no start", lambda d: d.update(workflow_start=sid("a")), "/workflow_start"),
    ("exception is missing", lambda d: d.update(workflow_exception=sid("zz")), "/workflow_exception"),
    ("step is no object", lambda d: d["workflow"].update({sid("a"): 1}), pointer("a")),
    ("unknown step type", lambda d: step(d, "a").update(type="approval"), pointer("a", "/type")),
    ("dangling next", lambda d: step(d, "a").update(on_completion=sid("zz")), pointer("a", "/on_completion")),
    ("dangling branch", lambda d: step(d, "parallel:p")["next_steps"].append(sid("zz")),
     pointer("parallel:p", "/next_steps/2")),
    ("dangling case", lambda d: step(d, "switch-condition:s")["cases"].update(b=sid("zz")),
     pointer("switch-condition:s", "/cases/b")),
    ("back to the start", lambda d: step(d, "a").update(on_completion=sid("start")), pointer("a", "/on_completion")),
    ("completion and success", lambda d: step(d, "a").update(on_success=sid("b")), pointer("a", "/on_completion")),
    ("completion and failure", lambda d: step(d, "a").update(on_failure=sid("b")), pointer("a", "/on_completion")),
    ("failure alone", lambda d: step(d, "f").pop("on_success"), pointer("f", "/on_failure")),
    ("no next", lambda d: step(d, "a").pop("on_completion"), pointer("a")),
    ("circle", lambda d: step(d, "h").update(on_completion=sid("parallel:p")), None),  # type: ignore[list-item]
    ("branch into its own block", lambda d: step(d, "c").update(on_completion=sid("parallel:p")),
     pointer("c", "/on_completion")),
    ("one branch", lambda d: step(d, "parallel:p").update(next_steps=[sid("c")]), pointer("parallel:p", "/next_steps")),
    ("the same branch twice", lambda d: step(d, "parallel:p").update(next_steps=[sid("c"), sid("c")]),
     pointer("parallel:p", "/next_steps")),
    ("parallel branches share a step", lambda d: step(d, "c").update(on_completion=sid("d")), pointer("d")),
    ("parallel branches fill one variable",
     lambda d: (step(d, "c").update(out_args=["__n__"]), step(d, "d").update(out_args=["__n__"])),
     pointer("parallel:p", "/next_steps/1")),
    ("no agent", lambda d: step(d, "a").update(agent="individual--x"), pointer("a", "/agent")),
    ("no target", lambda d: step(d, "a").update(targets=["x"]), pointer("a", "/targets/0")),
    ("no commands", lambda d: step(d, "a").update(commands=[]), pointer("a", "/commands")),
    ("empty command", lambda d: step(d, "a")["commands"][0].update(command="  "), pointer("a", "/commands/0")),
    ("negative timeout", lambda d: step(d, "a").update(timeout=-1), pointer("a", "/timeout")),
    ("timeout in words", lambda d: step(d, "a").update(timeout="60s"), pointer("a", "/timeout")),
    ("undeclared in a condition", lambda d: step(d, "if-condition:i").update(condition="__z__:value = 'a'"),
     pointer("if-condition:i", "/condition")),
    ("unreadable condition", lambda d: step(d, "if-condition:i").update(condition="eval(1)"),
     pointer("if-condition:i", "/condition")),
    ("ill-typed condition", lambda d: step(d, "if-condition:i").update(condition="__n__:value = 'many'"),
     pointer("if-condition:i", "/condition")),
    ("undeclared switch", lambda d: step(d, "switch-condition:s").update(switch="__z__:value"),
     pointer("switch-condition:s", "/switch")),
    ("undeclared in a command", lambda d: step(d, "a")["commands"][0].update(command="__z__:value"),
     pointer("a", "/commands/0/command")),
    ("undeclared out", lambda d: step(d, "a").update(out_args=["__z__"]), pointer("a", "/out_args/0")),
    ("constant out", lambda d: step(d, "a").update(out_args=["__c__"]), pointer("a", "/out_args/0")),
    ("undeclared in", lambda d: step(d, "a").update(in_args=["__z__"]), pointer("a", "/in_args/0")),
    ("ill-typed first value", lambda d: d["playbook_variables"]["__n__"].update(value="many"),
     "/playbook_variables/__n__/value"),
    ("number as first value", lambda d: d["playbook_variables"]["__n__"].update(value=1),
     "/playbook_variables/__n__/value"),
    ("calls itself", lambda d: d["workflow"].update({sid("a"): {
        "type": "playbook-action", "playbook_id": d["id"], "on_completion": sid("end")}}), None),  # type: ignore[list-item]
    ("undefined marking", lambda d: d.update(markings=["marking-tlp--11111111-1111-4111-8111-111111111111"]),
     "/markings/0"),
    ("undeclared extension", lambda d: step(d, "a").update(step_extensions={WITHOUT_US: {"x": 1}}),
     pointer("a", f"/step_extensions/{WITHOUT_US}")),
    ("inline password", lambda d: d.update(authentication_info_definitions={
        "user-auth--11111111-1111-4111-8111-111111111111": {"type": "user-auth", "password": "hunter2"}}),
     "/authentication_info_definitions/user-auth--11111111-1111-4111-8111-111111111111/password"),
    ("secret header", lambda d: step(d, "a").update(commands=[
        {"type": "http-api", "command": "GET / HTTP/1.1", "headers": {"Authorization": ["Bearer abc"]}}]),
     pointer("a", "/commands/0/headers/Authorization")),
    ("kind unknown", lambda d: step(d, "a").update(step_extensions={EXTENSION_ID: {"kind": "magic"}}),
     ours("a", "/kind")),
    ("kind on the wrong step", lambda d: step(d, "parallel:p").update(
        step_extensions={EXTENSION_ID: {"kind": "task", "role": "analyst"}}), ours("parallel:p", "/kind")),
    ("task without a role", lambda d: step(d, "a").update(step_extensions={EXTENSION_ID: {"kind": "task"}}),
     ours("a", "/role")),
    ("unknown property of ours", lambda d: step(d, "h")["step_extensions"][EXTENSION_ID].update(louder=True),
     ours("h", "/louder")),
    ("bad duration", lambda d: step(d, "h")["step_extensions"][EXTENSION_ID].update(ack={"within": "1 hour"}),
     ours("h", "/ack/within")),
    ("undeclared out of ours", lambda d: step(d, "h")["step_extensions"][EXTENSION_ID].update(
        out={"all_acknowledged": "__z__"}), ours("h", "/out/all_acknowledged")),
    ("audience of nobody", lambda d: step(d, "h")["step_extensions"][EXTENSION_ID].update(
        audience={"where": "refused"}), ours("h", "/audience")),
    ("audience of a step that alerts nobody", lambda d: step(d, "h")["step_extensions"][EXTENSION_ID].update(
        audience={"from_step": sid("a")}), ours("h", "/audience/from_step")),
    ("wait for time without end", lambda d: step(d, "a").update(
        step_extensions={EXTENSION_ID: {"kind": "wait", "event": "time"}}), ours("a", "/until")),
    ("more successes than branches", lambda d: step(d, "parallel:p").update(
        step_extensions={EXTENSION_ID: {"kind": "join", "need": 3}}), ours("parallel:p", "/need")),
    ("options of the wrong type", lambda d: step(d, "e").update(step_extensions={EXTENSION_ID: {
        "kind": "decision", "role": "analyst", "variable": "__n__", "options": ["1", "many"]}}),
     ours("e", "/options/1")),
    ("one option", lambda d: step(d, "e").update(step_extensions={EXTENSION_ID: {
        "kind": "decision", "role": "analyst", "variable": "__n__", "options": ["1"]}}), ours("e", "/options")),
]
SOFT: list[tuple[str, Change, str]] = [
    ("no fraction", lambda d: d.update(created="2026-01-15T09:00:00Z"), "/created"),
    ("microseconds", lambda d: d.update(created="2026-01-15T09:00:00.000000Z"), "/created"),
    ("modified before created", lambda d: d.update(modified="2026-01-14T09:00:00.000Z"), "/modified"),
    ("types without activities", lambda d: d.pop("playbook_activities"), "/playbook_types"),
    ("branches share an end", lambda d: step(d, "d").update(on_completion=sid("end c")),
     pointer("parallel:p", "/next_steps/1")),
    ("a branch joins the playbook's end", lambda d: step(d, "b").update(on_completion=sid("end")),
     pointer("if-condition:i", "/on_true")),
    ("a block without next", lambda d: step(d, "switch-condition:s").pop("on_completion"),
     pointer("switch-condition:s")),
    ("a loop nothing can end", lambda d: step(d, "e").pop("out_args"), pointer("while-condition:w", "/condition")),
    ("unknown property", lambda d: d.update(colour="red"), "/colour"),
    ("unknown property of a step", lambda d: step(d, "a").update(colour="red"), pointer("a", "/colour")),
    ("empty list", lambda d: d.update(labels=[]), "/labels"),
    ("variable without underscores", lambda d: d["playbook_variables"].update(x={"type": "string"}),
     "/playbook_variables/x"),
    ("bare word", lambda d: step(d, "if-condition:i").update(condition="__x__:value = yes"),
     pointer("if-condition:i", "/condition")),
    ("id of another kind", lambda d: (d["workflow"].update({"step--1": d["workflow"].pop(sid("a"))}),
                                      step(d, "start").update(on_completion="step--1")), "/workflow/step--1"),
    ("filled but not in out_args", lambda d: step(d, "h").pop("out_args"), ours("h", "/out/all_acknowledged")),
]


def severities(faults: list[Fault], place: str | None) -> set[str]:
    return {each.severity for each in faults if place is None or each.pointer == place}


@pytest.mark.parametrize(("change", "place"), [each[1:] for each in HARD], ids=[each[0] for each in HARD])
@pytest.mark.parametrize("strict", [False, True])
def test_what_leaves_a_run_unsafe_or_ambiguous_is_a_fault_by_either_measure(
    change: Change, place: str, strict: bool
) -> None:
    raw = whole()
    change(raw)
    assert "fault" in severities(check(raw, strict=strict), place), check(raw, strict=strict)


@pytest.mark.parametrize(("change", "place"), [each[1:] for each in SOFT], ids=[each[0] for each in SOFT])
def test_what_a_run_can_live_with_is_a_warning_and_a_fault_in_our_own_documents(change: Change, place: str) -> None:
    raw = whole()
    change(raw)
    assert severities(check(raw), place) == {"warning"}, check(raw)
    assert "fault" in severities(check(raw, strict=True), place)
    assert {each.severity for each in check(raw)} == {"warning"}
    load(raw)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda d: d["workflow"].update({sid("z"): action(on_completion="end")}), pointer("z")),
        (lambda d: step(d, "switch-condition:s").update(cases={"a": sid("f")}),
         pointer("switch-condition:s", "/cases")),
        (lambda d: d.update(revoked=True), "/revoked"),
    ],
)
def test_what_is_only_worth_knowing_stays_a_warning(change: Change, place: str) -> None:
    raw = whole()
    change(raw)
    assert severities(check(raw, strict=True), place) == {"warning"}


@pytest.mark.parametrize(
    "change",
    [
        lambda d: step(d, "a").update(delay=0, timeout=0),
        lambda d: step(d, "a").update(timeout=30 * 86_400_000),
        lambda d: d["playbook_variables"].update({"__d__": {"type": "dictionary", "value": {"a": "b"}}}),
        lambda d: step(d, "e").update(step_extensions={EXTENSION_ID: {"kind": "wait", "event": "status"}}),
        lambda d: (step(d, "e").pop("out_args"), step(d, "while-condition:w").update(timeout=60_000)),
    ],
)
def test_what_is_lawful_is_left_alone(change: Change) -> None:
    raw = whole()
    change(raw)
    assert check(raw, strict=True) == []


def test_a_loop_around_a_machine_command_has_the_benefit_of_the_doubt_unless_it_is_ours() -> None:
    raw = whole()
    step(raw, "e").pop("out_args")
    step(raw, "e")["commands"] = [{"type": "bash", "command": "x"}]
    assert check(raw) == []
    assert any(each.severity == "fault" for each in check(raw, strict=True))


def test_a_validity_that_has_passed_is_told_for_our_own_documents() -> None:
    raw = whole() | {"valid_until": "2026-06-01T00:00:00.000Z"}
    now = datetime(2026, 11, 22, tzinfo=UTC)
    assert check(raw, now=now) == []
    assert check(raw, strict=True) == []
    assert [each.pointer for each in check(raw, strict=True, now=now)] == ["/valid_until"]
