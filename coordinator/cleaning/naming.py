"""Names looked for in a text: whole words, whatever the case of their letters. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable

_SHORTEST = 3


def pattern_of(names: Iterable[str]) -> re.Pattern[str] | None:
    """What finds each of the names, longest first; None where there is none worth looking for."""
    wanted = sorted({name.strip() for name in names if len(name.strip()) >= _SHORTEST}, key=len, reverse=True)
    if not wanted:
        return None
    return re.compile(rf"(?<!\w)(?:{'|'.join(re.escape(name) for name in wanted)})(?!\w)", re.IGNORECASE)


def names_in(text: str, names: Collection[str]) -> list[str]:
    """Those of the names that stand in the text, sorted. Ligatures, full-width letters and soft hyphens hide none, nor
    does a line end or space within: a page knows where its letters are, and not which are a word."""
    plain = _plain(text)
    return sorted({name for name in names if (one := _drawn(name)) is not None and one.search(plain)})


def _drawn(name: str) -> re.Pattern[str] | None:
    letters = "".join(_plain(name).split())
    if len(letters) < _SHORTEST:
        return None
    spread = r"\s*".join(map(re.escape, letters))
    return re.compile(rf"(?<!\w){spread}(?!\w)", re.IGNORECASE)


def _plain(text: str) -> str:
    whole = unicodedata.normalize("NFKC", text)
    return "".join(each for each in whole if unicodedata.category(each) != "Cf")
