"""Each benchmark runs, tiny, and prints its three numbers. What they are is measured elsewhere, not here."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NUMBERS = re.compile(r"ours [0-9.e+-]+ .*floor [0-9.e+-]+ .*ratio [0-9.]+")
#: Name -> how many lines of three numbers it prints.
BENCHMARKS = {
    "intake": 3, "latency": 2, "steps": 3, "board": 4, "footprint": 2, "viewers": 2, "sharing": 3, "bundles": 3,
    "ledger": 40,
}  # fmt: skip


def run(name: str, *arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--short", *arguments], cwd=ROOT, text=True, timeout=500,
        env={**os.environ, "PYTHONUNBUFFERED": "1"}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


@pytest.mark.parametrize(("name", "lines"), BENCHMARKS.items())
def test_a_benchmark_prints_ours_the_floor_and_the_ratio(name: str, lines: int) -> None:
    printed = run(name)
    assert printed[0].startswith(f"{name} · ")
    assert "short: no measurement" in printed[0]
    assert len([line for line in printed if NUMBERS.search(line)]) == lines
    answers = [line for line in printed if "answers {" in line]
    assert len(answers) == (3 if name == "intake" else 0)
    assert all(line.endswith("answers {202: 48}") for line in answers)


@pytest.mark.postgresql
def test_a_benchmark_runs_on_postgresql() -> None:
    assert NUMBERS.search("\n".join(run("intake", "--postgresql")))
