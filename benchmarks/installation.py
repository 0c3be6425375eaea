"""An installation to measure: the processes of `coordinator up`, on a database of their own, with the demo's world."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import rfc8785
from sqlalchemy import func, select

from benchmarks import reports
from coordinator import clock, config
from coordinator.accounts import rules
from coordinator.accounts import service as accounts
from coordinator.interchange.world import load_world
from coordinator.store import Store
from coordinator.timeline.models import Pending
from workers.children import ChildSpec, die_with_parent, is_ready
from workers.demo import world as fiction
from workers.one_machine import one_machine

PATIENCE = 180.0


class Installation:
    """The children of `coordinator up`, started and stopped one by one. `store` opens the same database."""

    def __init__(self, folder: Path, partners: list[fiction.Partner], *, database_url: str = "", **env: str) -> None:
        self._before = {name: value for name, value in os.environ.items() if name.startswith("COORDINATOR_")}
        self._set({
            "COORDINATOR_DATA_DIR": str(folder), "COORDINATOR_OUTBOUND_ALLOW_PRIVATE": "yes",
            "COORDINATOR_LOG_LEVEL": "WARNING",
            "COORDINATOR_FLOOD_LIMIT": "1000000",  # counted, never reached
            **({"COORDINATOR_DATABASE_URL": database_url} if database_url else {}),
            **env,
        })  # fmt: skip
        if database_url:
            from coordinator.vault import open_master_key

            folder.mkdir(parents=True, exist_ok=True)
            os.environ["COORDINATOR_MASTER_KEY_FILE"] = str(folder / "master.key")
            open_master_key(folder / "master.key", create=True)
        settings = config.load()
        config.prepare_data_dir(settings)
        children, text = one_machine(settings, host="127.0.0.1", port=0)
        self.base_url = text.splitlines()[0].removeprefix("Ready: ")
        self.port = int(self.base_url.rsplit(":", 1)[1])
        self.children = {child.name: child for child in children}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.partners = partners
        os.environ.update(self.children["web"].env)
        self.store = Store(config.load())
        self.tokens = self._load()

    def start(self, *names: str) -> None:
        """Start these children (broker, web, jobs; all when none is named) and wait until they are ready."""
        for name in names or self.children:
            child = self.children[name]
            env = os.environ | dict(child.env)
            self._running[name] = subprocess.Popen(
                child.argv, env=env, cwd=child.cwd, stdin=subprocess.DEVNULL, pass_fds=child.pass_fds,
                start_new_session=True, preexec_fn=die_with_parent,
            )  # fmt: skip
            until(lambda child=child: self._ready(child))  # type: ignore[misc]
        if "jobs" in (names or self.children):
            until(self._workers_beat)

    def stop(self, *names: str) -> None:
        for name in names or tuple(reversed(self._running)):
            process = self._running.pop(name)
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def pid(self, name: str) -> int:
        return self._running[name].pid

    def close(self) -> None:
        self.stop()
        self.store.close()
        for name in [name for name in os.environ if name.startswith("COORDINATOR_")]:
            del os.environ[name]
        os.environ.update(self._before)

    def due(self) -> int:
        """How many rows of work are due now."""
        with self.store.read() as tx:
            due = select(func.count()).where(Pending.ready_at <= clock.now(), Pending.dead.is_(False))
            return tx.execute(due).scalar_one()

    def until_idle(self, seconds: float = PATIENCE) -> None:
        """Wait until no work is due."""
        until(lambda: self.due() == 0, seconds)

    def signed_requests(self, count: int) -> list[bytes]:
        """That many different reports of the first partner, signed now."""
        partner = self.partners[0]
        return reports.signed_requests(partner.in_secret, partner.intake, count)

    def _set(self, values: dict[str, str]) -> None:
        for name in self._before:
            del os.environ[name]
        os.environ.update(values)

    def _load(self) -> dict[str, str]:
        raw = rfc8785.dumps(fiction.world(self.partners))
        tokens = {}
        with self.store.unit_of_work() as tx:
            load_world(tx, raw, actor="cli:benchmark", digest="")
            for role, (email, _) in fiction.PEOPLE.items():
                user: Any = accounts.user_by_email(tx, email)
                scopes = sorted(str(scope) for scope in rules.scopes_allowed(rules.Role(role)))
                tokens[role] = accounts.create_token(
                    tx, user.id, name="benchmark", scopes=scopes, actor="cli:benchmark"
                )
        return tokens

    def _ready(self, child: ChildSpec) -> bool:
        process = self._running[child.name]
        if process.poll() is not None:
            raise RuntimeError(f"{child.name} ended with {process.returncode}")
        # The door is "ready" only with workers; here it may be measured without them.
        return child.ready is None or is_ready(child.ready.replace("/readyz", "/healthz"))

    def _workers_beat(self) -> bool:
        from coordinator.timeline.models import Heartbeat

        wanted = select(func.count()).where(Heartbeat.kind.in_(("worker", "relay")))
        with self.store.read() as tx:
            return tx.execute(wanted).scalar_one() >= 3


@contextlib.contextmanager
def installation(
    partners: list[fiction.Partner] | None = None, *, database_url: str = "", **env: str
) -> Iterator[Installation]:
    """An installation in a temporary folder, nothing started yet; nothing is left of it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="coordinator-bench-", dir="/var/tmp"))
    chosen = partners or [fiction.Partner(code=fiction.REPORTER, intake="fi-csirt", url="http://127.0.0.1:9/")]
    made = None
    try:
        made = Installation(folder, chosen, database_url=database_url, **env)
        yield made
    finally:
        if made is not None:
            made.close()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def postgres(wanted: bool) -> Iterator[str]:
    """The URL of a fresh database of a real server that writes to disk at every commit, or "" where none is wanted."""
    if not wanted:
        yield ""
        return
    from tests import postgres as server_of_tests

    server_of_tests.SETTINGS |= {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
    with server_of_tests.PostgresServer() as server:
        with psycopg.connect(server.superuser_url, autocommit=True) as connection:
            connection.execute(f"GRANT SET ON PARAMETER session_replication_role TO {server_of_tests.OWNER}")
        yield server.new_database().owner_url


def until(holds: Any, seconds: float = PATIENCE) -> None:
    """Look again until it holds. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError("waited in vain")
        time.sleep(0.05)
