"""Canonical JSON (JCS, RFC 8785): the one way to write a value that is hashed or signed.

The library writes value by value in Python. What the record and items hold is nearly always text, whole numbers and
lists of these, and for that the standard encoder gives the same bytes at a tenth of the cost; the rest goes to the
library.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import rfc8785

_WHOLE = 2**53 - 1
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), check_circular=False)


def canonical(value: Any) -> bytes:
    """The JCS form of a JSON value. Raises rfc8785.CanonicalizationError."""
    if _plain(value, 0):
        with suppress(UnicodeEncodeError):  # half a surrogate pair: the library says so in its own words
            return _ENCODER.encode(value).encode()
    return rfc8785.dumps(value)


def _plain(value: Any, depth: int) -> bool:
    """Whether both write it alike: no fractions, no numbers beyond 2^53, names in ASCII (others sort by UTF-16)."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return -_WHOLE <= value <= _WHOLE
    if depth > 40:
        return False
    if kind is dict:
        return all(
            type(name) is str and name.isascii() and (type(inner) is str or _plain(inner, depth + 1))
            for name, inner in value.items()
        )
    if kind is list or kind is tuple:
        return all(type(inner) is str or _plain(inner, depth + 1) for inner in value)
    return False
