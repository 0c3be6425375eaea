"""A word in every field, and every exit walked: `python -m tests.canary [--worlds N] [--seed S] [--postgresql]`.

Each world is random, but the same for the same seed. Ends with 1 where a word turned up for somebody who may not
know it, or at an exit that is not on the list.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.canary.playbook import Service
from tests.canary.said import NOT_HERE
from tests.canary.walk import Walk
from tests.canary.world import BASE_URL, Built
from tests.harness.installation import Installation
from tests.harness.mail import MailServer
from tests.harness.processes import free_port
from tests.harness.receiver import Receiver
from tests.hostile.looking import Overhearing


class _BehindProxy(Installation):
    """As behind a proxy with https: addresses say so, and this machine is asked directly."""

    def start(self, seconds: float = 60) -> None:
        self._port = free_port()
        super().start(seconds)
        self.base_url = f"http://127.0.0.1:{self._port}"

    def _command(self, *words: str) -> list[str]:
        found = super()._command(*words)
        return [*found[:-1], str(self._port)] if words[:1] == ("up",) else found


@contextmanager
def walked(folder: Path, *, seed: int, database: Any = None, full: bool = True) -> Iterator[Walk]:
    """A world of its own in a running installation, with everything that is said in it overheard, and walked."""
    with ExitStack() as stack:
        mail, receiver = stack.enter_context(MailServer()), stack.enter_context(Receiver(acknowledge=False))
        machine = _BehindProxy(folder, database=database, mail=mail.url, log_level="DEBUG", base_url=BASE_URL)
        machine.start()
        stack.callback(machine.stop)
        broker = stack.enter_context(Overhearing(machine.broker_url))
        built = Built(machine, receiver, stack.enter_context(Service()), seed, full=full)
        built.settle()
        broker.watch(word.text for word in built.model.words)
        built.happen()
        walk = Walk(built, mail, receiver, broker, full=full)
        walk.everything()
        yield walk


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.canary", description=__doc__)
    parser.add_argument("--worlds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--short", action="store_true", help="a few of each kind of address")
    parser.add_argument("--postgresql", action="store_true")
    said = parser.parse_args()
    faults = 0
    for seed in range(said.seed, said.seed + said.worlds):
        with ExitStack() as stack:
            database = None
            if said.postgresql:
                from tests.postgres import PostgresServer

                database = stack.enter_context(PostgresServer()).new_database()
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coordinator-canary-")))
            began = time.monotonic()
            walk = stack.enter_context(walked(home / "var", seed=seed, database=database, full=not said.short))
            print(f"seed {seed}: {walk.numbers()} in {time.monotonic() - began:.0f} s", flush=True)
            print("\n".join(walk.faults or ["  no word where it may not be"]), flush=True)
            unlisted = sorted(walk.unlisted())
            print("\n".join(f"  not on the list of exits: {name}" for name in unlisted), end="\n" * bool(unlisted))
            unsaid = [name for name in walk.built.unsaid() if name not in NOT_HERE]
            print("\n".join(f"  no word was sent in: {name}" for name in unsaid), end="\n" * bool(unsaid))
            faults += len(walk.faults) + len(unlisted) + len(unsaid)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
