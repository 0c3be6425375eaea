"""Word, Excel and PowerPoint documents made anew from the parts that show them (ECMA-376): by inclusion.

From the main part on, what is needed to show it is taken over; properties, comments, histories and the rest are not.
What cannot be taken over safely is refused with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from coordinator.cleaning import hidden, markup, nameless, pictures
from coordinator.cleaning.packages import Package, Relation, packed, parsed, read, relations_of, written
from coordinator.cleaning.reached import empty_strings, layouts_shown, part_name, relation_id, strings_used
from coordinator.cleaning.results import OFFICE, Cleaned, Uncleanable, in_order

_FORMATS = "application/vnd.openxmlformats-officedocument."
#: Media type of the main part -> ending, and media type of the file.
_DOCUMENTS = {
    f"{_FORMATS}wordprocessingml.document.main+xml": ("docx", f"{_FORMATS}wordprocessingml.document"),
    f"{_FORMATS}spreadsheetml.sheet.main+xml": ("xlsx", f"{_FORMATS}spreadsheetml.sheet"),
    f"{_FORMATS}presentationml.presentation.main+xml": ("pptx", f"{_FORMATS}presentationml.presentation"),
}
#: Kinds of relations whose parts are needed to show a document.
_NEEDED = {
    "officeDocument", "styles", "settings", "fontTable", "numbering", "footnotes", "endnotes",
    "header", "footer", "theme", "themeOverride", "chart", "chartStyle", "chartColorStyle", "chartUserShapes",
    "diagramData", "diagramLayout", "diagramQuickStyle", "diagramColors", "diagramDrawing", "worksheet", "chartsheet",
    "sharedStrings", "drawing", "table", "sheetMetadata", "slide", "slideLayout", "slideMaster", "tableStyles",
}  # fmt: skip
_REFUSED = {
    "vbaProject": "macros", "wordVbaData": "macros", "xlMacrosheet": "macros", "oleObject": "embedded-object",
    "package": "embedded-object", "control": "embedded-object", "activeXControlBinary": "embedded-object",
    "aFChunk": "embedded-object", "subDocument": "embedded-object", "frame": "embedded-object",
    "externalLink": "linked-data", "connections": "linked-data", "queryTable": "linked-data",
    "pivotTable": "pivot-data", "pivotCacheDefinition": "pivot-data", "audio": "media", "video": "media",
    "media": "media", "origin": "signed",
}  # fmt: skip
_LEFT = {
    "core-properties": "description", "extended-properties": "software", "custom-properties": "properties",
    "thumbnail": "thumbnail", "comments": "comments", "commentsExtended": "comments", "commentsIds": "comments",
    "commentsExtensible": "comments", "people": "author", "person": "author", "threadedComment": "comments",
    "commentAuthors": "author", "authors": "author", "vmlDrawing": "comments", "notesSlide": "notes",
    "notesMaster": "notes", "customXml": "custom-data", "attachedTemplate": "template",
    "printerSettings": "printer", "tags": "custom-data", "revisionHeaders": "tracked-changes",
    "usernames": "author", "hyperlink": "links", "calcChain": "", "webSettings": "", "presProps": "", "viewProps": "",
}  # fmt: skip


@dataclass
class _Copy:
    """What is taken over from `old`; `pictures`: the part of the old picture -> that of the new one. `styles`: names
    given to styles -> ours; `hiding`: styles that hide. `shown`: layouts and masters that a slide is made by, None for
    all. `used`: shared strings that a cell shows."""

    old: Package
    new: Package
    removed: set[str] = field(default_factory=set)
    pictures: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    styles: dict[str, str] = field(default_factory=dict)
    hiding: set[str] = field(default_factory=set)
    shown: set[str] | None = None
    used: set[int] = field(default_factory=set)


def clean(body: bytes) -> Cleaned:
    """Raises Uncleanable."""
    old = read(body)
    if any("vbaproject" in name.lower() for name in old.parts):
        raise Uncleanable("macros")
    roots = relations_of(old, "")
    main = next((each.target for each in roots if each.kind == "officeDocument"), "")
    ending, media_type = _document(old.types.get(main, ""))
    copy = _Copy(old, Package({}, {}), shown=layouts_shown(old, main), used=strings_used(old))
    for part, kind in old.types.items():
        if kind.endswith("wordprocessingml.styles+xml"):
            root = parsed(old.parts[part])
            copy.styles, copy.hiding = nameless.custom_styles(root), hidden.hiding_styles(root)
    _properties(old, roots, copy.removed)
    waiting, seen = [""], {""}
    while waiting:
        part = waiting.pop()
        for each in _take(copy, part, relations_of(old, part)):
            if each not in seen:
                seen.add(each)
                waiting.append(each)
    return Cleaned(OFFICE, packed(copy.new), media_type, ending, in_order(copy.removed), text="\n".join(copy.said))


def _document(main_type: str) -> tuple[str, str]:
    if "macroEnabled" in main_type:
        raise Uncleanable("macros")
    if main_type not in _DOCUMENTS:
        raise Uncleanable("unknown-type")
    return _DOCUMENTS[main_type]


def _properties(old: Package, roots: list[Relation], removed: set[str]) -> None:
    """What the document's properties say: for telling what is left behind."""
    core = next((old.parts.get(each.target) for each in roots if each.kind == "core-properties"), None)
    said = {each.tag.rpartition("}")[2] for each in parsed(core) if (each.text or "").strip()} if core else set()
    removed |= {"author"} if said & {"creator", "lastModifiedBy"} else set()
    removed |= {"times"} if said & {"created", "modified", "lastPrinted"} else set()


