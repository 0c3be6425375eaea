"""Office documents as packages: which parts they have and what these say of each other, read within bounds.

Source: ECMA-376 part 2 (Open Packaging Conventions): content types, relationships, part names.
"""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from lxml import etree

from coordinator.cleaning.results import Uncleanable

MOST_PARTS, MOST_BYTES = 3000, 150 * 1024 * 1024
TYPES = "{http://schemas.openxmlformats.org/package/2006/content-types}"
RELS = "{http://schemas.openxmlformats.org/package/2006/relationships}"
_RELS_TYPE = "application/vnd.openxmlformats-package.relationships+xml"
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Relation:
    """`kind`: the last part of its type. `target`: the name of a part, or an address where `outside`."""

    id: str
    type: str
    target: str
    outside: bool = False

    @property
    def kind(self) -> str:
        return self.type.rstrip("/").rpartition("/")[2]


@dataclass
class Package:
    """Parts by name (without the leading slash) with their bytes, and the media type of each."""

    parts: dict[str, bytes]
    types: dict[str, str]
    relations: dict[str, list[Relation]] = field(default_factory=dict)


def parsed(raw: bytes) -> Any:
    """A part as a tree, without comments and instructions. Raises Uncleanable; a document type is not read."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False,
                             remove_comments=True, remove_pis=True)  # fmt: skip
    try:
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Uncleanable("damaged") from error
    if root.getroottree().docinfo.doctype:
        raise Uncleanable("damaged")
    return root


def written(root: Any) -> bytes:
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8", standalone=True)


def unpacked(body: bytes) -> dict[str, bytes]:
    """The files in an archive by name. Raises Uncleanable."""
    try:
        with zipfile.ZipFile(BytesIO(body)) as archive:
            return _unpacked(archive)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, ValueError) as error:
        raise Uncleanable("damaged") from error


def read(body: bytes) -> Package:
    """Raises Uncleanable."""
    parts = unpacked(body)
    types = parts.pop("[Content_Types].xml", None)
    if types is None:
        raise Uncleanable("archive")
    return Package(parts, _types(types, parts))


def _unpacked(archive: zipfile.ZipFile) -> dict[str, bytes]:
    infos = [each for each in archive.infolist() if not each.is_dir()]
    if len(infos) > MOST_PARTS or sum(each.file_size for each in infos) > MOST_BYTES:
        raise Uncleanable("too-complex")
    if len({each.filename for each in infos}) < len(infos):
        raise Uncleanable("damaged")
    parts, left = {}, MOST_BYTES
    for each in infos:
        if each.flag_bits & 1:
            raise Uncleanable("protected")
        with archive.open(each) as stream:
            raw = stream.read(left + 1)
        left -= len(raw)
        if left < 0:
            raise Uncleanable("too-complex")
        parts[each.filename.lstrip("/")] = raw
    return parts


def _types(raw: bytes, parts: dict[str, bytes]) -> dict[str, str]:
    root = parsed(raw)
    default = {each.get("Extension", "").lower(): each.get("ContentType", "") for each in root.iter(f"{TYPES}Default")}
    single = {
        each.get("PartName", "").lstrip("/"): each.get("ContentType", "") for each in root.iter(f"{TYPES}Override")
    }
    return {name: single.get(name) or default.get(name.rpartition(".")[2].lower(), "") for name in parts}


def relations_of(package: Package, part: str) -> list[Relation]:
    """What a part ("" for the package) points to, in order. Raises Uncleanable."""
    folder, name = posixpath.split(part)
    raw = package.parts.get(posixpath.join(folder, "_rels", f"{name}.rels"))
    if raw is None:
        return []
    found = []
    for each in parsed(raw).iter(f"{RELS}Relationship"):
        outside, target = each.get("TargetMode") == "External", each.get("Target", "")
        if not outside:
            path = target if target.startswith("/") else posixpath.join("/", folder, target)
            target = posixpath.normpath(path).lstrip("/")
        found.append(Relation(each.get("Id", ""), each.get("Type", ""), target, outside))
    return found


def packed(package: Package) -> bytes:
    """The package as a file: the same bytes for the same parts, and no times, names or notes of whoever packed it."""
    types = etree.Element(f"{TYPES}Types", nsmap={None: TYPES[1:-1]})
    etree.SubElement(types, f"{TYPES}Default", Extension="rels", ContentType=_RELS_TYPE)
    etree.SubElement(types, f"{TYPES}Default", Extension="xml", ContentType="application/xml")
    for name in sorted(package.parts):
        etree.SubElement(types, f"{TYPES}Override", PartName=f"/{name}", ContentType=package.types[name])
    parts = {"[Content_Types].xml": written(types)}
    for part in sorted(package.relations):
        if package.relations[part]:
            folder, name = posixpath.split(part)
            parts[posixpath.join(folder, "_rels", f"{name}.rels")] = _relations(package.relations[part])
    return zipped(parts | {name: package.parts[name] for name in sorted(package.parts)})


def zipped(parts: dict[str, bytes], *, unpacked_first: str = "") -> bytes:
    """An archive of these files in this order, but for the one that comes first and is not packed."""
    made = BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(parts, key=lambda each: each != unpacked_first):
            info = zipfile.ZipInfo(name, date_time=_EPOCH)
            info.external_attr = info.create_system = 0
            info.compress_type = zipfile.ZIP_STORED if name == unpacked_first else zipfile.ZIP_DEFLATED
            archive.writestr(info, parts[name])
    return made.getvalue()


def _relations(several: list[Relation]) -> bytes:
    root = etree.Element(f"{RELS}Relationships", nsmap={None: RELS[1:-1]})
    for each in several:
        said = {"Id": each.id, "Type": each.type, "Target": each.target if each.outside else f"/{each.target}"}
        etree.SubElement(root, f"{RELS}Relationship", said | ({"TargetMode": "External"} if each.outside else {}))
    return written(root)
