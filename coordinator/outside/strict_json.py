"""Strict JSON (RFC 8259 within the limits of RFC 7493). A refusal says where, never what."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from coordinator.errors import NotParseable, TooLarge

MAX_JSON_BYTES = 1024 * 1024
MAX_DEPTH = 32

_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse_json(body: bytes, *, max_bytes: int = MAX_JSON_BYTES, max_depth: int = MAX_DEPTH) -> Any:
    """The JSON value in `body`: UTF-8 without BOM, no name twice, finite numbers, whole code points (RFC 8259, 7493).

    Raises TooLarge over `max_bytes` and NotParseable for anything else; the detail says where, never what.
    """
    if len(body) > max_bytes:
        raise TooLarge(f"Send at most {max_bytes} bytes.")
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise NotParseable(f"Send UTF-8: byte {error.start} does not fit.") from None
    except json.JSONDecodeError as error:
        raise NotParseable(f"This is not JSON: look at line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise NotParseable(f"Nest objects and lists at most {max_depth} deep.") from None
    except ValueError as error:
        raise NotParseable(str(error) if type(error) is _Unfit else "A number has too many digits.") from None
    if body.count(b"{") + body.count(b"[") > max_depth and _depth(value) > max_depth:
        raise NotParseable(f"Nest objects and lists at most {max_depth} deep.")
    if _SURROGATE_ESCAPE.search(body):
        _refuse_lone_surrogates(value)
    return value


class _Unfit(ValueError):
    """Well-formed for the parser, refused by us; carries our own sentence."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise _Unfit("An object has the same name twice: send each name once.")
    return result


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _Unfit("A number is too large.")
    return value


def _no_constant(_: str) -> float:
    raise _Unfit("NaN and Infinity are not JSON numbers.")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_finite, parse_constant=_no_constant)


def _depth(value: Any) -> int:
    """How deep lists and objects nest in `value`, without recursion."""
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, (dict, list))]:
        depth += 1
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else item)]
    return depth


def _refuse_lone_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise NotParseable("A text holds half of a surrogate pair: send whole code points.") from None
