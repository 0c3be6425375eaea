"""Incident opened → internal playbook runs; triage accepted → the playbook its facts choose runs, step by step."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from coordinator.accounts.principal import Principal
from coordinator.incidents.models import Hold, Incident
from coordinator.incidents.service import transition
from coordinator.runs.catalogue import ship_library
from coordinator.runs.models import Run, StepAttempt
from coordinator.runs.queries import run_view, runs_of
from coordinator.store import Store
from coordinator.tasks.models import Task
from coordinator.tasks.service import complete_task
from coordinator.timeline.queries import entries
from tests.asked import asked
from tests.factories import PartnerSystem, native, person
from tests.workers.drained import drain

HOSPITAL: dict[str, Any] = {
    "classification": "malicious-code/infected-system", "sectors": ["health"], "cross_border": "yes",
    "states_affected": ["FI", "LV"],
}  # fmt: skip


@pytest.fixture
def coordinator(store: Store, partner: PartnerSystem) -> Principal:
    with store.unit_of_work() as tx:
        ship_library(tx)
    for role in ("duty-officer", "liaison-officer", "legal-adviser", "release-authority", "analyst"):
        person(store, role)
    return person(store, "coordinator")


def opened(store: Store, partner: PartnerSystem, **facts: Any) -> int:
    assert partner.post(native(**(HOSPITAL | facts))).status_code == 202
    drain(store)
    with store.read() as tx:
        return tx.execute(select(Incident.id)).scalars().all()[-1]


def accept(store: Store, incident_id: int, by: Principal) -> None:
    for status in ("triage", "active"):
        with store.unit_of_work() as tx:
            transition(tx, incident_id, status, principal=by)
    drain(store)


def names(store: Store, incident_id: int) -> dict[str, str]:
    with store.read() as tx:
        return {run["name"]: run["state"] for run in runs_of(tx, incident_id)}


def open_tasks(store: Store, incident_id: int) -> list[Task]:
    with store.read() as tx:
        query = select(Task).where(Task.incident_id == incident_id, Task.state == "open").order_by(Task.id)
        return list(tx.execute(query).scalars())


def test_a_new_incident_starts_the_internal_playbook_and_nothing_that_tells_others(
    store: Store, partner: PartnerSystem, coordinator: Principal
) -> None:
    incident_id = opened(store, partner)
    assert names(store, incident_id) == {"First hour": "waiting"}
    assert [task.title for task in open_tasks(store, incident_id)] == ["Take charge of the report"]
    with store.read() as tx:
        kinds = [entry["kind"] for entry in entries(tx, incident_id=incident_id)]
        assert "run.started" in kinds and "task.assigned" in kinds and "run.step" in kinds
        held = tx.execute(select(Hold.blocks).where(Hold.kind == "run", Hold.settled_at.is_(None))).scalars().all()
    assert held == ["close"]


def test_accepted_triage_starts_the_playbook_that_the_facts_choose_once_and_says_why(
    store: Store, partner: PartnerSystem, coordinator: Principal
) -> None:
    incident_id = opened(store, partner)
    accept(store, incident_id, coordinator)
    assert names(store, incident_id)["Cross-border ransomware on health care"] == "waiting"
    with store.read() as tx:
        because = [run["because"] for run in runs_of(tx, incident_id) if run["name"].startswith("Cross")][0]
    assert any("cross border is yes" in sentence for sentence in because)
    for status in ("monitoring", "active"):
        with store.unit_of_work() as tx:
            transition(tx, incident_id, status, principal=coordinator)
    drain(store)
    with store.read() as tx:
        assert len(runs_of(tx, incident_id)) == 2


def test_where_no_playbook_matches_a_person_is_asked_and_the_one_they_choose_runs(
    store: Store, partner: PartnerSystem, coordinator: Principal
) -> None:
    incident_id = opened(store, partner, classification="undetermined", sectors=["energy"], cross_border="no")
    accept(store, incident_id, coordinator)
    assert set(names(store, incident_id)) == {"First hour"}
    choice = [task for task in open_tasks(store, incident_id) if task.title == "Choose a playbook"][0]
    wanted = [option for option in asked(store, choice).options if option.startswith("Cross-border")][0]
    with store.unit_of_work() as tx:
        complete_task(tx, choice.id, principal=coordinator, outcome="successful", result={"playbook": wanted})
    drain(store)
    assert "Cross-border ransomware on health care" in names(store, incident_id)


def test_a_finished_task_moves_the_run_to_its_next_step(
    store: Store, partner: PartnerSystem, coordinator: Principal
) -> None:
    incident_id = opened(store, partner)
    first = open_tasks(store, incident_id)[0]
    given = answers(asked(store, first).fields)
    with store.unit_of_work() as tx:
        complete_task(tx, first.id, principal=coordinator, outcome="successful", result=given)
    drain(store)
    assert "Take charge of the report" not in [task.title for task in open_tasks(store, incident_id)]
    with store.read() as tx:
        run = tx.execute(select(Run)).scalars().one()
        states = {step["name"]: step["state"] for step in run_view(tx, run.id)["steps"]}
    assert states["Take charge of the report"] == "succeeded"
    assert states["Set down the facts of triage"] == "waiting"


def test_a_rejected_incident_ends_its_runs_and_calls_their_tasks_off(
    store: Store, partner: PartnerSystem, coordinator: Principal
) -> None:
    incident_id = opened(store, partner)
    with store.unit_of_work() as tx:
        transition(tx, incident_id, "rejected", principal=coordinator, reason="A drill of somebody else.")
    drain(store)
    assert names(store, incident_id) == {"First hour": "cancelled"}
    assert open_tasks(store, incident_id) == []
    with store.read() as tx:
        assert tx.execute(select(Hold).where(Hold.settled_at.is_(None))).scalars().all() == []
        assert {attempt.state for attempt in tx.execute(select(StepAttempt)).scalars()} == {"cancelled"}


def answers(fields: dict[str, Any]) -> dict[str, str]:
    """Something lawful for every field that must be filled."""
    def one(field: dict[str, Any]) -> str:
        if field.get("options"):
            return str(field["options"][0])
        return {"bool": "no", "boolean": "no", "integer": "1", "number": "1"}.get(str(field.get("type")), "Seen.")

    return {name: one(field) for name, field in fields.items() if field.get("required")}