def _take(copy: _Copy, part: str, relations: list[Relation]) -> Iterator[str]:
    """Take over one part with what it points to; the names of the parts that are to follow."""
    root = parsed(copy.old.parts[part]) if part else None
    if root is not None:
        markup.without_extensions(root)
    needed = markup.pointers(root) if root is not None else set()
    kept, dropped, renamed = list[Relation](), set[str](), dict[str, str]()
    for each in relations:
        if each.kind == "image" and each.id not in needed:
            continue
        new = _judged(copy, part, each)
        if new is None:
            dropped.add(each.id)
            continue
        renamed[each.id] = relation_id(each.id, len(kept))
        kept.append(new)
        if not each.outside and each.kind != "image":
            yield each.target
    new_part = _name(copy, part)
    copy.new.relations[new_part] = [Relation(renamed[each.id], each.type, each.target, each.outside) for each in kept]
    copy.said += [each.target for each in kept if each.outside]
    if root is None:
        return
    _clean_part(copy, part, root, dropped)
    markup.renumber(root, renamed)
    copy.new.parts[new_part], copy.new.types[new_part] = written(root), copy.old.types[part]


def _clean_part(copy: _Copy, part: str, root: Any, dropped: set[str]) -> None:
    hidden.refuse_styled(root, copy.hiding)
    copy.removed |= markup.strip(root, dropped)
    if nameless.rename(root, copy.styles):
        copy.removed.add("names")
    if copy.old.types[part].endswith("sharedStrings+xml") and empty_strings(root, copy.used):
        copy.removed.add("other-parts")
    copy.said += markup.texts(root)


def _name(copy: _Copy, part: str) -> str:
    return copy.names.setdefault(part, part_name(part, len(copy.names)))


def _judged(copy: _Copy, part: str, relation: Relation) -> Relation | None:
    """The relation as it is taken over; None where it stays behind. Raises Uncleanable."""
    kind = relation.kind
    if copy.old.types.get(part, "").endswith("chart+xml") and kind in ("package", "oleObject", "externalLink"):
        copy.removed.add("embedded-files")  # the numbers it was drawn from; those that are drawn are in the chart
        return None
    if relation.outside:
        if kind == "hyperlink" and urlsplit(relation.target).scheme in ("http", "https", "mailto"):
            return relation
        if kind in _REFUSED:
            raise Uncleanable(_REFUSED[kind])
        copy.removed.add(_LEFT.get(kind, "links"))
        return None
    if kind in _REFUSED:
        raise Uncleanable(_REFUSED[kind])
    if relation.target not in copy.old.parts:
        return None
    if kind == "image":
        return Relation(relation.id, relation.type, _picture(copy, relation.target))
    if kind in ("slideLayout", "slideMaster") and copy.shown is not None and relation.target not in copy.shown:
        copy.removed.add("other-parts")
        return None
    if kind in _NEEDED or kind == "hyperlink":
        if not copy.old.types.get(relation.target, "").endswith(("+xml", "/xml")):
            raise Uncleanable("damaged")
        return Relation(relation.id, relation.type, _name(copy, relation.target))
    copy.removed.add(_LEFT.get(kind, "other-parts"))
    return None


def _picture(copy: _Copy, part: str) -> str:
    """A picture inside is cleaned as one beside it would be, and gets a name of ours."""
    if part in copy.pictures:
        return copy.pictures[part]
    raw = copy.old.parts[part]
    if raw[:4] in (b"\x01\0\0\0", b"\xd7\xcd\xc6\x9a") or raw[:4] == b"\x01\0\x09\0" or raw.lstrip()[:1] == b"<":
        raise Uncleanable("drawing")
    made = pictures.clean(raw)
    top = part.partition("/")[0]
    name = f"{top if top in ('word', 'xl', 'ppt') else 'parts'}/media/image{len(copy.pictures) + 1}.{made.ending}"
    copy.new.parts[name], copy.new.types[name] = made.body, made.media_type
    copy.new.relations[name], copy.pictures[part] = [], name
    copy.removed |= set(made.removed)
    return name
