"""What one machine needs: seconds from `coordinator up` to ready with a warm disk, and memory of the idle tree.

`python -m benchmarks.footprint [--short]`. Memory is PSS: shared pages are counted once, in parts. The floor is one
bare Python process that has imported the libraries only.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import printed
from workers.children import die_with_parent

ROUNDS, SETTLE = 3, 15.0
LIBRARIES = "import flask, sqlalchemy.orm, celery, redis, marshmallow, requests, cryptography, gunicorn.app.base"
UP = "from coordinator.cli import main; import sys; sys.exit(main(['up', '--port', '0']))"


def main() -> None:
    chosen = printed.arguments(__doc__ or "")
    rounds, settle = (1, 1.0) if chosen.short else (chosen.rounds or ROUNDS, SETTLE)
    printed.heading("footprint", chosen)
    folder = tempfile.mkdtemp(prefix="coordinator-bench-", dir="/var/tmp")
    found = []
    try:
        if not chosen.short:
            _up(folder, 1.0)  # makes the database: what follows is a warm start
            _bare(folder)
        for _ in range(rounds):
            seconds, parts = _up(folder, settle)
            bare_seconds, bare = _bare(folder)
            found.append((seconds, sum(parts.values()), bare_seconds, bare))
            for name, size in parts.items():
                printed.line(f"{name}: {size:.0f} MB")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    started, whole, bare_started, bare_memory = (printed.median(values) for values in zip(*found, strict=True))
    printed.three("start-up, warm", started, bare_started, "s", reach="5 s")
    printed.three("idle memory of the tree (PSS)", whole, bare_memory, "MB", reach="350 MB")


def _up(folder: str, settle: float) -> tuple[float, dict[str, float]]:
    """(seconds to the line that says ready, MB of each process)."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("COORDINATOR_")}
    env |= {"COORDINATOR_DATA_DIR": folder, "COORDINATOR_LOG_LEVEL": "WARNING"} | _bytecode(folder)
    started = time.monotonic()
    tree = subprocess.Popen(
        [sys.executable, "-c", UP], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        preexec_fn=die_with_parent,
    )  # fmt: skip
    try:
        line = tree.stdout.readline() if tree.stdout else ""
        if not line.startswith("Ready"):
            raise RuntimeError("it did not get up")
        seconds = time.monotonic() - started
        time.sleep(settle)
        return seconds, memory(tree.pid)
    finally:
        tree.send_signal(signal.SIGTERM)
        tree.wait(timeout=60)


def _bytecode(folder: str) -> dict[str, str]:
    """Bytecode is kept from the first start on, as `run.py` has it, whatever this process was told."""
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": f"{folder}/bytecode"}


def _bare(folder: str) -> tuple[float, float]:
    started = time.monotonic()
    code = f"{LIBRARIES}; print('there', flush=True); input()"
    env = dict(os.environ) | _bytecode(folder)
    with subprocess.Popen(
        [sys.executable, "-c", code], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        seconds = time.monotonic() - started
        size = pss(process.pid)
        process.kill()
    return seconds, size


def memory(root: int) -> dict[str, float]:
    """MB (PSS) of a process and all below it, by pid and command."""
    parents = {int(path.name): _parent(path) for path in Path("/proc").iterdir() if path.name.isdigit()}
    tree = {root}
    while grown := {pid for pid, parent in parents.items() if parent in tree and pid not in tree}:
        tree |= grown
    return {f"{pid} {_command(pid)}": pss(pid) for pid in sorted(tree)}


def pss(pid: int) -> float:
    """Proportional set size in MB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def _parent(path: Path) -> int:
    try:
        return int((path / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _command(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    return " ".join(Path(word).name for word in words if word)[:60]


if __name__ == "__main__":
    main()
