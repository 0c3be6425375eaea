"""All rows of the database as a stream of JSON lines, and back: the same for SQLite and PostgreSQL.

First a header, then for each table its name and columns followed by its rows, last a line with the number of rows, the
SHA-256 of all lines before it, and a MAC under a key derived from the master key: who cannot open the record cannot
make a dump that is taken for ours.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from importlib import import_module
from typing import Any

from sqlalchemy import LargeBinary, Table, insert, select
from sqlalchemy.orm import Session

import coordinator
from coordinator import clock
from coordinator.db import Base
from coordinator.errors import NotParseable
from coordinator.store import store_of

FORMAT = "coordinator-backup/1"
#: Signs of life and what lets a browser in: worth nothing in another epoch.
LEFT_OUT = ("heartbeats", "user_sessions", "sign_in_links", "spent_challenges")
ROWS_AT_ONCE = 500
SEALED_AT_ONCE = 16  # parts of files have a MiB each
DAMAGED = "The backup is damaged or was not made by this installation: take another one."


def tables() -> list[Table]:
    """Every table that belongs into a dump, those that others point to first."""
    for module in pkgutil.iter_modules(coordinator.__path__):
        if module.ispkg and any(each.name == "models" for each in _inside(module.name)):
            import_module(f"coordinator.{module.name}.models")
    return [table for table in Base.metadata.sorted_tables if table.name not in LEFT_OUT]


def _inside(package: str) -> Iterable[pkgutil.ModuleInfo]:
    return pkgutil.iter_modules(import_module(f"coordinator.{package}").__path__)


def lines(tx: Session, header: dict[str, Any]) -> Iterator[bytes]:
    """The dump of what this transaction sees, line by line."""
    digest, rows = hashlib.sha256(), 0
    for line in _lines(tx, header):
        digest.update(line)
        rows += line.startswith(b"[")
        yield line
    end = {"end": rows, "sha256": digest.hexdigest(), "mac": _mac(store_of(tx).vault.derive("backup"), digest.digest())}
    yield _line(end)


def _lines(tx: Session, header: dict[str, Any]) -> Iterator[bytes]:
    yield _line({"format": FORMAT, **header})
    for table in tables():
        columns = list(table.columns)
        yield _line({"table": table.name, "columns": [column.name for column in columns]})
        sealed = any(isinstance(column.type, LargeBinary) for column in columns)
        query = select(table).order_by(*table.primary_key.columns)
        at_once = SEALED_AT_ONCE if sealed else ROWS_AT_ONCE
        for row in tx.execute(query.execution_options(yield_per=at_once)):
            yield _line([_plain(value) for value in row])


class Loader:
    """Takes the lines of a dump and inserts its rows. `check(header)` may refuse before any row is read."""

    def __init__(self, tx: Session, check: Callable[[dict[str, Any]], None]) -> None:
        self._tx, self._check = tx, check
        self._tables = {table.name: table for table in tables()}
        self._digest, self._rows = hashlib.sha256(), 0
        self._statement: Any = None
        self._columns: list[str] = []
        self._batch: list[dict[str, Any]] = []
        self.header: dict[str, Any] = {}
        self.whole = False

    def take(self, line: bytes) -> None:
        """The next line. Raises NotParseable for what is no dump of ours."""
        try:
            said = json.loads(line)
            if self.whole:
                raise ValueError("more after the end")
            if isinstance(said, dict) and "end" in said:
                self._end(said)
                return
            self._digest.update(line)
            if isinstance(said, list):
                self._row(said)
            elif not self.header:
                self._begin(said)
            else:
                self._table(said)
        except (ValueError, KeyError, TypeError) as error:
            raise NotParseable(DAMAGED) from error

    def _begin(self, said: dict[str, Any]) -> None:
        if said["format"] != FORMAT:
            raise ValueError("another format")
        self._check(said)
        self.header = said

    def _table(self, said: dict[str, Any]) -> None:
        self._flush()
        table, self._columns = self._tables[said["table"]], list(said["columns"])
        if not set(self._columns) <= {column.name for column in table.columns}:
            raise ValueError("unknown columns")
        self._statement = insert(table)

    def _row(self, said: list[Any]) -> None:
        self._batch.append(dict(zip(self._columns, map(_value, said), strict=True)))
        self._rows += 1
        if len(self._batch) >= ROWS_AT_ONCE or any(isinstance(each, bytes) for each in self._batch[-1].values()):
            self._flush()

    def _flush(self) -> None:
        if self._batch:
            self._tx.execute(self._statement, self._batch)
            self._batch = []

    def _end(self, said: dict[str, Any]) -> None:
        self._flush()
        keys = store_of(self._tx).vault.derivations("backup")  # of the former master key as well, in a rotation
        ours = any(hmac.compare_digest(str(said["mac"]), _mac(key, self._digest.digest())) for key in keys)
        if said["end"] != self._rows or not ours:
            raise ValueError("not ours")
        self.whole = True


def _mac(key: bytes, digest: bytes) -> str:
    return hmac.new(key, digest, hashlib.sha256).hexdigest()


def _line(said: Any) -> bytes:
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"t": clock.rfc3339(value)}
    if isinstance(value, bytes):
        return {"b": base64.b64encode(value).decode()}
    return {"j": value} if isinstance(value, dict | list) else value


def _value(said: Any) -> Any:
    if not isinstance(said, dict):
        return said
    [(kind, value)] = said.items()
    if kind == "t":
        return clock.parse(value)
    return base64.b64decode(value, validate=True) if kind == "b" else value
