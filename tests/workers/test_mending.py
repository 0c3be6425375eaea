"""Persons mend a run that goes on: a newer version of its playbook, another role for a step; each with a reason."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from coordinator.accounts.principal import Principal
from coordinator.errors import Invalid, Refused
from coordinator.runs import mending, service
from coordinator.runs.catalogue import import_playbook, version_of
from coordinator.runs.models import Run
from coordinator.runs.queries import standing_steps
from coordinator.runs.saved import fault_of
from coordinator.store import Store
from coordinator.tasks.service import complete_task
from tests.factories import World, person
from tests.playbooks.documents import action, document, end, sid
from tests.workers.drained import drain
from tests.workers.running import Running, keep, run_of

LATER = "2026-03-01T09:00:00.000Z"
TASK = {"kind": "task", "role": "analyst"}


@pytest.fixture
def people(store: Store, world: World) -> dict[str, Principal]:
    return {role: person(store, role) for role in ("coordinator", "analyst", "legal-adviser", "duty-officer")}


def look(name: str = "Look", **rest: Any) -> dict[str, Any]:
    return document({
        "a": action(name, work=TASK, on_completion="b"), "b": action("Then", work=TASK, on_completion="end"),
        "end": end(),
    }, "a", **rest)  # fmt: skip


def newer(raw: dict[str, Any], gone: str = "") -> dict[str, Any]:
    made = copy.deepcopy(raw) | {"modified": LATER}
    if gone:
        made["workflow"][sid("instead")] = made["workflow"].pop(sid(gone))
        made["workflow"][sid("start")]["on_completion"] = sid("instead")
    return made


def move(run: Running, by: Principal, to: int, **mapping: str) -> None:
    run.ask("move", by, values={"to": to, "mapping": {sid(step): sid(other) for step, other in mapping.items()}})


def test_a_stopped_run_goes_on_after_its_playbook_was_mended(store: Store, people: dict[str, Principal]) -> None:
    run = run_of(store, look(), with_incident=True)
    run.done(people["analyst"], "failed", note="No access.")
    assert run.state == "needs-attention"
    better = keep(store, newer(look("Look again, with help")))
    with store.read() as tx:
        (found,) = mending.newer_versions(tx, tx.get_one(Run, run.run_id))
        assert found.id == better
    move(run, people["coordinator"], better)
    assert [task.title for task in run.tasks()] == ["Look again, with help"]
    said = run.said("run.moved")[0]
    assert (said["to"], said["reason"], said["anew"]) == (LATER, "The test asks.", [sid("a")])
    with store.read() as tx:
        row = tx.get_one(Run, run.run_id)
        assert (row.playbook_version_id, fault_of(tx, row)) == (better, "")
    run.done(people["analyst"])
    run.done(people["analyst"])
    assert run.state == "completed"


def test_open_work_stays_with_those_who_have_it_where_nothing_changed(
    store: Store, people: dict[str, Principal]
) -> None:
    run = run_of(store, look())
    (before,) = run.tasks()
    move(run, people["coordinator"], keep(store, newer(look())))
    assert [task.id for task in run.tasks()] == [before.id]
    run.done(people["analyst"])
    run.done(people["analyst"])
    assert run.state == "completed"


def test_a_step_that_is_gone_refuses_by_name_until_somebody_says_which_is_meant(
    store: Store, people: dict[str, Principal]
) -> None:
    run = run_of(store, look())
    (before,) = run.tasks()
    to = keep(store, newer(look(), gone="a"))
    with pytest.raises(Invalid) as refused:
        move(run, people["coordinator"], to)
    assert [fault.pointer for fault in refused.value.errors] == [f"/mapping/{sid('a')}"]
    assert [task.id for task in run.tasks()] == [before.id]
    move(run, people["coordinator"], to, a="instead")
    assert [task.id for task in run.tasks("cancelled")] == [before.id] and len(run.tasks()) == 1
    run.done(people["analyst"])
    run.done(people["analyst"])
    assert run.state == "completed"


def test_what_became_impossible_before_a_worker_got_to_it_is_said_and_changes_nothing(
    store: Store, people: dict[str, Principal]
) -> None:
    run = run_of(store, look())
    to = keep(store, newer(look(), gone="a"))
    with store.unit_of_work() as tx:  # the analyst is done, and no worker has noticed when somebody asks
        complete_task(tx, run.tasks()[0].id, principal=people["analyst"], outcome="successful", result={})
        service.ask(tx, run.run_id, "move", principal=people["coordinator"], reason="Mended.",
                    values={"to": to, "mapping": {sid("a"): sid("instead")}})  # fmt: skip
    drain(store)
    run.done(people["analyst"])
    assert "reason" in run.said("run.notice")[0]
    assert not run.said("run.moved")
    assert run.state == "completed"


def test_only_a_version_in_use_can_be_gone_on_with(store: Store, people: dict[str, Principal]) -> None:
    run = run_of(store, look())
    raw = json.dumps(newer(look())).encode()
    with store.unit_of_work() as tx:
        import_playbook(tx, raw, actor="cli:test")
        to = version_of(tx, raw)
    assert to is not None
    with pytest.raises(Refused):
        move(run, people["coordinator"], to)
    with pytest.raises(Invalid):
        move(run, people["coordinator"], 999)


def test_a_step_is_given_to_another_role_with_a_reason(store: Store, people: dict[str, Principal]) -> None:
    run = run_of(store, look(), with_incident=True)

    def give(role: str, reason: str = "Nobody is there.") -> None:
        with store.unit_of_work() as tx:
            (standing,) = standing_steps(tx, run.run_id)
            service.reassign(tx, run.run_id, token=standing["token"], role=role, principal=people["coordinator"],
                             reason=reason)  # fmt: skip

    for role, reason, place in (
        ("release-authority", "x", "/role"), ("partner-user", "x", "/role"), ("nobody", "x", "/role"),
        ("legal-adviser", " ", "/reason"),
    ):
        with pytest.raises(Invalid) as refused:
            give(role, reason)
        assert [fault.pointer for fault in refused.value.errors] == [place]
    give("legal-adviser")
    assert [task.role for task in run.tasks()] == ["legal-adviser"]
    assert run.said("run.reassigned")[0]["reason"] == "Nobody is there."
    run.done(people["legal-adviser"])
    assert [task.role for task in run.tasks()] == ["analyst"]


def test_an_approval_is_nobody_elses(store: Store, people: dict[str, Principal]) -> None:
    vote = {"kind": "approval", "roles": ["legal-adviser"]}
    run = run_of(store, document({"a": action(work=vote, on_completion="end"), "end": end()}, "a"))
    with pytest.raises(Refused), store.unit_of_work() as tx:
        (standing,) = standing_steps(tx, run.run_id)
        service.reassign(tx, run.run_id, token=standing["token"], role="analyst", principal=people["coordinator"],
                         reason="He is ill.")  # fmt: skip
    with pytest.raises(Refused), store.unit_of_work() as tx:
        service.reassign(tx, run.run_id, token="99", role="analyst", principal=people["coordinator"], reason="x")
