"""A worker killed (SIGKILL) before each statement it sends to the database, one after the other, through a run with a
step of every kind: after each kill another one goes on, and what was told, asked, decided and recorded is what it is
without any.

    python -m tests.chaos.every_boundary [every how many statements, 1 for all] [--postgresql] [--from STATEMENT]

A statement is the finest boundary there is: every start and end of a step, every place inside one, and every commit
lies between two of them. What is sent to the outside is killed in tests/chaos/test_killed_while_sending.py.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import event, select, update

from coordinator import clock, config, migrations
from coordinator.accounts.models import User
from coordinator.accounts.principal import Principal
from coordinator.alerts.models import Alert
from coordinator.runs.models import Run, StepAttempt
from coordinator.sharing.models import ShareDecision
from coordinator.store import Store
from coordinator.tasks.contents import contents_of
from coordinator.tasks.models import Task
from coordinator.tasks.service import complete_task
from coordinator.timeline.models import Pending
from coordinator.timeline.queries import entries
from coordinator.vault import open_master_key
from tests.alerting import agreement, mailbox, put_contact, put_organisation
from tests.factories import PARTNER, person, small_world
from tests.playbooks.documents import action, block, document, end
from tests.postgres import Database, PostgresServer
from tests.workers.drained import OUTSIDE
from tests.workers.running import Running, keep, run_of
from workers import jobs, relay

KILLED = -signal.SIGKILL
ROLES = ("duty-officer", "coordinator", "legal-adviser", "release-authority", "analyst")
CALLED = "playbook--8d5493cf-27e6-4591-a895-0aa842644b3e"
VARIABLES = {name: {"type": "string", "value": ""} for name in ("__x__", "__way__", "__loop__", "__told__")}


def every_kind() -> dict[str, Any]:
    """A step of each kind, in a line and in each kind of block."""
    task = {"kind": "task", "role": "analyst", "required": True,
            "fields": {"__x__": {"label": "X", "type": "text"}}}  # fmt: skip
    way = {"kind": "decision", "role": "coordinator", "variable": "__way__", "options": ["left", "right"],
           "rationale": False}  # fmt: skip
    loop = way | {"variable": "__loop__", "options": ["on", "off"]}
    vote = {"kind": "approval", "roles": ["legal-adviser", "release-authority"]}
    alert = {"kind": "alert", "message": "initial", "audience": {"organisations": [PARTNER]},
             "purpose": "incident-response", "category": "incident-notification",
             "out": {"all_acknowledged": "__told__"}}  # fmt: skip
    share = {"kind": "share", "audience": {"organisations": [PARTNER]}, "items": ["technical-indicators"],
             "purpose": "network-defence", "out": {"result": "__told__"}}  # fmt: skip
    return document({
        "task": action("task", work=task, out_args=["__x__"], on_completion="set"),
        "set": action("set", work={"kind": "set", "values": {"__loop__": "on"}}, out_args=["__loop__"],
                      on_completion="parallel:both"),
        "parallel:both": block("parallel", next_steps=["way", "assess"], on_completion="vote"),
        "way": action("way", work=way, out_args=["__way__"], on_completion="switch-condition:fork"),
        "switch-condition:fork": block("switch-condition", switch="__way__:value",
                                       cases={"left": "bash", "default": "end 2"}, on_completion="end 1"),
        "bash": action("bash", commands=[{"type": "bash", "command": "true"}], on_completion="end 3"),
        "assess": action("assess", work={"kind": "assess", "role": "analyst"}, on_completion="end 4"),
        "end 1": end(), "end 2": end(), "end 3": end(), "end 4": end(),
        "vote": action("vote", work=vote, on_completion="alert"),
        "alert": action("alert", work=alert, out_args=["__told__"], on_completion="share"),
        "share": action("share", work=share, out_args=["__told__"], on_completion="duty"),
        "duty": action("duty", work={"kind": "obligation", "do": "start", "rule": "X"}, on_completion="wait"),
        "wait": action("wait", work={"kind": "wait", "event": "time", "until": {"within": "PT0S"}},
                       on_completion="while-condition:loop"),
        "while-condition:loop": block("while-condition", condition="__loop__:value = 'on'", on_true="again",
                                      on_completion="if-condition:if"),
        "again": action("again", work=loop, out_args=["__loop__"], on_completion="end 5"), "end 5": end(),
        "if-condition:if": block("if-condition", condition="__way__:value = 'left'", on_true="playbook-action:call",
                                 on_completion="status"),
        "playbook-action:call": block("playbook-action", playbook_id=CALLED, on_completion="end 6"), "end 6": end(),
        "status": action("status", work={"kind": "status", "to": "monitoring"}, on_completion="end 7"),
        "end 7": end(),
    }, "task", variables=VARIABLES)  # fmt: skip


def called() -> dict[str, Any]:
    return document({"a": action("inner", on_completion="end"), "end": end()}, "a") | {"id": CALLED}


@dataclass(frozen=True)
class Ground:
    """Where the rows lie: in a file of the folder, or in a database of this server for each folder."""

    server: PostgresServer | None = None

    def prepare(self, folder: Path) -> int:
        """A database in which the run has been asked for; answers the run's id."""
        folder.mkdir(parents=True)
        if self.server is not None:
            _note(folder, self.server.new_database())
        store = opened(folder)
        migrations.upgrade(store.settings)
        run_id = ask_for_it(store)
        store.close()
        return run_id

    @contextmanager
    def copy(self, template: Path, folder: Path) -> Iterator[Path]:
        """The template once more, gone afterwards."""
        shutil.copytree(template, folder)
        made = None
        if self.server is not None:
            made = self.server.new_database(template=_noted(template).name)
            _note(folder, made)
        try:
            yield folder
        finally:
            if made is not None and self.server is not None:
                self.server.drop_database(made)
            shutil.rmtree(folder)


