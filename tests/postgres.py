"""A real PostgreSQL server for tests: started in a temporary folder, as another user where the tests run as root.

    with PostgresServer() as server:
        database = server.new_database()
        make_store(database.app_url, owner=database.owner_url)

It takes no port and no password: a unix socket in a folder that only its own user (and root) can enter.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import psycopg
from psycopg import sql

from workers.children import die_with_parent

OWNER = "coordinator_owner"
APP = "coordinator_app"
PATIENCE = 180.0
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    # What a test writes need not survive the machine.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    # The application must not lean on the server's time zone or language.
    "timezone": "Pacific/Chatham",
    "lc_messages": "C",
}


class NoPostgres(Exception):
    """There is no PostgreSQL server on this machine."""


@dataclass(frozen=True)
class Database:
    """A fresh database (SQLAlchemy URLs): `owner_url` may change structure, `app_url` only what the owner grants."""

    name: str
    owner_url: str
    app_url: str


class PostgresServer:
    """A server of its own; as a context manager it leaves no process and no file behind. Raises NoPostgres."""

    def __init__(self) -> None:
        self._programs = find_programs()
        self._folder = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0

    def __enter__(self) -> "PostgresServer":
        # Not pytest's tmp_path: other users cannot enter it, and it is too long for a socket.
        self._folder = Path(tempfile.mkdtemp(prefix="coordinator-pg-", dir="/tmp"))
        try:
            if user := _other_user():
                shutil.chown(self._folder, user)
            self._initialise()
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def superuser_url(self) -> str:
        """For psycopg, not SQLAlchemy."""
        return f"postgresql://postgres@/postgres?host={quote(str(self._folder), safe='')}"

    def new_database(self, *, template: str = "template0") -> Database:
        """Make an empty database, or a copy of `template` (nobody may be connected to that one)."""
        self._made += 1
        name = f"test_{os.getpid()}_{self._made}"
        with psycopg.connect(self.superuser_url, autocommit=True) as connection:
            for statement in (
                "CREATE DATABASE {name} OWNER {owner} ENCODING 'UTF8' TEMPLATE {template}",
                "REVOKE ALL ON DATABASE {name} FROM PUBLIC",
                "GRANT CONNECT ON DATABASE {name} TO {app}",
            ):
                names = {"name": name, "owner": OWNER, "app": APP, "template": template}
                connection.execute(sql.SQL(statement).format(**{k: sql.Identifier(v) for k, v in names.items()}))
        return Database(name=name, owner_url=self.url(name, OWNER), app_url=self.url(name, APP))

    def drop_database(self, database: Database) -> None:
        """Remove it, whoever is still connected."""
        with psycopg.connect(self.superuser_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database.name)))

    def url(self, database: str, role: str) -> str:
        """A SQLAlchemy URL for that database and role."""
        return f"postgresql+psycopg://{role}@/{database}?host={quote(str(self._folder), safe='')}"

    def stop(self) -> None:
        """Stop the server and remove its files; may be called again."""
        if self._process:
            self._process.send_signal(signal.SIGINT)  # "fast": ends sessions, waits for none
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._folder != Path():
            shutil.rmtree(self._folder, ignore_errors=True)

    def _initialise(self) -> None:
        initdb = [self._programs / "initdb", "-D", self._folder / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        done = subprocess.run(
            [*initdb, "--locale=C", "--no-sync", "--no-instructions"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=self._folder,
            **_as_other_user(),  # type: ignore[call-overload]
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")

    def _start(self) -> None:
        settings = [f"--{key}={value}" for key, value in SETTINGS.items()]
        self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", self._folder / "data", "-k", self._folder, *settings],
            stdin=subprocess.DEVNULL,
            stdout=(self._folder / "log").open("wb"),
            stderr=subprocess.STDOUT,
            cwd=self._folder,
            preexec_fn=lambda: die_with_parent(signal.SIGQUIT),  # runs after the change of user, which would undo it
            **_as_other_user(),  # type: ignore[call-overload]
        )
        self._wait()
        with psycopg.connect(self.superuser_url, autocommit=True) as connection:
            for role in (OWNER, APP):
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                psycopg.connect(self.superuser_url).close()
                return
            except psycopg.OperationalError as fault:
                log = (self._folder / "log").read_text(errors="replace")
                assert self._process and self._process.poll() is None, log
                assert time.monotonic() < deadline, f"{fault}\n{log}"
                time.sleep(0.05)


def find_programs() -> Path:
    """The folder that holds `initdb` and `postgres`, the newest where there are several. Raises NoPostgres."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    packaged = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if not packaged:
        raise NoPostgres("no initdb on PATH or in /usr/lib/postgresql")
    return max(packaged, key=lambda path: float(path.parent.name))


def _other_user() -> str | None:
    """PostgreSQL refuses to run as root; whose name it runs under then."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _as_other_user() -> dict[str, object]:
    user = _other_user()
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
