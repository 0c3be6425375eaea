"""OpenDocument texts, sheets and slides made anew from the parts that show them: by inclusion, as Office documents are.

Source: OASIS OpenDocument 1.3, part 2 (packages: manifest, mimetype first and unpacked), part 3.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import Any

from coordinator.cleaning import odf_markup, pictures
from coordinator.cleaning.odf_settings import layout_only
from coordinator.cleaning.packages import parsed, unpacked, written, zipped
from coordinator.cleaning.results import OFFICE, Cleaned, Uncleanable, in_order
from coordinator.cleaning.tree import local_name, take_out

_TYPE = "application/vnd.oasis.opendocument."
_ENDINGS = {"text": "odt", "spreadsheet": "ods", "presentation": "odp", "graphics": "odg"}
_MANIFEST = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
_SHOWN = ("content.xml", "styles.xml")
_HREF = "{http://www.w3.org/1999/xlink}href"
_LEFT = {"meta.xml": "properties", "settings.xml": "printer", "manifest.rdf": "custom-data"}


@dataclass
class _Copy:
    """What is taken over from `old`; `pictures`: the part of the old picture -> that of the new one, None where it
    cannot be cleaned; `types`: media type of each new part."""

    old: dict[str, bytes]
    new: dict[str, bytes] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, str | None] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)


def clean(body: bytes) -> Cleaned:
    """Raises Uncleanable."""
    copy = _Copy(unpacked(body))
    kind = copy.old.get("mimetype", b"").decode("ascii", "replace").strip().removeprefix(_TYPE)
    if kind not in _ENDINGS:
        raise Uncleanable("unknown-type")
    _refuse(copy.old)
    copy.removed |= {code for part, code in _LEFT.items() if part in copy.old}
    copy.removed |= {"thumbnail"} if any(part.startswith("Thumbnails/") for part in copy.old) else set()
    _take(copy, "")
    if kind == "text" and "settings.xml" in copy.old:
        copy.new["settings.xml"], copy.types["settings.xml"] = layout_only(copy.old["settings.xml"]), "text/xml"
    parts = {"mimetype": f"{_TYPE}{kind}".encode(), "META-INF/manifest.xml": _manifest(copy, kind), **copy.new}
    made = zipped(parts, unpacked_first="mimetype")
    return Cleaned(OFFICE, made, f"{_TYPE}{kind}", _ENDINGS[kind], in_order(copy.removed), text="\n".join(copy.said))


def _refuse(old: dict[str, bytes]) -> None:
    manifest = old.get("META-INF/manifest.xml", b"")
    if b"encryption-data" in manifest or any(part.startswith("encrypted-package") for part in old):
        raise Uncleanable("protected")
    if any(part.startswith("META-INF/") and "signature" in part.lower() for part in old):
        raise Uncleanable("signed")
    if any(part.startswith(("Basic/", "Scripts/", "Dialogs/")) for part in old):
        raise Uncleanable("macros")


def _take(copy: _Copy, folder: str) -> None:
    """Take over the content and the styles in this folder, with what they point to."""
    roots = {name: parsed(copy.old[folder + name]) for name in _SHOWN if folder + name in copy.old}
    if "content.xml" not in roots:
        raise Uncleanable("damaged")
    bodies = roots["content.xml"].iter("{*}body")
    if folder and not any(local_name(each) == "chart" for body in bodies for each in body):
        raise Uncleanable("embedded-object")
    odf_markup.refuse_hidden(list(roots.values()))
    odf_markup.without_masters(roots["content.xml"], roots.get("styles.xml"), copy.removed)
    for name, root in roots.items():
        odf_markup.strip(root, copy.removed)
        _point_anew(copy, folder, root)
        copy.said += odf_markup.texts(root)
        copy.new[folder + name], copy.types[folder + name] = written(root), "text/xml"


def _point_anew(copy: _Copy, folder: str, root: Any) -> None:
    """What points to a part points to its copy; what points out of the document goes, but for links on the web."""
    for each in [one for one in root.iter() if one.get(_HREF) is not None]:
        href = each.get(_HREF)
        if odf_markup.is_link(each):
            odf_markup.settle_link(each, copy.removed)
            continue
        part = posixpath.normpath(posixpath.join(folder, href))
        if local_name(each) == "object":
            if f"{part}/content.xml" not in copy.old or part.startswith(".."):
                raise Uncleanable("embedded-object")
            _chart(copy, part, each)
        elif part in copy.old and not part.startswith("ObjectReplacements/"):
            _picture(copy, folder, part, each)
        else:
            copy.removed |= {"links"} if part not in copy.old else set()
            take_out(each)


def _chart(copy: _Copy, part: str, each: Any) -> None:
    if part + "/content.xml" in copy.new:
        raise Uncleanable("damaged")
    each.set(_HREF, f"./{part}" if "/" not in part else part)
    _take(copy, f"{part}/")
    copy.types[f"{part}/"] = f"{_TYPE}chart"


def _picture(copy: _Copy, folder: str, part: str, each: Any) -> None:
    """A picture inside is cleaned as one beside it would be. Of several that show the same, those that can be."""
    if part not in copy.pictures:
        copy.pictures[part] = _cleaned(copy, part)
    name = copy.pictures[part]
    if name is not None:
        each.set(_HREF, posixpath.relpath(name, folder or "."))
        for key in [key for key in each.attrib if key.endswith("}mime-type")]:
            each.set(key, copy.types[name])
        return
    parent = each.getparent()
    others = [one for one in parent if one is not each and local_name(one) == "image" and one.get(_HREF)]
    if not others:
        raise Uncleanable("drawing")
    take_out(each)


def _cleaned(copy: _Copy, part: str) -> str | None:
    try:
        made = pictures.clean(copy.old[part])
    except Uncleanable as refused:
        if refused.why == "damaged":  # no picture of points: a drawing
            return None
        raise
    name = f"Pictures/image{len(copy.pictures) + 1}.{made.ending}"
    copy.new[name], copy.types[name] = made.body, made.media_type
    copy.removed |= set(made.removed)
    return name


def _manifest(copy: _Copy, kind: str) -> bytes:
    root = parsed(f'<m:manifest xmlns:m="{_MANIFEST}" m:version="1.3"/>'.encode())
    for part, media_type in [("/", f"{_TYPE}{kind}"), *sorted(copy.types.items())]:
        entry = root.makeelement(f"{{{_MANIFEST}}}file-entry")
        entry.set(f"{{{_MANIFEST}}}full-path", part)
        entry.set(f"{{{_MANIFEST}}}media-type", media_type)
        root.append(entry)
    return written(root)
