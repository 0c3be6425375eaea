"""What is taken out of the markup of an Office part: who changed what and when, and what only its editor sees.

Source: ECMA-376 part 1, 17.13 (annotations and revisions), 17.15.1 (settings), 18.2 (workbook), 18.3 (sheets), 19.2.
"""

from __future__ import annotations

import re
from typing import Any

from lxml import etree

from coordinator.cleaning.results import Uncleanable

_RELATED = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_STRICT = "{http://purl.oclc.org/ooxml/officeDocument/relationships}"
#: Elements taken out with all they hold, by their local name.
_OUT = {
    **dict.fromkeys(("commentRangeStart", "commentRangeEnd", "commentReference", "annotationRef"), "comments"),
    **dict.fromkeys(
        ("del", "moveFrom", "delText", "delInstrText", "rPrChange", "pPrChange", "sectPrChange", "tblPrChange",
         "tblPrExChange", "tblGridChange", "tcPrChange", "trPrChange", "numberingChange", "cellDel", "cellIns",
         "cellMerge", "moveFromRangeStart", "moveFromRangeEnd", "moveToRangeStart", "moveToRangeEnd",
         "customXmlDelRangeStart", "customXmlDelRangeEnd", "customXmlInsRangeStart", "customXmlInsRangeEnd",
         "customXmlMoveFromRangeStart", "customXmlMoveFromRangeEnd", "customXmlMoveToRangeStart",
         "customXmlMoveToRangeEnd", "trackRevisions"), "tracked-changes"),
    **dict.fromkeys(("rsids", "docId", "proofErr"), "editing-marks"),
    **dict.fromkeys(("docVars", "mailMerge", "custDataLst"), "custom-data"),
    "attachedTemplate": "template", "absPath": "paths", "fileSharing": "author", "webPublishing": "paths",
    "writeProtection": "author",
}  # fmt: skip
#: Elements whose content stays while they go.
_UNWRAP = {"ins": "tracked-changes", "moveTo": "tracked-changes", "customXml": "custom-data"}
_ATTRIBUTES = {"author": "author", "initials": "author", "userName": "author", "lastEdited": "editing-marks",
               "date": "times", "dateUtc": "times"}  # fmt: skip
_PATH = re.compile(r"^(?:[A-Z]:[\\/]|\\\\|file:)|\.(?:jpe?g|png|gif|tiff?|bmp|emf|wmf|webp|svg|heic)$", re.IGNORECASE)
_PULLS = re.compile(r"^\s*(?:INCLUDE|DDE|LINK|DATABASE|RD\s|MACRO|AUTOTEXT)", re.IGNORECASE)
_WORD = "/wordprocessingml/"


def strip(root: Any, dropped: set[str]) -> set[str]:
    """Take out of this tree what does not go along, and what points to one of the `dropped` relations; what it was.

    Raises Uncleanable for what is hidden in it.
    """
    _refuse_hidden(root)
    removed: set[str] = set()
    for each in list(root.iter(etree.Element)):
        if each is root or _is_gone(each, root):
            continue
        local = _local(each)
        if local == "tr" and _row_deleted(each):
            removed.add("tracked-changes")
            _take_out(each)
        elif local in _OUT:
            removed.add(_OUT[local])
            _take_out(each)
        elif local in _UNWRAP and _WORD in each.tag:
            removed.add(_UNWRAP[local])
            _unwrap(each)
        elif dropped & _pointers(each):
            (_unwrap if local == "hyperlink" and _WORD in each.tag else _take_out)(each)
    for each in root.iter(etree.Element):
        removed |= _strip_attributes(each)
    return removed


def texts(root: Any) -> list[str]:
    """What is to be read in it, a paragraph or cell each: a word may be split over several runs."""
    return ["".join(each.itertext()) for each in root.iter(etree.Element) if _local(each) in ("p", "si", "is", "v")]


def _refuse_hidden(root: Any) -> None:
    for each in root.iter(etree.Element):
        local = _local(each)
        hidden = (
            (local == "vanish" and _WORD in each.tag and _on(each) and _local(each.getparent().getparent()) == "r")
            or (local == "sheet" and each.get("state") in ("hidden", "veryHidden"))
            or (local in ("row", "col") and each.get("hidden") in ("1", "true"))
            or (local == "sld" and each.get("show") in ("0", "false"))
        )
        if hidden:
            raise Uncleanable("hidden-content")
        if local == "instrText" and _PULLS.match(each.text or ""):
            raise Uncleanable("linked-data")


def _on(each: Any) -> bool:
    return next((value for key, value in each.attrib.items() if key.endswith("}val")), "1") not in ("0", "false", "off")


def _row_deleted(row: Any) -> bool:
    return any(_local(change) == "del" for each in row if _local(each) == "trPr" for change in each)


def _strip_attributes(each: Any) -> set[str]:
    found = set()
    for key in list(each.attrib):
        local = key.rpartition("}")[2]
        if local.startswith("rsid") and _WORD in key:
            found.add("editing-marks")
            del each.attrib[key]
        elif local in _ATTRIBUTES and (_WORD in key or "}" not in key) and _is_note_of(each, local):
            found.add(_ATTRIBUTES[local])
            del each.attrib[key]
        elif local in ("descr", "title", "name") and "}" not in key and _PATH.search(each.get(key)):
            found.add("paths")
            each.set(key, "Picture" if local == "name" else "")
    return found


def _is_note_of(each: Any, local: str) -> bool:
    """`date` and `author` are also names of fields that are shown: only where they note who worked on it."""
    return _WORD in each.tag or local in ("userName", "lastEdited")


def _pointers(each: Any) -> set[str]:
    return {value for key, value in each.attrib.items() if key.startswith((_RELATED, _STRICT))}


def _is_gone(each: Any, root: Any) -> bool:
    return each.getparent() is None or each.getroottree().getroot() is not root


def _take_out(each: Any) -> None:
    parent = each.getparent()
    _keep_tail(each, parent)
    parent.remove(each)


def _unwrap(each: Any) -> None:
    parent = each.getparent()
    place = parent.index(each)
    for number, child in enumerate(list(each)):
        parent.insert(place + number, child)
    _keep_tail(each, parent)
    parent.remove(each)


def _keep_tail(each: Any, parent: Any) -> None:
    if not each.tail:
        return
    before = each.getprevious()
    if before is not None:
        before.tail = (before.tail or "") + each.tail
    else:
        parent.text = (parent.text or "") + each.tail
    each.tail = None


def _local(each: Any) -> str:
    return "" if each is None or not isinstance(each.tag, str) else each.tag.rpartition("}")[2]
