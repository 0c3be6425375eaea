"""Collections of hostile input through every door: `python -m tests.real_input.hostile FOLDER [--most N]`.

FOLDER holds bad_json_testsuite.jsonl.gz (`expect`, `b64`), naughty_strings.jsonl.gz and payload_strings.jsonl.gz (`s`).
The collections belong to others and are not in this repository; tests/flows/test_hostile_input.py has a table of ours.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import logging
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from coordinator import config, migrations
from coordinator.store import Store
from tests.factories import small_world
from tests.real_input.doors import Doors


def rows(file: Path, most: int) -> Iterator[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            if number < most:
                yield json.loads(line)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.real_input.hostile")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--most", type=int, default=10**9, help="of each collection")
    said = parser.parse_args()
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="coordinator-hostile-") as home:
        settings = config.load({"COORDINATOR_LOG_LEVEL": "CRITICAL", "COORDINATOR_FLOOD_LIMIT": "0"}, data_dir=home)
        migrations.upgrade(settings)
        store = Store(settings)
        doors = Doors(store, small_world(store))
        for name in ("bad_json_testsuite", "naughty_strings", "payload_strings"):
            began, number = time.monotonic(), 0
            for row in rows(said.folder / f"{name}.jsonl.gz", said.most):
                number += 1
                if "b64" in row:
                    doors.body(row["id"], base64.b64decode(row["b64"]))
                else:
                    doors.text(row["id"], row["s"])
                    doors.search(row["id"], row["s"])
            print(f"{name}: {number} in {time.monotonic() - began:.0f} s", flush=True)
        doors.pages()
        store.close()
    print("\n".join(doors.tally.lines()))
    return 1 if doors.tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
