"""Playbook variables: their types, which values fit, and how two values of one type compare.

A value is what CACAO 2.0 allows (section on variables): a string, "" or None (both mean "not known" for anything but
text), or a JSON object for a dictionary. Numbers and truth values are kept as strings ("3", "true").
"""

import ipaddress
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

NAME = re.compile(r"__[A-Za-z_][A-Za-z0-9_-]{0,245}__")
REFERENCE = re.compile(r"(__[A-Za-z_][A-Za-z0-9_.-]{0,245}?__):value")
MAX_VALUE_CHARACTERS = 65_536
#: What is called so holds a secret: it stands in no document, and no page shows its value.
SECRET_NAME = re.compile(r"pass(word|phrase|wd)?|secret|token|api[-_]?key|private[-_]?key|credential", re.IGNORECASE)

Value = str | None | dict[str, Any]

#: The source of a value that an event names no other for: the incident that the run is for.
INCIDENT = "incident"

_HEX = re.compile(r"[0-9A-Fa-f]*")
_FORMS = {
    "bool": re.compile(r"true|false"),
    "integer": re.compile(r"[-+]?[0-9]{1,19}"),
    "long": re.compile(r"[-+]?[0-9]{1,19}"),
    "hexstring": _HEX,
    "hash": _HEX,
    "md5-hash": re.compile(r"[0-9A-Fa-f]{32}"),
    "sha256-hash": re.compile(r"[0-9A-Fa-f]{64}"),
    "mac-addr": re.compile(r"[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}"),
    "uuid": re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"),
}
_NUMBERS = frozenset({"integer", "long", "float"})
_CASELESS = frozenset({"hexstring", "hash", "md5-hash", "sha256-hash", "mac-addr", "uuid"})


class VariableRefused(Exception):
    """A value or a name that the playbook does not allow; the message says why."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A declared variable. `value` is the initial one."""

    name: str
    type: str
    value: Value
    constant: bool
    external: bool
    description: str


def normalise(value: Any) -> Value:
    """Numbers and truth values as the strings CACAO keeps; raises VariableRefused for lists and the like."""
    if value is None or isinstance(value, str | dict):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return str(value)
    raise VariableRefused("a value is a string, a number, true or false, an object, or nothing")


def fault_of_value(kind: str, value: Any) -> str | None:
    """Why a value does not fit a variable of this type, as a sentence; None when it fits. Unknown types take any."""
    if value is None or value == "":
        return None
    if isinstance(value, dict):
        if kind not in ("dictionary", "string") and kind in KNOWN_TYPES:
            return f"an object does not fit the type {kind}"
        return None
    if not isinstance(value, str):
        return "the value is written as a string, an object, or null"
    if len(value) > MAX_VALUE_CHARACTERS:
        return f"the value is longer than {MAX_VALUE_CHARACTERS} characters"
    return None if _fits(kind, value) else f"the value does not have the form of the type {kind}"


def _fits(kind: str, value: str) -> bool:
    form = _FORMS.get(kind)
    if form is not None:
        return form.fullmatch(value) is not None
    check = _CHECKS.get(kind)
    if check is None:
        return True
    try:
        return check(value)
    except ValueError:
        return False


def _is_float(value: str) -> bool:
    return len(value) <= 64 and math.isfinite(float(value))


def _is_ipv4(value: str) -> bool:
    return ipaddress.IPv4Interface(value) is not None


def _is_ipv6(value: str) -> bool:
    return ipaddress.IPv6Interface(value) is not None


def _is_uri(value: str) -> bool:
    return bool(urlsplit(value).scheme or urlsplit(value).path) and " " not in value


_CHECKS = {"float": _is_float, "ipv4-addr": _is_ipv4, "ipv6-addr": _is_ipv6, "uri": _is_uri}
KNOWN_TYPES = frozenset(_FORMS) | frozenset(_CHECKS) | {"string", "dictionary"}


def comparable(kind: str, value: Value) -> Any:
    """The value as something Python compares rightly for this type; None for unknown.

    Raises VariableRefused if the text does not have the form of the type.
    """
    if value is None or (value == "" and kind in KNOWN_TYPES and kind != "string"):
        return None
    if isinstance(value, dict):
        raise VariableRefused("an object can only be compared with null")
    fault = fault_of_value(kind, value)
    if fault:
        raise VariableRefused(fault)
    if kind in _NUMBERS:
        return float(value) if kind == "float" else int(value)
    return value.lower().replace("-", ":") if kind == "mac-addr" else value.lower() if kind in _CASELESS else value


def is_number(kind: str) -> bool:
    """Whether `<` and `>` mean magnitude for this type."""
    return kind in _NUMBERS


def read_variables(raw: Mapping[str, Any]) -> dict[str, Variable]:
    """The declared variables of a playbook or a step; tolerant of what the checks have already judged."""
    return {name: _read(name, each) for name, each in raw.items() if isinstance(each, Mapping)}


def _read(name: str, raw: Mapping[str, Any]) -> Variable:
    try:
        value = normalise(raw.get("value"))
    except VariableRefused:
        value = None
    return Variable(
        name=name, type=str(raw.get("type", "string")), value=value, constant=raw.get("constant") is True,
        external=raw.get("external") is True, description=str(raw.get("description", "")),
    )
