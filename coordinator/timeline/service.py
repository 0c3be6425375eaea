"""Writing the record and the outbox. Every use case calls `append` in the transaction that makes the change.

An entry's value (text, old and new values) is sealed beside the chain; the chain carries SHA-256(salt, value).
Erasing
the value or its key leaves a chain that still verifies. The record is part of the verb: there is no way to change and
not say so.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import rfc8785
from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.db import insert_or_ignore
from coordinator.live import RELAY
from coordinator.timeline.keys import new_key, seal
from coordinator.timeline.models import Chain, Entry, EntryValue, Pending

RECORD = "record"
FIRST = "0" * 64

# Built once, on the tables: every change passes here several times, and building a statement costs ten times its work.
_chains: Any = Chain.__table__
_entries: Any = Entry.__table__
_pending: Any = Pending.__table__
_values: Any = EntryValue.__table__
_HEAD = (
    select(_chains.c.length, _chains.c.head, _chains.c.data_key_id)
    .where(_chains.c.name == bindparam("chain"))
    .with_for_update()
)
_MOVE_HEAD = (
    update(_chains)
    .where(_chains.c.name == bindparam("chain"))
    .values(length=bindparam("new_length"), head=bindparam("new_head"))
)
_NEW_CHAIN = insert(_chains)
_ADD = insert(_entries).returning(_entries.c.id, sort_by_parameter_order=True)
_ADD_VALUES = insert(_values)
_LEAVE_WORD = insert(_pending).returning(_pending.c.id)


@dataclass(frozen=True)
class Event:
    """What is to be recorded. `text` is a sentence for people; `values` plain JSON data (old and new values, reasons).

    `about` is (object type, id). Kinds are `noun.verbed`.
    """

    kind: str
    text: str
    values: dict[str, Any] = field(default_factory=dict)
    about: tuple[str, int | None] = ("", None)


def append(
    tx: Session,
    kind: str,
    text: str,
    *,
    actor: str,
    incident: Any = None,
    values: dict[str, Any] | None = None,
    about: tuple[str, int | None] = ("", None),
    exercise: str = "",
) -> int:
    """Add one entry to the incident's chain, or to the record's when there is none; returns the entry's id.

    `incident` is an Incident row (id, exercise, data_key_id are read). `actor` is `user:<id>`, `endpoint:<slug>`,
    `system` or `cli:<os user>`.
    """
    return append_all(
        tx, [Event(kind, text, values or {}, about)], actor=actor, incident=incident, exercise=exercise
    )[0]


def append_all(
    tx: Session, events: Sequence[Event], *, actor: str, incident: Any = None, exercise: str = "",
    begins: bool = False,
) -> list[int]:  # fmt: skip
    """Add several entries at once with one look at the chain's head; returns their ids in order.

    `begins`: the incident was inserted in this very transaction, so that nobody can have begun its chain.
    """
    name = f"incident/{incident.id}" if incident is not None else RECORD
    exercise = incident.exercise if incident is not None else exercise
    begins = begins and incident is not None
    if begins:
        length, head, key = 0, FIRST, incident.data_key_id
    else:
        length, head, key = _take_head(tx, name, incident.data_key_id if incident is not None else None)
    at = clock.now()
    rows, values = [], []
    for event in events:
        length += 1
        salt = os.urandom(16)
        value = rfc8785.dumps({"text": event.text, "values": event.values})
        row = {
            "chain": name, "seq": length, "at": at, "kind": event.kind, "actor": actor, "exercise": exercise,
            "incident_id": incident.id if incident is not None else None,
            "object_type": event.about[0], "object_id": event.about[1],
            "commitment": commit_to(salt, value), "prev": head,
        }  # fmt: skip
        row["hash"] = head = entry_hash(row)
        rows.append(row)
        values.append(seal(tx, key, salt + value, about="entry"))
    if begins:
        tx.execute(_NEW_CHAIN, {"name": name, "length": length, "head": head, "data_key_id": key})
    else:
        tx.execute(_MOVE_HEAD, {"chain": name, "new_length": length, "new_head": head})
    ids = list(tx.execute(_ADD, rows).scalars())
    tx.execute(_ADD_VALUES, [
        {"entry_id": entry, "data_key_id": key, "sealed": sealed} for entry, sealed in zip(ids, values, strict=True)
    ])  # fmt: skip
    tx.info["nudges"].update({"board", name} if incident is not None else {"record"})
    return ids


def pending(
    tx: Session, kind: str, object_id: int, *, ready_at: datetime | None = None, exercise: str = "", job: str = ""
) -> int:
    """Leave word that something must follow, in the transaction that makes it necessary; returns the row's id.

    What follows from `kind` is in workers/relay.SUBSCRIBERS. With `ready_at` in the future the row is a timer.
    """
    now = clock.now()
    row = {
        "kind": kind, "object_id": object_id, "job": job, "exercise": exercise, "created_at": now,
        "ready_at": ready_at or now, "attempts": 0, "last_fault": "", "dead": False,
    }  # fmt: skip
    tx.info["nudges"].add(RELAY)
    return tx.execute(_LEAVE_WORD, row).scalar_one()


def lock_record(tx: Session) -> None:
    """Let one administrative change at a time through: holds the record's own chain until the transaction ends."""
    _take_head(tx, RECORD, None)


def commit_to(salt: bytes, value: bytes) -> str:
    """The salted commitment of a canonical value, as hex."""
    return hashlib.sha256(salt + value).hexdigest()


def entry_hash(row: dict[str, Any]) -> str:
    """SHA-256 over the JCS form (RFC 8785) of everything an entry says in the open, and the hash before it."""
    said = {
        "v": 1, "chain": row["chain"], "seq": row["seq"], "at": clock.rfc3339(row["at"]), "kind": row["kind"],
        "actor": row["actor"], "incident": row["incident_id"], "exercise": row["exercise"],
        "object": f"{row['object_type']}/{row['object_id']}" if row["object_type"] else "",
        "commitment": row["commitment"], "prev": row["prev"],
    }  # fmt: skip
    return hashlib.sha256(rfc8785.dumps(said)).hexdigest()


def _take_head(tx: Session, name: str, key: int | None) -> tuple[int, str, int]:
    """Lock the chain for this transaction: its length, head and data key. Begins a chain that is not there."""
    found = tx.execute(_HEAD, {"chain": name}).one_or_none()
    if found is None:
        key = key or new_key(tx)
        begun: Any = tx.execute(_begin(tx), {"name": name, "length": 0, "head": FIRST, "data_key_id": key})
        if begun.rowcount == 1:
            return 0, FIRST, key
        found = tx.execute(_HEAD, {"chain": name}).one()  # another one began the record's own chain meanwhile
    return found.length, found.head, found.data_key_id


_BEGIN: dict[str, Any] = {}


def _begin(tx: Session) -> Any:
    """The statement that begins a chain unless it is there."""
    dialect = tx.get_bind().dialect.name
    if dialect not in _BEGIN:
        _BEGIN[dialect] = insert_or_ignore(tx, _chains)
    return _BEGIN[dialect]
