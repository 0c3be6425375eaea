"""Names for one's own rows on pages. Row numbers count up over everybody's: whoever saw two of them would know how much
happened here in between."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from coordinator.errors import NotFound
from coordinator.web import access


class Numbered(Protocol):
    """A row."""

    id: int


def handle(kind: str, number: int) -> str:
    """The name of this row: the same each time, and it tells no number. `kind`: session, token, passkey."""
    return access.store().vault.token(f"own-{kind}", str(number))[:16]


def number_of(kind: str, said: str, rows: Iterable[Numbered]) -> int:
    """The number of the row that is called so among these. Raises NotFound, the same for none and another's."""
    for row in rows:
        if handle(kind, row.id) == said:
            return row.id
    raise NotFound()
