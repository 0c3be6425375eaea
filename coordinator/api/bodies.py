"""What comes with a request besides who asks: a JSON body in its shape, the version last seen, the place in a list."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Response, jsonify, request
from marshmallow import ValidationError

from coordinator.errors import Fault, Invalid, PreconditionRequired, Stale, UnsupportedType
from coordinator.outside.fields import read_instant
from coordinator.outside.strict_json import parse_json

LONGEST_PAGE = 200
USUAL_PAGE = 50


def json_body(*, optional: bool = False) -> Any:
    """The parsed JSON of the request. Raises UnsupportedType, NotParseable. `optional`: {} where none came."""
    raw = request.get_data(cache=True)
    if optional and not raw:
        return {}
    if request.mimetype != "application/json":
        raise UnsupportedType("Send application/json.")
    return parse_json(raw)


def etag(version: int) -> str:
    """The entity tag of an incident's version (without its quotes)."""
    return f"v{version}"


def check_if_match(version: int, *, needed: bool = True) -> None:
    """The client has seen this version. Raises PreconditionRequired without If-Match, Stale for another version."""
    if "If-Match" not in request.headers or request.if_match.star_tag:
        if needed:
            raise PreconditionRequired("Send If-Match with the ETag of the answer you last saw.")
        return
    if not request.if_match.contains_weak(etag(version)):
        raise Stale()


def answer(data: Any, *, status: int = 200, version: int | None = None) -> Response:
    """`data` as JSON, with its ETag where it is an incident."""
    response = jsonify(data)
    response.status_code = status
    if version is not None:
        response.set_etag(etag(version))
    return response


def page_limit() -> int:
    """?limit=, at most LONGEST_PAGE. Raises Invalid."""
    return whole_argument("limit", USUAL_PAGE, most=LONGEST_PAGE)


def whole_argument(name: str, default: int, *, most: int = 2**53, least: int = 1) -> int:
    """A whole number in the query, or `default`. Raises Invalid."""
    text = request.args.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 16 or not least <= int(text) <= most:
        raise Invalid([Fault(f"/{name}", f"Send a whole number from {least} to {most}.")])
    return int(text)


def words_argument(name: str) -> list[str]:
    """Values of a query argument, repeated or with commas between, each once."""
    parts = (part.strip() for text in request.args.getlist(name) for part in text.split(","))
    return list(dict.fromkeys(part for part in parts if part))


def text_argument(name: str, *, longest: int = 200) -> str:
    """A text in the query without control characters, or "". Raises Invalid."""
    text = request.args.get(name, "")
    if len(text) > longest or any(ord(one) < 32 or 0xD800 <= ord(one) <= 0xDFFF for one in text):
        raise Invalid([Fault(f"/{name}", f"Send at most {longest} characters, without control characters.")])
    return text


def instant_argument(name: str) -> datetime | None:
    """An instant in the query, aware UTC, or None. Raises Invalid."""
    text = request.args.get(name, "")
    try:
        # In a query a plus sign means a blank: an offset that was not encoded is meant all the same.
        return read_instant(text.replace(" ", "+")) if text else None
    except ValidationError as error:
        raise Invalid([Fault(f"/{name}", str(error.messages[0]))]) from None
