"""Tasks as use cases: opened, done, handed on, reminded, called off; each with its entry and its hold."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import select

from coordinator import clock
from coordinator.errors import Invalid, NoRight, NotFound, Refused
from coordinator.incidents.items import read_item
from coordinator.incidents.models import Hold, Incident, ItemVersion
from coordinator.store import Store
from coordinator.tasks import queries, reminders, service
from coordinator.tasks.models import Task
from coordinator.timeline.models import Pending
from coordinator.timeline.queries import entries
from tests.asked import asked
from tests.factories import PartnerSystem, native, person

REQUIRED = {"__what__": {"label": "What?", "type": "text", "required": True}}


@pytest.fixture
def incident_id(store: Store, partner: PartnerSystem) -> int:
    assert partner.post(native(tlp="AMBER")).status_code == 202
    with store.read() as tx:
        return tx.execute(select(Incident.id)).scalar_one()


def opened(store: Store, incident_id: int | None = None, **more: Any) -> int:
    with store.unit_of_work() as tx:
        incident = service.holds.lock_incident(tx, incident_id) if incident_id else None
        about = {"title": "Look at the logs", "role": "analyst", "created_by": "system", **more}
        return service.open_task(tx, incident=incident, **about).id


def kinds(store: Store, incident_id: int | None) -> list[str]:
    with store.read() as tx:
        return [entry["kind"] for entry in entries(tx, incident_id=incident_id)]


def row(store: Store, task_id: int) -> Task:
    with store.read() as tx:
        return tx.get_one(Task, task_id)


def test_a_finished_task_settles_its_hold_keeps_its_result_as_marked_as_the_incident_and_wakes_what_follows(
    store: Store, incident_id: int
) -> None:
    analyst = person(store, "analyst")
    task_id = opened(store, incident_id, blocks="close", fields=REQUIRED)
    with store.read() as tx:
        assert tx.execute(select(Hold.settled_at).where(Hold.kind == "task")).scalar_one() is None
    with store.unit_of_work() as tx:
        service.complete_task(tx, task_id, principal=analyst, outcome="successful", result={"__what__": "A name: Ö"})
    done = row(store, task_id)
    assert (done.state, done.outcome, done.done_by) == ("done", "successful", analyst.actor)
    assert asked(store, done).values == {"__what__": "A name: Ö"}
    with store.read() as tx:
        assert tx.execute(select(Hold.settled_at).where(Hold.kind == "task")).scalar_one() is not None
        version = tx.get_one(ItemVersion, done.result_version_id)
        assert version.tlp == "AMBER" and version.kind == "task-result" and b"name" not in version.sealed
        assert read_item(tx, version)["values"] == {"__what__": "A name: Ö"}
        assert tx.execute(select(Pending.object_id).where(Pending.kind == "task.completed")).scalar_one() == task_id
    assert {"task.assigned", "task.completed"} <= set(kinds(store, incident_id))


def test_asked_twice_by_the_same_person_a_task_is_done_once(store: Store, incident_id: int) -> None:
    analyst = person(store, "analyst")
    task_id = opened(store, incident_id)
    for _ in range(2):
        with store.unit_of_work() as tx:
            service.complete_task(tx, task_id, principal=analyst, outcome="successful", result={})
    assert kinds(store, incident_id).count("task.completed") == 1
    other = person(store, "coordinator")
    with pytest.raises(Refused), store.unit_of_work() as tx:
        service.complete_task(tx, task_id, principal=other, outcome="successful", result={})


def test_a_refused_result_changes_nothing(store: Store, incident_id: int) -> None:
    analyst = person(store, "analyst")
    task_id = opened(store, incident_id, fields=REQUIRED)
    with pytest.raises(Invalid), store.unit_of_work() as tx:
        service.complete_task(tx, task_id, principal=analyst, outcome="successful", result={})
    officer = person(store, "legal-adviser")
    with pytest.raises(NoRight), store.unit_of_work() as tx:
        service.complete_task(tx, task_id, principal=officer, outcome="successful", result={"__what__": "x"})
    assert row(store, task_id).state == "open"


def test_whoever_has_no_need_to_know_of_the_incident_finds_no_task(store: Store, partner: PartnerSystem) -> None:
    assert partner.post(native(tlp="RED")).status_code == 202
    with store.read() as tx:
        incident_id = tx.execute(select(Incident.id)).scalar_one()
    analyst, officer = person(store, "analyst"), person(store, "duty-officer")
    task_id = opened(store, incident_id, fallback_role="duty-officer")
    with pytest.raises(NotFound), store.unit_of_work() as tx:
        service.complete_task(tx, task_id, principal=analyst, outcome="successful", result={})
    with store.read() as tx:
        assert queries.my_tasks(tx, principal=analyst) == []
        with pytest.raises(NotFound):
            queries.task_view(tx, task_id, principal=analyst)
        assert [task["id"] for task in queries.my_tasks(tx, principal=officer)] == [task_id]


def test_who_reads_no_incidents_finds_the_tasks_of_their_own_role_only(store: Store, incident_id: int) -> None:
    manager = person(store, "agreement-manager")
    mine, anothers = opened(store, incident_id, role="agreement-manager"), opened(store, incident_id)
    with store.read() as tx:
        assert queries.task_view(tx, mine, principal=manager)["id"] == mine
        with pytest.raises(NotFound):
            queries.task_view(tx, anothers, principal=manager)
        assert queries.task_view(tx, anothers, principal=person(store, "auditor"))["id"] == anothers
    with pytest.raises(NotFound), store.unit_of_work() as tx:
        service.complete_task(tx, anothers, principal=manager, outcome="successful", result={})


def test_a_role_that_nobody_has_gives_way_but_never_for_an_approval(store: Store, world: object) -> None:
    person(store, "duty-officer")
    assert row(store, opened(store, role="analyst", fallback_role="legal-adviser")).role == "duty-officer"
    person(store, "legal-adviser")
    assert row(store, opened(store, role="analyst", fallback_role="legal-adviser")).role == "legal-adviser"
    assert row(store, opened(store, role="release-authority", kind="approval")).role == "release-authority"


def test_one_person_does_not_do_both_of_two_tasks_that_are_kept_apart(store: Store, world: object) -> None:
    lawyer = person(store, "legal-adviser")
    both = [opened(store, role="legal-adviser", kind="approval") for _ in range(2)]
    with store.unit_of_work() as tx:
        reminders.keep_apart(tx, both)
    with store.unit_of_work() as tx:
        service.complete_task(tx, both[0], principal=lawyer, outcome="successful", result={"answer": "approve"})
    with pytest.raises(Refused), store.unit_of_work() as tx:
        service.complete_task(tx, both[1], principal=lawyer, outcome="successful", result={"answer": "approve"})
    other = person(store, "legal-adviser", "Second Lawyer")
    with store.unit_of_work() as tx:
        service.complete_task(tx, both[1], principal=other, outcome="successful", result={"answer": "approve"})


def test_a_task_is_handed_only_to_somebody_whose_role_fits(store: Store, world: object) -> None:
    analyst, lawyer, lead = (person(store, role) for role in ("analyst", "legal-adviser", "coordinator"))
    task_id = opened(store)
    with pytest.raises(Refused), store.unit_of_work() as tx:
        service.assign_task(tx, task_id, assignee_id=lawyer.user_id, principal=lead)
    with pytest.raises(NoRight), store.unit_of_work() as tx:
        service.assign_task(tx, task_id, assignee_id=analyst.user_id, principal=lawyer)
    with store.unit_of_work() as tx:
        service.assign_task(tx, task_id, assignee_id=analyst.user_id, principal=analyst)
    with store.read() as tx:
        mine = queries.my_tasks(tx, principal=analyst)
    assert [(task["id"], task["assignee"], task["may_complete"]) for task in mine] == [(task_id, analyst.user_id, True)]
    with pytest.raises(Invalid), store.unit_of_work() as tx:  # taken over from somebody: why?
        service.assign_task(tx, task_id, assignee_id=lead.user_id, principal=lead)
    with store.unit_of_work() as tx:
        service.assign_task(tx, task_id, assignee_id=lead.user_id, principal=lead, reason="She is off duty.")
    assert row(store, task_id).assignee_id == lead.user_id


def test_a_deadline_and_a_ladder_remind_escalate_and_tell_of_lateness_once_each(store: Store, world: object) -> None:
    person(store, "analyst")
    start = clock.now()
    ladder = [{"after": "PT10M", "remind": True}, {"after": "PT20M", "to_role": "coordinator"}]
    task_id = opened(store, due_at=start + timedelta(minutes=30), ladder=ladder)
    for minutes in (5, 11, 11, 21, 31, 45):
        with time_machine.travel(start + timedelta(minutes=minutes), tick=False), store.unit_of_work() as tx:
            reminders.look_at_times(tx, task_id)
    seen = [kind for kind in kinds(store, None) if kind.startswith("task.")]
    assert seen == ["task.assigned", "task.reminded", "task.escalated", "task.overdue"]
    by = person(store, "coordinator")
    with store.unit_of_work() as tx:
        service.complete_task(tx, task_id, principal=by, outcome="failed", result={"note": "No logs are kept."})


def test_a_task_that_is_over_is_neither_reminded_nor_called_off(store: Store, world: object) -> None:
    analyst = person(store, "analyst")
    task_id = opened(store, due_at=clock.now())
    with store.unit_of_work() as tx:
        service.complete_task(tx, task_id, principal=analyst, outcome="successful", result={})
        reminders.look_at_times(tx, task_id)
        service.cancel_task(tx, task_id, reason="late", actor="system")
        reminders.escalate(tx, task_id, to_role="coordinator")
    assert [kind for kind in kinds(store, None) if kind.startswith("task.")] == ["task.assigned", "task.completed"]
