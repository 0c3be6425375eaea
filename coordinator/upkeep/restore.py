"""Restoring a backup into an empty store: all of it or nothing, as a new epoch, on hold.

Nothing leaves until a named person has looked at what stood then and lifts the hold. Links, sessions and API tokens are
void; ids and message ids are those of the backup.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyrage
from sqlalchemy import func, inspect, select, text, update
from sqlalchemy.orm import Session

from coordinator import clock, migrations, timeline
from coordinator.accounts.models import ApiToken
from coordinator.alerts.models import Delivery
from coordinator.config import Settings, prepare_data_dir
from coordinator.errors import Misconfigured, NotParseable, Refused
from coordinator.migrations import protected_labels
from coordinator.migrations.protection import (
    REFUSED_FILES,
    REFUSED_ROWS,
    REFUSED_WAYS,
    protect_permits,
    unprotect_permits,
)
from coordinator.store import Store
from coordinator.timeline import sending_hold
from coordinator.timeline.models import Epoch
from coordinator.timeline.verify import read_checkpoint
from coordinator.upkeep import dump
from coordinator.upkeep.backup import read_identity
from coordinator.vault import Vault, open_master_key

LONGEST_LINE = 16 * 2**20
NOT_EMPTY = "Restore into an empty store: this one has rows already. Give another data directory or database."
REASON = "Restored from a backup: look at what stood then before anything leaves."


@dataclass(frozen=True)
class Restored:
    """`epoch`: its number; `backup_at`: when the backup was made; `lost_entries`: where a later checkpoint is known."""

    epoch: int
    backup_at: datetime
    lost_entries: int | None


def restore(settings: Settings, file: Path, key: Path, *, actor: str, against: Path | None = None) -> Restored:
    """Restore `file`, opened with the private key in `key`. Killed in between, the store is as empty as before.

    `against`: a checkpoint kept elsewhere (else the sink file, if one is set): how much is missing is known then.
    Raises Refused for a store with rows, Misconfigured for wrong keys, NotParseable for what is no backup of ours.
    """
    identity = read_identity(key)
    prepare_data_dir(settings)
    vault = _master_key(settings)
    owner = Store(replace(settings, database_url=settings.owner_database_url or settings.database_url), vault=vault)
    try:
        _check_empty(owner)
        migrations.upgrade(settings)
        with owner.unit_of_work() as tx, _without_foreign_keys(tx), _as_it_was(tx):
            _check_empty(owner, tx)
            loader = dump.Loader(tx, lambda header: _check_header(header, vault))
            _read(file, identity, loader)
            return _begin_epoch(tx, loader.header, digest=_digest(file), actor=actor, later=_later(settings, against))
    finally:
        owner.close()


def _master_key(settings: Settings) -> Vault:
    if not settings.master_key_file.exists():
        raise Misconfigured(
            f"Put the master key that belongs to this backup at {settings.master_key_file} first, readable by you alone"
        )
    return open_master_key(settings.master_key_file, create=False, former=settings.old_master_key_file)


def _check_empty(store: Store, tx: Session | None = None) -> None:
    if tx is None:
        with store.read() as tx:
            _check_empty(store, tx)
        return
    there = set(inspect(tx.connection()).get_table_names())
    for name in [table.name for table in dump.tables() if table.name in there]:
        if tx.execute(text(f'SELECT 1 FROM "{name}" LIMIT 1')).first() is not None:
            raise Refused(NOT_EMPTY)


def _check_header(header: dict[str, Any], vault: Vault) -> None:
    if header["revision"] != migrations.newest_revision():
        raise Refused(
            "The backup was made by another version: restore it with that version, then upgrade. It says revision "
            f"{str(header['revision'])[:20]}, this version has {migrations.newest_revision()}."
        )
    missing = sorted(set(header["master_keys"]) - vault.key_ids)
    if missing:
        raise Misconfigured(f"The backup needs the master key with id {missing[0][:20]}: put that one in place")


@contextmanager
def _without_foreign_keys(tx: Session) -> Iterator[None]:
    """Rows may point to rows that come later; all is checked before the commit."""
    if tx.get_bind().dialect.name == "sqlite":
        tx.execute(text("PRAGMA defer_foreign_keys = ON"))
        yield
        return
    found = tx.execute(text(
        "SELECT conrelid::regclass::text AS place, quote_ident(conname) AS name, pg_get_constraintdef(oid) AS said "
        "FROM pg_constraint WHERE contype = 'f' AND connamespace = current_schema()::regnamespace ORDER BY oid"
    )).all()  # fmt: skip
    for each in found:
        tx.execute(text(f"ALTER TABLE {each.place} DROP CONSTRAINT {each.name}"))
    yield
    tx.flush()
    for each in found:
        tx.connection().exec_driver_sql(f"ALTER TABLE {each.place} ADD CONSTRAINT {each.name} {each.said}")


class _Lines:
    """Takes what age opens piece by piece, unpacks it and hands on whole lines."""

    def __init__(self, loader: dump.Loader) -> None:
        self._loader, self._unpack, self._rest = loader, zlib.decompressobj(), b""

    def write(self, data: bytes) -> int:
        left = bytes(data)
        while left:
            self._rest += self._unpack.decompress(left, LONGEST_LINE)
            left = self._unpack.unconsumed_tail
            *whole, self._rest = self._rest.split(b"\n")
            if len(self._rest) > LONGEST_LINE:
                raise NotParseable(dump.DAMAGED)
            for line in whole:
                self._loader.take(line + b"\n")
        return len(data)

    def flush(self) -> None:
        """Nothing is held back that could be handed on."""


def _read(file: Path, identity: Any, loader: dump.Loader) -> None:
    try:
        with file.open("rb") as sealed:
            pyrage.decrypt_io(sealed, _Lines(loader), [identity])
    except pyrage.DecryptError:
        raise Misconfigured("The backup does not open with this key") from None
    except (zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise NotParseable(dump.DAMAGED) from None
    if not loader.whole:
        raise NotParseable(dump.DAMAGED)


@contextmanager
def _as_it_was(tx: Session) -> Iterator[None]:
    """Rows of then, that each held when it was written: a permit that is refused by now let something leave all the
    same. What the database asks of new rows it asks again afterwards."""
    for rows in _ASKED:
        unprotect_permits(tx.connection(), rows)
    yield
    tx.flush()
    for rows in _ASKED:
        protect_permits(tx.connection(), rows)


_ASKED = (REFUSED_ROWS, REFUSED_FILES, REFUSED_WAYS, protected_labels.REFUSED_ROWS)


def _begin_epoch(
    tx: Session, header: dict[str, Any], *, digest: str, actor: str, later: dict[str, Any] | None
) -> Restored:
    now, backup_at = clock.now(), clock.parse(header["made_at"])
    number = (tx.execute(select(func.max(Epoch.number))).scalar_one_or_none() or 1) + 1
    gap = _gap(header.get("checkpoint"), later)
    tx.add(Epoch(number=number, began_at=now, began_by=actor, backup_at=backup_at, backup_digest=digest, gap=gap))
    tx.execute(update(ApiToken).where(ApiToken.revoked_at.is_(None)).values(revoked_at=now))
    tx.execute(update(Delivery).where(Delivery.state != "queued").values(ack_expires_at=now))
    _catch_up_sequences(tx)
    timeline.append(
        tx, "record.restored", "The record was restored from a backup: a new epoch, on hold.", actor=actor,
        values={"epoch": number, "backup_at": header["made_at"], "digest": digest,
                "checkpoint": (header.get("checkpoint") or {}).get("number", 0), "gap": gap},
    )  # fmt: skip
    sending_hold.begin(tx, sending_hold.RESTORE, actor=actor, reason=REASON)
    tx.flush()
    tx.info["nudges"].clear()
    return Restored(number, backup_at, gap.get("lost_entries"))


def _gap(ours: dict[str, Any] | None, later: dict[str, Any] | None) -> dict[str, Any]:
    if later is None or later["number"] <= (ours["number"] if ours else 0):
        return {}
    return {
        "lost_checkpoints": later["number"] - (ours["number"] if ours else 0), "known_until": later["at"],
        "lost_entries": later["entries"] - (ours["entries"] if ours else 0),
    }  # fmt: skip


def _later(settings: Settings, against: Path | None) -> dict[str, Any] | None:
    """A checkpoint from after the backup: named, or in the sink file, which is kept aside for `record verify`."""
    if against is not None:
        return read_checkpoint(against.read_bytes())
    sink = Path(settings.checkpoint_sink) if settings.checkpoint_sink else None
    if sink is None or not sink.is_file():
        return None
    try:
        found = read_checkpoint(sink.read_bytes())
    except NotParseable:
        return None
    aside = sink.with_name(f"{sink.name}.before-restore-{clock.now():%Y%m%dT%H%M%SZ}")
    aside.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    return found


def _catch_up_sequences(tx: Session) -> None:
    """PostgreSQL counts ids beside the rows: go on after the highest one."""
    if tx.get_bind().dialect.name == "sqlite":
        return
    for table in dump.tables():
        column = table.autoincrement_column
        if column is None:
            continue
        sequence = tx.execute(select(func.pg_get_serial_sequence(table.name, column.name))).scalar_one()
        highest = tx.execute(select(func.max(column))).scalar_one()
        if sequence and highest:
            tx.execute(select(func.setval(sequence, highest)))


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
