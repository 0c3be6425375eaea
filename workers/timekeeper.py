"""Watches this machine's clock: a step is put on record, and a clock that cannot be trusted stops sending.

Steps are measured against a count that only grows (`clock.steady`), differences against the database's clock and the
newest entry. What was seen lies in a heartbeat row, so that a process started after a jump still knows of it. A person
who lifts the hold confirms the clock as it is; a clock that returns lifts it by itself.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.store import Store
from coordinator.timeline import sending_hold
from coordinator.timeline.models import Heartbeat, SendingHold
from workers.heartbeat import beat

CLOCK = "clock"
RECORDED = 5.0  # seconds by which the clock may jump or differ before it is put on record
TRUSTED = 60.0  # and before sends wait
REASON = "The clock jumped or differs by more than 60 s: set it right, or confirm that it is right now."
RIGHT_AGAIN = "The clock is right again."


@dataclass
class _State:
    """`base`: the wall clock less the steady count, when it was trusted last; `seen`: at the last look.

    `sure`: the base is older than any hold that is open, so that a return to it proves something. `settled`: the last
    hold that was lifted and taken notice of. `behind`: the hold begun because our clock is behind the record.
    """

    base: float | None = None
    seen: float | None = None
    skew_accepted: float = 0.0
    apart: bool = False
    sure: bool = False
    settled: int = 0
    behind: int = 0


_state = _State()
_lock = threading.Lock()


def jumped() -> bool:
    """Whether the clock moved against the steady count since the last look, in this process. Costs two system calls."""
    return _state.seen is not None and abs(_offset() - _state.seen) > RECORDED


def watch(store: Store) -> None:
    """One look: record steps and differences over five seconds; over sixty, put sending on hold until it is settled."""
    with _lock:
        offset, skew = _offset(), _skew(store)
        with store.unit_of_work() as tx:
            hold = _newest_hold(tx)
            _remember(tx, offset, hold)
            step = offset - (_state.seen if _state.seen is not None else offset)
            _state.seen = offset
            _record(tx, step, skew)
            _judge(tx, hold, offset, skew)
        detail = {
            "skew_seconds": round(skew, 3), "step_seconds": round(step, 3), "boot": _boot(), "base": _state.base,
            "seen": offset, "skew_accepted": _state.skew_accepted, "sure": _state.sure, "settled": _state.settled,
            "behind": _state.behind,
        }  # fmt: skip
    beat(store, name=_name(), kind=CLOCK, detail=detail)


def forget() -> None:
    """Begin as a process that was just started: for tests."""
    global _state
    _state = _State()


def _newest_hold(tx: Session) -> SendingHold | None:
    mine = (SendingHold.kind == sending_hold.CLOCK, SendingHold.source == os.uname().nodename)
    return tx.execute(select(SendingHold).where(*mine).order_by(SendingHold.id.desc()).limit(1)).scalar_one_or_none()


def _remember(tx: Session, offset: float, hold: SendingHold | None) -> None:
    """At the first look of a process: what the one before it knew, if the machine was not started anew since."""
    if _state.base is not None:
        return
    row = tx.get(Heartbeat, _name())
    known: dict[str, Any] = row.detail if row is not None and row.detail.get("boot") == _boot() else {}
    _state.base, _state.seen = known.get("base", offset), known.get("seen", offset)
    _state.skew_accepted = known.get("skew_accepted", 0.0)
    _state.behind = known.get("behind", 0)
    _state.settled = known.get("settled", hold.id if hold is not None and hold.lifted_at is not None else 0)
    _state.sure = known.get("sure", hold is None or hold.lifted_at is not None)


def _record(tx: Session, step: float, skew: float) -> None:
    if abs(step) > RECORDED:
        timeline.append(tx, "clock.stepped", "This machine's clock jumped.", actor="system",
                        values={"seconds": round(step, 3), "machine": os.uname().nodename})  # fmt: skip
    apart = abs(skew) > RECORDED
    if apart and not _state.apart:
        timeline.append(tx, "clock.skewed", "This machine's clock differs from the database's.", actor="system",
                        values={"seconds": round(skew, 3), "machine": os.uname().nodename})  # fmt: skip
    _state.apart = apart


def _judge(tx: Session, hold: SendingHold | None, offset: float, skew: float) -> None:
    """Begin, keep or lift this machine's hold."""
    is_open = hold is not None and hold.lifted_at is None
    if hold is not None and not is_open and hold.id > _state.settled:  # a person said that the clock is right as it is
        if hold.lifted_by != sending_hold.SYSTEM:
            _state.base, _state.skew_accepted = offset, skew
        _state.settled, _state.sure = hold.id, True
    drift = offset - (_state.base if _state.base is not None else offset)
    moved, behind = max(abs(drift), abs(skew - _state.skew_accepted)), sending_hold.behind_record(tx)
    if hold is not None and is_open:
        # Entries written while the clock was wrong may lie ahead of it now: a clock that moved back explains them.
        right = moved <= TRUSTED and (_state.sure if hold.id != _state.behind else behind <= TRUSTED)
        if right:
            sending_hold.lift(tx, hold.id, actor=sending_hold.SYSTEM, reason=RIGHT_AGAIN)
    elif max(moved, behind) > TRUSTED:
        begun = sending_hold.begin(
            tx, sending_hold.CLOCK, actor=sending_hold.SYSTEM, reason=REASON, source=os.uname().nodename,
            values={"jumped_seconds": round(drift, 3), "differs_seconds": round(skew, 3)},
        )  # fmt: skip
        _state.behind = begun if moved <= TRUSTED else 0


def _skew(store: Store) -> float:
    """How far our clock is ahead of the database's, in seconds; nothing to compare with on one machine."""
    if store.one_machine:
        return 0.0
    with store.read() as tx:
        before = clock.now()
        theirs: datetime = tx.execute(select(func.clock_timestamp())).scalar_one()
        ours = before + (clock.now() - before) / 2
    return (ours - theirs).total_seconds()


def _offset() -> float:
    return clock.now().timestamp() - clock.steady()


def _name() -> str:
    return f"{CLOCK}@{os.uname().nodename}"[:120]


def _boot() -> str:
    """Which start of this machine it is; "" where the system does not say, and then each process begins afresh."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return f"process {os.getpid()}"
