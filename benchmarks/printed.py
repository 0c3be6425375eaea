"""What a benchmark prints: ours, the floor and the ratio, from the same run."""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Sequence

from coordinator import clock


def arguments(about: str) -> argparse.Namespace:
    """`--short`: tiny, only to see that it runs. `--postgresql`: on PostgreSQL instead of SQLite, where it matters."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--short", action="store_true", help="tiny: shows that it runs, measures nothing")
    parser.add_argument("--postgresql", action="store_true", help="on PostgreSQL with fsync, instead of SQLite")
    parser.add_argument("--size", type=int, default=0, help="of the larger world, where there are two (ledger)")
    parser.add_argument("--lines", type=int, default=0, help="of the file of everything (ledger; default: all)")
    parser.add_argument("--rounds", type=int, default=0, help="rounds of each (default: chosen by the benchmark)")
    return parser.parse_args()


def heading(name: str, chosen: argparse.Namespace) -> None:
    """The first line: what, when, where, and how busy the machine was."""
    store = "PostgreSQL, fsync on" if chosen.postgresql else "SQLite, synchronous FULL"
    load = os.getloadavg()[0]
    print(f"{name} · {clock.now():%Y-%m-%d %H:%M} UTC · {os.cpu_count()} cores · {store} · load before {load:.1f}"
          + (" · short: no measurement" if chosen.short else ""), flush=True)  # fmt: skip


def three(what: str, ours: float, floor: float, unit: str, *, reach: str = "") -> None:
    """The three numbers. `floor` may be another state of ours; then it is said in `what`."""
    ratio = ours / floor if floor else float("nan")
    print(f"{what}: ours {ours:.5g} {unit} · floor {floor:.5g} {unit} · ratio {ratio:.2f}"
          + (f" · reach {reach}" if reach else ""), flush=True)  # fmt: skip


def line(text: str) -> None:
    print(f"  {text}", flush=True)


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def spread(values: Sequence[float]) -> str:
    """`median (least to most)` of the rounds."""
    return f"{statistics.median(values):.4g} ({min(values):.4g} to {max(values):.4g})"
