"""Real parts for tests of the worker machinery: a broker, worker and relay processes, a database. No stand-ins."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

from sqlalchemy import text

from coordinator import config, migrations, timeline
from coordinator.store import Store
from tests.harness.processes import PATIENCE, wait_for
from workers.broker import find_broker
from workers.children import is_ready
from workers.jobs import Job

ROOT = Path(__file__).parents[2]

#: The jobs of these tests; their handlers are below and run in real worker processes.
TABLE: Mapping[str, tuple[Job, ...]] = {
    "test.write": (Job("write", "tests.workers.machine:write"),),
    "test.pair": (Job("first", "tests.workers.machine:write"), Job("second", "tests.workers.machine:write_other")),
    "test.hang-once": (Job("hang-once", "tests.workers.machine:hang_once"),),
    "test.slow": (Job("slow", "tests.workers.machine:slow"),),
    "test.outside": (Job("outside", "tests.workers.machine:outside", "alerts", True),),
    "test.fail": (Job("fail", "tests.workers.machine:fail"),),
    "test.nothing": (),
    "job.dead": (Job("dead", "tests.workers.machine:write_dead"),),
}


class Machine:
    """A database and a broker of their own, and the processes started on them."""

    def __init__(self, folder: Path, database_url: str = "") -> None:
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("COORDINATOR_")},
            "COORDINATOR_DATA_DIR": str(folder),
            "COORDINATOR_OUTBOUND_ALLOW_PRIVATE": "yes",
            "PYTHONPATH": str(ROOT),
        }
        if database_url:
            self.env["COORDINATOR_DATABASE_URL"] = database_url
            self.env["COORDINATOR_MASTER_KEY_FILE"] = str(folder / "master.key")
        self.broker = find_broker(data_dir=folder)
        self.env["COORDINATOR_REDIS_URL"] = self.broker.url
        settings = config.load(self.env)
        if database_url:
            from coordinator.vault import open_master_key

            open_master_key(settings.master_key_file, create=True)
        self.store = Store(settings)
        migrations.upgrade(settings)
        with self.store.unit_of_work() as tx:
            tx.execute(text("CREATE TABLE IF NOT EXISTS effects (what TEXT, object_id BIGINT, pid BIGINT)"))
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start_broker(self) -> None:
        child = self.broker.child
        self.processes["broker"] = subprocess.Popen(child.argv, cwd=child.cwd, stdin=subprocess.DEVNULL)
        wait_for(lambda: is_ready(child.ready), what="the broker")

    def start(self, name: str, *argv: str) -> subprocess.Popen[bytes]:
        """A `worker` or `relay` process over TABLE, or any command given."""
        command = argv or (sys.executable, "-m", "tests.workers.machine", name.split("-")[0])
        self.processes[name] = subprocess.Popen(command, env=self.env, cwd=ROOT, stdin=subprocess.DEVNULL)
        return self.processes[name]

    def kill(self, name: str) -> None:
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stop(self, name: str) -> int:
        process = self.processes.pop(name)
        process.send_signal(signal.SIGTERM)
        return process.wait(timeout=PATIENCE)

    def flush_broker(self) -> None:
        from coordinator.live import connect

        connect(self.broker.url).flushall()

    def queue(self, kind: str, *object_ids: int) -> None:
        with self.store.unit_of_work() as tx:
            for object_id in object_ids:
                timeline.pending(tx, kind, object_id)

    def effects(self, what: str = "write") -> list[int]:
        with self.store.read() as tx:
            query = text("SELECT object_id FROM effects WHERE what = :what ORDER BY object_id")
            return list(tx.execute(query, {"what": what}).scalars())

    def waiting(self) -> int:
        with self.store.read() as tx:
            return tx.execute(text("SELECT count(*) FROM pending WHERE NOT dead")).scalar_one()

    def until_idle(self) -> None:
        wait_for(lambda: self.waiting() == 0, what="every row to be done")

    def close(self) -> None:
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()
        self.store.close()


@contextlib.contextmanager
def machine(folder: Path, database_url: str = "") -> Iterator[Machine]:
    made = Machine(folder, database_url)
    try:
        made.start_broker()
        yield made
    finally:
        made.close()


# ------------------------------------------------------------- handlers, run in worker processes


def write(tx, object_id):
    _effect(tx, "write", object_id)


def write_other(tx, object_id):
    _effect(tx, "other", object_id)


def write_dead(tx, object_id):
    _effect(tx, "dead", object_id)


def fail(tx, object_id):
    _effect(tx, "fail", object_id)
    raise RuntimeError("SECRET that belongs in no log and no row")


def hang_once(tx, object_id):
    """The first worker to take it writes its effect, says so in a file, and never comes back."""
    _effect(tx, "write", object_id)
    mark = Path(os.environ["COORDINATOR_DATA_DIR"]) / f"hangs-{object_id}"
    if not mark.exists():
        mark.write_text(str(os.getpid()))
        time.sleep(600)


def slow(tx, object_id):
    _effect(tx, "write", object_id)
    time.sleep(0.05)


def outside(store, object_id):
    with store.unit_of_work() as tx:
        _effect(tx, "outside", object_id)


def _effect(tx, what, object_id):
    tx.execute(text("INSERT INTO effects VALUES (:what, :object_id, :pid)"),
               {"what": what, "object_id": object_id, "pid": os.getpid()})  # fmt: skip


def main(part: str) -> int:
    from workers import processes, relay

    store = Store(config.load())
    processes.set_up_logging("INFO")
    jobs = {job.name: job for followers in TABLE.values() for job in followers}
    if part == "worker":
        return processes.run_worker(store, jobs)
    if part == "forks":
        return _forks(store.settings, jobs)
    if "TEST_LEASE" in os.environ:
        relay.LEASE = timedelta(seconds=float(os.environ["TEST_LEASE"]))
    return processes.run_relay(store, TABLE)


def _forks(settings: config.Settings, jobs: Mapping[str, Job]) -> int:
    from workers import processes
    from workers.forks import Forks, Part

    def worker() -> int:
        return processes.run_worker(Store(settings), jobs)

    def relay() -> int:
        return processes.run_relay(Store(settings), TABLE)

    return Forks([Part("one", worker), Part("two", worker), Part("relay", relay, stop_order=1)]).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
