"""The long form: `python -m tests.chaos [--seconds 60] [--reports 200] [--worked 12] [--seed N] [--postgresql]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.chaos.storm import Plan, surroundings


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--reports", type=int, default=200)
    parser.add_argument("--worked", type=int, default=12, help="how many of them officers take through to closed")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--postgresql", action="store_true")
    said = parser.parse_args()
    plan = Plan(seconds=said.seconds, reports=said.reports, worked=said.worked, seed=said.seed)
    with ExitStack() as stack:
        database = None
        if said.postgresql:
            from tests.postgres import PostgresServer

            database = stack.enter_context(PostgresServer()).new_database()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coordinator-chaos-")))
        print(f"seed {plan.seed}", flush=True)
        storm = stack.enter_context(surroundings(folder / "var", plan, database))
        toll = storm.run(say=lambda line: print(line, flush=True))
    print("\n".join(toll.lines()))
    return 1 if toll.faults else 0


if __name__ == "__main__":
    sys.exit(main())
