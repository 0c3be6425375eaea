"""The dry run and the real engine tell the same story of the same script: steps, states and variables."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from sqlalchemy import func, select

from coordinator.accounts.principal import Principal
from coordinator.runs.models import StepAttempt, Timer
from coordinator.store import Store
from coordinator.tasks.models import Task
from coordinator.tasks.service import complete_task
from coordinator.timeline.models import Pending
from playbooks.simulate import simulate
from tests.asked import asked, spec
from tests.factories import person, small_world
from tests.playbooks.documents import action, block, document, end, sid
from tests.workers.drained import drain
from tests.workers.running import run_of

START = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=1)
WAY = {"kind": "decision", "role": "coordinator", "variable": "__way__", "options": ["left", "right"],
       "rationale": False, "chain": [{"after": "PT10M", "remind": True}]}  # fmt: skip
VOTE = {"kind": "approval", "roles": ["legal-adviser", "release-authority"], "due": {"within": "PT1H"},
        "on_expiry": "refuse"}  # fmt: skip
MORE = {"kind": "decision", "role": "coordinator", "variable": "__more__", "options": ["no", "yes"],
        "rationale": False}  # fmt: skip
VARIABLES = {"__way__": {"type": "string", "value": ""}, "__more__": {"type": "string", "value": "yes"},
             "__seen__": {"type": "string", "value": ""}}  # fmt: skip
FORM = {"kind": "task", "role": "analyst", "fields": {"__seen__": {"label": "Seen", "type": "text"}},
        "chain": [{"after": "PT20M", "remind": True}, {"after": "PT40M", "to_role": "coordinator"}]}  # fmt: skip


def rich() -> dict[str, Any]:
    """Every kind of block, a step of each kind that waits for people or for time, and two ways for failure."""
    return document({
        "look": action("look", work=FORM, out_args=["__seen__"], on_success="parallel:both", on_failure="sorry"),
        "sorry": action("sorry", work={"kind": "task", "role": "coordinator"}, on_completion="parallel:both"),
        "parallel:both": block("parallel", next_steps=["way", "rest"], on_success="vote", on_failure="vote"),
        "way": action("way", work=WAY, out_args=["__way__"], on_completion="switch-condition:fork"),
        "switch-condition:fork": block("switch-condition", switch="__way__:value",
                                       cases={"left": "left", "default": "end 3"}, on_completion="end 1"),
        "left": action("left", timeout=1_800_000, on_completion="end 2"),
        "end 1": end(), "end 2": end(), "end 3": end(),
        "rest": action("rest", work={"kind": "wait", "event": "time", "until": {"within": "PT15M"}},
                       on_completion="end 4"),
        "end 4": end(),
        "vote": action("vote", work=VOTE, on_success="while-condition:on", on_failure="no"),
        "no": action("no", on_completion="while-condition:on"),
        "while-condition:on": block("while-condition", condition="__more__:value = 'yes'", on_true="more",
                                    on_completion="if-condition:seen"),
        "more": action("more", work=MORE, out_args=["__more__"], on_completion="end 5"), "end 5": end(),
        "if-condition:seen": block("if-condition", condition="__seen__:value = 'much'", on_true="deep",
                                   on_completion="end 7"),
        "deep": action("deep", delay=600_000, on_completion="end 6"), "end 6": end(), "end 7": end(),
    }, "look", variables=VARIABLES)  # fmt: skip


def with_exception() -> dict[str, Any]:
    raw = rich()
    raw["workflow"][sid("action:exception")] = action("exception", on_completion="end:exception")
    raw["workflow"][sid("end:exception")] = end()
    raw["workflow_exception"] = sid("action:exception")
    return raw


@pytest.fixture
def people(sqlite_store: Store) -> dict[str, Principal]:
    small_world(sqlite_store)
    roles = ("analyst", "coordinator", "legal-adviser", "release-authority", "duty-officer")
    return {role: person(sqlite_store, role) for role in roles}


def pass_time(store: Store, clock: Any, until: datetime, *, after: Callable[[], None] = lambda: None) -> None:
    """Let every timer come due at its own instant, as in the dry run; `after` each somebody may do something."""
    while True:
        with store.read() as tx:
            due = tx.execute(select(func.min(Pending.ready_at)).where(
                Pending.kind == "timer", Pending.ready_at <= until, Pending.dead.is_(False)
            )).scalar_one()  # fmt: skip
        if due is None:
            break
        clock.move_to(max(due, datetime.now(UTC)))
        drain(store)
        after()
    clock.move_to(until)


def open_work(store: Store, run_id: int) -> list[tuple[StepAttempt, Task]]:
    with store.read() as tx:
        query = select(StepAttempt, Task).join(Task, Task.id == StepAttempt.task_id)
        rows = tx.execute(query.where(StepAttempt.run_id == run_id, Task.state == "open").order_by(Task.id))
        return [(attempt, task) for attempt, task in rows]


def do(
    store: Store, people: dict[str, Principal], attempt: StepAttempt, task: Task, dice: random.Random
) -> dict[str, Any]:
    """Somebody does something sensible with an open task; answers the event of the script that says the same."""
    who = people.get(task.role, people["coordinator"])
    result: dict[str, str] = {}
    outcome, what, values = "successful", "succeed", {}
    if task.kind == "approval":
        what = dice.choice(["approve", "approve", "refuse"])
        result = {"answer": what, "reason": "Because."}
    elif task.kind == "decision":
        what = "decide"
        variable = spec(store, attempt)["variable"]
        values = {"option": dice.choice(spec(store, attempt)["options"])}
        result = {variable: values["option"]}
    elif dice.random() < 0.3:
        outcome, what, result = "failed", "fail", {"note": "No."}
    elif asked(store, task).fields.get("__seen__"):
        values = result = {"__seen__": dice.choice(["much", "little"])}
    with store.unit_of_work() as tx:
        complete_task(tx, task.id, principal=who, outcome=outcome, result=result)
    drain(store)
    return {"step": attempt.step, "what": what, "by": f"{task.role}:{who.actor}", "values": values}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("raw", [rich, with_exception])
def test_a_real_run_and_a_dry_run_of_the_same_script_agree(
    sqlite_store: Store, people: dict[str, Principal], raw: Any, seed: int
) -> None:
    made, dice, events = raw(), random.Random(seed), []
    with time_machine.travel(START, tick=False) as clock:
        run = run_of(sqlite_store, made)
        at = START
        for _ in range(25):
            work = open_work(sqlite_store, run.run_id)
            if not work or run.state in ("completed", "failed", "needs-attention"):
                break
            at += timedelta(minutes=dice.choice([1, 3, 12, 45, 90]), seconds=1)
            pass_time(sqlite_store, clock, at)
            work = open_work(sqlite_store, run.run_id)
            if work and run.state not in ("completed", "failed", "needs-attention"):
                stamp = at.isoformat().replace("+00:00", "Z")
                events.append({"at": stamp, **do(sqlite_store, people, *dice.choice(work), dice)})
        pass_time(sqlite_store, clock, at + timedelta(days=2))
        real = [(each["step"], each["what"]) for each in run.said("run.step")]
        state, variables = run.state, run.variables
    lines, _code = simulate(made, {"start": START.isoformat().replace("+00:00", "Z"), "events": events})
    dry = [(each["step"], each["what"]) for each in lines if each["what"] not in ("run", "unused-event")]
    assert real == dry
    assert (state, variables) == (lines[-1]["state"], lines[-1]["variables"])


def test_a_wait_of_thirty_days_is_a_row_and_no_message(sqlite_store: Store, people: dict[str, Principal]) -> None:
    wait = {"kind": "wait", "event": "time", "until": {"within": "P30D"}}
    with time_machine.travel(START, tick=False) as clock:
        run = run_of(sqlite_store, document({"a": action(work=wait, on_completion="end"), "end": end()}, "a"))
        with sqlite_store.read() as tx:
            row = tx.execute(select(Pending).where(Pending.kind == "timer")).scalar_one()
            assert (row.ready_at, row.lease_until) == (START + timedelta(days=30), None)
            assert tx.execute(select(Timer)).scalar_one().fired_at is None
        clock.move_to(START + timedelta(days=29, hours=23))
        assert drain(sqlite_store) == [] and run.state == "waiting"
        clock.move_to(START + timedelta(days=30))
        drain(sqlite_store)
        assert run.state == "completed"


