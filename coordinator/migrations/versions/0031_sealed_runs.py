"""What runs and tasks hold of a case is sealed: variables, what steps ask for and what came of it, forms and answers.

Upwards each value is sealed under the data key of its incident, or a new one; downwards it is opened again. Both need
the master key, where there is anything to seal. What was written before stays in backups and in pages not
overwritten yet: docs/operating.md.
"""

import json
from typing import Any

import sqlalchemy as sa
from alembic import context, op

from coordinator import clock
from coordinator.db import BigId, Instant, Json
from coordinator.vault import Vault

revision = "0031"
down_revision = "0030"

_keys = sa.table("data_keys", sa.column("id", BigId), sa.column("master_key_id"), sa.column("wrapped"),
                 sa.column("created_at", Instant()))  # fmt: skip
_incidents = sa.table("incidents", sa.column("id", BigId), sa.column("data_key_id", BigId))
_JSON, _BYTES = "json", "bytes"
_runs = sa.table("runs", *(sa.column(name, kind) for name, kind in (
    ("id", BigId), ("incident_id", BigId), ("once_key", sa.String), ("data_key_id", BigId), ("facts", Json),
    ("scope", Json), ("asked", Json), ("fault", sa.Text), ("scope_sealed", sa.LargeBinary),
    ("asked_sealed", sa.LargeBinary), ("fault_sealed", sa.LargeBinary))))  # fmt: skip
_tokens = sa.table("run_tokens", *(sa.column(name, kind) for name, kind in (
    ("id", BigId), ("run_id", BigId), ("token", sa.String), ("data", Json), ("sealed", sa.LargeBinary))))  # fmt: skip
_attempts = sa.table("step_attempts", *(sa.column(name, kind) for name, kind in (
    ("id", BigId), ("run_id", BigId), ("key", sa.String), ("data_key_id", BigId), ("spec", Json), ("values", Json),
    ("spec_sealed", sa.LargeBinary), ("values_sealed", sa.LargeBinary))))  # fmt: skip
_tasks = sa.table("tasks", *(sa.column(name, kind) for name, kind in (
    ("id", BigId), ("incident_id", BigId), ("data_key_id", BigId), ("instructions", sa.Text), ("fields", Json),
    ("options", Json), ("checklist", Json), ("values", Json), ("sealed", sa.LargeBinary))))  # fmt: skip

_ADDED = {
    "runs": ("data_key_id", "scope_sealed", "fault_sealed", "asked_sealed"),
    "run_tokens": ("sealed",),
    "step_attempts": ("data_key_id", "spec_sealed", "values_sealed"),
    "tasks": ("data_key_id", "sealed"),
}
_DROPPED: dict[str, dict[str, tuple[Any, str | None]]] = {
    "runs": {"facts": (Json, "{}"), "scope": (Json, "{}"), "asked": (Json, "[]"), "fault": (sa.Text(), "")},
    "run_tokens": {"data": (Json, "{}")},
    "step_attempts": {"spec": (Json, "{}"), "values": (Json, "{}")},
    "tasks": {"instructions": (sa.Text(), ""), "fields": (Json, "{}"), "options": (Json, "[]"),
              "checklist": (Json, "[]"), "values": (Json, None)},
}  # fmt: skip