def _note(folder: Path, database: Database) -> None:
    (folder / "database").write_text("\n".join((database.name, database.owner_url, database.app_url)))


def _noted(folder: Path) -> Database:
    return Database(*(folder / "database").read_text().split("\n"))


def ask_for_it(store: Store) -> int:
    """People, a partner, an agreement, and a run of `every_kind` that waits for its first job; its id."""
    small_world(store)
    with store.unit_of_work() as tx:
        put_organisation(tx, PARTNER)
        put_contact(tx, mailbox())
        agreement(tx)
    for role in ROLES:
        person(store, role)
    keep(store, called())
    return run_of(store, every_kind(), with_incident=True, started_by="user:1").run_id


def opened(folder: Path) -> Store:
    settings = replace(config.load({}, data_dir=folder), smtp_url="smtp://127.0.0.1:1")
    if (folder / "database").exists():
        noted = _noted(folder)
        settings = replace(settings, database_url=noted.app_url, owner_database_url=noted.owner_url)
    return Store(settings, vault=open_master_key(settings.master_key_file, create=True))


def play(store: Store, run_id: int) -> None:
    """The worker and the people: what is due is done, then the oldest open task, until nothing is left."""
    while True:
        while claimed := relay.claim(store):
            for each in claimed:
                if each.job.name not in OUTSIDE:
                    jobs.run(store, each.pending_id, clock.rfc3339(each.lease), relay.JOBS)
        with store.read() as tx:
            query = select(Task).join(StepAttempt, StepAttempt.task_id == Task.id)
            row = tx.execute(query.where(Task.state == "open").order_by(Task.id).limit(1)).scalar_one_or_none()
            ended = tx.get_one(Run, run_id).ended_at
            users = tx.execute(select(User)).scalars()
            people = {user.role: Principal(user.id, user.name, user.role) for user in users}
        if row is None:
            assert ended is not None, "nothing is due, nobody is asked, and the run has not ended"
            return
        with store.unit_of_work() as tx:
            given = result_of(row, contents_of(tx, row).fields)
            complete_task(tx, row.id, principal=people[row.role], outcome="successful", result=given)


