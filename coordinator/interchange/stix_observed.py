"""What can be looked for, as STIX: an observable or an indicator where its type says how, else a line of a note.

An observable bears an id of its own in each alert, not the one its content alone would give (STIX 2.1 recommends
that): the same address told twice under two labels would otherwise be one object with one label.
Sources: STIX 2.1 (cyber-observable objects, patterns); MISP attribute types.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Any

from coordinator.interchange.stix_definitions import stix_id

#: How other formats name them: MISP attribute types.
_SAME_AS = {
    "ip-src": "ip", "ip-dst": "ip", "domain": "domain-name", "hostname": "domain-name", "email": "email-addr",
    "email-src": "email-addr", "email-dst": "email-addr", "mac-address": "mac-addr", "md5": "file:hashes.MD5",
    "sha1": "file:hashes.SHA-1", "sha256": "file:hashes.SHA-256", "sha512": "file:hashes.SHA-512",
    "ipv4": "ipv4-addr", "ipv6": "ipv6-addr",
}  # fmt: skip
_HASH_DIGITS = {"MD5": 32, "SHA-1": 40, "SHA-256": 64, "SHA-512": 128, "SHA3-256": 64, "SHA3-512": 128}
_COMPARISON = re.compile(r"([a-z0-9-]{1,80}):([a-z0-9_]+)")
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*")
_MAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}://[\x21-\x7e]+")


def observed(
    pairs: Iterable[tuple[str, str]], *, within: str
) -> tuple[list[dict[str, Any]], list[tuple[str, str, str]], list[str]]:
    """(observables without markings, indicators as (name, pattern type, pattern), lines that STIX has no place for).

    `within`: what the ids are made under, the alert's public id.
    """
    objects, indicators, lines = [], [], []
    for kind, value in pairs:
        if found := _object(kind, value, within):
            objects.append(found)
        elif pattern := _pattern(kind, value):
            indicators.append((f"{kind} {value}"[:200], *pattern))
        else:
            lines.append(f"{kind}: {value}")
    return objects, indicators, lines


def _object(kind: str, value: str, within: str) -> dict[str, Any] | None:
    kind = _SAME_AS.get(kind, kind)
    if kind == "ip":
        kind = "ipv6-addr" if ":" in value else "ipv4-addr"
    if kind.startswith("file:hashes."):
        name = kind.removeprefix("file:hashes.")
        digits = _HASH_DIGITS.get(name)
        if digits is None or not re.fullmatch(f"[0-9a-fA-F]{{{digits}}}", value):
            return None
        return _made("file", within, {"hashes": {name: value.lower()}})
    if kind in _FITS and _FITS[kind](value):
        return _made(kind, within, {"value": value.lower() if kind == "mac-addr" else value})
    return None


def _is_address(value: str, version: int) -> bool:
    try:
        return ipaddress.ip_network(value, strict=False).version == version
    except ValueError:
        return False


_FITS = {
    "ipv4-addr": lambda value: _is_address(value, 4), "ipv6-addr": lambda value: _is_address(value, 6),
    "domain-name": lambda value: bool(_HOST.fullmatch(value)), "url": lambda value: bool(_URL.fullmatch(value)),
    "email-addr": lambda value: bool(_MAIL.fullmatch(value)),
    "mac-addr": lambda value: bool(_MAC.fullmatch(value.lower())),
}  # fmt: skip


def _made(kind: str, within: str, said: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "spec_version": "2.1", "id": stix_id(kind, within, repr(said)), **said}


def _pattern(kind: str, value: str) -> tuple[str, str] | None:
    """(pattern type, pattern) of what was read from an indicator, in the form it is kept here."""
    if kind.startswith("pattern:") and kind != "pattern:stix":
        return kind.removeprefix("pattern:"), value
    if kind == "pattern:stix":
        return "stix", value
    single = _COMPARISON.fullmatch(kind)
    if single is None or not value.isprintable():
        return None
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return "stix", f"[{single[1]}:{single[2]} = '{quoted}']"
