"""Hostile input through every door of an installation: `python -m tests.hostile [FOLDER] [--most N] [--threads 4]`.

Without a FOLDER the tables of this repository are sent. FOLDER holds larger collections, which belong to others and are
not in this repository: bad_json_testsuite.jsonl.gz (`id`, `b64`), naughty_strings.jsonl.gz and
payload_strings.jsonl.gz (`id`, `s`), stix21_bundles, stix21_validator_cases, misp_json and csaf20 (`raw` or `input`).
Each text goes through the doors that take reports, imports, files and searches, and by turns through a quarter of the
calls, forms, addresses, headers and lists; with --all through all of them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import requests

from coordinator.app import create_app
from tests.factories import small_world
from tests.harness.installation import Installation, installation
from tests.hostile import corpus
from tests.hostile.doors import Doors
from tests.hostile.looking import MARK, Overhearing, database_faults
from tests.hostile.site import Site


@contextmanager
def attacked(folder: Path, *, database: Any = None) -> Iterator[tuple[Installation, Doors, Overhearing]]:
    """A running installation that logs everything it ever would, with its doors found and its broker overheard."""
    with installation(folder, database=database, log_level="DEBUG") as machine:
        site = Site(machine.base_url, machine.store, small_world(machine.store))
        with Overhearing(machine.broker_url) as broker:
            broker.watch({MARK, *site.secrets})
            doors = Doors(site, create_app(machine.store).url_map)
            broker.watch({MARK, *site.secrets})
            yield machine, doors, broker


def leaks(machine: Installation, site: Site, broker: Overhearing) -> list[str]:
    """Where a mark or a secret turned up: logs (those of the web server too), the broker, the metrics."""
    metrics = requests.get(f"{machine.base_url}/metrics", timeout=30).text
    places = {"log": "\n".join(machine.output), "broker": broker.left(), "metrics": metrics}
    words = {MARK, *(secret for secret in site.secrets if len(secret) > 8)}
    found = [f"{place}: holds {word[:12]}…" for place, text in places.items() for word in words if word in text]
    return found + [f"broker: carried {word[:12]}…" for word in broker.heard]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--most", type=int, default=10**9, help="of each collection")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=0, help="no more texts after so long; says how many were left")
    parser.add_argument("--all", action="store_true", help="each text through each door: hours for large collections")
    parser.add_argument("--postgresql", action="store_true")
    said = parser.parse_args()
    bodies = corpus.given_bodies(said.folder, said.most) if said.folder else corpus.BODIES
    texts = corpus.given_texts(said.folder, said.most) if said.folder else {text: text for text in corpus.TEXTS}
    started, late = time.monotonic(), list[int]()
    with ExitStack() as stack:
        database = None
        if said.postgresql:
            from tests.postgres import PostgresServer

            database = stack.enter_context(PostgresServer()).new_database()
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coordinator-hostile-")))
        machine, doors, broker = stack.enter_context(attacked(home / "var", database=database))
        found = f"{len(doors.writes)} writes of the API, {len(doors.forms)} forms, {len(doors.paths)} addresses"
        print(found, flush=True)
        began = time.monotonic()

        def sent(each: tuple[int, tuple[str, str]]) -> None:
            if said.minutes and time.monotonic() - started > said.minutes * 60:
                late.append(each[0])
                return
            if each[0] % 100 == 0:
                print(f"  text {each[0]} after {time.monotonic() - began:.0f} s", flush=True)
            doors.text(*each[1], turn=None if said.all or not said.folder else each[0])

        documents = corpus.given_documents(said.folder, said.most) if said.folder else {}
        began = time.monotonic()
        with ThreadPoolExecutor(said.threads) as pool:
            list(pool.map(lambda each: doors.body(*each), bodies.items()))
            print(f"{len(bodies)} bodies in {time.monotonic() - began:.0f} s", flush=True)
            began = time.monotonic()
            list(pool.map(lambda each: doors.document(each[0], *each[1]), documents.items()))
            print(f"{len(documents)} documents in {time.monotonic() - began:.0f} s", flush=True)
            began = time.monotonic()
            list(pool.map(sent, enumerate(texts.items())))
        print(f"{len(texts) - len(late)} of {len(texts)} texts in {time.monotonic() - began:.0f} s", flush=True)
        doors.shown()
        doors.tally.faults += leaks(machine, doors.site, broker)
        causes = database_faults(machine.output)
        print(machine.run("record", "verify", seconds=600).splitlines()[0])
        print(f"{broker.commands} commands at the broker overheard, {len(machine.output)} lines of log read")
    print(f"{len(doors.site.closed)} kept connections closed under a request: {doors.site.closed[:5]}")
    print("\n".join(doors.tally.short()))
    print("\n".join(causes))
    return 1 if doors.tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
