"""What is taken out of the markup of an OpenDocument part, and what in it is hidden.

Source: OASIS OpenDocument 1.3, part 3: 3.16 (annotations), 5.5 (change tracking), 7 (fields), 9.1 and 9.4 (tables),
10.3 and 16.5 (pages, master pages), 19.102 and 20.410 (visibility).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lxml import etree

from coordinator.cleaning.results import Uncleanable
from coordinator.cleaning.tree import (
    as_text,
    every_text,
    is_gone,
    local_name,
    space_of,
    take_out,
    unwrap,
    without_foreign,
)

_OASIS = "urn:oasis:names:tc:opendocument:xmlns:"
_KNOWN = (_OASIS, "urn:org:documentfoundation:names:experimental:", "urn:openoffice:names:experimental:",
          "http://openoffice.org/", "http://www.w3.org/1999/xlink", "http://www.w3.org/1998/Math/MathML",
          "http://www.w3.org/XML/1998/namespace", "http://purl.org/dc/elements/1.1/")  # fmt: skip
_TEXT, _HREF = f"{{{_OASIS}text:1.0}}", "{http://www.w3.org/1999/xlink}href"
_OUT = {
    **dict.fromkeys(("annotation", "annotation-end"), "comments"),
    **dict.fromkeys(("tracked-changes", "change", "change-start", "change-end", "change-info"), "tracked-changes"),
    **dict.fromkeys(("creator", "date-string", "printed-by"), "author"),
    **dict.fromkeys(("event-listeners", "event-listener", "scripts"), "scripts"),
    **dict.fromkeys(("variable-decls", "user-field-decls", "settings"), "custom-data"),
    **dict.fromkeys(("notes", "handout-master"), "notes"),
    **dict.fromkeys(("font-face-src", "detective", "scenario", "consolidation", "forms"), "other-parts"),
}  # fmt: skip
_REFUSED = {
    **dict.fromkeys(("section-source", "table-source", "cell-range-source", "dde-source", "dde-connection-decls",
                     "dde-links", "database-source-sql", "database-source-table", "database-source-query",
                     "alphabetical-index-auto-mark-file"), "linked-data"),
    **dict.fromkeys(("object-ole", "applet", "floating-frame"), "embedded-object"), "plugin": "media",
    "data-pilot-tables": "pivot-data", "binary-data": "embedded-object",
    **dict.fromkeys(("hidden-text", "hidden-paragraph", "conditional-text"), "hidden-content"),
}  # fmt: skip
#: Fields that count or point within the document; all others become what they showed.
_NAMED_FIELDS = """author-name author-initials initial-creator creation-date creation-time modification-date
modification-time print-date print-time printed-by file-name template-name title subject keywords description
user-defined editing-cycles editing-duration date time variable-get variable-set variable-input user-field-get
user-field-input text-input placeholder expression database-display database-next database-row-select database-name
database-row-number dde-connection execute-macro script meta-field measure"""
_FIELDS_GONE = frozenset(_NAMED_FIELDS.split())
_MARKS = ("bookmark", "bookmark-start", "bookmark-end", "reference-mark", "reference-mark-start", "reference-mark-end")
_ATTRIBUTES = {"rsid": "editing-marks", "paragraph-rsid": "editing-marks", "protection-key": "author",
               "display-name": "names", "paraId": "editing-marks"}  # fmt: skip
#: Which family of styles an element bears.
_WORN_BY = {"span": "text", "a": "text", "p": "paragraph", "h": "paragraph", "table": "table", "page": "drawing-page"}
_SHAPE_SPACES = (f"{_OASIS}drawing:1.0", f"{_OASIS}dr3d:1.0")


def strip(root: Any, removed: set[str]) -> None:
    """Take out of this tree what does not go along. Raises Uncleanable."""
    if without_foreign(root, _is_known):
        removed.add("custom-data")
    named = _named(root)
    for each in list(root.iter(etree.Element)):
        if each is not root and not is_gone(each, root):
            _strip_element(each, named, removed)
    for each in root.iter(etree.Element):
        _strip_attributes(each, removed)
    kept = [key for key, space in _spaces(root).items() if _is_known(space) and (space.startswith(f"{_OASIS}of:")
            or space.startswith("http://openoffice.org/2004/"))]  # fmt: skip
    etree.cleanup_namespaces(root, keep_ns_prefixes=sorted(kept))
    removed.discard("")


def refuse_hidden(roots: Iterable[Any]) -> None:
    """Raises Uncleanable where a text, row, sheet or page is not shown; `roots`: content and styles together."""
    hiding = _hiding([style for root in roots for style in root.iter("{*}style")])
    for root in roots:
        for each in root.iter(etree.Element):
            if (_WORN_BY.get(local_name(each)), _said(each, "style-name")) in hiding:
                raise Uncleanable("hidden-content")
            if _said(each, "visibility") in ("collapse", "filter", "hidden") or (
                local_name(each) in ("section", "layer") and _said(each, "display") in ("none", "condition")
            ):
                raise Uncleanable("hidden-content")


def without_masters(content: Any, styles: Any, removed: set[str]) -> None:
    """Take out the master pages of slides that no slide uses, with their pictures."""
    used = {_said(page, "master-page-name") for page in content.iter("{*}page")} - {None}
    if styles is None or not used:
        return
    for each in list(styles.iter("{*}master-page")):
        if _said(each, "name") not in used:
            removed.add("other-parts")
            take_out(each)


def is_link(each: Any) -> bool:
    return local_name(each) in ("a", "area")


def settle_link(each: Any, removed: set[str]) -> None:
    """A link on the web or within the document stays, of any other what it shows."""
    if each.get(_HREF, "").lower().startswith(("http://", "https://", "mailto:", "#")):
        return
    removed.add("links")
    as_text(each) if local_name(each) == "a" else take_out(each)


def texts(root: Any) -> list[str]:
    """What is to be read in it, a paragraph each; then everything that is written in it."""
    return ["".join(each.itertext()) for each in root.iter("{*}p", "{*}h")] + every_text(root)


def _strip_element(each: Any, named: set[str], removed: set[str]) -> None:
    local = local_name(each)
    if local == "forms" and len(each):
        raise Uncleanable("form")
    if local in _REFUSED:
        raise Uncleanable(_REFUSED[local])
    if local in _OUT:
        removed.add(_OUT[local] if len(each) or each.text or local not in ("scripts", "forms") else "")
        take_out(each)
    elif each.tag.startswith(_TEXT) and (local in _FIELDS_GONE or local.startswith("sender-")):
        removed.add("fields")
        as_text(each)
    elif local in _MARKS and _said(each, "name") not in named:
        removed.add("names")
        take_out(each)
    elif local == "meta" and each.tag.startswith(_TEXT):
        unwrap(each)


def _strip_attributes(each: Any, removed: set[str]) -> None:
    for key in list(each.attrib):
        local = key.rpartition("}")[2]
        if local in _ATTRIBUTES or local.startswith("protection-key"):
            removed.add(_ATTRIBUTES.get(local, "author"))
            del each.attrib[key]
        elif local == "id" and key.startswith("{http://www.w3.org/XML"):
            del each.attrib[key]
        elif local == "name" and _is_shape(each):
            removed.add("names")
            del each.attrib[key]
        elif local == "string-value" and len(each):
            del each.attrib[key]


def _is_shape(each: Any) -> bool:
    """A shape on a page; not a page, nor what the styles name their colours by."""
    parent = each.getparent()
    return (space_of(each.tag) in _SHAPE_SPACES and local_name(each) not in ("page", "layer")
            and parent is not None and local_name(parent) not in ("styles", "layer-set"))  # fmt: skip


def _named(root: Any) -> set[str]:
    """Marks that the document itself points to."""
    found = {value for each in root.iter(etree.Element) for key, value in each.attrib.items()
             if key.endswith("}ref-name")}  # fmt: skip
    return found | {(each.get(_HREF) or "").lstrip("#").partition("|")[0] for each in root.iter("{*}a")}


def _hiding(styles: list[Any]) -> set[tuple[str | None, str | None]]:
    """(family, name) of the styles that hide, and of those that are made after one."""
    found = {(_said(one, "family"), _said(one, "name")) for one in styles if any(_hides(each) for each in one)}
    while more := {
        (_said(one, "family"), _said(one, "name")) for one in styles
        if (_said(one, "family"), _said(one, "parent-style-name")) in found
    } - found:  # fmt: skip
        found |= more
    return found


def _hides(properties: Any) -> bool:
    local = local_name(properties)
    return (
        (local == "text-properties" and _said(properties, "display") in ("none", "condition"))
        or (local == "table-properties" and _said(properties, "display") == "false")
        or (local == "drawing-page-properties" and _said(properties, "visibility") == "hidden")
    )


def _said(each: Any, name: str) -> str | None:
    return next((value for key, value in each.attrib.items() if key.endswith(f"}}{name}")), None)


def _is_known(space: str) -> bool:
    return space == "" or space.startswith(_KNOWN)


def _spaces(root: Any) -> dict[str, str]:
    return {key: space for key, space in root.nsmap.items() if key is not None}
