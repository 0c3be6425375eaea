"""What the value of a variable came from goes with it, from variable to variable."""

from typing import Any

import pytest

from playbooks.effects import BeginWork
from playbooks.events import WorkFinished
from playbooks.variables import INCIDENT
from tests.playbooks.documents import Desk, action, block, document, end

TEXT = {"type": "string", "value": "ours"}
ASKED = {"kind": "task", "role": "duty-officer", "fields": {"__a__": {"label": "What?"}}}


def asked(rest: dict[str, dict[str, Any]], first: str = "b") -> Desk:
    """A form that fills `__a__` with an answer from `item:7`, and what comes after it."""
    form = action(work=ASKED, out_args=["__a__"], on_completion=first)
    desk = Desk(document({"f": form, **rest, "end": end()}, "f", variables={
        "__a__": TEXT, "__b__": TEXT, "__c__": {**TEXT, "constant": True},
    }))  # fmt: skip
    desk.send(WorkFinished(desk.key("f"), "successful", {"__a__": "yes"}, sources=("item:7",)))
    return desk


def set_to(value: str, then: str = "end") -> dict[str, Any]:
    return action(work={"kind": "set", "values": {"__b__": value}}, out_args=["__b__"], on_completion=then)


@pytest.mark.parametrize(
    ("value", "sources"),
    [
        ("a word of the playbook", []),
        ("__c__:value", []),
        ("__a__:value", ["item:7"]),
        ("it is __a__:value and __c__:value", ["item:7"]),
        ("incident.severity", [INCIDENT]),
    ],
)
def test_a_variable_that_is_set_has_the_sources_of_what_it_is_made_of(value: str, sources: list[str]) -> None:
    assert asked({"b": set_to(value)}).state.sources == {"__a__": ["item:7"], "__b__": sources}


def test_what_is_asked_for_names_the_sources_of_the_values_in_it() -> None:
    desk = asked({"b": action(commands=[{"type": "manual", "command": "Look at __a__:value."}], on_completion="end")})
    assert desk.last(BeginWork).spec["uses"] == ["__a__"]
    assert desk.last(BeginWork).spec["sources"] == ["item:7"]


def test_of_an_alert_only_its_text_counts_since_nothing_else_of_it_is_told() -> None:
    alert = {"kind": "alert", "message": "update", "audience": {"affected_states": True}}
    named = action("About __a__:value", work=alert | {"template": "Nothing new."}, on_completion="end")
    assert asked({"b": named}).last(BeginWork).spec["sources"] == []
    told = action(work=alert | {"template": "It is __a__:value."}, on_completion="end")
    assert asked({"b": told}).last(BeginWork).spec["sources"] == ["item:7"]


def test_what_is_written_because_of_a_value_comes_from_that_value() -> None:
    chosen = block("if-condition", condition="__a__:value = 'yes'", on_true="b", on_completion="end")
    assert asked({"if-condition:i": chosen, "b": set_to("so", "end in")} | {"end in": end()},
                 "if-condition:i").state.sources["__b__"] == ["item:7"]  # fmt: skip


def test_what_names_no_source_comes_from_the_incident() -> None:
    desk = Desk(document({"a": action(out_args=["__a__"], on_completion="end"), "end": end()}, "a",
                         variables={"__a__": TEXT}))  # fmt: skip
    desk.send(WorkFinished(desk.key("a"), "successful", {"__a__": "no"}))
    assert desk.state.sources == {"__a__": [INCIDENT]}


def test_sources_come_out_of_parallel_branches_and_go_into_a_called_playbook() -> None:
    call = block("playbook-action", playbook_id="playbook--0c6d8b4e-57b5-5b0c-9a8e-2a9a0f4c7d22",
                 in_args=["__a__", "__b__"], on_completion="end")  # fmt: skip
    desk = Desk(document({
        "parallel:p": block("parallel", next_steps=["l", "r"], on_completion="playbook-action:call"),
        "l": action(out_args=["__a__"], on_completion="end a"), "end a": end(),
        "r": action(out_args=["__b__"], on_completion="end b"), "end b": end(),
        "playbook-action:call": call, "end": end(),
    }, "parallel:p", variables={"__a__": TEXT, "__b__": TEXT}))  # fmt: skip
    for step, name in (("l", "__a__"), ("r", "__b__")):
        desk.send(WorkFinished(desk.key(step), "successful", {name: "x"}, sources=(f"item:{step}",)))
    known = {"__a__": ["item:l"], "__b__": ["item:r"]}
    assert desk.state.sources == known
    assert desk.last(BeginWork).spec["variable_sources"] == known
