"""Steps that people do: tasks, decisions, approvals, and whatever a machine may not do here."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.accounts.principal import Principal
from coordinator.errors import NoRight, Refused
from coordinator.incidents.models import Incident
from coordinator.runs import service as runs
from coordinator.store import Store
from coordinator.tasks.service import complete_task
from playbooks.events import Cancel
from tests.asked import asked
from tests.factories import World, person
from tests.playbooks.documents import action, document, end, line, sid
from tests.workers.drained import drain
from tests.workers.running import run_of
from workers.steps import ARMS

OTHER_PLAYBOOK = "playbook--8d5493cf-27e6-4591-a895-0aa842644b3e"
TEXT = {"__found__": {"label": "What was found?", "type": "text", "required": True}}


@pytest.fixture
def people(store: Store, world: World) -> dict[str, Principal]:
    roles = ("duty-officer", "coordinator", "analyst", "legal-adviser", "release-authority")
    return {role: person(store, role) for role in roles}


def one(work: dict[str, Any] | None, *, variables: Any = None, **rest: Any) -> dict[str, Any]:
    """One step of this kind, then the end."""
    return document({"a": action("The step", work=work, on_completion="end", **rest), "end": end()}, "a",
                    variables=variables)  # fmt: skip


def text_variable(name: str) -> dict[str, Any]:
    return {name: {"type": "string", "value": ""}}


def test_a_task_step_gives_its_result_to_the_run_and_the_run_ends(store: Store, people: dict[str, Principal]) -> None:
    work = {"kind": "task", "role": "analyst", "fields": TEXT, "required": True, "checklist": ["Read it"]}
    run = run_of(store, one(work, variables=text_variable("__found__")), with_incident=True)
    task = run.tasks()[0]
    assert (task.title, task.role, task.blocks) == ("The step", "analyst", "close")
    assert asked(store, task).checklist == ["Read it"]
    assert run.state == "waiting"
    run.done(people["analyst"], __found__="a wiper")
    assert run.state == "completed" and run.variables["__found__"] == "a wiper"
    assert [attempt.state for attempt in run.attempts()] == ["done"]
    assert [step["what"] for step in run.said("run.step") if step["step"] == sid("a")] == [
        "entered", "waiting", "succeeded"
    ]  # fmt: skip
    assert run.said("run.ended")[0]["state"] == "completed"


def test_a_task_that_could_not_be_done_fails_its_step_and_the_run_stands_until_a_person_mends_it(
    store: Store, people: dict[str, Principal]
) -> None:
    run = run_of(store, line(), with_incident=True)
    run.done(people["duty-officer"], "failed", note="No access.")
    assert run.state == "needs-attention" and run.said("run.needs-attention")
    run.ask("retry", people["coordinator"], step=sid("a"))
    assert run.state == "waiting" and len(run.tasks()) == 1
    run.done(people["duty-officer"])
    assert run.steps()[sid("a")] == "succeeded" and run.steps()[sid("b")] == "waiting"


def test_a_standing_step_is_passed_over_with_a_reason(store: Store, people: dict[str, Principal]) -> None:
    run = run_of(store, line(), with_incident=True)
    run.done(people["duty-officer"], "failed", note="No access.")
    run.ask("skip", people["coordinator"], step=sid("a"))
    assert run.steps()[sid("a")] == "skipped" and run.steps()[sid("b")] == "waiting"
    assert run.said("run.skip-asked")[0]["reason"] == "The test asks."


def test_a_decision_asks_for_one_option_and_why(store: Store, people: dict[str, Principal]) -> None:
    work = {"kind": "decision", "role": "coordinator", "variable": "__way__", "options": ["go", "stay"]}
    run = run_of(store, one(work, variables=text_variable("__way__"), out_args=["__way__"]), with_incident=True)
    run.done(people["coordinator"], __way__="stay", rationale="Too early.")
    assert run.state == "completed" and run.variables["__way__"] == "stay"


def test_an_approval_by_two_roles_needs_both_of_two_people(store: Store, people: dict[str, Principal]) -> None:
    work = {"kind": "approval", "roles": ["legal-adviser", "release-authority"], "rule": "all"}
    run = run_of(store, one(work), with_incident=True)
    assert sorted(task.role for task in run.tasks()) == ["legal-adviser", "release-authority"]
    run.done(people["legal-adviser"], answer="approve")
    assert run.state == "waiting"
    run.done(people["release-authority"], answer="approve")
    assert run.state == "completed"


def test_one_refusal_refuses_and_the_other_vote_is_called_off(store: Store, people: dict[str, Principal]) -> None:
    work = {"kind": "approval", "roles": ["legal-adviser", "release-authority"], "rule": "all"}
    run = run_of(store, one(work), with_incident=True)
    run.done(people["legal-adviser"], answer="refuse", reason="Not lawful.")
    assert run.state == "needs-attention" and run.tasks() == []
    assert [task.role for task in run.tasks("cancelled")] == ["release-authority"]


def test_two_votes_of_one_role_are_two_people(store: Store, people: dict[str, Principal]) -> None:
    run = run_of(store, one({"kind": "approval", "roles": ["legal-adviser"], "rule": 2}), with_incident=True)
    first, second = run.tasks()
    run.done(people["legal-adviser"], answer="approve")
    with pytest.raises(Refused), store.unit_of_work() as tx:
        complete_task(tx, second.id, principal=people["legal-adviser"], outcome="successful",
                      result={"answer": "approve"})  # fmt: skip
    run.done(person(store, "legal-adviser", "Second Lawyer"), answer="approve")
    assert run.state == "completed"


@pytest.mark.parametrize(
    ("work", "commands"),
    [
        (None, [{"type": "bash", "command": "rm -rf /tmp/x"}]),
        (None, [{"type": "http-api", "command": "POST /block HTTP/1.1"}]),
        ({"kind": "assess", "role": "analyst", "method": "nciss"}, None),
        ({"kind": "obligation", "do": "start", "rule": "NO-SUCH-RULE"}, None),
    ],
)
def test_what_a_machine_may_not_do_here_is_a_task_that_shows_what_is_asked(
    store: Store, people: dict[str, Principal], work: dict[str, Any] | None, commands: Any
) -> None:
    run = run_of(store, one(work, commands=commands), with_incident=True)
    task = run.tasks()[0]
    if commands:
        shown = asked(store, task).instructions
        assert commands[0]["command"] in shown and commands[0]["type"] in shown
    run.done(people["coordinator"])
    assert run.state == "completed"


def test_a_status_step_moves_the_incident_or_asks_a_person(store: Store, people: dict[str, Principal]) -> None:
    moved = run_of(store, one({"kind": "status", "to": "monitoring"}), with_incident=True)
    with store.read() as tx:
        assert (moved.state, tx.get_one(Incident, moved.incident_id).status) == ("completed", "monitoring")
    given = run_of(store, one({"kind": "status", "to": "resolved"}) | {"id": OTHER_PLAYBOOK}, with_incident=True)
    assert "resolved" in asked(store, given.tasks()[0]).instructions
    given.done(people["coordinator"])
    assert given.state == "completed"


def test_a_result_that_comes_when_it_is_not_awaited_any_more_is_kept_as_late(
    store: Store, people: dict[str, Principal]
) -> None:
    run = run_of(store, line(), with_incident=True)
    task = run.tasks()[0]
    with store.unit_of_work() as tx:  # done while the run is being cancelled: both are on their way
        complete_task(tx, task.id, principal=people["duty-officer"], outcome="successful", result={})
        runs.advance(tx, run.run_id, [Cancel("over")], arms=ARMS)
    drain(store)
    assert run.state == "cancelled"
    assert [attempt.state for attempt in run.attempts()] == ["late"]
    assert run.said("run.late")[0]["outcome"] == "successful"


def test_nobody_approves_what_they_wrote(store: Store, people: dict[str, Principal]) -> None:
    approval = {"kind": "approval", "roles": ["legal-adviser"], "rule": "all"}
    run = run_of(store, document({
        "a": action("Write it", work={"kind": "task", "role": "legal-adviser"}, on_completion="b"),
        "b": action("Approve it", work=approval, on_completion="end"), "end": end(),
    }, "a"), with_incident=True)  # fmt: skip
    run.done(people["legal-adviser"])
    with pytest.raises(Refused):
        run.done(people["legal-adviser"], answer="approve")
    run.done(person(store, "legal-adviser", "Second Lawyer"), answer="approve")
    assert run.state == "completed"


def test_silence_on_an_approval_is_told_and_brings_nobody_in_to_approve_instead(
    store: Store, people: dict[str, Principal]
) -> None:
    work = {"kind": "approval", "roles": ["legal-adviser"], "due": {"within": "PT1H"}, "on_expiry": "escalate"}
    run = run_of(store, one(work), with_incident=True)
    attempt = next(each for each in run.attempts() if each.kind == "approval")
    with store.unit_of_work() as tx:
        ARMS.escalate(tx, attempt, to_role="", to="")
    task = run.tasks()[0]
    assert (task.reminded, task.ladder, run.state) == (1, [], "waiting")
    with pytest.raises(NoRight):
        run.done(people["coordinator"], answer="approve")
