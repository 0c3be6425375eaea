"""One closed list of codes with names, in an order that does not change."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any, Generic, TypeVar

Code = TypeVar("Code", str, int)


class Vocabulary(Generic[Code]):
    """A closed list. `valid` takes anything and never raises; `label` raises KeyError for a code that is not listed."""

    def __init__(self, labels: Mapping[Code, str]) -> None:
        self._labels: dict[Code, str] = dict(labels)
        self.codes: tuple[Code, ...] = tuple(self._labels)

    def valid(self, code: object) -> bool:
        # True and 3.0 are equal to 1 and 3 in Python, but they are not severities.
        return type(code) in (str, int) and code in self._labels

    def label(self, code: Code) -> str:
        return self._labels[code]

    def choices(self) -> list[tuple[Code, str]]:
        """Pairs of code and label, in order, as forms want them."""
        return list(self._labels.items())

    def __contains__(self, code: object) -> bool:
        return self.valid(code)

    def __iter__(self) -> Iterator[Code]:
        return iter(self.codes)

    def __len__(self) -> int:
        return len(self.codes)


def load(name: str) -> dict[str, Any]:
    """The data file `name` of this package."""
    return json.loads((resources.files(__package__) / "data" / f"{name}.json").read_text(encoding="utf-8"))
