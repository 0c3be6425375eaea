"""What is taken out of the markup of an Office part: who changed what and when, and what only its editor sees.

Source: ECMA-376 part 1, 17.13 (annotations and revisions), 17.15.1 (settings), 18.2 (workbook), 18.3 (sheets), 19.2;
part 3 (markup of other programs and versions).
"""

from __future__ import annotations

import re
from typing import Any

from lxml import etree

from coordinator.cleaning import word_fields
from coordinator.cleaning.hidden import refuse_hidden
from coordinator.cleaning.tree import every_text, is_gone, local_name, take_out, unwrap, without_foreign

RELATED = ("{http://schemas.openxmlformats.org/officeDocument/2006/relationships}",
           "{http://purl.oclc.org/ooxml/officeDocument/relationships}")  # fmt: skip
_OURS = ("http://schemas.openxmlformats.org/", "http://schemas.microsoft.com/", "urn:schemas-microsoft-com:",
         "http://purl.oclc.org/ooxml/")  # fmt: skip
_XML = "http://www.w3.org/XML/1998/namespace"
_COMPATIBLE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
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
    **dict.fromkeys(("rsids", "docId", "proofErr", "nsid", "tmpl", "permStart", "permEnd"), "editing-marks"),
    **dict.fromkeys(("docVars", "mailMerge", "custDataLst", "dataBinding", "alias", "tag", "smartTagPr", "ffData",
                     "customXmlPr", "placeholder", "dataConsolidate", "functionGroups"), "custom-data"),
    **dict.fromkeys(("fileSharing", "writeProtection", "scenarios", "protectedRanges", "customWorkbookViews",
                     "customSheetViews", "modifyVerifier"), "author"),
    **dict.fromkeys(("custShowLst", "smartTags", "photoAlbum"), "other-parts"),
    "attachedTemplate": "template", "absPath": "paths", "webPublishing": "paths", "webPublishObjects": "paths",
}  # fmt: skip
#: Names that mean something else, and are shown, outside of Word.
_WORD_ONLY = {"del", "tag", "alias", "placeholder"}
#: Elements whose content stays while they go.
_UNWRAP = {"ins": "tracked-changes", "moveTo": "tracked-changes", "customXml": "custom-data", "smartTag": "custom-data"}
#: Extensions without which something would not be shown: rules and small charts in cells, the drawing of a diagram.
_EXTENSIONS = {"{78C0D931-6437-407D-A8EE-F0AAD7539E65}", "{05C60535-1F16-4FD2-B633-F4F36F0B64E0}",
               "{CCE6A557-97BC-4B89-ADB6-D9C93CAAB3DF}", "HTTP://SCHEMAS.MICROSOFT.COM/OFFICE/DRAWING/2008/DIAGRAM"}
#: Of the settings of a Word document, those by which it is laid out.
_SETTINGS_KEPT = """
evenAndOddHeaders mirrorMargins gutterAtTop bordersDoNotSurroundHeader footnotePr rtlGutter
alignBordersAndEdges bordersDoNotSurroundFooter defaultTabStop autoHyphenation consecutiveHyphenLimit compat
hyphenationZone doNotHyphenateCaps characterSpacingControl displayBackgroundShape endnotePr noLineBreaksAfter
noLineBreaksBefore bookFoldPrinting bookFoldRevPrinting mathPr bookFoldPrintingSheets themeFontLang
clrSchemeMapping decimalSymbol listSeparator
"""
_SETTINGS = frozenset(_SETTINGS_KEPT.split())
_ATTRIBUTES = {"author": "author", "initials": "author", "userName": "author", "lastEdited": "editing-marks",
               "date": "times", "dateUtc": "times"}  # fmt: skip
#: Attributes nobody is shown, whatever they are of.
_MARKS = {"paraId": "editing-marks", "textId": "editing-marks", "uid": "editing-marks", "codeName": "names"}
_PATH = re.compile(r"^(?:[A-Z]:[\\/]|\\\\|file:)|\.(?:jpe?g|png|gif|tiff?|bmp|emf|wmf|webp|svg|heic)$", re.IGNORECASE)
_WORD, _VML_OFFICE = "/wordprocessingml/", "{urn:schemas-microsoft-com:office:office}"


def strip(root: Any, dropped: set[str]) -> set[str]:
    """Take out of this tree what does not go along, and what points to one of the `dropped` relations; what it was.

    Raises Uncleanable for what is hidden in it.
    """
    refuse_hidden(root)
    removed = word_fields.settle(root) if _WORD in root.tag else set[str]()
    if without_foreign(root, _is_known):
        removed.add("custom-data")
    named = _named(root)
    for each in list(root.iter(etree.Element)):
        if each is not root and not is_gone(each, root):
            removed |= _strip_element(each, root, dropped, named)
    for each in root.iter(etree.Element):
        removed |= _strip_attributes(each)
    _tidy_spaces(root)
    return removed - {""}


