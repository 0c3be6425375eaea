"""Names looked for in a text: whole words, whatever the case of their letters. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SHORTEST = 3


def pattern_of(names: Iterable[str]) -> re.Pattern[str] | None:
    """What finds each of the names, longest first; None where there is none worth looking for."""
    wanted = sorted({name.strip() for name in names if len(name.strip()) >= _SHORTEST}, key=len, reverse=True)
    if not wanted:
        return None
    return re.compile(rf"(?<!\w)(?:{'|'.join(re.escape(name) for name in wanted)})(?!\w)", re.IGNORECASE)


def names_in(text: str, names: Iterable[str]) -> bool:
    pattern = pattern_of(names)
    return pattern is not None and pattern.search(text) is not None
