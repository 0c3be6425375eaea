"""Task completed → the next step: asked by a door, begun by a worker, twice and late alike."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from coordinator import timeline
from coordinator.accounts.principal import Principal
from coordinator.errors import Invalid, NotFound, Refused
from coordinator.runs import service as runs
from coordinator.runs.models import Run
from coordinator.store import Store
from coordinator.tasks.service import complete_task
from coordinator.timeline.models import Pending
from coordinator.timeline.verify import verify
from tests.factories import World, person
from tests.playbooks.documents import line, sid
from tests.workers.drained import drain
from tests.workers.running import Running, keep, run_of


@pytest.fixture
def officer(store: Store, world: World) -> Principal:
    return person(store, "duty-officer")


def test_the_answer_of_a_door_and_the_next_step_are_two_transactions_and_nothing_between_them_is_lost(
    store: Store, officer: Principal
) -> None:
    run = run_of(store, line(), with_incident=True)
    with store.unit_of_work() as tx:
        complete_task(tx, run.tasks()[0].id, principal=officer, outcome="successful", result={})
    assert run.steps()[sid("a")] == "waiting"  # the worker has not seen it; a kill here leaves the row
    with store.read() as tx:
        assert "task.completed" in tx.execute(select(Pending.kind)).scalars().all()
    drain(store)
    assert run.steps()[sid("b")] == "waiting" and len(run.tasks()) == 1


def test_the_same_completion_told_twice_moves_the_run_once(store: Store, officer: Principal) -> None:
    run = run_of(store, line(), with_incident=True)
    first = run.tasks()[0].id
    run.done(officer)
    with store.unit_of_work() as tx:
        timeline.pending(tx, "task.completed", first)
    drain(store)
    assert len(run.tasks()) == 1 and run.said("run.late") == []
    assert [each["what"] for each in run.said("run.step") if each["step"] == sid("b")] == ["entered", "waiting"]


def test_a_run_asked_for_at_a_door_is_begun_by_a_worker(store: Store, officer: Principal) -> None:
    version_id = keep(store, line())
    with store.unit_of_work() as tx:
        run_id = runs.start_run(tx, version_id, started_by=officer.actor).id
    run = Running(store, run_id, None)
    assert run.tasks() == []
    drain(store)
    assert len(run.tasks()) == 1 and run.state == "waiting"


def test_operations_on_a_run_need_a_reason_a_known_name_and_a_run_that_goes_on(
    store: Store, officer: Principal
) -> None:
    run = run_of(store, line(), with_incident=True)
    with pytest.raises(Invalid) as refused, store.unit_of_work() as tx:
        runs.ask(tx, run.run_id, "skip", principal=officer, reason=" ")
    assert {fault.pointer for fault in refused.value.errors} == {"/reason", "/token"}
    with pytest.raises(Invalid), store.unit_of_work() as tx:
        runs.ask(tx, run.run_id, "explode", principal=officer, reason="x")
    with pytest.raises(NotFound), store.unit_of_work() as tx:
        runs.ask(tx, 10_000, "pause", principal=officer, reason="x")
    run.ask("cancel", officer)
    with pytest.raises(Refused), store.unit_of_work() as tx:
        runs.ask(tx, run.run_id, "pause", principal=officer, reason="x")


def test_who_has_no_need_to_know_of_the_incident_has_no_run_to_stop(store: Store, officer: Principal) -> None:
    analyst = person(store, "analyst")
    run = run_of(store, line(), restricted=True)
    with pytest.raises(NotFound), store.unit_of_work() as tx:
        runs.ask(tx, run.run_id, "cancel", principal=analyst, reason="x")


def test_a_whole_run_leaves_a_record_that_verifies(store: Store, officer: Principal) -> None:
    run = run_of(store, line(), with_incident=True)
    run.done(officer)
    run.done(officer)
    assert run.state == "completed"
    with store.read() as tx:
        assert tx.execute(select(Run.ended_at)).scalar_one() is not None
        assert verify(tx).broken == ""