def texts(root: Any) -> list[str]:
    """What is to be read in it, a paragraph or cell each, as a word may be split over several runs; then everything
    that is written in it, shown or not."""
    several = ("p", "si", "is", "v")
    whole = ["".join(each.itertext()) for each in root.iter(etree.Element) if local_name(each) in several]
    return [*whole, *every_text(root)]


def without_extensions(root: Any) -> None:
    """What later versions and other programs added; what a part is shown by stays."""
    for each in list(root.iter("{*}ext")):
        if local_name(each.getparent()) == "extLst" and (each.get("uri") or "").upper() not in _EXTENSIONS:
            take_out(each)
    for each in list(root.iter("{*}extLst")):
        if not len(each):
            take_out(each)


def pointers(root: Any) -> set[str]:
    """Ids of relations that are named anywhere under it."""
    return {value for each in root.iter(etree.Element) for value in _pointers(each)}


def renumber(root: Any, ids: dict[str, str]) -> None:
    """Relations by their new ids."""
    for each in root.iter(etree.Element):
        for key, value in each.attrib.items():
            if key.startswith(RELATED) and value in ids:
                each.set(key, ids[value])


def _strip_element(each: Any, root: Any, dropped: set[str], named: set[str]) -> set[str]:
    local = local_name(each)
    in_word = _WORD in each.tag
    if each.getparent() is root and local_name(root) == "settings" and in_word and local not in _SETTINGS:
        take_out(each)
        return {_OUT.get(local, "editing-marks")}
    if local == "tr" and _row_deleted(each):
        take_out(each)
        return {"tracked-changes"}
    if local in _OUT and (in_word or local not in _WORD_ONLY):
        take_out(each)
        return {_OUT[local]}
    if local in _UNWRAP and in_word:
        unwrap(each)
        return {_UNWRAP[local]}
    if local == "definedName" and each.get("hidden") in ("1", "true") and not each.get("name", "").startswith("_xlnm."):
        take_out(each)
        return {"names"}
    if local in ("bookmarkStart", "bookmarkEnd") and in_word:
        return _bookmark(each, named)
    if dropped & _pointers(each):
        (unwrap if local == "hyperlink" and in_word else take_out)(each)
    elif local == "f" and "/chart" in each.tag and "[" in (each.text or ""):
        each.text = each.text.rpartition("!")[2]
    return set()


def _named(root: Any) -> set[str]:
    """Bookmarks that the part itself points to."""
    named = {value for one in root.iter("{*}hyperlink") for key, value in one.attrib.items() if key.endswith("}anchor")}
    return named | {word for one in root.iter("{*}instrText") for word in (one.text or "").split()}


def _bookmark(each: Any, named: set[str]) -> set[str]:
    """Places that are pointed to stay; ends of others do no harm and say nothing."""
    name = next((value for key, value in each.attrib.items() if key.endswith("}name")), None)
    if name is None or name.startswith("_") or name in named:
        return set()
    take_out(each)
    return {"names"}


def _row_deleted(row: Any) -> bool:
    return any(local_name(change) == "del" for each in row if local_name(each) == "trPr" for change in each)


def _strip_attributes(each: Any) -> set[str]:
    found = set()
    for key in list(each.attrib):
        local = key.rpartition("}")[2]
        if local.startswith("rsid") and _WORD in key:
            found.add("editing-marks")
            del each.attrib[key]
        elif local in _MARKS or (key.startswith(_VML_OFFICE) and local in ("title", "href")):
            found.add(_MARKS.get(local, "names"))
            del each.attrib[key]
        elif local in _ATTRIBUTES and (_WORD in key or "}" not in key) and _is_note_of(each, local):
            found.add(_ATTRIBUTES[local])
            del each.attrib[key]
        elif local == "comment" and local_name(each) in ("table", "definedName"):
            found.add("comments")
            del each.attrib[key]
        elif local in ("descr", "title") and "}" not in key and _PATH.search(each.get(key)):
            found.add("paths")
            each.set(key, "")
    return found


def _is_note_of(each: Any, local: str) -> bool:
    """`date` and `author` are also names of fields that are shown: only where they note who worked on it."""
    return _WORD in each.tag or local in ("userName", "lastEdited")


def _is_known(space: str) -> bool:
    return space in ("", _XML) or space.startswith(_OURS)


def _tidy_spaces(root: Any) -> None:
    """Names of namespaces that nothing is in any more. Attributes of compatibility name prefixes: of those, the known
    ones stay."""
    kept = set[str]()
    for each in root.iter(etree.Element):
        for key in [key for key in each.attrib if key.startswith(_COMPATIBLE) or key == "Requires"]:
            known = [one for one in each.get(key).split() if _is_known(each.nsmap.get(one.partition(":")[0]) or "?")]
            kept |= {one.partition(":")[0] for one in known}
            each.set(key, " ".join(known))
    etree.cleanup_namespaces(root, keep_ns_prefixes=sorted(kept))


def _pointers(each: Any) -> set[str]:
    return {value for key, value in each.attrib.items() if key.startswith(RELATED)}
