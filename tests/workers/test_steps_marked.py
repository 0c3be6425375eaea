"""What fills a variable is written on it, and holds for whatever leaves with the variable in it."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.accounts.principal import Principal
from coordinator.incidents.models import Incident
from coordinator.runs import sources
from coordinator.runs.catalogue import document_of
from coordinator.runs.models import Run
from coordinator.runs.saved import fault_of, load_state
from coordinator.sharing.models import Release
from coordinator.store import Store
from coordinator.tasks.service import complete_task
from tests.alerting import agreement
from tests.factories import PARTNER, person
from tests.playbooks.documents import action, document, end
from tests.workers.drained import drain
from tests.workers.running import Running, run_of

TEXT = {"type": "string", "value": ""}
ALERT = {
    "kind": "alert", "message": "update", "audience": {"organisations": [PARTNER]}, "purpose": "incident-response",
    "category": "incident-notification", "template": "What we know: __copy__:value",
}  # fmt: skip


@pytest.fixture
def officer(desk: Store) -> Principal:
    with desk.unit_of_work() as tx:
        agreement(tx)
    return person(desk, "duty-officer")


def asking(field: dict[str, Any], alert: dict[str, Any], **rest: Any) -> dict[str, Any]:
    """A form, a copy of its answer into another variable, and an alert whose text holds the copy."""
    form = {"kind": "task", "role": "duty-officer", "fields": {"__said__": {"label": "What is known?", **field}}}
    copy = {"kind": "set", "values": {"__copy__": "__said__:value"}}
    return document({
        "f": action("Ask", work=form, out_args=["__said__"], on_completion="c"),
        "c": action("Copy", work=copy, out_args=["__copy__"], on_completion="a"),
        "a": action("Tell", work=ALERT | alert, on_completion="end"), "end": end(),
    }, "f", variables={"__said__": TEXT, "__copy__": TEXT}, **rest)  # fmt: skip


def marked(run: Running, name: str) -> str:
    """The label of a variable of the run."""
    with run.store.read() as tx:
        row = tx.get_one(Run, run.run_id)
        bound = sources.marking_of_value(
            tx, load_state(tx, row).sources.get(name, []), incident=tx.get(Incident, run.incident_id),
            playbook=document_of(tx, row.playbook_version_id),
        )  # fmt: skip
        return bound.effective.label


def released(run: Running) -> list[Release]:
    with run.store.read() as tx:
        return [tx.get_one(Release, each.release_id) for each in run.attempts() if each.release_id]


@pytest.mark.parametrize(
    ("field", "said", "label"),
    [({}, "", "TLP:GREEN"), ({"tlp": "RED"}, "", "TLP:RED"), ({}, "RED", "TLP:RED"),
     ({"tlp": "RED"}, "CLEAR", "TLP:RED"), ({}, "CLEAR", "TLP:GREEN")],
)  # fmt: skip
def test_an_answer_is_marked_as_the_incident_or_stricter_where_the_form_or_its_person_says_so(
    desk: Store, officer: Principal, field: dict[str, Any], said: str, label: str
) -> None:
    run = run_of(desk, asking(field, {}), tlp="GREEN")
    assert marked(run, "__said__") == "TLP:CLEAR"  # the document's own value, until somebody says something
    with desk.unit_of_work() as tx:
        complete_task(tx, run.tasks()[0].id, principal=officer, outcome="successful",
                      result={"__said__": "a-name-9f2c"}, tlp=said)  # fmt: skip
    drain(desk)
    assert (marked(run, "__said__"), marked(run, "__copy__")) == (label, label)
    assert [each.marking["tlp"] for each in released(run)] == [label.removeprefix("TLP:")]


def test_a_red_answer_does_not_leave_in_a_green_alert(desk: Store, officer: Principal) -> None:
    run = run_of(desk, asking({"tlp": "RED"}, {"tlp_max": "GREEN"}), tlp="GREEN")
    run.done(officer, __said__="a-name-9f2c")
    with desk.read() as tx:
        fault = fault_of(tx, tx.get_one(Run, run.run_id))
    assert run.state == "needs-attention" and "TLP:RED" in fault and "a-name-9f2c" not in fault
    assert released(run) == []


def test_a_text_without_values_is_bound_as_the_incident_and_as_its_document(desk: Store, officer: Principal) -> None:
    amber = "marking-tlp--55d920b0-5e8b-4f79-9ee9-91f868d9b421"
    whole = asking({"tlp": "RED"}, {"template": "Nothing new."}, markings=[amber], data_marking_definitions={
        amber: {"type": "marking-tlp", "id": amber, "created": "2022-10-01T00:00:00.000Z", "tlpv2_level": "TLP:AMBER",
                "created_by": "identity--5abe695c-7bd5-4c31-8824-2528696cdbf1"}})  # fmt: skip
    run = run_of(desk, whole, tlp="GREEN")
    run.done(officer, __said__="a-name-9f2c")
    assert [each.marking["tlp"] for each in released(run)] == ["AMBER"]
