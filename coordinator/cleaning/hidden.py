"""What an Office document holds and does not show: no copy is made of it, for nobody can say what is to become of it.

Source: ECMA-376 part 1, 17.3.2.41 (hidden text), 18.2.19 (sheets), 18.3.1 (rows, columns), 19.3.1.38 (slides),
20.1.2.2.8 (objects).
"""

from __future__ import annotations

from typing import Any

from lxml import etree

from coordinator.cleaning.results import Uncleanable
from coordinator.cleaning.tree import local_name

_WORD = "/wordprocessingml/"
_YES = ("1", "true")


def refuse_hidden(root: Any) -> None:
    """Raises Uncleanable."""
    if any(_is_hidden(each, local_name(each)) for each in root.iter(etree.Element)):
        raise Uncleanable("hidden-content")


def hiding_styles(root: Any) -> set[str]:
    """Ids of the styles of a Word document that hide what bears them."""
    return {
        value
        for each in root.iter("{*}style")
        if any(_on(one) and local_name(one.getparent()) == "rPr" for one in each.iter("{*}vanish"))
        for key, value in each.attrib.items()
        if key.endswith("}styleId")
    }


def refuse_styled(root: Any, hiding: set[str]) -> None:
    """Raises Uncleanable where a text bears one of these styles."""
    for each in root.iter("{*}pStyle", "{*}rStyle") if hiding else ():
        if any(value in hiding for key, value in each.attrib.items() if key.endswith("}val")):
            raise Uncleanable("hidden-content")


def _is_hidden(each: Any, local: str) -> bool:
    if local == "vanish":
        return _WORD in each.tag and _on(each) and local_name(each.getparent().getparent()) == "r"
    if local == "sheet":
        return each.get("state") in ("hidden", "veryHidden")
    if local in ("row", "col"):
        return each.get("hidden") in _YES or _is_zero(each.get("ht" if local == "row" else "width"))
    if local == "sheetFormatPr":
        return each.get("zeroHeight") in _YES
    if local == "sld":
        return each.get("show") in ("0", "false")
    return local in ("cNvPr", "docPr") and each.get("hidden") in _YES


def _is_zero(number: str | None) -> bool:
    try:
        return number is not None and float(number) == 0
    except ValueError:
        return False


def _on(each: Any) -> bool:
    return next((value for key, value in each.attrib.items() if key.endswith("}val")), "1") not in ("0", "false", "off")