def result_of(row: Task, names: Iterable[str]) -> dict[str, str]:
    """What a person gives as the result of this task of `every_kind`."""
    if row.kind == "approval":
        return {"answer": "approve"}
    return {name: {"__way__": "left", "__loop__": "off"}.get(name, "x") for name in names if name.startswith("__")}


def outcome(store: Store, run_id: int) -> dict[str, Any]:
    """Everything that must be the same however often somebody was killed; ids and times are left out."""
    run = Running(store, run_id, 1)
    with store.read() as tx:
        return {
            "run": (run.state, run.variables),
            "steps": [(each["step"], each["what"], each["attempt"]) for each in run.said("run.step")],
            "tasks": sorted((task.title, task.kind, task.role, task.state, task.outcome)
                            for task in tx.execute(select(Task)).scalars()),
            "told": sorted(tx.execute(select(Alert.recipient, Alert.kind).where(Alert.user_id.is_(None))).all()),
            "decided": sorted(tx.execute(select(ShareDecision.recipient, ShareDecision.result)).all()),
            "record": sorted(each["kind"] for each in entries(tx, incident_id=1, limit=1000)),
            "left": sorted(tx.execute(select(Pending.kind).where(Pending.dead)).scalars()),
        }  # fmt: skip


def told_in_child(folder: Path, run_id: int, kill_at: int) -> int:
    """Play in a forked child that is killed before its statement number `kill_at` (0: never); its exit status."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        store = opened(folder)
        count = 0

        def before(*_given: Any) -> None:
            nonlocal count
            count += 1
            if count == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

        event.listen(store.engine, "before_cursor_execute", before)
        play(store, run_id)
        (folder / "statements").write_text(str(count))
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def killed_and_gone_on(ground: Ground, template: Path, run_id: int, kill_at: int) -> dict[str, Any]:
    """The outcome after a kill before this statement and a second worker that goes on."""
    with ground.copy(template, template.parent / f"at-{kill_at}") as folder:
        status = told_in_child(folder, run_id, kill_at)
        assert status in (0, KILLED), f"statement {kill_at}: exit {status}"
        store = opened(folder)
        with store.unit_of_work() as tx:  # the lease of the killed one runs out
            tx.execute(update(Pending).values(lease_until=None))
        store.close()
        assert told_in_child(folder, run_id, 0) == 0, f"statement {kill_at}: the next worker failed"
        return _looked_at(folder, run_id)


def undisturbed(ground: Ground, template: Path, run_id: int) -> tuple[dict[str, Any], int]:
    """What comes of it without a kill, and how many statements it takes."""
    with ground.copy(template, template.parent / "plain") as folder:
        assert told_in_child(folder, run_id, 0) == 0
        return _looked_at(folder, run_id), int((folder / "statements").read_text())


def _looked_at(folder: Path, run_id: int) -> dict[str, Any]:
    store = opened(folder)
    found = outcome(store, run_id)
    store.close()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.every_boundary", description=__doc__)
    parser.add_argument("step", type=int, nargs="?", default=1)
    parser.add_argument("--from", dest="first", type=int, default=1)
    parser.add_argument("--postgresql", action="store_true")
    said = parser.parse_args()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ground = Ground(stack.enter_context(PostgresServer()) if said.postgresql else None)
        run_id = ground.prepare(home / "template")
        wanted, statements = undisturbed(ground, home / "template", run_id)
        bad, kills = 0, range(said.first, statements + 1, said.step)
        for kill_at in kills:
            found = killed_and_gone_on(ground, home / "template", run_id, kill_at)
            for part in wanted:
                if found[part] != wanted[part]:
                    bad += 1
                    print(f"statement {kill_at}: {part} differs:\n  {wanted[part]}\n  {found[part]}", flush=True)
        print(f"{statements} statements, {len(kills)} kills, each before another of them: {bad} differences")
        return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