class _Sealing:
    """The vault, opened when the first value needs it, and the data keys it has seen."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._vault: Vault | None = None
        self._wrapped: dict[int, bytes | None] = {}

    @property
    def vault(self) -> Vault:
        if self._vault is None:
            opened: Vault = context.config.attributes["vault"]()
            self._vault = opened
        return self._vault

    def key_of(self, incident_id: int | None) -> int:
        """The data key of an incident; a new one for none."""
        if incident_id is not None:
            query = sa.select(_incidents.c.data_key_id).where(_incidents.c.id == incident_id)
            return int(self._connection.execute(query).scalar_one())
        master, wrapped = self.vault.new_data_key()
        row = {"master_key_id": master, "wrapped": wrapped, "created_at": clock.now()}
        return int(self._connection.execute(sa.insert(_keys).returning(_keys.c.id), row).scalar_one())

    def seal(self, key: int, value: Any, about: str) -> bytes | None:
        wrapped = self._known(key)
        plain = json.dumps(value, separators=(",", ":")).encode()
        return None if wrapped is None else self.vault.seal(wrapped, plain, about=f"{about}/{key}")

    def open(self, key: int | None, sealed: bytes | None, about: str, otherwise: Any) -> Any:
        wrapped = self._known(key) if key is not None and sealed is not None else None
        if wrapped is None or sealed is None:
            return otherwise
        return json.loads(self.vault.open(wrapped, bytes(sealed), about=f"{about}/{key}"))

    def _known(self, key: int) -> bytes | None:
        """None: it was destroyed on purpose, and what it would seal is gone as the rest is."""
        if key not in self._wrapped:
            found = self._connection.execute(sa.select(_keys.c.wrapped).where(_keys.c.id == key)).scalar_one()
            self._wrapped[key] = bytes(found) if found is not None else None
        return self._wrapped[key]


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete=ON")  # what the old columns held is overwritten
    for table, columns in _ADDED.items():
        for name in columns:
            op.add_column(table, sa.Column(name, BigId if name == "data_key_id" else sa.LargeBinary(), nullable=True))
    sealing = _Sealing(connection)
    _seal_runs(connection, sealing)
    _seal_attempts(connection, sealing)
    _seal_tasks(connection, sealing)
    for table, dropped in _DROPPED.items():
        for name in dropped:
            op.drop_column(table, name)


def downgrade() -> None:
    connection = op.get_bind()
    for table, dropped in _DROPPED.items():
        for name, (kind, empty) in dropped.items():
            op.add_column(table, sa.Column(name, kind, nullable=empty is None, server_default=empty))
    sealing = _Sealing(connection)
    _open_runs(connection, sealing)
    _open_attempts(connection, sealing)
    _open_tasks(connection, sealing)
    if connection.dialect.name == "postgresql":
        for table, dropped in _DROPPED.items():
            for name in dropped:
                op.alter_column(table, name, server_default=None)
    for table, columns in _ADDED.items():
        for name in columns:
            op.drop_column(table, name)


def _rows(connection: sa.Connection, query: Any) -> Any:
    return connection.execute(query).mappings().all()


def _write(connection: sa.Connection, table: Any, row_id: int, **values: Any) -> None:
    connection.execute(sa.update(table).where(table.c.id == row_id).values(**values))


def _seal_runs(connection: sa.Connection, sealing: _Sealing) -> None:
    for row in _rows(connection, sa.select(_runs.c.id, _runs.c.incident_id, _runs.c.once_key, _runs.c.scope,
                                           _runs.c.asked, _runs.c.fault).order_by(_runs.c.id)):  # fmt: skip
        key, about = sealing.key_of(row["incident_id"]), f"run/{row['once_key']}"
        found = {name: sealing.seal(key, row[name], f"{about}/{name}") if row[name] else None
                 for name in ("scope", "asked", "fault")}  # fmt: skip
        _write(connection, _runs, row["id"], data_key_id=key, fault="", scope={}, asked=[], facts={},
               **{f"{name}_sealed": value for name, value in found.items()})  # fmt: skip
        for token in _rows(connection, sa.select(_tokens.c.id, _tokens.c.token, _tokens.c.data).where(
                _tokens.c.run_id == row["id"])):  # fmt: skip
            sealed = sealing.seal(key, token["data"], f"token/{row['id']}/{token['token']}")
            _write(connection, _tokens, token["id"], sealed=sealed, data={})


def _seal_attempts(connection: sa.Connection, sealing: _Sealing) -> None:
    query = sa.select(_attempts.c.id, _attempts.c.run_id, _attempts.c.key, _attempts.c.spec, _attempts.c["values"],
                      _runs.c.data_key_id).join(_runs, _runs.c.id == _attempts.c.run_id)  # fmt: skip
    for row in _rows(connection, query.order_by(_attempts.c.id)):
        key, about = row["data_key_id"], f"step/{row['run_id']}/{row['key']}"
        found = {f"{name}_sealed": sealing.seal(key, row[name], f"{about}/{name}") if row[name] else None
                 for name in ("spec", "values")}  # fmt: skip
        _write(connection, _attempts, row["id"], data_key_id=key, spec={}, **{"values": {}}, **found)


def _seal_tasks(connection: sa.Connection, sealing: _Sealing) -> None:
    names = ("instructions", "fields", "options", "checklist", "values")
    for row in _rows(connection, sa.select(_tasks.c.id, _tasks.c.incident_id, *(_tasks.c[name] for name in names))
                     .order_by(_tasks.c.id)):  # fmt: skip
        key = sealing.key_of(row["incident_id"])
        sealed = sealing.seal(key, {name: row[name] for name in names}, f"task/{row['id']}")
        _write(connection, _tasks, row["id"], data_key_id=key, sealed=sealed, instructions="", fields={}, options=[],
               checklist=[], **{"values": None})  # fmt: skip


def _open_runs(connection: sa.Connection, sealing: _Sealing) -> None:
    for row in _rows(connection, sa.select(_runs).with_only_columns(
            _runs.c.id, _runs.c.once_key, _runs.c.data_key_id, _runs.c.scope_sealed, _runs.c.asked_sealed,
            _runs.c.fault_sealed)):  # fmt: skip
        key, about = row["data_key_id"], f"run/{row['once_key']}"
        scope = sealing.open(key, row["scope_sealed"], f"{about}/scope", {})
        _write(connection, _runs, row["id"], scope=scope, facts=scope.get("facts", {}),
               asked=sealing.open(key, row["asked_sealed"], f"{about}/asked", []),
               fault=sealing.open(key, row["fault_sealed"], f"{about}/fault", ""))  # fmt: skip
        for token in _rows(connection, sa.select(_tokens.c.id, _tokens.c.token, _tokens.c.sealed).where(
                _tokens.c.run_id == row["id"])):  # fmt: skip
            data = sealing.open(key, token["sealed"], f"token/{row['id']}/{token['token']}", {})
            _write(connection, _tokens, token["id"], data=data)


def _open_attempts(connection: sa.Connection, sealing: _Sealing) -> None:
    for row in _rows(connection, sa.select(
            _attempts.c.id, _attempts.c.run_id, _attempts.c.key, _attempts.c.data_key_id, _attempts.c.spec_sealed,
            _attempts.c.values_sealed)):  # fmt: skip
        about = f"step/{row['run_id']}/{row['key']}"
        found = {name: sealing.open(row["data_key_id"], row[f"{name}_sealed"], f"{about}/{name}", {})
                 for name in ("spec", "values")}  # fmt: skip
        _write(connection, _attempts, row["id"], **found)


def _open_tasks(connection: sa.Connection, sealing: _Sealing) -> None:
    nothing: dict[str, Any] = {"instructions": "", "fields": {}, "options": [], "checklist": [], "values": None}
    for row in _rows(connection, sa.select(_tasks.c.id, _tasks.c.data_key_id, _tasks.c.sealed)):
        said = sealing.open(row["data_key_id"], row["sealed"], f"task/{row['id']}", nothing)
        _write(connection, _tasks, row["id"], **said)
