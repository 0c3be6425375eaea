"""Steps about duties and assessments, from the document to the row and back into the run's variables."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.assessments import queries as assessments
from coordinator.assessments import service as assessing
from coordinator.errors import Invalid, NoRight
from coordinator.incidents.models import Incident
from coordinator.obligations import queries, register, service
from coordinator.store import Store
from tests.asked import asked
from tests.factories import World, person
from tests.playbooks.documents import action, document, end
from tests.workers.drained import drain
from tests.workers.running import Running, run_of

RULE = "EU-NIS2-EW"
VARIABLES = {name: {"type": "string", "value": ""} for name in ("__how__", "__due__", "__level__")}


@pytest.fixture
def people(store: Store, world: World) -> dict[str, Principal]:
    with store.unit_of_work() as tx:
        register.ship_rules(tx)
    return {role: person(store, role) for role in ("duty-officer", "coordinator", "analyst", "legal-adviser")}


def duties(store: Store, *steps: dict[str, Any]) -> Running:
    names = [f"s{number}" for number in range(len(steps))]
    body = {
        name: action(name, work={"kind": "obligation", "rule": RULE} | work, on_completion=then,
                     out_args=list(work.get("out", {}).values()))
        for name, work, then in zip(names, steps, [*names[1:], "end"], strict=True)
    }  # fmt: skip
    whole = document({**body, "end": end()}, "s0", variables=VARIABLES)
    return run_of(store, whole, with_incident=True, aware_at=clock.now() - timedelta(hours=20), aware_fidelity="second")


OUT = {"state": "__how__", "due_at": "__due__"}


def test_a_duty_is_begun_at_once_and_the_run_knows_how_it_stands(store: Store, people: dict[str, Principal]) -> None:
    run = duties(store, {"do": "check", "out": {"state": "__level__"}}, {"do": "start"}, {"do": "check", "out": OUT})
    with store.read() as tx:
        row = queries.of_incident(tx, run.incident_id or 0)[0]
    assert run.state == "completed" and run.tasks() == []
    assert run.variables == {"__level__": "none", "__how__": "due-soon", "__due__": clock.rfc3339(row["due_at"])}


def test_a_duty_is_met_by_a_person_with_evidence_and_the_step_waits_for_it(
    store: Store, people: dict[str, Principal]
) -> None:
    run = duties(store, {"do": "meet", "out": OUT})
    task = run.tasks()[0]
    assert (run.state, task.role) == ("waiting", "legal-adviser")
    assert set(asked(store, task).fields) == {"submitted_at", "evidence"}
    with pytest.raises(Invalid):
        run.done(people["legal-adviser"], submitted_at="yesterday", evidence="Receipt 17")
    submitted = clock.now() - timedelta(minutes=1)
    run.done(people["legal-adviser"], submitted_at=clock.rfc3339(submitted), evidence="Receipt 17")
    with store.read() as tx:
        row = queries.of_incident(tx, run.incident_id or 0)[0]
    assert run.state == "completed" and run.variables["__how__"] == "met"
    assert (row["state"], row["met_at"]) == ("met", submitted)


def test_a_duty_met_or_set_aside_on_its_own_page_lets_the_step_go_on(
    store: Store, people: dict[str, Principal]
) -> None:
    run = duties(store, {"do": "meet", "out": OUT})
    with store.read() as tx:
        number = queries.of_incident(tx, run.incident_id or 0)[0]["id"]
    with store.unit_of_work() as tx:
        service.set_aside(tx, number, principal=people["legal-adviser"], state="waived", reason="By the authority.")
    drain(store)
    assert run.state == "completed" and run.variables["__how__"] == "waived" and run.tasks() == []


def test_what_was_submitted_in_the_future_fails_the_step_and_leaves_the_duty_open(
    store: Store, people: dict[str, Principal]
) -> None:
    run = duties(store, {"do": "meet"})
    later = clock.rfc3339(clock.now() + timedelta(hours=1))
    run.done(people["legal-adviser"], submitted_at=later, evidence="Receipt 17")
    with store.read() as tx:
        assert queries.of_incident(tx, run.incident_id or 0)[0]["state"] == "running"
    assert run.state == "needs-attention"


def assessment(store: Store) -> Running:
    work = {"kind": "assess", "role": "analyst", "method": "ciss", "out": {"severity": "__level__"}}
    whole = document({"a": action("Assess", work=work, out_args=["__level__"], on_completion="end"), "end": end()}, "a",
                     variables=VARIABLES)  # fmt: skip
    return run_of(store, whole, with_incident=True)


def test_an_assessment_is_a_persons_and_one_who_may_makes_its_severity_the_incidents(
    store: Store, people: dict[str, Principal]
) -> None:
    run = assessment(store)
    assert run.state == "waiting"  # not running: it is a person's turn
    with pytest.raises(Invalid):
        run.done(people["analyst"], severity="9", reason="Two hospitals are down.")
    run.done(people["analyst"], severity="4", reason="Two hospitals are down.")
    assert run.state == "completed" and run.variables["__level__"] == "4"
    with store.read() as tx:
        row = assessments.of_incident(tx, run.incident_id or 0)[0]
        assert tx.get_one(Incident, run.incident_id).severity is None
    assert (row["state"], row["suggested_by"], row["accepted_by"]) == ("proposed", "human", None)
    assert row["values"] == {"severity": "4", "reason": "Two hospitals are down."}
    with pytest.raises(NoRight), store.unit_of_work() as tx:
        assessing.accept(tx, row["id"], principal=people["analyst"])
    with store.unit_of_work() as tx:
        assessing.accept(tx, row["id"], principal=people["coordinator"])
    with store.read() as tx:
        incident = tx.get_one(Incident, run.incident_id)
        assert (incident.severity, incident.severity_reason) == (4, "Two hospitals are down.")
        assert assessments.of_incident(tx, incident.id)[0]["accepted_by"] == people["coordinator"].actor


def test_an_assessment_that_could_not_be_made_is_given_up_and_changes_nothing(
    store: Store, people: dict[str, Principal]
) -> None:
    run = assessment(store)
    run.done(people["coordinator"], "failed", note="Nothing is known.")
    with store.read() as tx:
        assert assessments.of_incident(tx, run.incident_id or 0)[0]["state"] == "given-up"
    assert run.state == "needs-attention"
