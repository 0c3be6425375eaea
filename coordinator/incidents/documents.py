"""Files whose kind we know without taking them apart: CSAF advisories and IODEF documents. Label and ids are read out.

Sources: CSAF 2.0 §3.2.1 and 2.1 (document.csaf_version, distribution.tlp.label and sharing_group, tracking.id); IODEF,
RFC 7970 §3.1–3.4 and RFC 5070 (IncidentID, purpose, status, restriction). Nothing else is believed or stored apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

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
    reading = _Reading()
    parser = DefusedXMLParser(target=reading, forbid_dtd=True)
    try:
        parser.feed(body)
        parser.close()
    except (ParseError, DefusedXmlException, ValueError, LookupError, RecursionError):
        return None
    space, _, name = reading.root.removeprefix("{").partition("}")
    if name != "IODEF-Document" or space not in _IODEF:
        return None
    labels = [_RESTRICTION[word] for word in reading.restrictions if word in _RESTRICTION]
    said = {key: _short(", ".join(sorted(_short(word) for word in words))) for key, words in reading.said.items()}
    return Known(
        "iodef", _IODEF[space], tuple(_short(" ".join(each)) for each in reading.ids), max(labels, default=None),
        len(labels) < len(reading.restrictions), tuple((key, value) for key, value in said.items() if value),
    )  # fmt: skip


class _Reading:
    """What is read out while the document goes by; nothing else of it is kept, however large it is."""

    def __init__(self) -> None:
        self.root = ""
        self.restrictions: set[str] = set()
        self.ids: list[tuple[str, ...]] = []
        self.said: dict[str, set[str]] = {"purpose": set(), "status": set(), "restriction": set()}
        self._depth = self._incidents = 0
        self._id: list[str] | None = None
        self._is_awaited = False  # the id of the incident that goes by

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins. Ids and attributes of the first incidents are read; a restriction counts wherever it is.

        Raises ValueError where it nests deeper than any document does.
        """
        self.root = self.root or tag
        self._keep_id()
        if "restriction" in attributes:
            self._restrict(attributes["restriction"])
        if self._depth == 1:
            self._is_awaited = self._is_own(tag, "Incident") and self._begin_incident(attributes)
        elif self._depth == 2 and self._is_awaited and self._is_own(tag, "IncidentID"):
            self._id, self._is_awaited = [attributes.get("name", ""), ""], False
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError("nested too deeply")

    def data(self, text: str) -> None:
        """Words; those of an id are kept."""
        if self._id is not None and len(self._id[1]) < _LONGEST:
            self._id[1] += text

    def end(self, _tag: str) -> None:
        """An element ends."""
        self._keep_id()
        self._depth -= 1

    def close(self) -> None:
        """The document ends."""

    def _is_own(self, tag: str, name: str) -> bool:
        return tag == f"{self.root[: self.root.find('}') + 1]}{name}"

    def _begin_incident(self, attributes: dict[str, str]) -> bool:
        """Whether it is one of those whose id is read."""
        if "restriction" not in attributes:
            self._restrict(_UNSAID)
        self._incidents += 1
        if self._incidents > _MOST_IDS:
            return False
        for key, words in self.said.items():
            if word := attributes.get(key):
                words.add(word)
        return True

    def _keep_id(self) -> None:
        if self._id is not None:
            self.ids.append(tuple(part for part in (self._id[0], self._id[1].strip()) if part))
            self._id = None

    def _restrict(self, word: str) -> None:
        """Each word once; of many that we do not know one is enough."""
        if word in _RESTRICTION or self.restrictions <= _RESTRICTION.keys():
            self.restrictions.add(word)


def _label(word: Any) -> Tlp | None:
    try:
        return parse_tlp(word) if isinstance(word, str) else None
    except UnknownLabel:
        return None


def _short(text: str) -> str:
    return "".join(char for char in text if char.isprintable())[:_LONGEST]
