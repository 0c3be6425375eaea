"""Intake: our signed webhook door against the floor on the same server settings, kind of store and clients.

`python -m benchmarks.intake [--short] [--postgresql]`. Both servers are up all the time and are asked in turn. Ours is
measured twice in each round: the door alone, and as installed, with relay and workers doing what follows from each
report meanwhile (receipts, playbook runs, tasks, notices) on the same cores and the same database.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import load, printed
from benchmarks.installation import Installation, installation, postgres, until
from workers.children import die_with_parent, is_ready

ROUNDS, EACH = 5, 400


def main() -> None:
    chosen = printed.arguments(__doc__ or "")
    rounds, each = (1, 48) if chosen.short else (chosen.rounds or ROUNDS, EACH)
    printed.heading("intake", chosen)
    with (
        postgres(chosen.postgresql) as ours_url, postgres(chosen.postgresql) as floor_url,
        installation(database_url=ours_url) as place, _floor(floor_url) as floor,
    ):  # fmt: skip
        place.start("broker", "web")
        results, spent = _rounds(place, floor, rounds, each, warms=not chosen.short)
    for name, outcomes in results.items():
        printed.line(f"{name}: {printed.spread([each.rate for each in outcomes])} reports/s, "
                     f"p50 {printed.median([each.p50 for each in outcomes]):.0f} ms, "
                     f"p99 {printed.median([each.p99 for each in outcomes]):.0f} ms, "
                     f"answers {_statuses(outcomes)}")  # fmt: skip
    rates = {name: printed.median([each.rate for each in outcomes]) for name, outcomes in results.items()}
    printed.three("intake, the door", rates["door"], rates["floor"], "reports/s", reach="0.5")
    printed.three("intake, as installed", rates["installed"], rates["floor"], "reports/s")
    printed.three("intake, the door, processor time of the web server", printed.median(spent["door"]),
                  printed.median(spent["floor"]), "ms a report")  # fmt: skip


def _rounds(
    place: Installation, floor: tuple[int, int], rounds: int, each: int, *, warms: bool
) -> tuple[dict[str, list[load.Outcome]], dict[str, list[float]]]:
    """The outcomes by name, and the processor time a report, of the floor and of the door."""
    results: dict[str, list[load.Outcome]] = {"floor": [], "door": [], "installed": []}
    spent: dict[str, list[float]] = {"floor": [], "door": []}
    warm, (floor_port, floor_pid) = max(16, each // 10), floor
    for number in range(0 if warms else 1, rounds + 1):
        count = each if number else warm
        before = {"floor": load.processor_time(floor_pid), "door": load.processor_time(place.pid("web"))}
        found = {
            "floor": load.run(floor_port, [_to_floor(one) for one in place.signed_requests(count)]),
            "door": load.run(place.port, place.signed_requests(count)),
        }
        after = {"floor": load.processor_time(floor_pid), "door": load.processor_time(place.pid("web"))}
        place.start("jobs")
        found["installed"] = load.run(place.port, place.signed_requests(count))
        place.stop("jobs")
        if number:
            for name, outcome in found.items():
                results[name].append(outcome)
            for name in spent:
                spent[name].append((after[name] - before[name]) * 1000 / count)
            printed.line(", ".join(f"{name} {outcome.rate:.0f}/s" for name, outcome in found.items())
                         + "".join(f", {name} {costs[-1]:.2f} ms" for name, costs in spent.items()))  # fmt: skip
    return results, spent


def _to_floor(request: bytes) -> bytes:
    """The same request to the floor's route: same size, same headers."""
    head, _, rest = request.partition(b" HTTP/1.1")
    return b"POST /floor HTTP/1.1" + rest


def _statuses(outcomes: list[load.Outcome]) -> dict[int, int]:
    total: dict[int, int] = {}
    for outcome in outcomes:
        for status, count in outcome.statuses.items():
            total[status] = total.get(status, 0) + count
    return total


@contextlib.contextmanager
def _floor(database_url: str) -> Iterator[tuple[int, int]]:
    """The floor's server with a database of its own; gives its port and its process."""
    with tempfile.TemporaryDirectory(prefix="coordinator-floor-", dir="/var/tmp") as folder:
        door = socket.create_server(("127.0.0.1", 0), backlog=512)
        door.set_inheritable(True)
        port = door.getsockname()[1]
        env = {name: value for name, value in os.environ.items() if not name.startswith("COORDINATOR_")}
        env |= {"COORDINATOR_DATA_DIR": folder, "MALLOC_ARENA_MAX": "2", "COORDINATOR_LOG_LEVEL": "WARNING"}
        if database_url:
            from coordinator.vault import open_master_key

            key = Path(folder, "master.key")
            open_master_key(key, create=True)
            env |= {"COORDINATOR_DATABASE_URL": database_url, "COORDINATOR_MASTER_KEY_FILE": str(key)}
        server = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.floor", f"fd://{door.fileno()}"], env=env, pass_fds=(door.fileno(),),
            preexec_fn=die_with_parent,
        )
        door.close()
        try:
            until(lambda: is_ready(f"http://127.0.0.1:{port}/readyz"))
            yield port, server.pid
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
