"""Files whose kind we know without taking them apart: CSAF advisories and IODEF documents. Label and ids are read out.

Sources: CSAF 2.0 §3.2.1 and 2.1 (document.csaf_version, distribution.tlp.label and sharing_group, tracking.id); IODEF,
RFC 7970 §3.1–3.4 and RFC 5070 (IncidentID, purpose, status, restriction). Nothing else is believed or stored apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from coordinator.errors import NotParseable, TooLarge
from coordinator.markings import Tlp, parse_tlp
from coordinator.outside.strict_json import parse_json
from coordinator.vocabulary.labels import UnknownLabel

#: A file that is larger is not looked into.
MOST = 4 * 1024 * 1024
_MOST_IDS, _LONGEST = 20, 200
_DEEPEST = 128  # CSAF 2.1 has 30 branches of products within each other, each a list and an object
_HEAD = 64 * 1024  # remarks may stand before the document
_IODEF_ROOT = re.compile(r"<(?:[\w.-]+:)?IODEF-Document(?![\w.-])")
_IODEF = {"urn:ietf:params:xml:ns:iodef-1.0": "1", "urn:ietf:params:xml:ns:iodef-2.0": "2"}
#: `restriction` as a label (RFC 7970 §3.3.1); its own words are read as the stricter of what they may mean.
_RESTRICTION = {
    "public": Tlp.CLEAR, "white": Tlp.CLEAR, "green": Tlp.GREEN, "amber": Tlp.AMBER, "partner": Tlp.AMBER,
    "red": Tlp.RED, "private": Tlp.AMBER_STRICT, "need-to-know": Tlp.AMBER_STRICT,
}  # fmt: skip
_UNSAID = "private"  # of an incident without a restriction (RFC 7970 §3.2, RFC 5070 §3.2)
_EVERYBODY = "ffffffff-ffff-ffff-ffff-ffffffffffff"  # CSAF 2.1: the one sharing group that narrows nothing


@dataclass(frozen=True)
class Known:
    """`format`: csaf or iodef. `tlp`: the strictest label it bears, None where it says nothing we know. `unclear`: it
    bears a label that we do not know, which a person has to read. `ids`: whose and which. `said`: purpose, status and
    restriction of IODEF, as they stand there."""

    format: str
    version: str
    ids: tuple[str, ...]
    tlp: Tlp | None
    unclear: bool = False
    said: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "format": self.format, "version": self.version, "ids": list(self.ids),
            "tlp": self.tlp.value if self.tlp else None, **dict(self.said),
        }  # fmt: skip


def recognise(body: bytes) -> Known | None:
    """What the file says it is; None for anything that does not say it is one of these.

    What says so and cannot be read (broken, hostile, too large, of a version we do not know) bears a label that a
    person has to read: `unclear`, with neither version nor ids.
    """
    head = _text(body[:_HEAD]).lstrip("\ufeff \t\r\n")
    if head.startswith("{") and '"csaf_version"' in (head if len(body) <= _HEAD else _text(body)):
        return _csaf(body) or Known("csaf", "", (), None, unclear=True)
    if head.startswith("<") and _IODEF_ROOT.search(head):
        return _iodef(body) or Known("iodef", "", (), None, unclear=True)
    return None


def _text(body: bytes) -> str:
    """To look for what it says it is: UTF-16 by its first bytes (XML 1.0, appendix F), else byte for byte."""
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return body.decode("utf-16", "replace")
    if body[1:2] == b"\0" or body[:1] == b"\0":
        return body.decode("utf-16-le" if body[1:2] == b"\0" else "utf-16-be", "replace")
    return body.removeprefix(b"\xef\xbb\xbf").decode("latin-1")


def _csaf(body: bytes) -> Known | None:
    try:
        document = parse_json(body, max_bytes=MOST, max_depth=_DEEPEST)["document"]
        version, tracking = document["csaf_version"], document["tracking"]
        distribution = document.get("distribution", {})
        label, group = distribution.get("tlp", {}).get("label"), distribution.get("sharing_group")
        identity = tracking["id"]
    except (NotParseable, TooLarge, KeyError, TypeError, AttributeError):
        return None
    if version not in ("2.0", "2.1") or not isinstance(identity, str):
        return None
    tlp = _label(label)
    unclear = (tlp is None and label not in (None, "")) or _is_narrow(group)
    return Known("csaf", version, (_short(identity),), tlp, unclear=unclear)


def _is_narrow(group: Any) -> bool:
    """Whether it is for a group whose members only the sender knows (CSAF 2.1, document.distribution.sharing_group)."""
    return group is not None and not (isinstance(group, dict) and group.get("id") == _EVERYBODY)


def _iodef(body: bytes) -> Known | None:
    if len(body) > MOST:
        return None
    try:
        root = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError, RecursionError):
        return None
    space, _, name = root.tag.removeprefix("{").partition("}")
    if name != "IODEF-Document" or space not in _IODEF:
        return None
    incidents = root.findall(f"{{{space}}}Incident")
    ids = [_short(f"{one.get('name', '')} {(one.text or '').strip()}".strip()) for one in _ids(incidents, space)]
    restrictions = [one.get("restriction", "") for one in root.iter() if "restriction" in one.attrib]
    restrictions += [_UNSAID for one in incidents if "restriction" not in one.attrib]
    labels = [_RESTRICTION[word] for word in restrictions if word in _RESTRICTION]
    said = {
        key: ", ".join(sorted({_short(one.get(key, "")) for one in incidents if one.get(key)}))
        for key in ("purpose", "status", "restriction")
    }
    return Known(
        "iodef", _IODEF[space], tuple(ids), max(labels, default=None), len(labels) < len(restrictions),
        tuple((key, value) for key, value in said.items() if value),
    )  # fmt: skip


def _ids(incidents: list[Element], space: str) -> Iterator[Element]:
    for number, incident in enumerate(incidents):
        if number >= _MOST_IDS:
            return
        found = incident.find(f"{{{space}}}IncidentID")
        if found is not None:
            yield found


def _label(word: Any) -> Tlp | None:
    try:
        return parse_tlp(word) if isinstance(word, str) else None
    except UnknownLabel:
        return None


def _short(text: str) -> str:
    return "".join(char for char in text if char.isprintable())[:_LONGEST]
