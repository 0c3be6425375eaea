"""Finding national, NATO and EU secrecy markings above unclassified. This system takes unclassified information only.

Prose speaks of secrets all the time ("Secret documents leaked", "NATO secret files for sale"), so a word is not enough:
it has to look like a marking. Only the title and the first and last line of a text are looked at, where markings stand.
The rule errs towards refusing what is set off like a marking, because a sender can write a title again. Levels that are
not above unclassified (NATO UNCLASSIFIED, OFFICIAL, FOUO, CUI, every TLP label) pass.
"""

from __future__ import annotations

import re
import unicodedata

from coordinator.vocabulary.vocabulary import load

UNCLASSIFIED = "UNCLASSIFIED"

# What sets a marking off from the words beside it. A comma or a plain space does not; a colon only after it.
_SEPARATOR = r"[|()\[\]{}【】「」]|//|\s[-–—/]\s|[-–—]{2,}"
_SPLIT = re.compile(_SEPARATOR)
_SPLIT_AT_COLON = re.compile(rf"{_SEPARATOR}|:(?=\s|$)")
_DECORATION = " \t*#=_<>~\"'«»„“”.!-–—"

_CAVEATS = (
    "NOFORN|NF|RELIDO|REL(?:EASABLE)?(?: TO)?|ORCON|OC|FVEY|SI|TK|HCS|PROPIN|SCI|COMINT|FGI|IMC|FISA|ATOMAL|"
    "(?:[A-Z]{2,3} )?EYES ONLY|DISPLAY ONLY"
)
# United States banners and portion marks: SECRET//NOFORN, TS//SI, (S//NF).
_BANNER = re.compile(rf"(?:^|[\s(\[])(TOP SECRET|SECRET|CONFIDENTIAL|TS|S|C) ?// ?(?:{_CAVEATS})(?!\w)")
_WITH_CAVEAT = re.compile(rf"^(.+?) (?:{_CAVEATS})(?!\w)")
_PORTION = re.compile(r"^[\W_]*\((TS|S|C|CTS|NS|NC|NR)\)(?!\w)")
_COPYRIGHT = re.compile(r"^[\W_]*\(C\)\s*(?:\d|copyright)", re.IGNORECASE)
_ABBREVIATIONS = {
    "TS": "TOP SECRET", "S": "SECRET", "C": "CONFIDENTIAL",
    "CTS": "COSMIC TOP SECRET", "NS": "NATO SECRET", "NC": "NATO CONFIDENTIAL", "NR": "NATO RESTRICTED",
}  # fmt: skip
# "Classification: secret" says that it is a marking, so the case of the word does not matter.
_DECLARED = re.compile(
    r"^[\W_]*(?:(?:security|overall|document) )?(?:classification|classified(?: as)?|secrecy|einstufung)"
    r"\s*[:=]\s*(.+)$",
    re.IGNORECASE,
)
_SPACED_OUT = re.compile(r"(?:\w ){3,}\w")


def _plain(text: str) -> str:
    """One form for what looks the same: full width, accents, invisible characters, runs of blanks."""
    if text.isascii():
        return " ".join(text.split())
    decomposed = unicodedata.normalize("NFKD", text)
    visible = (char for char in decomposed if unicodedata.category(char) not in ("Cf", "Mn"))
    return " ".join("".join(visible).split())


def _spellings(group: str) -> dict[str, str]:
    """Plain spelling -> name. A word that is listed under a language is its own name."""
    names = {}
    for name, spellings in load("secrecy")[group].items():
        for spelling in spellings:
            names[_plain(spelling)] = spelling if name.islower() else name
    return names


def _search(spellings: dict[str, str], flags: int = 0) -> re.Pattern[str]:
    longest_first = sorted(spellings, key=len, reverse=True)
    words = "|".join(re.escape(spelling).replace("/", r"\s?/\s?") for spelling in longest_first)
    return re.compile(rf"(?<![\w-])(?:{words})(?![\w-])", flags)


_ANYWHERE, _CAPITALS, _ALONE = (_spellings(group) for group in ("anywhere", "capitals", "alone"))
_NAMES = _ANYWHERE | _CAPITALS | _ALONE
_NAMES |= {spelling.replace(" ", ""): name for spelling, name in _NAMES.items()}  # from "T O P  S E C R E T"
_FIND_ANYWHERE = _search(_ANYWHERE, re.IGNORECASE)
_FIND_CAPITALS = _search(_CAPITALS)
# Every spelling begins with one of these words: a line that holds none of them need not be searched for all of them.
_WORD = re.compile(r"\w+")
_FIRST_WORDS = frozenset(_WORD.findall(spelling)[0].casefold() for spelling in [*_ANYWHERE, *_CAPITALS])


def find_secrecy(title: str, text: str = "") -> str | None:
    """The name of a secrecy marking in the title or in the first or last line of the text; None where there is none.

    The name is from our own list, so it can be shown and stored; the text it was found in must not be (R11).
    """
    lines = [line for line in text.splitlines() if line.strip()]
    for line in [title, *lines[:1], *lines[-1:]]:
        if found := _in_line(_plain(line)):
            return found
    return None


def _in_line(line: str) -> str | None:
    if not _FIRST_WORDS.isdisjoint(_WORD.findall(line.casefold())):
        if hit := _FIND_ANYWHERE.search(line):
            return _NAMES[re.sub(r"\s?/\s?", "/", hit[0].upper())]
        if (hit := _FIND_CAPITALS.search(line)) and line != line.upper():
            return _NAMES[hit[0]]
    if "//" in line and (hit := _BANNER.search(line)):
        return _ABBREVIATIONS.get(hit[1], hit[1])
    if (hit := _PORTION.match(line)) and not _COPYRIGHT.match(line):
        return _ABBREVIATIONS[hit[1]]
    if declared := _DECLARED.match(line):
        return _set_off(declared[1].upper())
    return _set_off(line)


def _set_off(line: str) -> str | None:
    """The marking that is the whole line, or its first or last part where punctuation sets it off."""
    if _SPACED_OUT.fullmatch(line):
        line = line.replace(" ", "")
    parts = [part for part in _SPLIT.split(line) if part.strip(_DECORATION)]
    if not parts:
        return None
    for part in (_SPLIT_AT_COLON.split(parts[0])[0], parts[-1]):
        bare = part.strip(_DECORATION)
        with_caveat = _WITH_CAVEAT.match(bare)
        found = _NAMES.get(bare) or (_NAMES.get(with_caveat[1]) if with_caveat else None)
        if found:
            return found
    return None
