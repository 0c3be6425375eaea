"""Statements of the hot paths, compiled once for each kind of database and from then on only bound.

What SQLAlchemy does at each execution to find a compiled statement, fill in defaults and name parameters costs more
than the database takes for the row. Here that is done at the first execution. Rows are plain data in, plain data out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Protocol, cast

from psycopg import Binary
from psycopg.rows import namedtuple_row
from psycopg.types.json import Jsonb
from sqlalchemy import (
    ARRAY,
    JSON,
    ColumnElement,
    Connection,
    DateTime,
    Insert,
    String,
    Text,
    any_,
    bindparam,
    func,
    literal_column,
    select,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.sql import ClauseElement
from sqlalchemy.types import TypeEngine

Bind = Callable[[Any], Any]


class _Column(ARRAY[Any]):
    """What many rows have in one column."""


@dataclass(frozen=True)
class _Ready:
    """SQL of one dialect. `binds`: the row's name of each parameter, and what makes the driver's value of it; those of
    `columns` take a list of what all rows have. `constants`: what a row that does not say otherwise has by default."""

    sql: str
    positional: bool
    binds: Sequence[tuple[str, Bind | None]]
    columns: frozenset[str]
    constants: Mapping[str, Any]

    def parameters(self, row: Mapping[str, Any]) -> Any:
        if self.constants:
            row = {**self.constants, **row}
        if self.positional:
            return tuple([row[name] if make is None else make(row[name]) for name, make in self.binds])
        return {name: row[name] if make is None else make(row[name]) for name, make in self.binds}

    def parameters_of_all(self, rows: Sequence[Mapping[str, Any]]) -> Any:
        """Of one execution for all rows, where there are `columns`; else of one for each."""
        if not self.columns:
            return [self.parameters(row) for row in rows]
        lists = {
            name: _array([row[name] if make is None else make(row[name]) for row in rows])
            for name, make in self.binds if name in self.columns
        }  # fmt: skip
        return {**self.constants, **lists}


class Touched(Protocol):
    """`rowcount` is known at once; of what was sent `at_once`, when that ends."""

    @property
    def rowcount(self) -> int: ...


class Found(Protocol):
    """`fetchall()` is possible at once; of what was sent `at_once`, when that ends."""

    def fetchall(self) -> Sequence[Any]: ...


class _Nothing:
    rowcount = 0


_NOTHING = _Nothing()
_AT_ONCE = "sent at once"


@contextmanager
def at_once(tx: Session) -> Iterator[None]:
    """What `Prepared`, `reserve` and `take_turns` send within goes out without waiting for the answers: each way to a
    PostgreSQL server and back is longer than its work. Answers are looked at afterwards. Raises at the end what went
    wrong with any of it."""
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
    """One statement, or what makes it for a dialect by its name. Rows of the same call have the same names.

    `many`: one that does for PostgreSQL what `statement` does for each row, with its parameters as `column_of` them; an
    INSERT of rows needs none. There a message for a table costs less than a message for a row.
    """

    def __init__(
        self, statement: ClauseElement | Callable[[str], ClauseElement], many: ClauseElement | None = None
    ) -> None:
        self._statement, self._many = statement, many
        self._ready: dict[tuple[str, bool, tuple[str, ...]], _Ready] = {}

    def each(self, tx: Session, rows: Sequence[Mapping[str, Any]]) -> Touched:
        """Execute it for every row; how many rows of the table it touched."""
        if not rows:
            return _NOTHING
        connection: Connection = tx.info["connection"]
        ready = self._for(connection, rows[0], len(rows) > 1)
        given = ready.parameters_of_all(rows) if len(rows) > 1 else ready.parameters(rows[0])
        if tx.info.get(_AT_ONCE):
            return _sent(connection, ready.sql, given)
        return connection.exec_driver_sql(ready.sql, given)

    def rows(self, tx: Session, **values: Any) -> Sequence[Any]:
        """The rows it finds, as the driver gives them: no instants and no JSON among the columns."""
        return self.asked(tx, **values).fetchall()

    def asked(self, tx: Session, **values: Any) -> Found:
        """The same for `at_once`: to be looked at afterwards."""
        connection: Connection = tx.info["connection"]
        ready = self._for(connection, values, False)
        given = ready.parameters(values)
        if tx.info.get(_AT_ONCE):
            return _sent(connection, ready.sql, given, row_factory=namedtuple_row)
        return connection.exec_driver_sql(ready.sql, given)

    def _for(self, connection: Connection, row: Mapping[str, Any], many: bool) -> _Ready:
        key = connection.dialect.name, many, tuple(row)
        ready = self._ready.get(key)
        if ready is None:
            made = self._statement if isinstance(self._statement, ClauseElement) else self._statement(key[0])
            if many and key[0] == "postgresql":
                made = self._many if self._many is not None else _of_many(made, list(row))
            ready = self._ready[key] = _compiled(made, connection.dialect, list(row))
        return ready


def _sent(connection: Connection, sql: str, given: Any, **how: Any) -> Any:
    cursor: Any = connection.connection.cursor(**how)
    if isinstance(given, list):
        cursor.executemany(sql, given)
    else:
        cursor.execute(sql, given, prepare=True)
    return cursor


def column_of(name: str, kind: TypeEngine[Any]) -> ColumnElement[Any]:
    """What rows have under `name`, one after the other, in a statement for `many`."""
    # Text, because a cast to a shorter kind would cut what does not fit instead of refusing it.
    return func.unnest(bindparam(name, type_=_Column(Text() if isinstance(kind, String) else kind))).label(name)


def _of_many(made: ClauseElement, names: list[str]) -> ClauseElement:
    if not isinstance(made, Insert):
        return made
    columns = cast(Any, made.table).c
    return made.from_select(names, select(*(column_of(name, columns[name].type) for name in names)))


def _array(values: Sequence[Any]) -> str:
    """Values as PostgreSQL writes an array of them."""
    return "{" + ",".join([_element(value) for value in values]) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):
        return f'"{value.isoformat()}"'
    if isinstance(value, Binary):
        value = value.obj
    if isinstance(value, bytes):
        return f'"\\\\x{value.hex()}"'
    if isinstance(value, Jsonb):
        return _element(json.dumps(value.obj))
    raise TypeError(f"no {type(value).__name__} in a column of rows")


def one_of(dialect: str, column: ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Whether `column` is in the list that the parameter `name` holds; the statement is the same for any length."""
    if dialect == "sqlite":
        values = func.json_each(bindparam(name, type_=JSON)).table_valued("value")
        return column.in_(select(values.c.value))
    return column == any_(bindparam(name, type_=ARRAY(column.type)))


