"""Jobs come in any order: what must be so in the end does not hang on which was first."""

from __future__ import annotations

from sqlalchemy import select

from coordinator.incidents.models import Incident
from coordinator.incidents.service import transition
from coordinator.runs.catalogue import ship_library
from coordinator.runs.queries import runs_of
from coordinator.store import Store
from coordinator.tasks.models import Task
from tests.factories import PartnerSystem, native, person
from tests.workers.drained import drain
from workers import advance


def test_facts_that_change_just_before_triage_is_accepted_offer_nobody_the_playbook_that_starts_by_itself(
    store: Store, partner: PartnerSystem
) -> None:
    with store.unit_of_work() as tx:
        ship_library(tx)
    coordinator = person(store, "coordinator")
    facts = {"classification": "malicious-code/infected-system", "sectors": ["health"], "cross_border": "yes"}
    assert partner.post(native(**facts)).status_code == 202
    drain(store)
    with store.read() as tx:
        incident_id = tx.execute(select(Incident.id)).scalar_one()
    for status in ("triage", "active"):
        with store.unit_of_work() as tx:
            transition(tx, incident_id, status, principal=coordinator)
    with store.unit_of_work() as tx:
        advance.facts_changed(tx, incident_id)  # written before, worked on before the job of the accepted triage
    drain(store)
    with store.read() as tx:
        assert {run["name"] for run in runs_of(tx, incident_id)} > {"Cross-border ransomware on health care"}
        titles = tx.execute(select(Task.title).where(Task.incident_id == incident_id)).scalars().all()
    assert "Choose a playbook" not in titles
