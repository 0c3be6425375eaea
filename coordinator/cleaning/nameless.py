"""Names that whoever wrote an Office document gave to its parts: of objects, styles, themes, slides. Nobody is shown
them, and they often say whose template it was. They become names of ours.

Source: ECMA-376 part 1, 17.7.4 (styles), 18.8.8 (cell styles), 19.3.1.16 (slide data), 20.1.2.2.8 (objects), 20.1.6.9
(themes).
"""

from __future__ import annotations

import re
from typing import Any

from lxml import etree

from coordinator.cleaning.tree import local_name

_WORD = "/wordprocessingml/"
_STYLED = ("style", "pStyle", "rStyle", "tblStyle", "basedOn", "next", "link", "numStyleLink", "styleLink")
_THEMES = {"theme": "Theme", "clrScheme": "Colours", "fontScheme": "Fonts", "fmtScheme": "Effects"}


def custom_styles(root: Any) -> dict[str, str]:
    """Style id -> an id of ours, for the styles of a Word document that are not Word's own."""
    found: dict[str, str] = {}
    for each in root.iter("{*}style"):
        if _value(each, "customStyle") in ("1", "true", "on") and (known := _value(each, "styleId")) is not None:
            found.setdefault(known, f"Style{len(found) + 1}")
    return found


def rename(root: Any, styles: dict[str, str]) -> bool:
    """Give our names to what is in this part; whether one was another."""
    changed = False
    for number, each in enumerate(root.iter(etree.Element)):
        local = local_name(each)
        if _WORD in each.tag and local in _STYLED:
            changed |= _restyle(each, local, styles)
        elif local in ("cNvPr", "docPr"):
            changed |= _set(each, "name", f"Object {_digits(each.get('id'))}")
        elif local in _THEMES and "/drawingml/" in each.tag and "name" in each.attrib:
            changed |= _set(each, "name", _THEMES[local])
        elif local == "cSld" and "name" in each.attrib:
            changed |= _set(each, "name", "Slide")
        elif local == "cellStyle" and "builtinId" not in each.attrib:
            changed |= _set(each, "name", f"Style {number}")
        elif local == "tblStyle" and "styleName" in each.attrib:
            changed |= _set(each, "styleName", "Table")
    return changed


def _restyle(each: Any, local: str, styles: dict[str, str]) -> bool:
    if local != "style":
        return _map(each, "val", styles)
    known = _value(each, "styleId")
    if known not in styles:
        return False
    for child in each:
        if local_name(child) == "name":
            _map(child, "val", {_value(child, "val") or "": styles[known].replace("Style", "Style ")})
        elif local_name(child) == "aliases":
            _map(child, "val", {_value(child, "val") or "": styles[known]})
    return _map(each, "styleId", styles)


def _map(each: Any, name: str, known: dict[str, str]) -> bool:
    for key, value in each.attrib.items():
        if key.endswith(f"}}{name}") and value in known:
            each.set(key, known[value])
            return value != known[value]
    return False


def _value(each: Any, name: str) -> str | None:
    return next((value for key, value in each.attrib.items() if key.endswith(f"}}{name}")), None)


def _set(each: Any, key: str, value: str) -> bool:
    changed = bool(each.get(key) != value)
    each.set(key, value)
    return changed


def _digits(number: str | None) -> str:
    return number if number is not None and re.fullmatch(r"\d{1,10}", number) else "0"
