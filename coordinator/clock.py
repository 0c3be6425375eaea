"""The one clock. Everything is aware UTC; rules never read it, they are given `now`."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The present instant, aware, in UTC."""
    return datetime.now(UTC)


def steady() -> float:
    """Seconds that only ever grow, also while the machine sleeps: what the wall clock is measured against."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)  # Linux; CLOCK_MONOTONIC stands still in suspend there
    return time.clock_gettime(boot) if boot is not None else time.monotonic()


def rfc3339(instant: datetime) -> str:
    """`2026-11-22T17:53:24Z`, with microseconds only when there are any. Takes aware datetimes only."""
    if instant.tzinfo is None:
        raise ValueError("instants carry an offset")
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse(text: str) -> datetime:
    """The instant in an RFC 3339 string we wrote ourselves. Raises ValueError without an offset."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("instants carry an offset")
    return instant.astimezone(UTC)
