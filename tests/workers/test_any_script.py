"""Random playbooks, random people: the real engine on a database and the dry run tell the same story of a script.

More than the few of every day: COORDINATOR_EXAMPLES=200 python -m pytest tests/workers/test_any_script.py
"""

from __future__ import annotations

import os
import shutil
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from sqlalchemy import select

from coordinator import config
from coordinator.accounts.principal import Principal
from coordinator.clock import now, rfc3339
from coordinator.obligations.register import ship_rules, shipped_rules
from coordinator.obligations.rehearsed import RehearsedDuties
from coordinator.runs.models import Run, StepAttempt
from coordinator.store import Store
from coordinator.tasks.models import Task
from coordinator.tasks.service import complete_task
from playbooks.checks import check
from playbooks.simulate import simulate
from tests.asked import asked, spec
from tests.factories import person, small_world
from tests.playbooks.documents import action, document, end, sid
from tests.playbooks.test_any_order import CALLED, Builder, flows
from tests.workers.drained import drain
from tests.workers.running import Running, keep, run_of
from tests.workers.test_runs_agree import pass_time

START = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=1)
AWARE = START - timedelta(hours=3)
#: Of the kinds of WORK those of people, the clock and nobody: plain, task, approval, decision, wait for a time, set,
#: duties (begun, met, looked at) and assessments.
KINDS = [0, 1, 2, 3, 8, 9, 10, 11, 12, 13]
OVER = ("completed", "failed", "cancelled", "needs-attention")
CALLEE = document({"inner": action("inner", on_completion="end inner"), "end inner": end()}, "inner") | {"id": CALLED}


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Any) -> Any:
    """One store for all examples: each has a playbook, an incident and a run of its own."""
    found = config.load({}, data_dir=tmp_path_factory.mktemp("any-script"))
    shutil.copy(sqlite_template, found.data_dir / "coordinator.db")
    store = Store(found)
    small_world(store)
    with store.unit_of_work() as tx:
        ship_rules(tx)
    yield store, {role: person(store, role) for role in ("analyst", "coordinator", "duty-officer", "legal-adviser")}
    store.close()


def open_work(run: Running) -> list[tuple[StepAttempt, Task]]:
    """The open tasks of this run and of those it called."""
    with run.store.read() as tx:
        query = select(StepAttempt, Task).join(Task, Task.id == StepAttempt.task_id)
        query = query.join(Run, Run.id == StepAttempt.run_id)
        rows = tx.execute(query.where(Run.incident_id == run.incident_id, Task.state == "open").order_by(Task.id))
        return [(attempt, task) for attempt, task in rows]


def worst(run: Running) -> str:
    """As the dry run says it: a run that waits for one that needs a person needs a person."""
    with run.store.read() as tx:
        states = set(tx.execute(select(Run.state).where(Run.incident_id == run.incident_id)).scalars())
    return "needs-attention" if run.state not in OVER and "needs-attention" in states else run.state


def do(store: Store, who: Principal, attempt: StepAttempt, task: Task, choice: str) -> dict[str, Any]:
    """A person answers an open task; the event of a script that says the same."""
    result: dict[str, str] = {}
    outcome, what, values = "successful", "succeed", dict[str, str]()
    if task.kind == "approval":
        what = "refuse" if choice == "no" else "approve"
        result = {"answer": what, "reason": "Because."}
    elif task.kind == "decision":
        what, values = "decide", {"option": spec(store, attempt)["options"][choice == "no"]}
        result = {spec(store, attempt)["variable"]: values["option"], "rationale": "Because."}
    elif choice == "fail":
        outcome, what, result = "failed", "fail", {"note": "No."}
    elif "submitted_at" in asked(store, task).fields:
        values = result = {"submitted_at": rfc3339(now() - timedelta(seconds=choice == "no")), "evidence": "Receipt 17"}
    elif "confidence" in asked(store, task).fields:
        values = result = {"confidence": "high" if choice == "yes" else "low", "reason": "Because."}
    else:
        values = result = {name: choice for name in asked(store, task).fields if name.startswith("__go")}
    with store.unit_of_work() as tx:
        complete_task(tx, task.id, principal=who, outcome=outcome, result=result)
    drain(store)
    return {"step": attempt.step, "what": what, "by": f"{task.role}:{who.actor}", "values": values}


@settings(max_examples=int(os.environ.get("COORDINATOR_EXAMPLES", "5")), deadline=None, database=None,
          phases=[Phase.generate], suppress_health_check=list(HealthCheck))  # fmt: skip
@given(drawn=flows(KINDS), data=st.data())
def test_the_engine_and_the_dry_run_agree_on_any_playbook(people: Any, drawn: list[Any], data: st.DataObject) -> None:
    store, persons = people
    builder = Builder()
    first = builder.flow(drawn)
    raw = document(builder.steps, first, variables=builder.variables)
    if data.draw(st.booleans(), label="with an exception route"):
        raw["workflow_exception"] = sid("action:exception")
        raw["workflow"][sid("action:exception")] = action(on_completion="end:exception")
        raw["workflow"][sid("end:exception")] = end()
    raw["id"] = f"playbook--{uuid.uuid4()}"  # the catalogue is the same for all examples
    assert [each for each in check(raw) if each.severity == "fault"] == []
    events: list[dict[str, Any]] = []
    with time_machine.travel(START, tick=False) as clock:
        keep(store, CALLEE)
        run, at = run_of(store, raw, with_incident=True, aware_at=AWARE, aware_fidelity="second"), START

        def hand_back() -> None:
            """Submissions and assessments are done when they are asked for: where a script has nobody do them, the dry
            run does not wait for them."""
            while handed := [each for each in open_work(run) if each[0].kind in ("obligation", "assess")]:
                choice = data.draw(st.sampled_from(["no", "yes", "yes", "fail"]), label="handed")
                attempt, task = handed[0]
                done = do(store, persons[task.role], attempt, task, choice)
                events.append({"at": rfc3339(now()), **done})

        hand_back()
        for _ in range(data.draw(st.integers(0, 12), label="events")):
            at += timedelta(seconds=data.draw(st.sampled_from([61, 1_205, 3_607]), label="later"))
            pass_time(store, clock, at, after=hand_back)
            work = open_work(run)
            if not work or run.state in OVER:
                break
            attempt, task = data.draw(st.sampled_from(work), label="task")
            choice = data.draw(st.sampled_from(["no", "no", "yes", "fail"]), label="answer")
            done = do(store, persons.get(task.role, persons["coordinator"]), attempt, task, choice)
            events.append({"at": rfc3339(at), **done})
            hand_back()
        pass_time(store, clock, at + timedelta(days=2), after=hand_back)
        real = [(each["step"], each["what"]) for each in run.said("run.step")]
        state, variables = worst(run), run.variables
        if state not in OVER[:3]:
            run.ask("cancel", persons["coordinator"])
    facts = {"aware_at": rfc3339(AWARE), "aware_fidelity": "second"}
    script = {"start": rfc3339(START), "facts": facts, "events": events}
    lines, _code = simulate(raw, script, {"callee": CALLEE}, duties=RehearsedDuties(shipped_rules()))
    note(str(events))
    dry = [(each["step"], each["what"]) for each in lines if each["what"] not in ("run", "unused-event")]
    assert real == dry
    assert (state, variables) == (lines[-1]["state"], lines[-1]["variables"])
