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

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.db import insert_or_ignore
from coordinator.live import RELAY
from coordinator.outside.canonical_json import canonical
from coordinator.prepared import Prepared, reserve
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
    select(_chains.c.length, _chains.c.head, _chains.c.data_key_id, _chains.c.at)
    .where(_chains.c.name == bindparam("chain"))
    .with_for_update()
)
_MOVE_HEAD = (
    update(_chains)
    .where(_chains.c.name == bindparam("chain"))
    .values(length=bindparam("new_length"), head=bindparam("new_head"), at=bindparam("new_at"))
)
_NEW_CHAINS = Prepared(insert(_chains).inline())
_ADD = Prepared(insert(_entries).inline())
_ADD_VALUES = Prepared(insert(_values).inline())
_LEAVE_WORD = Prepared(insert(_pending).inline())


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
    tx: Session, events: Sequence[Event], *, actor: str, incident: Any = None, exercise: str = ""
) -> list[int]:
    """Add several entries at once with one look at the chain's head; returns their ids in order."""
    name = f"incident/{incident.id}" if incident is not None else RECORD
    exercise = incident.exercise if incident is not None else exercise
    links = _Links(name, *_take_head(tx, name, incident.data_key_id if incident is not None else None))
    links.add(tx, events, actor=actor, incident_id=incident.id if incident is not None else None, exercise=exercise)
    tx.execute(_MOVE_HEAD, {"chain": name, "new_length": links.length, "new_head": links.head, "new_at": links.at})
    (ids,) = reserve(tx, entries=len(links.rows))
    _write_links(tx, [links], ids)
    return list(ids)


@dataclass(frozen=True)
class Beginning:
    """The first entries of an incident that this very transaction inserted: nobody can have begun its chain."""

    incident: Any
    actor: str
    events: Sequence[Event]


def begin_all(tx: Session, beginnings: Sequence[Beginning], ids: Sequence[int]) -> None:
    """Begin the chains of several new incidents. Of each incident id, exercise and data_key_id are read. `ids` are
    reserved for the entries, one for each event."""
    begun = []
    for each in beginnings:
        links = _Links(f"incident/{each.incident.id}", 0, FIRST, each.incident.data_key_id)
        links.add(
            tx, each.events, actor=each.actor, incident_id=each.incident.id, exercise=each.incident.exercise
        )
        begun.append(links)
    _NEW_CHAINS.each(tx, [
        {"name": links.chain, "length": links.length, "head": links.head, "data_key_id": links.key, "at": links.at}
        for links in begun
    ])  # fmt: skip
    _write_links(tx, begun, ids)


class _Links:
    """New entries at the end of one chain, and what is sealed beside them; not written yet.

    `at`: the instant of the newest entry. A clock that was set back does not turn the order of the record round.
    """

    def __init__(self, chain: str, length: int, head: str, key: int, at: datetime | None = None) -> None:
        self.chain, self.length, self.head, self.key, self.at = chain, length, head, key, at
        self.rows: list[dict[str, Any]] = []
        self.sealed: list[bytes] = []

    def add(
        self, tx: Session, events: Sequence[Event], *, actor: str, incident_id: int | None, exercise: str
    ) -> None:
        now = clock.now()
        at = self.at = max(now, self.at) if self.at else now
        for event in events:
            self.length += 1
            salt = os.urandom(16)
            value = canonical({"text": event.text, "values": event.values})
            row = {
                "chain": self.chain, "seq": self.length, "at": at, "kind": event.kind, "actor": actor,
                "exercise": exercise, "incident_id": incident_id, "object_type": event.about[0],
                "object_id": event.about[1], "commitment": commit_to(salt, value), "prev": self.head,
            }  # fmt: skip
            row["hash"] = self.head = entry_hash(row)
            self.rows.append(row)
            self.sealed.append(seal(tx, self.key, salt + value, about="entry"))


def _write_links(tx: Session, chains: Sequence[_Links], ids: Sequence[int]) -> None:
    """Write the entries of these chains under the ids reserved for them, in order."""
    rows = [row for links in chains for row in links.rows]
    for row, entry_id in zip(rows, ids, strict=True):
        row["id"] = entry_id
    _ADD.each(tx, rows)
    _ADD_VALUES.each(tx, [
        {"entry_id": row["id"], "data_key_id": links.key, "sealed": sealed}
        for links in chains for row, sealed in zip(links.rows, links.sealed, strict=True)
    ])  # fmt: skip


@dataclass(frozen=True)
class Word:
    """Something that must follow, for `pending_all`: see `pending`."""

    kind: str
    object_id: int
    ready_at: datetime | None = None
    exercise: str = ""
    job: str = ""


def pending(
    tx: Session, kind: str, object_id: int, *, ready_at: datetime | None = None, exercise: str = "", job: str = ""
) -> None:
    """Leave word that something must follow, in the transaction that makes it necessary.

    What follows from `kind` is in workers/relay.SUBSCRIBERS. With `ready_at` in the future the row is a timer.
    """
    pending_all(tx, [Word(kind, object_id, ready_at, exercise, job)])


def pending_all(tx: Session, words: Sequence[Word]) -> None:
    """`pending` for several at once."""
    now = clock.now()
    if any(word.ready_at is None or word.ready_at <= now for word in words):
        tx.info["nudges"].add(RELAY)  # for a timer the relay looks in time by itself
    _LEAVE_WORD.each(tx, [
        {"kind": word.kind, "object_id": word.object_id, "job": word.job, "exercise": word.exercise, "created_at": now,
         "ready_at": word.ready_at or now, "attempts": 0, "last_fault": "", "dead": False}
        for word in words
    ])  # fmt: skip


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
    return hashlib.sha256(canonical(said)).hexdigest()


def _take_head(tx: Session, name: str, key: int | None) -> tuple[int, str, int, datetime | None]:
    """Lock the chain for this transaction: its length, head, data key, last instant. Begins one that is not there."""
    found = tx.execute(_HEAD, {"chain": name}).one_or_none()
    if found is None:
        key = key or new_key(tx)
        begun: Any = tx.execute(_begin(tx), {"name": name, "length": 0, "head": FIRST, "data_key_id": key})
        if begun.rowcount == 1:
            return 0, FIRST, key, None
        found = tx.execute(_HEAD, {"chain": name}).one()  # another one began the record's own chain meanwhile
    return found.length, found.head, found.data_key_id, found.at


_BEGIN: dict[str, Any] = {}


def _begin(tx: Session) -> Any:
    """The statement that begins a chain unless it is there."""
    dialect = tx.get_bind().dialect.name
    if dialect not in _BEGIN:
        _BEGIN[dialect] = insert_or_ignore(tx, _chains)
    return _BEGIN[dialect]
