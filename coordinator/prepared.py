"""Statements of the hot paths, compiled once for each kind of database and from then on only bound.

What SQLAlchemy does at each execution to find a compiled statement, fill in defaults and name parameters costs more
than the database takes for the row. Here that is done at the first execution. Rows are plain data in, plain data out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from sqlalchemy import ARRAY, JSON, ColumnElement, Connection, DateTime, any_, bindparam, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.sql import ClauseElement

Bind = Callable[[Any], Any]


@dataclass(frozen=True)
class _Ready:
    """SQL of one dialect. `binds`: the row's name of each parameter, and what makes the driver's value of it.
    `constants`: what a row that does not say otherwise has by default."""

    sql: str
    positional: bool
    binds: Sequence[tuple[str, Bind | None]]
    constants: Mapping[str, Any]

    def parameters(self, row: Mapping[str, Any]) -> Any:
        if self.constants:
            row = {**self.constants, **row}
        if self.positional:
            return tuple([row[name] if make is None else make(row[name]) for name, make in self.binds])
        return {name: row[name] if make is None else make(row[name]) for name, make in self.binds}


class Touched(Protocol):
    """`rowcount` is known at once; of what was sent `at_once`, when that ends."""

    @property
    def rowcount(self) -> int: ...


class _Nothing:
    rowcount = 0


_NOTHING = _Nothing()
_AT_ONCE = "sent at once"


@contextmanager
def at_once(tx: Session) -> Iterator[None]:
    """What `Prepared.each` writes within goes out without waiting for the answers: each way to a PostgreSQL server and
    back is longer than its work. Nothing is read within. Raises at the end what went wrong with any of it."""
    connection: Connection = tx.info["connection"]
    if connection.dialect.name == "sqlite":
        yield
        return
    raw: Any = connection.connection.driver_connection
    errors: Any = connection.dialect.loaded_dbapi
    tx.info[_AT_ONCE] = True
    try:
        with raw.pipeline():
            yield
    except errors.Error as error:
        raise DBAPIError.instance("", (), error, errors.Error, dialect=connection.dialect) from error
    finally:
        del tx.info[_AT_ONCE]


class Prepared:
    """One statement, or what makes it for a dialect by its name. Rows of the same call have the same names."""

    def __init__(self, statement: ClauseElement | Callable[[str], ClauseElement]) -> None:
        self._statement = statement
        self._ready: dict[tuple[str, tuple[str, ...]], _Ready] = {}

    def each(self, tx: Session, rows: Sequence[Mapping[str, Any]]) -> Touched:
        """Execute it for every row; how many rows of the table it touched."""
        if not rows:
            return _NOTHING
        connection: Connection = tx.info["connection"]
        ready = self._for(connection, rows[0])
        given = [ready.parameters(row) for row in rows]
        if tx.info.get(_AT_ONCE):
            cursor = connection.connection.cursor()
            cursor.executemany(ready.sql, given)
            return cursor
        return connection.exec_driver_sql(ready.sql, given if len(given) > 1 else given[0])

    def rows(self, tx: Session, **values: Any) -> Sequence[Any]:
        """The rows it finds, as the driver gives them: no instants and no JSON among the columns."""
        connection: Connection = tx.info["connection"]
        ready = self._for(connection, values)
        return connection.exec_driver_sql(ready.sql, ready.parameters(values)).all()

    def _for(self, connection: Connection, row: Mapping[str, Any]) -> _Ready:
        key = connection.dialect.name, tuple(row)
        ready = self._ready.get(key)
        if ready is None:
            made = self._statement if isinstance(self._statement, ClauseElement) else self._statement(key[0])
            ready = self._ready[key] = _compiled(made, connection.dialect, list(row))
        return ready


def one_of(dialect: str, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Whether `column` is in the list that the parameter `name` holds; the statement is the same for any length."""
    if dialect == "sqlite":
        values = func.json_each(bindparam(name, type_=JSON)).table_valued("value")
        return column.in_(select(values.c.value))
    return column == any_(bindparam(name, type_=ARRAY(column.type)))


def _compiled(statement: ClauseElement, dialect: Any, names: list[str]) -> _Ready:
    compiled: Any = statement.compile(dialect=dialect, column_keys=names)
    return _Ready(
        compiled.string, compiled.positional,
        [(name, _bind(compiled.binds[name].type, dialect)) for name in compiled.positiontup or compiled.binds],
        {column.key: column.default.arg for column in compiled.insert_prefetch},
    )  # fmt: skip


def _bind(kind: Any, dialect: Any) -> Bind | None:
    make: Bind | None = kind.dialect_impl(dialect).bind_processor(dialect)
    if make is not None and isinstance(getattr(kind, "impl_instance", kind), DateTime):
        return lru_cache(maxsize=256)(make)  # the same few instants stand in every row of a set
    return make


def reserve(tx: Session, **counts: int) -> list[Sequence[int]]:
    """So many unused ids of each of these tables, in the order they are named. So rows that point to each other are
    written without reading back what each insert made.

    On SQLite, where the transaction that writes is alone, these are the next ones, as it would choose them itself; on
    PostgreSQL they come from the table's sequence.
    """
    connection: Connection = tx.info["connection"]
    if connection.dialect.name == "sqlite":
        newest = connection.exec_driver_sql(_newest(tuple(counts))).one()
        return [range((last or 0) + 1, (last or 0) + 1 + count)
                for last, count in zip(newest, counts.values(), strict=True)]  # fmt: skip
    return list(connection.exec_driver_sql(_from_sequences(tuple(counts)), tuple(counts.values())).one())


@lru_cache(maxsize=32)
def _newest(tables: tuple[str, ...]) -> str:
    return "SELECT " + ", ".join(f"(SELECT max(id) FROM {table})" for table in tables)


@lru_cache(maxsize=32)
def _from_sequences(tables: tuple[str, ...]) -> str:
    return "SELECT " + ", ".join(
        f"ARRAY(SELECT nextval(pg_get_serial_sequence('{table}', 'id')) FROM generate_series(1, %s))"
        for table in tables
    )
