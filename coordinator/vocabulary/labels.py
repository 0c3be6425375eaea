"""The labels TLP 2.0 (who may have it) and PAP (what may be done with it), their order, and their ids elsewhere.

Sources: FIRST TLP 2.0; PAP as in the MISP taxonomy PAP v3; the STIX ids of the OASIS TLP 2.0 extension.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from enum import Enum
from typing import Any, Self

from coordinator.vocabulary.shapes import Malformed


class UnknownLabel(Malformed):
    """The label is none that the standard knows. It is never read as a less strict one."""


@functools.total_ordering
class Level(Enum):
    """A label with a rank. Ordered by rank, never by spelling; str() is the bare word that is stored and sent."""

    rank: int

    def __new__(cls, word: str, rank: int) -> Self:
        level = object.__new__(cls)
        level._value_ = word
        level.rank = rank
        return level

    def __lt__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.rank < other.rank  # type: ignore[attr-defined]

    def __str__(self) -> str:
        return self._value_

    @property
    def label(self) -> str:
        """As it is printed on everything that carries the item: capitals, no space, never translated."""
        return f"{type(self).__name__.upper()}:{self._value_}"


class Tlp(Level):
    CLEAR = ("CLEAR", 0)
    GREEN = ("GREEN", 1)
    AMBER = ("AMBER", 2)
    AMBER_STRICT = ("AMBER+STRICT", 3)
    RED = ("RED", 4)

    @property
    def stix_id(self) -> str:
        return _STIX_IDS[self._value_]

    @property
    def colour(self) -> str:
        """The colour the standard gives the label, on a black ground, as #RRGGBB."""
        return _COLOURS[self._value_]


class Pap(Level):
    CLEAR = ("CLEAR", 0)
    GREEN = ("GREEN", 1)
    AMBER = ("AMBER", 2)
    RED = ("RED", 3)


# Unmarked material is held like this until somebody says what it is; the standard defines no default.
UNMARKED_AS = Tlp.AMBER_STRICT

# marking-definition objects of TLP 2.0, from the OASIS common object repository. Wrong ids circulate widely.
_STIX_IDS = {
    "CLEAR": "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
    "GREEN": "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
    "AMBER": "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
    "AMBER+STRICT": "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
    "RED": "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
}
# The four of TLP 1, built into STIX 2.1: read, never written.
_STIX_IDS_TLP1 = {
    "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": "CLEAR",
    "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": "GREEN",
    "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": "AMBER",
    "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": "RED",
}
_COLOURS = {
    "CLEAR": "#FFFFFF", "GREEN": "#33FF00", "AMBER": "#FFC000", "AMBER+STRICT": "#FFC000", "RED": "#FF2B2B",
}  # fmt: skip
_BY_STIX_ID = {stix_id: word for word, stix_id in _STIX_IDS.items()} | _STIX_IDS_TLP1


def _parse(levels: type[Level], word: object) -> Any:
    if not isinstance(word, str):
        raise UnknownLabel("", f"must be one of {', '.join(map(str, levels))}")
    bare = word.strip().upper().removeprefix(f"{levels.__name__.upper()}:")
    bare = "CLEAR" if bare == "WHITE" else bare  # the name of CLEAR before 2022
    for level in levels:
        if level.value == bare:
            return level
    raise UnknownLabel("", f"must be one of {', '.join(map(str, levels))}")


def parse_tlp(word: object) -> Tlp:
    """The label in `AMBER`, `TLP:AMBER` or `tlp:amber`; WHITE is CLEAR. Raises UnknownLabel for anything else."""
    return _parse(Tlp, word)


def parse_pap(word: object) -> Pap:
    """The level in `AMBER`, `PAP:AMBER` or `pap:amber`; WHITE is CLEAR. Raises UnknownLabel for anything else."""
    return _parse(Pap, word)


def tlp_of_stix_id(stix_id: str) -> Tlp | None:
    """The label a STIX marking-definition id stands for (TLP 2.0 or TLP 1), or None where it is neither."""
    word = _BY_STIX_ID.get(stix_id)
    return parse_tlp(word) if word else None


def strictest(labels: Iterable[Tlp | None]) -> Tlp:
    """The strictest label; None, which is unmarked, counts as AMBER+STRICT. Raises ValueError where there is none."""
    return max(UNMARKED_AS if label is None else label for label in labels)
