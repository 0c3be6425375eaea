"""Humanitarian flags and the least severity and label they bring.

A floor is applied after any method of scoring: the public scoring schemes weigh health care by the dependency of other
sectors on it and have no input for life at risk. A flag records a fact; it never says that a rule of law was breached.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from coordinator.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True)
class _Flag:
    label: str
    severity_floor: int = 0
    tlp_floor: str | None = None


_FLAGS = {
    "life-at-risk": _Flag("Life at risk", 4),
    "hospital-or-medical": _Flag("Hospital or medical service", 3),
    "water-or-sanitation": _Flag("Water or sanitation", 3),
    "emergency-services": _Flag("Emergency services", 3),
    "food-or-heating": _Flag("Food or heating", 2),
    "humanitarian-organisation": _Flag("Humanitarian organisation"),
    "protected-persons-data": _Flag("Data on protected persons", tlp_floor="AMBER+STRICT"),
    "works-with-dangerous-forces": _Flag("Dam, dyke or nuclear power station", 4),
    "cultural-property": _Flag("Cultural property"),
    "elections": _Flag("Elections"),
    "armed-conflict-context": _Flag("In the context of an armed conflict"),
    "displaced-people": _Flag("Displaced people"),
}

HUMANITARIAN_FLAGS: Vocabulary[str] = Vocabulary({code: flag.label for code, flag in _FLAGS.items()})


def severity_floor(flags: Iterable[str]) -> int:
    """The least severity (0–5) these flags allow; 0 where none sets one. Raises KeyError for an unknown flag."""
    return max((_FLAGS[flag].severity_floor for flag in flags), default=0)


def tlp_floor(flags: Iterable[str]) -> str | None:
    """The least TLP label these flags allow, or None where none sets one. Raises KeyError for an unknown flag."""
    floors = {_FLAGS[flag].tlp_floor for flag in flags} - {None}
    return "AMBER+STRICT" if floors else None
