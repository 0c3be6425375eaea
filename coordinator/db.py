"""The database: engine, types, and the one way to open a transaction. SQLite and PostgreSQL, same models.

SQLite runs in WAL with synchronous=FULL; every write transaction begins IMMEDIATE, because a deferred one that turns
into a writer fails at once when another writer was faster, whatever the busy time-out says.
"""

from __future__ import annotations

import fcntl
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Engine,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    String,
    UniqueConstraint,
    create_engine,
    event,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.types import TypeDecorator

T = TypeVar("T")

READ_ONLY = "coordinator_read_only"
#: After so long (seconds) a writer stops queueing and asks SQLite itself, whose own patience then ends in an error.
QUEUE_PATIENCE = 10.0
#: So often work is begun that the database gives up for another's sake. PostgreSQL lets one of the two go on each time.
TRIES = 3
#: Seconds on average before a transaction that was given up is done again.
PAUSE = 0.05
_GIVEN_UP = ("40001", "40P01")

log = logging.getLogger("coordinator.db")


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime; PostgreSQL keeps timestamptz, SQLite sortable text. Naive ones are refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("instants carry an offset")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


BigId = BigInteger().with_variant(Integer, "sqlite")
Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

Id = Annotated[int, mapped_column(BigId, primary_key=True, autoincrement=True)]
Code = Annotated[str, mapped_column(String(80))]
Hash = Annotated[str, mapped_column(String(64))]


class Base(DeclarativeBase):
    """Root of all tables; constraint names are fixed so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: Instant, int: BigId, dict[str, Any]: Json, list[Any]: Json, list[str]: Json}


class Exercised:
    """Every row of a case says which exercise it belongs to; "" is real. It is part of every key (I6, R10)."""

    exercise: Mapped[str] = mapped_column(String(80), default="", server_default="")


def whole() -> UniqueConstraint:
    """The (id, exercise) key that other rows point to."""
    return UniqueConstraint("id", "exercise")


def within(column: str, table: str) -> ForeignKeyConstraint:
    """A foreign key that cannot cross from a real case into an exercise or back."""
    return ForeignKeyConstraint([column, "exercise"], [f"{table}.id", f"{table}.exercise"])


def make_engine(url: str, *, pool_size: int = 10) -> Engine:
    """An engine for one process. Open it after fork, never share it."""
    if url.startswith("sqlite"):
        engine = create_engine(url, pool_size=pool_size, max_overflow=20, connect_args={"check_same_thread": False})
        event.listen(engine, "connect", _sqlite_connect)
        event.listen(engine, "begin", _sqlite_begin)
        return engine
    return create_engine(
        url, pool_size=pool_size, max_overflow=20, pool_pre_ping=False, connect_args={"connect_timeout": 5}
    )


class WriteQueue:
    """Writers of one SQLite file wait in line: the threads of a process on a lock, processes on a lock of a file.

    SQLite alone makes them sleep and look again, longer each time, so that the unlucky wait ten times as long as need
    be. This is only courtesy: which writer may go on is decided by BEGIN IMMEDIATE, with or without it. The kernel
    frees the place of a process that dies.
    """

    def __init__(self, database: str) -> None:
        self._path = f"{database}.queue"
        self._here = threading.Lock()
        self._file: tuple[int, int] = (0, -1)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the place at the head of the line."""
        if not self._here.acquire(timeout=QUEUE_PATIENCE):
            yield
            return
        try:
            file = self._opened()
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)
        finally:
            self._here.release()

    def close(self) -> None:
        pid, file = self._file
        if pid == os.getpid():
            os.close(file)
        self._file = (0, -1)

    def _opened(self) -> int:
        """The file as this process opened it: a descriptor from before a fork would share its parent's place."""
        pid, file = self._file
        if pid != os.getpid():
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._file = (os.getpid(), file)
        return file


def write_queue(engine: Engine) -> WriteQueue | None:
    """The line of writers of this engine's database; None where the database has room for many."""
    file = engine.url.database
    in_file = engine.dialect.name == "sqlite" and file and file != ":memory:"
    return WriteQueue(str(file)) if in_file else None


def insert_or_ignore(tx: Session, table: Any) -> Any:
    """An INSERT that does nothing where the row is there already, in the words of the transaction's database."""
    dialect = sqlite if tx.get_bind().dialect.name == "sqlite" else postgresql
    return dialect.insert(table).on_conflict_do_nothing()


def _sqlite_connect(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin by itself: `_sqlite_begin` does
    cursor = connection.cursor()
    # secure_delete: what was taken out is overwritten, not only let go of (WAL frames until the next checkpoint).
    # trusted_schema: triggers write the index of words. We register no function that a schema could misuse.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000", "cache_size=-8000",
                   "trusted_schema=ON", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    read_only = connection.get_execution_options().get(READ_ONLY)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


@contextmanager
def transaction(
    engine: Engine, *, info: dict[str, Any], on_commit: Callable[[set[str]], None], read_only: bool = False,
    queue: WriteQueue | None = None,
) -> Iterator[Session]:  # fmt: skip
    """A session in one transaction: committed at the end, rolled back on any error.

    `info["nudges"]` collects topics while it runs; they go to `on_commit` once, after the commit. A read-only one is
    always rolled back. `queue`: where writers of this database wait for each other.
    """
    nudges: set[str] = set()
    with queue.turn() if queue is not None else nullcontext():
        yield from _session(engine, {**info, "nudges": nudges}, read_only)
    if not read_only:
        note_commit()
    if nudges:
        on_commit(nudges)


class _Commits(threading.local):
    count = 0


_commits = _Commits()


def note_commit() -> None:
    """Something was committed for this thread; another one that does its work (`together`) may have done it."""
    _commits.count += 1


def again(work: Callable[[], T]) -> T:
    """Do `work`; where PostgreSQL gave its transaction up for the sake of another one (a deadlock, a serialization
    failure) nothing of it stays, and it is done again, a moment later so that the other one comes to its end. Not where
    something of it had been committed before."""
    for left in reversed(range(TRIES)):
        before = _commits.count
        try:
            return work()
        except DBAPIError as error:
            if not left or code_of(error) not in _GIVEN_UP or _commits.count != before:
                raise
            log.warning("a transaction is done again: %s", code_of(error))
            time.sleep(random.uniform(0, 2 * PAUSE))
    raise AssertionError("one of the tries answers or raises")


def code_of(error: BaseException) -> str | None:
    """What the database calls an error of its own: an SQLSTATE, or SQLite's name."""
    original = getattr(error, "orig", None)
    return getattr(original, "sqlstate", None) or getattr(original, "sqlite_errorname", None)


def _session(engine: Engine, info: dict[str, Any], read_only: bool) -> Iterator[Session]:
    nudges: set[str] = info["nudges"]
    connection = engine.connect()
    try:
        connection = connection.execution_options(**{READ_ONLY: read_only})
        if read_only and engine.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        running = connection.begin()
        with Session(connection, expire_on_commit=False, info={**info, "connection": connection}) as session:
            try:
                yield session
                if read_only:
                    running.rollback()
                else:
                    session.flush()
                    running.commit()
            except BaseException:
                nudges.clear()
                if running.is_active:
                    running.rollback()
                else:  # the COMMIT itself failed: the driver is still inside, and the next user must not be
                    connection.invalidate()
                raise
    finally:
        connection.close()
