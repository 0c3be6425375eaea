"""Documents made to hurt: each is judged, within bounds, and none is an error of ours."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from playbooks import graph
from playbooks.checks import MAX_STEPS, check
from playbooks.document import DocumentFault, load, parse
from playbooks.faults import MAX_FAULTS
from playbooks.library import shipped
from tests.playbooks.documents import action, block, document, end, sid


def chain(length: int) -> dict[str, Any]:
    steps = {f"s{at}": action(on_completion=f"s{at + 1}") for at in range(length - 1)}
    return document(steps | {f"s{length - 1}": action(on_completion="end"), "end": end()}, "s0")


def nested(depth: int) -> dict[str, Any]:
    steps = {
        f"if-condition:{at}": block("if-condition", condition="__x__:value", on_true=f"if-condition:{at + 1}",
                                    on_completion=f"end {at}")
        for at in range(depth - 1)
    }
    steps[f"if-condition:{depth - 1}"] = block("if-condition", condition="__x__:value", on_true="a",
                                               on_completion=f"end {depth - 1}")
    steps |= {f"end {at}": end() for at in range(depth)} | {"a": action(on_completion="end a"), "end a": end()}
    return document(steps, "if-condition:0", variables={"__x__": {"type": "string", "value": "true"}})


def lattice(rows: int) -> dict[str, Any]:
    """2 to the power of `rows` ways through, by success and failure."""
    steps = {
        f"{side}{at}": action(on_success=f"l{at + 1}", on_failure=f"r{at + 1}") for at in range(rows) for side in "lr"
    }
    return document(steps | {f"l{rows}": action(on_completion="end"), f"r{rows}": action(on_completion="end"),
                             "end": end()}, "l0")


def doubling(levels: int) -> dict[str, Any]:
    """Parallel blocks whose branches meet again inside: 2 to the power of `levels` tokens, if it were run."""
    steps: dict[str, Any] = {}
    for at in range(levels):
        steps[f"parallel:{at}"] = block("parallel", next_steps=[f"a{at}", f"b{at}"], on_completion="end")
        steps |= {f"{side}{at}": action(on_completion=f"parallel:{at + 1}") for side in "ab"}
    steps[f"parallel:{levels}"] = block("parallel", next_steps=["y", "z"], on_completion="end")
    return document(steps | {"y": action(on_completion="end"), "z": action(on_completion="end"), "end": end()},
                    "parallel:0")


def entangled() -> dict[str, Any]:
    """Switches whose cases lead to every place of one long chain."""
    steps: dict[str, Any] = {f"s{at}": action(on_completion=f"s{at + 1}") for at in range(699)}
    steps["s699"] = action(on_completion="end")
    for at in range(100):
        following = f"switch-condition:{at + 1}" if at < 99 else "end"
        cases = {str(case): f"s{case * 3}" for case in range(230)}
        steps[f"switch-condition:{at}"] = block("switch-condition", switch="__x__:value", cases=cases,
                                                on_completion=following)
    return document(steps | {"end": end()}, "switch-condition:0", variables={"__x__": {"type": "string"}})


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (chain(MAX_STEPS + 1), "/workflow"),
        (nested(1_000), "/workflow"),
        (doubling(20), "/workflow/"),
        (line := document({"a": action(on_completion="end"), "end": end()}, "a",
                          variables={"__x__": {"type": "string", "value": "x" * 100_000}}),
         "/playbook_variables/__x__/value"),
        (line | {"playbook_variables": {f"__x{at}__": {"type": "string"} for at in range(2_000)}},
         "/playbook_variables"),
        (line | {"labels": [str(at) for at in range(100_001)]}, ""),
    ],
    ids=["steps", "depth", "doubling", "huge variable", "many variables", "many values"],
)
def test_what_is_too_much_is_refused(raw: dict[str, Any], place: str) -> None:
    assert any(each.pointer.startswith(place) for each in check(raw) if each.severity == "fault"), check(raw)[:3]


@pytest.mark.parametrize("raw", [chain(MAX_STEPS - 10), nested(30), lattice(900)], ids=["chain", "nested", "lattice"])
def test_a_large_but_honest_document_is_looked_through_within_bounds(raw: dict[str, Any]) -> None:
    assert [each for each in check(raw) if each.severity == "fault"] == []


@pytest.mark.parametrize("raw", [entangled(), lattice(900), nested(30), chain(1_900)])
def test_looking_through_a_workflow_takes_a_bounded_number_of_visits(
    raw: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[graph.Graph] = []
    monkeypatch.setattr("playbooks.checks.build", lambda workflow: built.append(graph.build(workflow)) or built[0])
    check(raw)
    assert built[0]._visits <= graph.MAX_VISITS + 10_000


def test_no_more_faults_are_listed_than_a_person_can_use() -> None:
    raw = chain(1_000)
    for body in raw["workflow"].values():
        body["colour"] = "red"
    assert len(check(raw)) == MAX_FAULTS + 1


@pytest.mark.parametrize(
    "data",
    [
        b"", b"null", b"[]", b'"x"', b"{", b"\xff\xfe{}", b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":Infinity}',
        b'{"a":' * 50_000 + b"1" + b"}" * 50_000, b"[" * 100_000, b'{"a":' + b"9" * 5_000 + b"}", b'{"a":"\\ud800"}',
        b"{}" + b" " * 3_000_000, b'{"a":1e999}', b"\x00", b'{"__proto__":{"type":"playbook"}}',
    ],
)
def test_bytes_that_are_no_document_are_refused_with_a_sentence(data: bytes) -> None:
    faults = check(data)
    assert faults and all(each.sentence for each in faults)
    with pytest.raises(DocumentFault):
        load(data)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in pairs:
        yield (*path, name)
        yield from places(inner, (*path, name))


@pytest.mark.parametrize("wrong", [None, 1, "x", [], {}, [1], {"a": 1}, {"type": []}, True], ids=repr)
def test_anything_anywhere_is_judged_and_what_is_judged_sound_can_be_loaded(wrong: Any) -> None:
    good = parse(dict(shipped())["communication-check"])
    for path in list(places(good)):
        raw = copy.deepcopy(good)
        body = raw
        for name in path[:-1]:
            body = body[name]
        body[path[-1]] = wrong
        if not any(each.severity == "fault" for each in check(raw)):
            load(raw)


def test_the_sentences_do_not_repeat_what_a_document_holds() -> None:
    raw = document({"a": action(on_completion="end"), "end": end()}, "a")
    secret = "hunter2-very-secret"
    raw["agent_definitions"][sid("individual:officer")]["password"] = secret
    raw["severity"] = secret
    assert secret not in json.dumps([each.sentence for each in check(raw)])
