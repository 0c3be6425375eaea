"""Holds on sending: while one is open nothing leaves. Whoever sends asks here, in the transaction that takes it.

`restore` and `emergency` stop everything, also what our own people are told. `clock` comes about by itself, perhaps
with nobody awake: it stops what goes to others, and lets out the fixed notices to our own people, which hold no case
content.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from coordinator import clock, live
from coordinator.db import insert_or_ignore
from coordinator.errors import Fault, Invalid, NotFound, Refused
from coordinator.timeline.models import Entry, SendingHold
from coordinator.timeline.queries import described
from coordinator.timeline.service import append, pending

EMERGENCY, RESTORE, CLOCK = "emergency", "restore", "clock"
SYSTEM = "system"
LONGEST_REASON = 500

_holds: Any = SendingHold.__table__
_OPEN = select(_holds.c.kind).where(_holds.c.lifted_at.is_(None))
_SENTENCES = {
    EMERGENCY: "All sending was put on hold.",
    RESTORE: "All sending is on hold: the record was restored from a backup.",
    CLOCK: "Sending to others is on hold: the clock cannot be trusted.",
}


def kinds(tx: Session) -> frozenset[str]:
    """The kinds of the holds that are open; empty while sending goes on."""
    return frozenset(tx.execute(_OPEN).scalars())


def stops(tx: Session, *, own: bool = False) -> bool:
    """Whether a send must wait now. `own`: it is a notice to one of our own people."""
    found = kinds(tx)
    return bool(found - {CLOCK}) if own else bool(found)


def open_holds(tx: Session) -> list[SendingHold]:
    """The holds that are open, oldest first."""
    query = select(SendingHold).where(SendingHold.lifted_at.is_(None)).order_by(SendingHold.id)
    return list(tx.execute(query).scalars())


def begin(
    tx: Session, kind: str, *, actor: str, reason: str, source: str = "", values: dict[str, Any] | None = None
) -> int:
    """Put sending on hold; returns the hold's id. One that is open for this kind and source stays as it is.

    Raises Invalid without a reason.
    """
    reason = _said(reason)
    row = {"kind": kind, "source": source[:120], "begun_at": clock.now(), "begun_by": actor, "lifted_by": ""}
    made = tx.execute(insert_or_ignore(tx, SendingHold).values(row).returning(SendingHold.id)).scalar_one_or_none()
    if made is None:
        same = (SendingHold.kind == kind, SendingHold.source == row["source"], SendingHold.lifted_at.is_(None))
        return tx.execute(select(SendingHold.id).where(*same)).scalar_one()
    append(tx, "sending.held", _SENTENCES[kind], actor=actor, values={"reason": reason, **(values or {})},
           about=("sending-hold", made))  # fmt: skip
    if kind == CLOCK:
        pending(tx, "sending.doubted", made)
    return made


def lift(tx: Session, hold_id: int, *, actor: str, reason: str) -> None:
    """Let sending go on; what waits goes out then. Raises NotFound, Invalid without a reason, Refused if it is over."""
    reason = _said(reason)
    hold = tx.get(SendingHold, hold_id, with_for_update=True, populate_existing=True)
    if hold is None:
        raise NotFound()
    if hold.lifted_at is not None:
        raise Refused("This hold was lifted before: look at what is on hold now.")
    hold.lifted_at, hold.lifted_by = clock.now(), actor
    newest = tx.execute(select(Entry.at).order_by(Entry.id.desc()).limit(1)).scalar_one_or_none()
    if hold.kind == CLOCK and newest is not None and newest > hold.lifted_at:
        hold.accepts_until = newest
    append(tx, "sending.resumed", "A hold on sending was lifted.", actor=actor,
           values={"reason": reason, "kind": hold.kind}, about=("sending-hold", hold.id))  # fmt: skip
    tx.info["nudges"].add(live.RELAY)


def reason_of(tx: Session, hold_id: int) -> str:
    """Why it was begun, from the record, where it lies sealed."""
    said = select(Entry).where(
        Entry.chain == "record", Entry.kind == "sending.held", Entry.object_type == "sending-hold",
        Entry.object_id == hold_id,
    )  # fmt: skip
    found = described(tx, tx.execute(said.order_by(Entry.id.desc()).limit(1)).scalars())
    return str(found[0]["values"].get("reason", "")) if found else ""


def behind_record(tx: Session) -> float:
    """By how many seconds our clock is behind the newest entry; 0.0 where it is not, or where that was accepted."""
    newest = tx.execute(select(Entry.at).order_by(Entry.id.desc()).limit(1)).scalar_one_or_none()
    if newest is None:
        return 0.0
    accepted = tx.execute(select(func.max(SendingHold.accepts_until))).scalar_one_or_none()
    if accepted is not None and newest <= accepted:
        return 0.0
    return max(0.0, (newest - clock.now()).total_seconds())


def _said(reason: str) -> str:
    reason = reason.strip()
    if not reason:
        raise Invalid([Fault("/reason", "Say why in a few words.")])
    if len(reason) > LONGEST_REASON:
        raise Invalid([Fault("/reason", f"Use at most {LONGEST_REASON} characters.")])
    return reason
