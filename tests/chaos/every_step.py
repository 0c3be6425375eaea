"""Real workers killed (SIGKILL) and the broker emptied (FLUSHALL) whenever the record of a run with a step of every
kind has grown: what comes of it, and what the partner got, is what it is without.

    python -m tests.chaos.every_step [--every 1] [--postgresql]

The finer boundaries, before every statement, are in tests/chaos/every_boundary.py.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlalchemy import select

from coordinator import live
from coordinator.accounts.models import User
from coordinator.accounts.principal import Principal
from coordinator.errors import CoordinatorError
from coordinator.runs.models import Run, StepAttempt
from coordinator.store import Store
from coordinator.tasks.contents import contents_of
from coordinator.tasks.models import Task
from coordinator.tasks.service import complete_task
from coordinator.timeline.models import Entry
from tests.chaos.every_boundary import ask_for_it, outcome, result_of
from tests.harness.installation import Installation
from tests.harness.mail import MailServer
from tests.harness.outcome import unsettled
from tests.harness.processes import kill_hard, wait_for
from tests.postgres import Database, PostgresServer

PATIENCE = 420.0


def told(folder: Path, database: Database | None, *, every: int) -> tuple[dict[str, Any], Counter[str], int]:
    """(outcome, letters to the partner by Message-ID, blows): a blow whenever so many entries came; 0 for none."""
    with MailServer() as mail:
        machine = Installation(folder, database=database, mail=mail.url)
        machine.start(seconds=180)
        try:
            run_id = ask_for_it(machine.store)
            blows = _play(machine, run_id, every)
            wait_for(lambda: not _unsent(machine.store), PATIENCE, what="what is to be sent to have been sent")
            found = settled(outcome(machine.store, run_id))
            letters = [letter for letter in mail.letters if "fi.example" in str(letter["to"])]
            return found, Counter(str(letter["message-id"]) for letter in letters), blows
        finally:
            machine.stop()


def settled(found: dict[str, Any]) -> dict[str, Any]:
    """What may not differ. With real processes two open branches take turns as people come to them, and our own people
    are reminded by the clock: the order of the steps and what was told to ourselves are left out."""
    own = ("alert.", "decision.")
    return {
        **found, "steps": sorted(found["steps"]),
        "decided": [each for each in found["decided"] if not each[0].startswith("user:")],
        "record": [kind for kind in found["record"] if not kind.startswith(own)],
    }


def _play(machine: Installation, run_id: int, every: int) -> int:
    """People answer what they are asked; whenever the run's record has grown, a worker dies and the broker is empty."""
    seen, blows, last = 0, 0, time.monotonic() + PATIENCE
    while time.monotonic() < last:
        entries, ended = _length(machine.store, run_id)
        if ended:
            return blows
        if every and entries >= seen + every:
            seen = entries
            blows += _strike(machine)
        _answer(machine.store)
        time.sleep(0.05)
    raise AssertionError("the run did not end")


def _strike(machine: Installation) -> int:
    for pid in machine.pids("worker"):
        kill_hard(pid)
    live.connect(machine.broker_url).flushall()
    return 1


def _unsent(store: Store) -> bool:
    with store.read() as tx:
        return bool(unsettled(tx))


def _length(store: Store, run_id: int) -> tuple[int, bool]:
    with store.read() as tx:
        steps = select(Entry.id).where(Entry.kind == "run.step", Entry.object_id == run_id)
        return len(tx.execute(steps).all()), tx.get_one(Run, run_id).ended_at is not None


def _answer(store: Store) -> None:
    """The oldest open task of the run, by somebody of its role; where the engine was faster, another time."""
    with store.read() as tx:
        query = select(Task).join(StepAttempt, StepAttempt.task_id == Task.id)
        row = tx.execute(query.where(Task.state == "open").order_by(Task.id).limit(1)).scalar_one_or_none()
        users = {user.role: Principal(user.id, user.name, user.role) for user in tx.execute(select(User)).scalars()}
    if row is None:
        return
    try:
        with store.unit_of_work() as tx:
            given = result_of(row, contents_of(tx, row).fields)
            complete_task(tx, row.id, principal=users[row.role], outcome="successful", result=given)
    except CoordinatorError:
        return


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.every_step", description=__doc__)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--postgresql", action="store_true")
    said = parser.parse_args()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coordinator-steps-")))
        server = stack.enter_context(PostgresServer()) if said.postgresql else None
        bad = compare(home, said.every, server)
    return 1 if bad else 0


def compare(home: Path, every: int, server: PostgresServer | None = None) -> list[str]:
    """What differs between a run that is struck and one that is not; also printed."""
    made = [server.new_database() if server else None for _ in range(2)]
    wanted, letters, _none = told(home / "plain", made[0], every=0)
    found, struck, blows = told(home / "struck", made[1], every=every)
    bad = [part for part in wanted if found[part] != wanted[part]]
    for part in bad:
        print(f"{part} differs:\n  {wanted[part]}\n  {found[part]}", flush=True)
    if len(struck) != len(letters):
        bad.append(f"letters: {len(letters)} undisturbed, {len(struck)} struck")
    again = sum(times - 1 for times in struck.values())
    print(f"{blows} blows: {len(bad)} differences; {len(struck)} letters, {again} a second time under the same id")
    return bad


if __name__ == "__main__":
    sys.exit(main())
