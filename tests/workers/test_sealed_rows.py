"""What fills a variable stands in no row in the open: not where it is kept, not where it is filled in."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import inspect, select, text, update

from coordinator import migrations
from coordinator.accounts.principal import Principal
from coordinator.db import Base
from coordinator.runs import service as runs
from coordinator.runs.models import Run, RunToken, StepAttempt
from coordinator.runs.saved import fault_of, load_state, spec_of, values_of, wishes_of
from coordinator.store import Store
from coordinator.tasks.contents import contents_of
from coordinator.tasks.models import Task
from coordinator.vault import CannotOpen
from tests.asked import asked
from tests.factories import PARTNER, World, person
from tests.playbooks.documents import action, block, document, end
from tests.workers.running import Running, run_of

SAID, GIVEN = "canary-5e0b8f", "canary-77aa01"
STRING = {"type": "string", "value": ""}
ALERT = {
    "kind": "alert", "message": "update", "audience": {"organisations": [PARTNER]}, "purpose": "incident-response",
    "category": "incident-notification", "template": "What we know: __said__:value",
}  # fmt: skip


@pytest.fixture
def officer(store: Store, world: World) -> Principal:
    return person(store, "coordinator")


def holding() -> dict[str, Any]:
    """A form fills a variable that goes on into all that a step has: title, text, list, fields, an alert, a branch."""
    form = {"kind": "task", "role": "coordinator", "fields": {"__said__": {"label": "What?", "type": "text"}}}
    shown = {"kind": "task", "role": "coordinator", "checklist": ["Mind __said__:value"], "required": True,
             "fields": {"__other__": {"label": "Of __said__:value?", "type": "text"}}}  # fmt: skip
    copied = {"kind": "set", "values": {"__copy__": "__said__:value __given__:value"}}
    command = [{"type": "manual", "command": "Look at __copy__:value."}]
    return document({
        "f": action("Ask", work=form, out_args=["__said__"], on_completion="parallel:p"),
        "parallel:p": block("parallel", next_steps=["c", "t"], on_completion="if-condition:i"),
        "c": action("Copy", work=copied, out_args=["__copy__"], on_completion="s"),
        "s": action("Say __said__:value", work=shown, commands=command, on_completion="end1"),
        "t": action("Tell", work=ALERT, on_completion="end2"),
        "if-condition:i": block("if-condition", condition="__copy__:value = 'x'", on_true="n", on_completion="z"),
        "n": action("Never", on_completion="end3"),
        "z": action("Last __copy__:value", on_completion="end"),
        "end": end(), "end1": end(), "end2": end(), "end3": end(),
    }, "f", variables={
        "__said__": STRING, "__copy__": STRING, "__other__": STRING, "__given__": STRING | {"external": True},
    })  # fmt: skip


def rows_with(store: Store, *wanted: str) -> list[str]:
    """The columns of all tables that hold one of these in the open, and the files of a database that is one."""
    found = []
    with store.read() as tx:
        there = inspect(tx.connection()).get_table_names()  # an older version has fewer
        for table in sorted(Base.metadata.tables.keys() & set(there)):
            for row in tx.execute(text(f'SELECT * FROM "{table}"')).mappings():
                found += [f"{table}.{name}" for name, value in row.items() for each in wanted
                          if each in str(value) or (isinstance(value, bytes) and each.encode() in value)]  # fmt: skip
    if store.one_machine:
        for file in store.settings.data_dir.glob("coordinator.db*"):
            found += [file.name for each in wanted if each.encode() in file.read_bytes()]
    return found


def begun(store: Store, officer: Principal) -> Running:
    """A run in which both canaries are in variables, and a person is asked about them."""
    run = run_of(store, holding(), with_incident=True, variables={"__given__": GIVEN}, started_by=officer.actor)
    run.done(officer, __said__=SAID)
    return run


def test_a_dump_of_the_database_holds_no_value_of_a_variable(store: Store, officer: Principal) -> None:
    run = begun(store, officer)
    assert run.variables["__given__"] == GIVEN and rows_with(store, SAID, GIVEN) == []
    (task,) = run.tasks()
    shown = asked(store, task)
    assert task.title == "Say …" and shown.instructions.startswith(f"Say {SAID}\n")
    assert shown.checklist == [f"Mind {SAID}"] and shown.fields["__other__"]["label"] == f"Of {SAID}?"
    run.done(officer, "failed", note=f"{SAID} is unknown.")
    assert run.state == "needs-attention" and rows_with(store, SAID, GIVEN) == []
    with store.unit_of_work() as tx:  # asked, and done by no worker yet
        token = next(name for name, each in load_state(tx, tx.get_one(Run, run.run_id)).tokens.items()
                     if each.status == "stopped")  # fmt: skip
        runs.ask(tx, run.run_id, "retry", principal=officer, reason=f"Is {SAID} known now?", token=token)
    with store.read() as tx:
        assert SAID in wishes_of(tx, tx.get_one(Run, run.run_id))[0]["reason"]
    assert rows_with(store, SAID, GIVEN) == []
    run.ask("pause", officer)
    run.ask("resume", officer)
    run.done(officer, __other__=GIVEN)
    run.done(officer)
    assert run.state == "completed" and run.variables["__copy__"] == f"{SAID} {GIVEN}"
    assert rows_with(store, SAID, GIVEN) == []


def test_what_belongs_to_one_row_does_not_open_in_another(store: Store, officer: Principal) -> None:
    run = begun(store, officer)
    with store.unit_of_work() as tx:
        first, second = tx.execute(select(Task.id).order_by(Task.id).limit(2)).scalars()
        stolen = tx.execute(select(Task.sealed).where(Task.id == second)).scalar_one()
        tx.execute(update(Task).where(Task.id == first).values(sealed=stolen))
        tokens = list(tx.execute(select(RunToken).where(RunToken.run_id == run.run_id)).scalars())
        tokens[0].sealed = tokens[1].sealed
    with store.read() as tx, pytest.raises(CannotOpen):
        contents_of(tx, tx.get_one(Task, first))
    with store.read() as tx, pytest.raises(CannotOpen):
        load_state(tx, tx.get_one(Run, run.run_id))


def kept(store: Store, run: Running) -> dict[str, Any]:
    with store.read() as tx:
        row = tx.get_one(Run, run.run_id)
        return {
            "state": load_state(tx, row), "wishes": wishes_of(tx, row), "fault": fault_of(tx, row),
            "work": [(spec_of(tx, each), values_of(tx, each)) for each in run.attempts()],
            "tasks": [contents_of(tx, each) for each in tx.execute(select(Task).order_by(Task.id)).scalars()],
        }  # fmt: skip


def test_the_migration_seals_what_is_there_and_opens_it_on_the_way_back(store: Store, officer: Principal) -> None:
    run = begun(store, officer)
    with store.unit_of_work() as tx:
        runs.ask(tx, run.run_id, "pause", principal=officer, reason=f"Because of {SAID}.")
    before = kept(store, run)
    store.engine.dispose()
    migrations.downgrade(store.settings, "0030")
    assert {"runs.scope", "runs.asked", "step_attempts.spec", "step_attempts.values", "run_tokens.data",
            "tasks.instructions", "tasks.fields", "tasks.checklist", "tasks.values"} <= set(rows_with(store, SAID))
    store.engine.dispose()
    migrations.upgrade(store.settings)
    assert kept(store, run) == before
    store.engine.dispose()  # on one machine the last one out writes back what was changed, and the log goes
    assert rows_with(store, SAID, GIVEN) == []
    run.ask("resume", officer)
    run.done(officer, __other__="")
    run.done(officer)
    assert run.state == "completed" and isinstance(run.attempts()[0], StepAttempt)
