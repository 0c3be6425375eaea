"""Holidays, for clock rules that count business days: a table of this installation, by jurisdiction.

Nothing is shipped: what is a holiday is law that changes each year, and a wrong table would move deadlines. Until there
is one only weekends are left out, which is the earlier and so the stricter reading; that is said beside each due time.
(Regulation (EEC, Euratom) 1182/71, Art. 2, for one, makes working days of all days but public holidays, Saturdays and
Sundays, and has each state publish its list.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy.orm import Session

from coordinator.obligations.rules import counts_business_days
from coordinator.partners.queries import setting

#: The setting of the world file that holds them: {"US": ["2026-11-26", ...]}.
HOLIDAYS = "holidays"


@dataclass(frozen=True)
class Calendar:
    """What is known of a jurisdiction's holidays; `until` is the last one of the table, None where it is empty."""

    jurisdiction: str
    days: frozenset[date] = frozenset()

    @property
    def until(self) -> date | None:
        return max(self.days, default=None)

    def as_told(self) -> dict[str, Any]:
        return {
            "jurisdiction": self.jurisdiction, "holidays": len(self.days),
            "until": self.until.isoformat() if self.until else None,
        }  # fmt: skip


def holidays(tx: Session) -> dict[str, frozenset[date]]:
    """The table of this installation."""
    table = setting(tx, HOLIDAYS, {})
    return {place: frozenset(date.fromisoformat(day) for day in days) for place, days in table.items()}


def calendar_of(terms: Mapping[str, Any], table: Mapping[str, frozenset[date]]) -> Calendar | None:
    """The calendar a rule counts by; None for one that counts elapsed time."""
    if not any(counts_business_days(clock["offset"]) for clock in terms["clocks"]):
        return None
    return Calendar(terms["jurisdiction"], table.get(terms["jurisdiction"], frozenset()))
