"""The page of a run: who did what at a step, and mending it: again, without it, by another role, in a newer version."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from sqlalchemy import select

from coordinator.runs.models import Run
from coordinator.tasks.models import Task
from tests.coordinator.web.conftest import Browser, Desk, visible_text
from tests.playbooks.documents import action, document, end, sid
from tests.workers.drained import drain
from tests.workers.running import Running, keep, run_of

TASK = {"kind": "task", "role": "analyst"}


def look(name: str = "Look") -> dict[str, Any]:
    return document({
        "a": action(name, work=TASK, on_completion="b"), "b": action("Then", work=TASK, on_completion="end"),
        "end": end(),
    }, "a")  # fmt: skip


@pytest.fixture
def coordinator(desk: Desk) -> Browser:
    desk.who("analyst")
    desk.who("legal-adviser")
    return desk.sit("coordinator")


def failed(desk: Desk) -> Running:
    run = run_of(desk.store, look(), with_incident=True)
    run.done(desk.who("analyst"), "failed", note="No access.")
    return run


def test_a_stopped_run_says_why_and_goes_on_when_a_person_says_how(desk: Desk, coordinator: Browser) -> None:
    run = failed(desk)
    page = coordinator.text(f"/runs/{run.run_id}")
    assert "It could not be done: A person said that it could not be done." in page and "Mend this step" in page
    answer = coordinator.post(f"/runs/{run.run_id}/retry", {"reason": ""})
    assert answer.status_code == 422
    assert coordinator.post(f"/runs/{run.run_id}/retry", {"reason": "Access was given."}).status_code == 303
    assert "Asked for and not done yet: retry" in coordinator.text(f"/runs/{run.run_id}")
    drain(desk.store)
    assert run.state == "waiting"


def test_a_click_on_a_step_shows_who_did_what_when(desk: Desk, coordinator: Browser) -> None:
    run = failed(desk)
    page = coordinator.get(f"/runs/{run.run_id}").text
    assert f'href="/runs/{run.run_id}?step={sid("a")}#step"' in page
    said = coordinator.text(f"/runs/{run.run_id}?step={sid('a')}")
    assert "Could not be done" in said and "Analyst" in said
    assert "Nothing was begun here yet" in coordinator.text(f"/runs/{run.run_id}?step={sid('b')}")
    assert coordinator.get(f"/runs/{run.run_id}?step=nowhere").status_code == 200


def test_a_step_is_given_to_another_role(desk: Desk, coordinator: Browser) -> None:
    run = run_of(desk.store, look(), with_incident=True)
    coordinator.get(f"/runs/{run.run_id}")
    wrong = coordinator.post(f"/runs/{run.run_id}/reassign", {"reason": "", "role": "legal-adviser"})
    assert wrong.status_code == 422
    right = {"reason": "The analyst is away.", "role": "legal-adviser"}
    assert coordinator.post(f"/runs/{run.run_id}/reassign", right).status_code == 303
    assert [task.role for task in run.tasks()] == ["legal-adviser"]


def test_a_run_is_moved_to_a_newer_version_by_a_mapping(desk: Desk, coordinator: Browser) -> None:
    run = run_of(desk.store, look(), with_incident=True)
    assert "no newer version in use" in coordinator.text(f"/runs/{run.run_id}/move")
    newer = copy.deepcopy(look()) | {"modified": "2026-03-01T09:00:00.000Z"}
    newer["workflow"][sid("first")] = newer["workflow"].pop(sid("a")) | {"name": "Look first"}
    newer["workflow"][sid("start")]["on_completion"] = sid("first")
    to = keep(desk.store, newer)
    assert "There is a newer version" in coordinator.text(f"/runs/{run.run_id}")
    assert "Has no place" in coordinator.text(f"/runs/{run.run_id}/move")
    refused = coordinator.post(f"/runs/{run.run_id}/move", {"to": to, "reason": "Mended."})
    assert refused.status_code == 422 and "Has no place" in refused.text
    shown = coordinator.text(f"/runs/{run.run_id}/move?to={to}&step:{sid('a')}={sid('first')}")
    assert "Begun anew" in shown and "Has no place" not in shown
    assert coordinator.post(f"/runs/{run.run_id}/move", {"reason": "Mended."}).status_code == 303
    drain(desk.store)
    assert [task.title for task in run.tasks()] == ["Look first"]
    with desk.store.read() as tx:
        assert tx.execute(select(Run.playbook_version_id)).scalar_one() == to


def test_a_task_is_taken_over_with_a_reason(desk: Desk, coordinator: Browser) -> None:
    run = run_of(desk.store, look(), with_incident=True)
    analyst, number = desk.sit("analyst"), run.tasks()[0].id
    analyst.get(f"/tasks/{number}")
    assert analyst.post(f"/tasks/{number}/assign", {"assignee": "me"}).status_code == 303
    assert "Take it over" in coordinator.text(f"/tasks/{number}")
    assert coordinator.post(f"/tasks/{number}/assign", {"assignee": "me"}).status_code == 422
    given = {"assignee": "me", "reason": "The analyst is off duty."}
    assert coordinator.post(f"/tasks/{number}/assign", given).status_code == 303
    with desk.store.read() as tx:
        assert tx.get_one(Task, number).assignee_id == coordinator.principal.user_id  # type: ignore[union-attr]


def test_the_page_lists_the_variables_and_what_somebody_wrote_is_text(desk: Desk, coordinator: Browser) -> None:
    hostile = "<script>alert(1)</script>"
    form = {"kind": "task", "role": "analyst", "fields": {"__said__": {"label": "What?", "type": "text"}}}
    steps = {"a": action("Ask", work=form, out_args=["__said__"], on_completion="b"),
             "b": action("Then", work=TASK, on_completion="end"), "end": end()}  # fmt: skip
    variables = {"__said__": {"type": "string", "value": ""}, "__fixed__": {"type": "string", "value": "7",
                                                                            "constant": True}}  # fmt: skip
    run = run_of(desk.store, document(steps, "a", variables=variables), with_incident=True)
    run.done(desk.who("analyst"), __said__=hostile)
    page = coordinator.get(f"/runs/{run.run_id}").text
    assert "Variables Show all (2)" in visible_text(page) and hostile not in page and "&lt;script&gt;alert(1)" in page
    said = visible_text(page)
    assert "__said__ TLP:GREEN string" in said and "said by Analyst" in said
    assert "__fixed__ TLP:CLEAR string · constant 7 from the playbook itself" in said
