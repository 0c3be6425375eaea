"""Which parts of an Office package show something, and under which names they go into the new one.

A template brings its layouts and pictures along, and a table of texts those of cells that were deleted.
"""

from __future__ import annotations

import re

from lxml import etree

from coordinator.cleaning.packages import Package, parsed, relations_of
from coordinator.cleaning.tree import local_name

#: Names that the common programs give to parts.
_USUAL = re.compile(
    r"(?:word|xl|ppt)/(?:(?:theme|charts|drawings|diagrams|worksheets|chartsheets|tables|slides|slideLayouts|slideMasters)/)?"
    r"(?:document|styles|settings|fontTable|numbering|footnotes|endnotes|header|footer|theme|themeOverride|chart|style|"
    r"colors|drawing|data|layout|quickStyle|quickStyles|workbook|sheet|sharedStrings|table|metadata|presentation|slide|"
    r"slideLayout|slideMaster|tableStyles)\d{0,5}\.xml"
)


def layouts_shown(package: Package, main: str) -> set[str] | None:
    """The layouts and masters that a slide is made by; None where there is no slide: all are needed then."""
    slides = [each.target for each in relations_of(package, main) if each.kind == "slide" and not each.outside]
    layouts = {each.target for slide in slides for each in relations_of(package, slide) if each.kind == "slideLayout"}
    masters = {each.target for one in layouts for each in relations_of(package, one) if each.kind == "slideMaster"}
    return layouts | masters if layouts and masters else None


def strings_used(package: Package) -> set[int]:
    """Which of the shared strings of a workbook stand in a cell."""
    found = set[int]()
    for part, kind in package.types.items():
        if not kind.endswith("spreadsheetml.worksheet+xml"):
            continue
        for cell in parsed(package.parts[part]).iter("{*}c"):
            if cell.get("t") == "s":
                found |= {int(each.text) for each in cell.iter("{*}v") if (each.text or "").strip().isdecimal()}
    return found


def empty_strings(root: etree._Element, used: set[int]) -> bool:
    """Take the text out of the strings that no cell shows; whether there were any. Their places stay."""
    found = False
    for number, each in enumerate([one for one in root if local_name(one) == "si"]):
        if number not in used and len(each):
            space = each.tag.rpartition("}")[0] + "}"
            for child in list(each):
                each.remove(child)
            etree.SubElement(each, f"{space}t")
            found = True
    return found


def part_name(part: str, number: int) -> str:
    """The name of a part in the new package: its own where it is one that programs give."""
    return part if not part or _USUAL.fullmatch(part) else f"parts/part{number}.xml"


def relation_id(own: str, number: int) -> str:
    return own if re.fullmatch(r"rId\d{1,5}", own) else f"rId{100_000 + number}"
