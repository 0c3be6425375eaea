"""Fields of a Word document: what they show stays; where a field asks for more than its place, it becomes plain text.

Source: ECMA-376 part 1, 17.16 (fields: begin, instruction, separate, result, end; they may lie in each other).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from coordinator.cleaning.results import Uncleanable
from coordinator.cleaning.tree import local_name, take_out, unwrap

_PULLS = re.compile(r"\s*(?:INCLUDE|DDE|LINK|DATABASE|RD\s|MACRO|AUTOTEXT)", re.IGNORECASE)
#: Fields that count or point within the document, or to where a link may lead.
_STAYS = re.compile(
    r"\s*(?:(?:PAGE|NUMPAGES|SECTION|SECTIONPAGES|REF|PAGEREF|NOTEREF|SEQ|EQ|INDEX|LISTNUM|AUTONUM\w*|SYMBOL)\b"
    r"|TOC\b(?!.*\\t)|=|HYPERLINK\s+(?:\\l\s|\"?(?:https?|mailto):))",
    re.IGNORECASE | re.DOTALL,
)


@dataclass
class _Field:
    """`parts`: what makes it a field; `behind`: text in its instruction, which nobody is shown."""

    parts: list[Any] = field(default_factory=list)
    behind: list[Any] = field(default_factory=list)
    said: str = ""
    shows: bool = False


def settle(root: Any) -> set[str]:
    """Judge each field under this root; what was taken out. Raises Uncleanable for fields that take in other files."""
    removed, open_ones = set[str](), list[_Field]()
    for each in list(root.iter("{*}fldChar", "{*}instrText", "{*}fldSimple", "{*}t")):
        kind = local_name(each)
        if kind == "fldSimple":
            removed |= _simple(each)
        elif kind == "fldChar":
            removed |= _at_mark(each, open_ones)
        elif kind == "instrText" and not open_ones:
            removed |= set() if _stays(each.text or "") else {"fields"}
            take_out(each)
        elif open_ones:
            behind = next((one for one in open_ones if not one.shows), None)
            if kind == "instrText":
                open_ones[-1].said += each.text or ""
                open_ones[-1].parts.append(each)
            elif behind is not None:
                behind.behind.append(each)
    if open_ones:
        raise Uncleanable("damaged")
    return removed


def _at_mark(each: Any, open_ones: list[_Field]) -> set[str]:
    kind = next((value for key, value in each.attrib.items() if key.endswith("}fldCharType")), "")
    if kind == "begin":
        open_ones.append(_Field([each]))
        return set()
    if not open_ones:
        raise Uncleanable("damaged")
    open_ones[-1].parts.append(each)
    if kind == "separate":
        open_ones[-1].shows = True
        return set()
    done = open_ones.pop()
    for hidden in done.behind:
        take_out(hidden)
    if _stays(done.said):
        return set()
    for part in done.parts:
        take_out(part)
    return {"fields"}


def _simple(each: Any) -> set[str]:
    said = next((value for key, value in each.attrib.items() if key.endswith("}instr")), "")
    if _stays(said):
        return set()
    unwrap(each)
    return {"fields"}


def _stays(said: str) -> bool:
    if _PULLS.match(said):
        raise Uncleanable("linked-data")
    return _STAYS.match(said) is not None
