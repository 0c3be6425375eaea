"""Dates of an agreement that a person has to think of, and what a duration of the register adds to an instant. Pure.

Source: the register's rules (agreements.yaml): an end 90, 30 and 7 days before, a review 30 days before, and the last
day to object before it renews by itself.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

BEFORE_END, BEFORE_REVIEW, BEFORE_OBJECTION = (90, 30, 7), 30, 14
_PARTS = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")


@dataclass(frozen=True)
class Reminder:
    """`what`: end, review or objection. `at` is when to remind, `of` the instant itself."""

    what: str
    at: datetime
    of: datetime


def reminders(register: Mapping[str, Any]) -> list[Reminder]:
    """Every reminder of these terms, earliest first; none for an agreement that was terminated."""
    if register.get("terminated_on"):
        return []
    found = []
    end, review = _instant(register.get("expires_on")), _day(register.get("review_due"))
    objection = objects_by(register)
    if end is not None:
        found += [Reminder("end", end - timedelta(days=days), end) for days in BEFORE_END]
    if review is not None:
        found.append(Reminder("review", review - timedelta(days=BEFORE_REVIEW), review))
    if objection is not None:
        found.append(Reminder("objection", objection - timedelta(days=BEFORE_OBJECTION), objection))
    return sorted(found, key=lambda one: (one.at, one.what))


def turns(register: Mapping[str, Any]) -> list[datetime]:
    """Every instant at which what these terms permit may change by itself, earliest first: a start, an end, a day of
    signature, the edges of a suspension."""
    pauses = register.get("suspended") or ()
    edges = [_instant(pause.get(edge)) for pause in pauses for edge in ("from", "to")]
    dates = [_instant(register.get(name)) for name in ("effective_from", "expires_on", "terminated_on")]
    signed = [_day(each.get("signed_on")) for each in (register, *register.get("parties", ()))]
    return sorted({at for at in (*edges, *dates, *signed) if at is not None})


def destroyed_by(register: Mapping[str, Any], *, superseded_at: datetime | None = None) -> datetime | None:
    """When what was given under it is to be destroyed (destruction_on). `expiry`: when it is over, whichever way;
    `termination`: when it was terminated. None where it does not say so, has no end, or another agreement took its
    place before that: then the terms of that one hold."""
    over = {"expiry": ("expires_on", "terminated_on"), "termination": ("terminated_on",)}
    names = over.get(register.get("destruction_on") or "", ())
    at = min((found for name in names if (found := _instant(register.get(name))) is not None), default=None)
    return None if at is None or (superseded_at is not None and superseded_at <= at) else at


def objects_by(register: Mapping[str, Any]) -> datetime | None:
    """The last instant to object before it renews by itself: its end less the notice; None where it does not."""
    end, notice = _instant(register.get("expires_on")), register.get("termination_notice")
    if end is None or register.get("renewal") != "automatic":
        return None
    return shift(end, notice, back=True) if notice else end


def shift(at: datetime, duration: str, *, back: bool = False) -> datetime:
    """`at` and an ISO 8601 duration more, or less. A month that is too short takes its last day (31 January and a month
    is 28 February). Raises ValueError for what is no duration."""
    match = _PARTS.fullmatch(duration)
    if match is None:
        raise ValueError("this is no ISO 8601 duration")
    years, months, weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    sign = -1 if back else 1
    place = at.year * 12 + at.month - 1 + sign * (years * 12 + months)
    year, month = max(1, min(9999, place // 12)), place % 12 + 1
    moved = at.replace(year=year, month=month, day=min(at.day, calendar.monthrange(year, month)[1]))
    return moved + sign * timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)


def _instant(value: Any) -> datetime | None:
    return datetime.fromisoformat(value).astimezone(UTC) if value else None


def _day(value: Any) -> datetime | None:
    return datetime.fromisoformat(value).replace(tzinfo=UTC) if value else None
