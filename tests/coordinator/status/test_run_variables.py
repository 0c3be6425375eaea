"""The variables of a run as people see them: what is shown to whom, and what filled it."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.accounts.principal import Principal
from coordinator.errors import NotFound
from coordinator.markings import Marking, Tlp
from coordinator.runs.models import Run
from coordinator.runs.saved import load_state, save_state
from coordinator.status import run_view
from coordinator.store import Store
from tests.factories import World, person
from tests.playbooks.documents import action, block, document, end
from tests.workers.running import Running, run_of

STRING = {"type": "string", "value": ""}
FORM = {"kind": "task", "role": "analyst", "fields": {
    "__said__": {"label": "What?", "type": "text"}, "__token__": {"label": "Which?", "type": "text"}}}  # fmt: skip


def asking() -> dict[str, Any]:
    """A form, then two branches: one writes a copy, both wait."""
    wait, names = {"kind": "task", "role": "analyst"}, ["__said__", "__token__"]
    copy = {"kind": "set", "values": {"__copy__": "__said__:value"}}
    return document({
        "a": action("Ask", work=FORM, out_args=names, on_completion="parallel:p"),
        "parallel:p": block("parallel", next_steps=["c", "w"], on_completion="end"),
        "c": action("Copy", work=copy, out_args=["__copy__"], on_completion="x"),
        "x": action("Left", work=wait, on_completion="end1"), "w": action("Right", work=wait, on_completion="end2"),
        "end": end(), "end1": end(), "end2": end(),
    }, "a", variables={
        "__said__": STRING, "__token__": STRING, "__copy__": STRING,
        "__fixed__": {"type": "integer", "value": "7", "constant": True}, "__given__": STRING | {"external": True},
    })  # fmt: skip


@pytest.fixture
def people(store: Store, world: World) -> dict[str, Principal]:
    return {role: person(store, role) for role in ("analyst", "coordinator", "legal-adviser")}


def answered(store: Store, people: dict[str, Principal], **incident: Any) -> Running:
    run = run_of(store, asking(), variables={"__given__": "north"}, **incident)
    run.done(people["analyst"], __said__="a wiper", __token__="hunter-2")
    return run


def seen(run: Running, principal: Principal) -> dict[tuple[str, str], dict[str, Any]]:
    with run.store.read() as tx:
        shown = run_view.run_page(tx, run.run_id, principal=principal)["variables"]
    return {(each["step"], each["name"]): each for each in shown}


def test_each_is_shown_with_its_label_and_what_filled_it(store: Store, people: dict[str, Principal]) -> None:
    found = seen(answered(store, people, tlp="GREEN"), people["legal-adviser"])
    said, fixed, given = found["", "__said__"], found["", "__fixed__"], found["", "__given__"]
    assert (said["value"], said["label"], said["shown"], said["why"]) == ("a wiper", "GREEN", True, "")
    assert [(each["what"], each["by"]) for each in said["filled_by"]] == [("form", "Analyst")]
    assert said["since"] is not None and said["type"] == "string"
    assert (fixed["value"], fixed["constant"], fixed["filled_by"][0]["what"]) == ("7", True, "document")
    assert (given["value"], given["external"], given["filled_by"][0]["what"]) == ("north", True, "incident")
    assert found["", "__copy__"]["value"] == "" and found["Left", "__copy__"]["value"] == "a wiper"


def test_what_is_called_as_a_secret_is_shows_no_value(store: Store, people: dict[str, Principal]) -> None:
    hidden = seen(answered(store, people, tlp="GREEN"), people["coordinator"])["", "__token__"]
    assert (hidden["value"], hidden["shown"], hidden["why"]) == (None, False, "secret")


def test_what_is_for_named_recipients_is_shown_to_them_alone(store: Store, people: dict[str, Principal]) -> None:
    marking = Marking(tlp=Tlp.RED, named_recipients=frozenset({"coordinator@ee.example"}))
    run = answered(store, people, tlp="RED", marking=marking)
    assert seen(run, people["coordinator"])["", "__said__"]["value"] == "a wiper"
    assert seen(run, people["analyst"])["", "__said__"]["why"] == "named"


def test_what_came_from_something_that_is_gone_is_not_shown(store: Store, people: dict[str, Principal]) -> None:
    run = answered(store, people, tlp="GREEN")
    with store.unit_of_work() as tx:
        row = tx.get_one(Run, run.run_id)
        state = load_state(tx, row)
        state.sources["__said__"] = ["item:99"]
        save_state(tx, row, state)
    gone = seen(run, people["coordinator"])["", "__said__"]
    assert (gone["value"], gone["why"]) == (None, "gone")


def test_in_a_run_of_no_incident_only_who_manages_runs_reads_what_was_filled_in(
    store: Store, people: dict[str, Principal]
) -> None:
    run = answered(store, people)
    assert seen(run, people["coordinator"])["", "__said__"]["value"] == "a wiper"
    found = seen(run, people["legal-adviser"])
    assert found["", "__said__"]["why"] == found["", "__given__"]["why"] == "no-incident"
    assert found["", "__fixed__"]["value"] == "7"


def test_who_may_not_know_of_the_incident_sees_no_run(store: Store, people: dict[str, Principal]) -> None:
    run = run_of(store, asking(), variables={"__given__": "north"}, restricted=True)
    with pytest.raises(NotFound):
        seen(run, people["legal-adviser"])
