"""When a duty is due, how it stands, and when somebody is warned. Pure: the caller brings instants and `now`.

Elapsed hours are added in UTC, so that no change to summer time makes a clock shorter. A month is the same day of the
next month, at most its last. An instant known to the hour or the day counts from its earliest moment, since the
stricter reading is the safe one. What is called here "without undue delay" has no deadline and a target instead.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any

from coordinator.errors import Fault, Invalid, Refused
from playbooks.durations import read_duration


class State(StrEnum):
    """What is stored. `armed`: wanted, and the instant it counts from is not known yet."""

    ARMED = "armed"
    RUNNING = "running"
    MET = "met"
    WAIVED = "waived"
    NOT_APPLICABLE = "not-applicable"
    SUPERSEDED = "superseded"


OPEN = frozenset({State.ARMED, State.RUNNING})
#: How a duty ends without being met; each needs a reason and the right to say so.
SET_ASIDE = frozenset({State.WAIVED, State.NOT_APPLICABLE, State.SUPERSEDED})
#: For "without undue delay": a target to be watched, no deadline.
SOFT_TARGET = timedelta(hours=24)
WITHOUT_DELAY, GIVEN = "without-undue-delay", "given"
OVERDUE = "overdue"

Known = Mapping[str, tuple[datetime, str]]
_BUSINESS = re.compile(r"(\d{1,3})BD")
_FLOOR: Mapping[str, dict[str, Any]] = {
    "minute": {"second": 0, "microsecond": 0},
    "hour": {"minute": 0, "second": 0, "microsecond": 0},
    "day": {"hour": 0, "minute": 0, "second": 0, "microsecond": 0},
    "month": {"day": 1, "hour": 0, "minute": 0, "second": 0, "microsecond": 0},
    "year": {"month": 1, "day": 1, "hour": 0, "minute": 0, "second": 0, "microsecond": 0},
}


@dataclass(frozen=True)
class Reckoned:
    """What a clock comes to. `due_at` None and a `target_at`: a soft one."""

    basis: str
    basis_at: datetime
    due_at: datetime | None
    target_at: datetime

    @property
    def soft(self) -> bool:
        return self.due_at is None


def earliest(at: datetime, fidelity: str) -> datetime:
    """The earliest instant that this one, known to the hour, day, month or year, can mean. Aware, in UTC."""
    return at.astimezone(UTC).replace(**_FLOOR.get(fidelity, {}))


def reckon(clocks: Sequence[Mapping[str, Any]], known: Known, *, holidays: Collection[date] = ()) -> Reckoned | None:
    """The earliest of a rule's clocks whose basis is known; None while none is.

    A clock with `unless_over_by` does not count where it was over before that other instant (Delegated Regulation (EU)
    2025/301, Art. 5: an incident classified more than 24 hours after awareness).
    """
    found = [each for each in (_one(clock, known, holidays) for clock in clocks) if each is not None]
    return min(found, key=lambda each: (each.target_at, each.basis), default=None)


def _one(clock: Mapping[str, Any], known: Known, holidays: Collection[date]) -> Reckoned | None:
    basis = clock["basis"]
    if basis not in known:
        return None
    at, offset = earliest(*known[basis]), clock["offset"]
    if offset == WITHOUT_DELAY:
        return Reckoned(basis, at, None, at + SOFT_TARGET)
    due = after(at, offset, holidays=holidays)
    other = known.get(clock.get("unless_over_by", ""))
    if other is not None and due < earliest(*other):
        return None
    return Reckoned(basis, at, due, due)


def after(at: datetime, offset: str, *, holidays: Collection[date] = ()) -> datetime:
    """`at` plus an ISO 8601 duration, or `4BD` (business days, at the same time of day), or itself (`given`)."""
    if offset == GIVEN:
        return at
    found = _BUSINESS.fullmatch(offset)
    if found is None:
        return read_duration(offset).after(at)
    day = business_days_after(at.date(), int(found[1]), holidays=holidays)
    return at.replace(year=day.year, month=day.month, day=day.day)


def business_days_after(day: date, count: int, *, holidays: Collection[date] = ()) -> date:
    """The day that lies `count` business days later: Mondays to Fridays that are no holiday."""
    while count:
        day += timedelta(days=1)
        count -= day.weekday() < 5 and day not in holidays
    return day


def counts_business_days(offset: str) -> bool:
    """Whether an offset needs a table of holidays."""
    return _BUSINESS.fullmatch(offset) is not None


def known_offset(offset: str) -> bool:
    """Whether an offset can be reckoned."""
    if offset in (WITHOUT_DELAY, GIVEN) or _BUSINESS.fullmatch(offset):
        return True
    try:
        read_duration(offset)
    except ValueError:
        return False
    return True


# ---------------------------------------------------------------- how it stands


def standing(
    state: str, *, due_at: datetime | None, target_at: datetime | None, basis_at: datetime | None,
    met_at: datetime | None, now: datetime,
) -> str:  # fmt: skip
    """The state people see: due-soon, overdue and met-late are derived, never stored. Late stays late."""
    if state == State.MET:
        return "met-late" if due_at is not None and met_at is not None and met_at > due_at else str(state)
    if state != State.RUNNING or target_at is None:
        return str(state)
    if now >= target_at:
        return OVERDUE
    half = basis_at + (target_at - basis_at) / 2 if basis_at is not None else target_at
    return "due-soon" if now >= half else str(state)


def warnings(basis_at: datetime, target_at: datetime) -> list[tuple[str, datetime]]:
    """When somebody is told, in order: at half, three quarters and nine tenths of the time, an hour before, and when it
    is over. The hour before is left out where the whole time is no longer than that."""
    whole = target_at - basis_at
    found = [(f"{part}%", basis_at + whole * part / 100) for part in (50, 75, 90)]
    if whole > timedelta(hours=1):
        found.append(("1h", target_at - timedelta(hours=1)))
    return [*sorted(found, key=lambda each: each[1]), (OVERDUE, target_at)]


def what_to_tell(
    basis_at: datetime, target_at: datetime, *, told: Collection[str], now: datetime
) -> tuple[list[str], datetime | None]:
    """(marks that were passed and not told yet, the instant of the next one). A clock that is started late passes
    several at once: that is one warning, not four."""
    marks = warnings(basis_at, target_at)
    passed = [name for name, at in marks if at <= now and name not in told]
    return passed, min((at for name, at in marks if at > now and name not in told), default=None)


# ---------------------------------------------------------------- what may be done with it


def check_met(at: datetime, *, now: datetime, evidence: str) -> None:
    """A duty is met by a submission that was recorded, with what shows it. Raises Invalid."""
    faults = []
    if at > now:
        faults.append(Fault("/submitted_at", "This lies in the future: give the instant at which it was submitted."))
    if not evidence.strip():
        faults.append(Fault("/evidence", "Say what shows the submission: a receipt, a reference, a person."))
    if faults:
        raise Invalid(faults)


def check_open(state: str) -> None:
    """Raises Refused where the duty is settled."""
    if state not in OPEN:
        raise Refused(f"This duty is {state} already.")


def moved(before: datetime | None, after_: datetime | None) -> str:
    """What a new reckoning does: "" (the same), earlier, first (there was none), or later (a person has to say so)."""
    if before == after_:
        return ""
    if before is None:
        return "first"
    return "earlier" if after_ is not None and after_ < before else "later"


def bases(clocks: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The names of the instants a rule looks at."""
    return tuple(dict.fromkeys(clock["basis"] for clock in clocks))
