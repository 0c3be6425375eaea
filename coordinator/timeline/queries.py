"""Reading the record back: plain data, oldest first unless said otherwise."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator.timeline.keys import Erased, unseal
from coordinator.timeline.models import Entry, EntryValue

ERASED = "(erased)"


def entries(
    tx: Session,
    *,
    incident_id: int | None,
    after: int = 0,
    limit: int = 100,
    until: datetime | None = None,
    newest_first: bool = False,
) -> list[dict[str, Any]]:
    """Entries of an incident's chain (or of the record's): {id, seq, at, actor, kind, text, values, about, hash}.

    `after` is the id of the last entry seen; `until` leaves out what came later.
    """
    query = select(Entry).where(Entry.chain == (f"incident/{incident_id}" if incident_id is not None else "record"))
    if after:
        query = query.where(Entry.id < after if newest_first else Entry.id > after)
    if until is not None:
        query = query.where(Entry.at <= until)
    query = query.order_by(Entry.id.desc() if newest_first else Entry.id).limit(limit)
    return described(tx, tx.execute(query).scalars())


def described(tx: Session, rows: Iterable[Entry]) -> list[dict[str, Any]]:
    """Entry rows with their text and values opened; erased ones say so."""
    rows = list(rows)
    query = select(EntryValue).where(EntryValue.entry_id.in_([row.id for row in rows]))
    sealed = {value.entry_id: value for value in tx.execute(query).scalars()}
    return [_described(tx, row, sealed.get(row.id)) for row in rows]


def _described(tx: Session, row: Entry, value: EntryValue | None) -> dict[str, Any]:
    said: dict[str, Any] = {"text": ERASED, "values": {}}
    if value is not None:
        with contextlib.suppress(Erased):
            said = json.loads(unseal(tx, value.data_key_id, value.sealed, about="entry")[16:])
    return {
        "id": row.id, "seq": row.seq, "at": row.at, "actor": row.actor, "kind": row.kind, "text": said["text"],
        "values": said["values"], "about": (row.object_type, row.object_id), "hash": row.hash,
    }  # fmt: skip
