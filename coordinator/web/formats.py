"""How instants, spans and sizes are written on pages. Every time shows its zone and how far away it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.dates import format_date, format_datetime
from flask_babel import format_timedelta, get_locale, gettext, ngettext

from coordinator import clock
from playbooks.durations import read_duration

#: From how many seconds, how many of them, which unit. Months of 30 days and years of 365, so that a deadline is never
#: said to be further away than it is.
_STEPS = (
    (86400 * 730, 86400 * 365, "year"), (86400 * 90, 86400 * 30, "month"), (86400 * 2, 86400, "day"),
    (3600 * 2, 3600, "hour"), (60, 60, "minute"),
)  # fmt: skip


@lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo:
    """The zone with this IANA name; UTC where there is none."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


@dataclass(frozen=True)
class Moment:
    """An instant ready for a page: `iso` for machines, `text` with date, time and zone, `away` relative to now."""

    iso: str
    text: str
    away: str
    late: bool
    soon: bool


def moment(instant: datetime | str, *, zone: str, now: datetime | None = None, due: bool = False) -> Moment:
    """`due`: an instant in the past is late and one within two hours is soon; without it, past is just past."""
    at = clock.parse(instant) if isinstance(instant, str) else instant
    now = now or clock.now()
    return Moment(
        iso=clock.rfc3339(at.replace(microsecond=0)),
        text=written(at, zone),
        away=away(at, now, due=due),
        late=due and at <= now,
        soon=due and now < at <= now + timedelta(hours=2),
    )


def written(at: datetime, zone: str) -> str:
    """`22 Nov 2026, 19:53 EET`."""
    local = at.astimezone(zone_of(zone))
    return f"{format_datetime(local, 'd MMM y, HH:mm', locale=_locale())} {zone_name(local)}"


def zone_name(local: datetime) -> str:
    """The zone's short name, or its offset where it has none (`UTC+03`)."""
    name = local.tzname() or "UTC"
    return f"UTC{name}" if name[:1] in "+-" else name


def away(at: datetime, now: datetime, *, due: bool = False) -> str:
    """`in 3 hours`, `in 2 h 59 min`, `5 min ago`, `2 days late`."""
    seconds = (at - now).total_seconds()
    if abs(seconds) < 60:
        return gettext("now")
    span = spell(abs(seconds))
    if seconds > 0:
        return gettext("in %(span)s", span=span)
    return gettext("%(span)s late", span=span) if due else gettext("%(span)s ago", span=span)


def spell(seconds: float) -> str:
    """The largest unit that says enough: 90 minutes stay minutes, 30 hours stay hours. Up to ten hours the minutes are
    said too: a deadline in 2 h 59 min is not one in two hours. `static/times.js` says the same."""
    if 2 * 3600 <= seconds < 10 * 3600 and (minutes := int(seconds % 3600 // 60)):
        return gettext("%(hours)d h %(minutes)d min", hours=int(seconds // 3600), minutes=minutes)
    for least, size, unit in _STEPS:
        if seconds >= least:
            return _counted(int(seconds // size), unit)
    return _counted(1, "minute")


def _counted(number: int, unit: str) -> str:
    if unit == "year":
        return ngettext("%(num)d year", "%(num)d years", number)
    if unit == "month":
        return ngettext("%(num)d month", "%(num)d months", number)
    if unit == "day":
        return ngettext("%(num)d day", "%(num)d days", number)
    if unit == "hour":
        return ngettext("%(num)d hour", "%(num)d hours", number)
    return ngettext("%(num)d min", "%(num)d min", number)


def fidelity_text(at: datetime | str, fidelity: str, zone: str) -> str:
    """An instant no more exact than it is known: `November 2026`, `22 Nov 2026`, `22 Nov 2026, 19 h EET`."""
    at = clock.parse(at) if isinstance(at, str) else at
    local = at.astimezone(zone_of(zone))
    if fidelity in _COARSE:
        return format_date(local.date(), _COARSE[fidelity], locale=_locale())
    if fidelity == "hour":
        return f"{format_datetime(local, 'd MMM y, HH', locale=_locale())}:00 {zone_name(local)}"
    pattern = "d MMM y, HH:mm:ss" if fidelity == "second" else "d MMM y, HH:mm"
    return f"{format_datetime(local, pattern, locale=_locale())} {zone_name(local)}"


_COARSE = {"year": "y", "month": "MMMM y", "day": "d MMM y"}


def day(value: date | datetime | str, zone: str = "UTC") -> str:
    """`15 Jan 2026`."""
    if isinstance(value, str):
        value = clock.parse(value) if "T" in value else date.fromisoformat(value)
    if isinstance(value, datetime):
        value = value.astimezone(zone_of(zone)).date()
    return format_date(value, "d MMM y", locale=_locale())


def size(number: int) -> str:
    """Bytes for people: `812 B`, `4.1 kB`, `25 MB` (powers of 1000, as file managers show)."""
    if number < 1000:
        return f"{number} B"
    value, unit = (number / 1000, "kB") if number < 1_000_000 else (number / 1_000_000, "MB")
    return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"


def capped(count: int, most: int) -> str:
    """A bounded count: `1000+` where it was cut."""
    return f"{most}+" if count > most else str(count)


def _locale() -> Any:
    return get_locale() or "en"


def duration_words(text: str) -> str:
    """An ISO 8601 duration of a ladder in words ("30 minutes"), in the reader's language."""
    start = clock.now()
    words: str = format_timedelta(read_duration(text).after(start) - start, threshold=1)
    return words
