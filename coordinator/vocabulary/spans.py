"""Lengths of time as agreements write them (ISO 8601-1, 5.5.2): in words, and counted from an instant."""

from __future__ import annotations

import calendar
import re
from datetime import datetime, timedelta

SPAN = re.compile(
    r"P(?=.)(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", re.ASCII
)
_UNITS = ("year", "month", "week", "day", "hour", "minute", "second")
_LATEST_YEAR = 9999


def _parts(span: str) -> list[int]:
    found = SPAN.fullmatch(span)
    if found is None:
        raise ValueError("not an ISO 8601 duration")
    return [int(part or 0) for part in found.groups()]


def in_words(span: str) -> str:
    """`P1Y` is "1 year", `P1DT12H` "1 day 12 hours". Raises ValueError for what is no duration."""
    said = [f"{number} {unit}{'' if number == 1 else 's'}" for number, unit in zip(_parts(span), _UNITS, strict=True)
            if number]  # fmt: skip
    return " ".join(said) or "0 seconds"


def later(instant: datetime, span: str) -> datetime | None:
    """The instant that lies this much later; None beyond the year 9999. Raises ValueError for what is no duration.

    Years and months are those of the calendar: 31 January and one month is the last day of February.
    """
    years, months, weeks, days, hours, minutes, seconds = _parts(span)
    month = instant.month - 1 + months
    year, month = instant.year + years + month // 12, month % 12 + 1
    if year > _LATEST_YEAR:
        return None
    day = min(instant.day, calendar.monthrange(year, month)[1])
    try:
        rest = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
        return instant.replace(year=year, month=month, day=day) + rest
    except OverflowError:
        return None