def _compiled(statement: ClauseElement, dialect: Any, names: list[str]) -> _Ready:
    compiled: Any = statement.compile(dialect=dialect, column_keys=names)
    kinds = [(name, compiled.binds[name].type) for name in compiled.positiontup or compiled.binds]
    columns = frozenset(name for name, kind in kinds if isinstance(kind, _Column))
    return _Ready(
        compiled.string, compiled.positional,
        [(name, _bind(kind.item_type if name in columns else kind, dialect)) for name, kind in kinds],
        columns, {column.key: column.default.arg for column in compiled.insert_prefetch},
    )  # fmt: skip


def _bind(kind: Any, dialect: Any) -> Bind | None:
    make: Bind | None = kind.dialect_impl(dialect).bind_processor(dialect)
    if make is not None and isinstance(getattr(kind, "impl_instance", kind), DateTime):
        return lru_cache(maxsize=256)(make)  # the same few instants stand in every row of a set
    return make


_TAKE_TURNS = Prepared(
    select(func.pg_advisory_xact_lock(func.hashtextextended(literal_column("n"), literal_column("0"))))
    .select_from(func.unnest(bindparam("names", type_=ARRAY(Text()))).alias("n"))
)


def take_turns(tx: Session, names: Iterable[str]) -> None:
    """Whoever names one of these waits for the end of the transaction that named it before.

    SQLite has one writer anyway; on PostgreSQL a lock for exactly these names, taken in a fixed order.
    """
    if tx.info["connection"].dialect.name == "postgresql":
        _TAKE_TURNS.asked(tx, names=sorted(set(names)))


class _Ids:
    """What `reserve` gives within `at_once`."""

    def __init__(self, found: Any) -> None:
        self._found = found

    def fetchall(self) -> list[Sequence[int]]:
        return list(self._found.fetchone())


def reserve(tx: Session, **counts: int) -> list[Sequence[int]]:
    """So many unused ids of each of these tables, in the order they are named. So rows that point to each other are
    written without reading back what each insert made.

    On SQLite, where the transaction that writes is alone, these are the next ones, as it would choose them itself; on
    PostgreSQL they come from the table's sequence.
    """
    return list(reserved(tx, **counts).fetchall())


def reserved(tx: Session, **counts: int) -> Found:
    """`reserve` for `at_once`: to be looked at afterwards."""
    connection: Connection = tx.info["connection"]
    if connection.dialect.name == "sqlite":
        return _Next(connection, counts)
    sql, given = _from_sequences(tuple(counts)), tuple(counts.values())
    if tx.info.get(_AT_ONCE):
        return _Ids(_sent(connection, sql, given))
    return _Ids(connection.exec_driver_sql(sql, given))


class _Next:
    """The ids after the newest, of a transaction that is alone."""

    def __init__(self, connection: Connection, counts: Mapping[str, int]) -> None:
        newest = connection.exec_driver_sql(_newest(tuple(counts))).one()
        self._ids = [range((last or 0) + 1, (last or 0) + 1 + count)
                     for last, count in zip(newest, counts.values(), strict=True)]  # fmt: skip

    def fetchall(self) -> list[Sequence[int]]:
        return list(self._ids)


@lru_cache(maxsize=32)
def _newest(tables: tuple[str, ...]) -> str:
    return "SELECT " + ", ".join(f"(SELECT max(id) FROM {table})" for table in tables)


@lru_cache(maxsize=32)
def _from_sequences(tables: tuple[str, ...]) -> str:
    return "SELECT " + ", ".join(
        f"ARRAY(SELECT nextval(pg_get_serial_sequence('{table}', 'id')) FROM generate_series(1, %s))"
        for table in tables
    )
