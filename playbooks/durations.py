"""ISO 8601 durations as the coordination extension allows them, and deadlines counted from an instant.

Pure arithmetic on aware datetimes. Months are calendar months; "office" time skips Saturdays and Sundays and knows no
holidays: whoever knows them may set a better deadline.
"""

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

FORM = re.compile(r"P(?!$)(?:(\d{1,3})M)?(?:(\d{1,5})D)?(?:T(?=\d)(?:(\d{1,5})H)?(?:(\d{1,7})M)?(?:(\d{1,9})S)?)?")


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time; `text` is how it was written."""

    text: str
    months: int
    seconds: int

    def after(self, instant: datetime) -> datetime:
        """The instant that lies this much later; 31 January + 1 month is the last day of February."""
        month = instant.month - 1 + self.months
        year, month = instant.year + month // 12, month % 12 + 1
        day = min(instant.day, calendar.monthrange(year, month)[1])
        return instant.replace(year=year, month=month, day=day) + timedelta(seconds=self.seconds)

    def after_in_office_time(self, instant: datetime) -> datetime:
        """As `after`, but the days and hours run on Monday to Friday (UTC) only."""
        at = _next_working_instant(Duration(self.text, self.months, 0).after(instant))
        left = timedelta(seconds=self.seconds)
        weeks, left = divmod(left, timedelta(days=5))
        at += weeks * timedelta(days=7)
        while left > timedelta(0):
            midnight = (at + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
            step = min(left, midnight - at)
            at, left = at + step, left - step
            if left:
                at = _next_working_instant(at)
        return at


def _next_working_instant(at: datetime) -> datetime:
    while at.weekday() >= 5:
        at = (at + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return at


def read_duration(text: str) -> Duration:
    """Raises ValueError with a sentence if the text is not such a duration."""
    found = FORM.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("a duration is written like PT30M, PT24H, P3D or P1M")
    months, days, hours, minutes, seconds = (int(each or 0) for each in found.groups())
    return Duration(text, months, ((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def read_instant(text: object) -> datetime | None:
    """An RFC 3339 instant with offset as aware UTC; None for anything else."""
    if isinstance(text, datetime):
        return text.astimezone(UTC) if text.tzinfo else None
    if not isinstance(text, str) or len(text) > 40:
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else None
    except (ValueError, OverflowError):
        return None


def write_instant(instant: datetime) -> str:
    """RFC 3339 in UTC with Z; microseconds only where there are any."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
