"""When to try again, when to remind, and whom to turn to next. Pure: no clock, no rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from playbooks.durations import read_duration

_MINUTE, _HOUR = 60, 3600
#: Seconds between attempts: 75 h 35 min in all, so that a partner's long weekend is outlived.
BACK_OFF = (5, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR)
#: Attempts lie up to this much later than said, so that a thousand that failed together do not come back together.
JITTER = 0.1
LONGEST_WAIT = 24 * _HOUR

#: For an alert that asks for an answer and says nothing else. The forms are those of a playbook's chain.
DEFAULT_LADDER: tuple[dict[str, Any], ...] = (
    {"after": "PT30M", "remind": True},
    {"after": "PT1H", "to": "next-channel"},
    {"after": "PT2H", "to": "next-contact"},
    {"after": "PT4H", "to_role": "coordinator"},
)


#: For a call to our desk: nobody waits half an hour for a mailbox at night.
CALL_LADDER: tuple[dict[str, Any], ...] = (
    {"after": "PT10M", "to": "next-channel"},
    {"after": "PT20M", "to": "next-channel"},
    {"after": "PT30M", "to": "next-contact"},
    {"after": "PT45M", "to_role": "coordinator"},
)


@dataclass(frozen=True)
class Way:
    """One channel of one contact, in the order in which they are to be tried."""

    contact_id: int | None
    channel_id: int | None


def wait_before_next(number: int, *, retry_after: float | None = None, jitter: float = 0.0) -> timedelta | None:
    """How long to wait after attempt `number` (1 is the first) failed; None when it was the last of its round.

    `retry_after`: what the receiver asked for, in seconds, honoured up to a day. `jitter`: 0.0 to 1.0, drawn by the
    caller. A round that somebody starts again by hand begins with the short waits.
    """
    place = (number - 1) % (len(BACK_OFF) + 1)
    if place >= len(BACK_OFF):
        return None
    seconds = BACK_OFF[place] * (1 + JITTER * min(max(jitter, 0.0), 1.0))
    return timedelta(seconds=max(seconds, min(retry_after or 0.0, LONGEST_WAIT)))


def entry_due(ladder: Sequence[Mapping[str, Any]], step: int, raised_at: datetime) -> datetime | None:
    """When entry `step` of the ladder comes due; None when there is no such entry."""
    if step >= len(ladder):
        return None
    return read_duration(ladder[step]["after"]).after(raised_at)


def next_way(ways: Sequence[Way], tried: Iterable[Way], current: Way, *, to: str) -> Way | None:
    """The way to take now. `to`: next-channel, next-contact, deputy, or next (whatever there is); None: no way is left.

    The first choice is what was asked for; where there is none, any way not yet tried to the same party.
    """
    done = set(tried)
    left = [way for way in ways if way not in done]
    same = [way for way in left if way.contact_id == current.contact_id]
    others = [way for way in left if way.contact_id != current.contact_id]
    wanted = others + same if to in ("next-contact", "deputy") else same + others
    return wanted[0] if wanted else None


def foresee(ladder: Sequence[Mapping[str, Any]], first: Way, permitted: Sequence[Way]) -> list[Way | None]:
    """Which way each entry of the ladder would take if nobody answered and nothing changed; None: it takes none.

    `permitted`: the ways that the rules let through, in their order, `first` among them.
    """
    tried, found = [first], list[Way | None]()
    for entry in ladder:
        way = next_way(permitted, tried, tried[-1], to=entry["to"]) if entry.get("to") else None
        if way is not None:
            tried.append(way)
        found.append(way or (tried[-1] if entry.get("remind") else None))
    return found


def answers_it(asked: str, given: str) -> bool:
    """Whether an acknowledgement of kind `given` (person, system) is the one that was asked for ("" asks for none).

    A ladder that asks for a person is not stopped by a machine.
    """
    return asked != "person" or given == "person"
