"""What docker-compose.yml starts, as processes of this machine: real PostgreSQL, real broker, every service of ours.

The commands, settings and secrets are those of the composition. Only addresses differ: a socket folder in place of the
host `postgres`, loopback ports in place of `redis:6379` and `0.0.0.0:8080`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
import redis

from coordinator import config
from coordinator.store import Store
from tests.composition import ROOT, load, local_command, local_environment
from tests.harness.processes import answers, free_port, wait_for
from tests.postgres import APP, OWNER, PostgresServer, find_programs
from workers.broker import _server_binary
from workers.children import die_with_parent

BASE_URL = "https://coordinator.example"
STOP_SECONDS = 40


class Machines:
    """A database, a broker, and any number of each service on them."""

    def __init__(self, folder: Path, postgres: PostgresServer, *, mail: str) -> None:
        self._folder, self._secrets = folder, folder / "secrets"
        self._postgres = postgres
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.services: Mapping[str, Any] = load({"COORDINATOR_BASE_URL": BASE_URL})["services"]
        subprocess.run([ROOT / "docker" / "make-secrets", self._secrets], check=True, capture_output=True)
        self._secrets.chmod(0o700)
        self._first_start_of_the_database()
        self._start_broker()
        self._put_secret("smtp_url", mail)
        (folder / "data").mkdir(mode=0o700)

    def environment(self, service: str) -> dict[str, str]:
        """The settings of a service, and nothing else of ours."""
        plain = {name: value for name, value in os.environ.items() if not name.startswith("COORDINATOR_")}
        own = local_environment(self.services[service], self._secrets)
        places = {"COORDINATOR_DATA_DIR": str(self._folder / "data"), "PYTHONPATH": str(ROOT)}
        return {**plain, **own, **places, "COORDINATOR_LOG_LEVEL": "ERROR", "COORDINATOR_FLOOD_LIMIT": "0"}

    def run(self, service: str, *words: str) -> str:
        """The command of a service that ends by itself, or another one in its place; its output."""
        done = subprocess.run(
            words or self._command(service), env=self.environment(service), cwd=ROOT, capture_output=True, text=True,
            timeout=120, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, f"{service} ended with {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, service: str, name: str = "") -> None:
        """One process of a service."""
        self._spawn(name or service, self._command(service), self.environment(service))

    def start_web(self, name: str) -> str:
        """One web on a free loopback port; its address."""
        port = str(free_port())
        words = [{"0.0.0.0": "127.0.0.1", "8080": port}.get(word, word) for word in self._command("web")]
        self._spawn(name, words, self.environment("web"))
        return f"http://127.0.0.1:{port}"

    def is_healthy(self, service: str) -> bool:
        """What the health check of a service says (of the webs: see `readyz`)."""
        test = [str(word) for word in self.services[service]["healthcheck"]["test"][1:]]
        words = [sys.executable if word == "python" else word for word in test]
        return subprocess.run(words, env=self.environment(service), cwd=ROOT, capture_output=True).returncode == 0

    def stop(self) -> dict[str, int]:
        """Stop all, in the order in which they came last; exit codes of our own services."""
        codes = {}
        for name in reversed(self._processes):
            process = self._processes[name]
            process.send_signal(signal.SIGTERM)
            try:
                codes[name] = process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                codes[name] = process.wait()
        self._processes = {}
        codes.pop("redis", None)
        return codes

    def store(self) -> Store:
        """The database, as the application sees it."""
        return Store(config.load(self.environment("web")))

    def ended(self) -> dict[str, int]:
        """Processes that are over, by exit code; none, as long as all is well."""
        return {name: each.returncode for name, each in self._processes.items() if each.poll() is not None}

    def _command(self, service: str) -> list[str]:
        first, *rest = local_command(self.services[service], self._secrets)
        assert first == "coordinator"
        return [sys.executable, "-m", "coordinator.cli", *rest]

    def _spawn(self, name: str, words: list[str], env: Mapping[str, str]) -> None:
        self._processes[name] = subprocess.Popen(
            words, env=dict(env), cwd=ROOT, stdin=subprocess.DEVNULL, start_new_session=True,
            preexec_fn=lambda: die_with_parent(signal.SIGTERM),
        )  # fmt: skip

    def _first_start_of_the_database(self) -> None:
        """As the image does: the script of the composition makes owner, role and database."""
        with psycopg.connect(self._postgres.superuser_url, autocommit=True) as connection:
            connection.execute(f"DROP ROLE {OWNER}").connection.execute(f"DROP ROLE {APP}")
        script = (ROOT / "docker" / "postgres-roles.sql").read_text().replace("/run/secrets", str(self._secrets))
        psql = shutil.which("psql") or str(find_programs() / "psql")
        words = [psql, "-X", "-v", "ON_ERROR_STOP=1", "--no-password", "--dbname", self._postgres.superuser_url]
        subprocess.run(words, input=script, capture_output=True, text=True, check=True)
        host = quote(urlsplit(self._postgres.superuser_url).query.partition("=")[2], safe="%")
        for name in ("owner_database_url", "database_url"):
            url = (self._secrets / name).read_text().strip()
            self._put_secret(name, url.replace("@postgres/coordinator", f"@/coordinator?host={host}"))

    def _start_broker(self) -> None:
        port = free_port()
        _, *words = local_command(self.services["redis"], self._secrets)
        self._spawn("redis", [str(_server_binary()), *words, "--bind", "127.0.0.1", "--port", str(port),
                              "--loglevel", "warning", "--dir", str(self._folder)], os.environ)  # fmt: skip
        url = (self._secrets / "redis_url").read_text().strip().replace("@redis:6379", f"@127.0.0.1:{port}")
        self._put_secret("redis_url", url)

        client = redis.Redis.from_url(url)
        wait_for(lambda: answers(client), what="the broker")

    def _put_secret(self, name: str, value: str) -> None:
        file = self._secrets / name
        file.chmod(0o600)
        file.write_text(value + "\n")


@contextmanager
def machines(folder: Path, *, mail: str = "") -> Iterator[Machines]:
    """All of it, gone afterwards."""
    with PostgresServer() as postgres:
        made = Machines(folder, postgres, mail=mail)
        try:
            yield made
        finally:
            made.stop()
