"""Starting a run of a small document and looking at it: for tests of steps and of the engine."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from coordinator.accounts.principal import Principal
from coordinator.incidents.holds import lock_incident
from coordinator.runs import service as runs
from coordinator.runs.activation import activate
from coordinator.runs.catalogue import import_playbook
from coordinator.runs.models import PlaybookVersion, Run, StepAttempt, StepState
from coordinator.runs.saved import scope_of
from coordinator.store import Store
from coordinator.tasks.models import Task
from coordinator.tasks.service import complete_task
from coordinator.timeline.queries import entries
from tests.alerting import put_incident
from tests.workers.drained import drain
from workers.steps import ARMS


@dataclass
class Running:
    """A run that was started, with its incident (None: for none)."""

    store: Store
    run_id: int
    incident_id: int | None

    @property
    def state(self) -> str:
        with self.store.read() as tx:
            return tx.get_one(Run, self.run_id).state

    @property
    def variables(self) -> dict[str, Any]:
        with self.store.read() as tx:
            return dict(scope_of(tx, tx.get_one(Run, self.run_id))["variables"])

    def steps(self) -> dict[str, str]:
        """Step id → the last thing seen of it."""
        with self.store.read() as tx:
            rows = tx.execute(select(StepState).where(StepState.run_id == self.run_id)).scalars()
            return {row.step: row.state for row in rows}

    def attempts(self) -> list[StepAttempt]:
        with self.store.read() as tx:
            query = select(StepAttempt).where(StepAttempt.run_id == self.run_id).order_by(StepAttempt.id)
            return list(tx.execute(query).scalars())

    def tasks(self, state: str = "open") -> list[Task]:
        with self.store.read() as tx:
            ids = [attempt.task_id for attempt in self.attempts() if attempt.task_id]
            query = select(Task).where(Task.id.in_(ids), Task.state == state).order_by(Task.id)
            return list(tx.execute(query).scalars())

    def said(self, kind: str) -> list[dict[str, Any]]:
        """The values of the record's entries of a kind, in order."""
        with self.store.read() as tx:
            found = entries(tx, incident_id=self.incident_id, limit=1000)
            return [entry["values"] for entry in found if entry["kind"] == kind]

    def done(self, by: Principal, outcome: str = "successful", *, task: int = 0, **result: Any) -> None:
        """Finish the open task in this place, and let follow what follows."""
        with self.store.unit_of_work() as tx:
            complete_task(tx, self.tasks()[task].id, principal=by, outcome=outcome, result=result)
        drain(self.store)

    def ask(self, do: str, by: Principal, *, step: str = "", **more: Any) -> None:
        """Ask for an operation on the run, and let it be done."""
        token = ""
        if step:
            with self.store.read() as tx:
                from coordinator.runs.queries import standing_steps

                token = [each["token"] for each in standing_steps(tx, self.run_id) if each["step"] == step][0]
        with self.store.unit_of_work() as tx:
            runs.ask(tx, self.run_id, do, principal=by, reason="The test asks.", token=token, **more)
        drain(self.store)


def keep(store: Store, document: dict[str, Any]) -> int:
    """Take a document into the catalogue as the active version; returns the version's row id."""
    with store.unit_of_work() as tx:
        import_playbook(tx, json.dumps(document).encode(), actor="cli:test")
        version_id = tx.execute(
            select(PlaybookVersion.id).where(
                PlaybookVersion.playbook_id == document["id"], PlaybookVersion.version == document["modified"]
            )
        ).scalar_one()
        activate(tx, version_id, actor="cli:test")
        return version_id


def run_of(
    store: Store, document: dict[str, Any], *, with_incident: bool = False, started_by: str = "system",
    variables: dict[str, Any] | None = None, incident_status: str = "", **incident: Any,
) -> Running:  # fmt: skip
    """Start a run of the document; with an incident of these columns, or none."""
    version_id = keep(store, document)
    with store.unit_of_work() as tx:
        made = put_incident(tx, **incident) if with_incident or incident_status or incident else None
        if made is not None and incident_status:
            made.status = incident_status
        incident_id = made.id if made else None
        locked = lock_incident(tx, made.id) if made else None
        run = runs.start_run(
            tx, version_id, incident=locked, started_by=started_by, variables=variables, arms=ARMS
        )
        run_id = run.id
    drain(store)
    return Running(store, run_id, incident_id)
