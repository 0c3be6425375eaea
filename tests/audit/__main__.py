"""Known faults of everything we depend on: `python -m tests.audit [--url …]`. Asks an advisory database on the network.

Ends with 0 where none is known, 1 where one is, 2 where the database could not be asked: then nothing is known.
"""

from __future__ import annotations

import argparse
import sys

from tests.audit.locked import ADVISORIES, LOCKS, NotAsked, faults, pinned


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.audit", description=__doc__)
    parser.add_argument("--url", default=ADVISORIES)
    said = parser.parse_args(arguments)
    packages = sorted({(one.name, one.version): one for lock in LOCKS for one in pinned(lock)}.values(), key=str)
    try:
        found = faults(packages, url=said.url)
    except NotAsked as why:
        print(f"NOT AUDITED: the advisory database did not answer ({why}). Nothing is known about {len(packages)} "
              "packages. Run this where the network is.", file=sys.stderr)  # fmt: skip
        return 2
    for name, advisories in found.items():
        print(f"{name}: {', '.join(advisories)}")
    print(f"{len(packages)} packages, {len(found)} with known faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
