"""Elements taken out of a tree with what they hold, or unwrapped from it, so that the text around them stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lxml import etree


def local_name(each: Any) -> str:
    return "" if each is None or not isinstance(each.tag, str) else each.tag.rpartition("}")[2]


def space_of(name: str) -> str:
    """The namespace of a tag or an attribute; "" for none."""
    return name[1:].partition("}")[0] if name.startswith("{") else ""


def is_gone(each: Any, root: Any) -> bool:
    """Whether it was taken out of the tree, or lies in what was."""
    return each.getparent() is None or each.getroottree().getroot() is not root


def take_out(each: Any) -> None:
    parent = each.getparent()
    if parent is None:
        return
    _keep_tail(each, parent)
    parent.remove(each)


def unwrap(each: Any) -> None:
    """Its content stays in its place; text that stands right in it goes."""
    parent = each.getparent()
    place = parent.index(each)
    for number, child in enumerate(list(each)):
        parent.insert(place + number, child)
    _keep_tail(each, parent)
    parent.remove(each)


def as_text(each: Any) -> None:
    """Unwrap it with the text that stands right in it."""
    text, each.text = each.text, None
    parent, before = each.getparent(), each.getprevious()
    if text and before is not None:
        before.tail = (before.tail or "") + text
    elif text:
        parent.text = (parent.text or "") + text
    unwrap(each)


def without_foreign(root: Any, known: Callable[[str], bool]) -> bool:
    """Take out elements, attributes and declarations of namespaces that are not `known`; whether there were any."""
    found = False
    for each in list(root.iter(etree.Element)):
        if each is not root and not known(space_of(each.tag)):
            found = True
            if not is_gone(each, root):
                take_out(each)
            continue
        for key in [key for key in each.attrib if not known(space_of(key))]:
            found = True
            del each.attrib[key]
    return found


def every_text(root: Any) -> list[str]:
    """Whatever is written in a tree, shown or not: each text, and each value of an attribute."""
    return [*root.itertext(), *(value for each in root.iter(etree.Element) for value in each.attrib.values())]


def _keep_tail(each: Any, parent: Any) -> None:
    if not each.tail:
        return
    before = each.getprevious()
    if before is not None:
        before.tail = (before.tail or "") + each.tail
    else:
        parent.text = (parent.text or "") + each.tail
    each.tail = None
