"""A whole installation as child processes: `coordinator up` in a folder of its own, on free ports, gone afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import redis
from sqlalchemy import select

from coordinator import config, live
from coordinator.accounts import service as accounts
from coordinator.store import Store
from coordinator.timeline.models import Heartbeat
from coordinator.vault import open_master_key
from tests.harness.processes import PATIENCE, command_of, descendants, is_alive, wait_for
from tests.postgres import Database
from workers.children import die_with_parent
from workers.demo.world import PEOPLE

ROOT = Path(__file__).resolve().parents[2]
SCOPES = {"report", "read", "tasks", "coordinate", "decide"}

LAST_WORDS = 30  # lines
Part = Literal["web", "worker", "relay"]


class Installation:
    """One machine's installation. `start()` waits until it says it is ready; `stop()` until nothing of it is left."""

    def __init__(self, folder: Path, *, database: Database | None = None, mail: str = "", **more: str) -> None:
        self.folder = folder
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("COORDINATOR_")},
            "PYTHONPATH": str(ROOT),
            "COORDINATOR_DATA_DIR": str(folder),
            "COORDINATOR_OUTBOUND_ALLOW_PRIVATE": "yes",
            "COORDINATOR_LOG_LEVEL": "ERROR",
            "COORDINATOR_FLOOD_LIMIT": "0",
            "COORDINATOR_SMTP_URL": mail,
            "COORDINATOR_MAIL_FROM": "desk@ee.example",
            **{f"COORDINATOR_{name.upper()}": value for name, value in more.items()},
        }
        if database is not None:
            self.env |= {
                "COORDINATOR_DATABASE_URL": database.app_url, "COORDINATOR_OWNER_DATABASE_URL": database.owner_url
            }  # fmt: skip
            folder.mkdir(parents=True, exist_ok=True)
            open_master_key(folder / "keys" / "master.key", create=True)
        self.base_url = ""
        self.output: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._store: Store | None = None

    def start(self, seconds: float = PATIENCE) -> None:
        """`coordinator up` on a free port."""
        self.output = []
        self._process = subprocess.Popen(
            self._command("up", "--port", "0"), env=self.env, cwd=ROOT, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=lambda: die_with_parent(signal.SIGTERM),
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        wait_for(lambda: self._ready() or not self._running(), seconds, what="coordinator up to be ready")
        assert self._ready(), "coordinator up ended:\n" + "\n".join(self.output[-40:])
        self.base_url = self._ready()

    def stop(self, seconds: float = PATIENCE) -> int:
        """Ask it to end, as Ctrl-C does; returns its exit code. Fails where a process of it is left.

        The end of what it said is printed: of a test that fails it is shown.
        """
        if self._store is not None:
            self._store.close()
            self._store = None
        if self._process is None:
            return 0
        process, self._process = self._process, None
        tree = descendants(process.pid)
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(seconds)
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            print(f"the installation in {self.folder} said at last:", *self.output[-LAST_WORDS:], sep="\n")
        left = {pid: command_of(pid) for pid in tree if is_alive(pid) and command_of(pid)}
        assert not left, f"left behind: {left}"
        return code

    def run(self, *words: str, seconds: float = PATIENCE) -> str:
        """One command of ours on this installation; its output. Fails unless it ends with 0."""
        done = subprocess.run(
            self._command(*words), env=self.env, cwd=ROOT, text=True, capture_output=True, timeout=seconds,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(words)} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def load(self, world: Mapping[str, Any]) -> str:
        """`coordinator load` of this world."""
        file = self.folder / "world.json"
        file.write_text(json.dumps(world, ensure_ascii=False), "utf-8")
        return self.run("load", str(file))

    def tokens(self) -> dict[str, str]:
        """An API token for each person of the fictional world, by role."""
        made = {}
        with self.store.unit_of_work() as tx:
            for role, (email, _) in PEOPLE.items():
                user = accounts.user_by_email(tx, email)
                allowed = {str(scope) for scope in accounts.rules.scopes_allowed(accounts.rules.Role(role))}
                made[role] = accounts.create_token(
                    tx, user.id, name="test", scopes=sorted(SCOPES & allowed), actor="cli:test"
                )
        return made

    @property
    def store(self) -> Store:
        """The installation's own database, opened beside it, for looking."""
        if self._store is None:
            self._store = Store(config.load(self.env))
        return self._store

    @property
    def broker_url(self) -> str:
        """Where its broker answers, as its configuration says."""
        lines = [line.split(maxsplit=1) for line in (self.folder / "broker/broker.conf").read_text().splitlines()]
        said = {words[0]: words[1] for words in lines if len(words) == 2}
        if "unixsocket" in said:
            return f"unix://{said['unixsocket']}"
        return f"redis://:{said['requirepass']}@127.0.0.1:{said['port']}/0"

    def flush_broker(self) -> None:
        """Empty the broker, as an operator's mistake would."""
        live.connect(self.broker_url).flushall()

    def broker_pids(self) -> list[int]:
        """The broker as it names itself; none while it is away."""
        try:
            return [int(live.connect(self.broker_url).info("server")["process_id"])]
        except redis.RedisError:
            return []

    def pids(self, part: Part) -> list[int]:
        """Processes of a part that gave a sign of life and run now."""
        mine = self.tree()
        with self.store.read() as tx:
            rows = tx.execute(select(Heartbeat.detail).where(Heartbeat.kind == part)).scalars().all()
        return sorted(row["pid"] for row in rows if row.get("pid") in mine)

    def leader(self, word: str) -> list[int]:
        """Direct children of the supervisor whose command holds this word: `web`, `jobs`."""
        assert self._process is not None
        return [pid for pid in self.tree() if word in command_of(pid).split()]

    def tree(self) -> set[int]:
        """Every process of it except the supervisor."""
        return descendants(self._process.pid) if self._process else set()

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "coordinator.cli", *words]

    def _running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _ready(self) -> str:
        lines = [line for line in self.output if line.startswith("Ready: ")]
        return lines[0].removeprefix("Ready: ") if lines else ""

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.output.append(line.rstrip())


@contextmanager
def installation(
    folder: Path, *, database: Database | None = None, mail: str = "", **more: str
) -> Iterator[Installation]:
    """A running installation; at the end it is stopped, and a stop that is not clean is a failure."""
    made = Installation(folder, database=database, mail=mail, **more)
    try:
        made.start()
        yield made
    except BaseException:
        with suppress(BaseException):
            made.stop()
        raise
    assert made.stop() == 0
