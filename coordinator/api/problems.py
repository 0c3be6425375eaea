"""Refusals as `application/problem+json` (RFC 9457). No stack traces, and nothing of what was sent."""

from __future__ import annotations

import json
from typing import Any

from flask import Response
from werkzeug.exceptions import HTTPException

from coordinator.errors import CoordinatorError, Invalid, NotReady, NotSignedIn, Refused, TooMany

MEDIA_TYPE = "application/problem+json"
_TYPES = "/problems/"

#: What the web server's own refusals are called here; the sentence says what to do.
_HTTP = {
    400: ("The request could not be read", "Send a well-formed HTTP request."),
    404: ("Not found", "There is nothing at this address, or not for you."),
    405: ("This method is not taken here", "Look at the Allow header."),
    408: ("The request came too slowly", "Send it again."),
    411: ("The length is missing", "Send a Content-Length."),
    413: ("The request is too large", "Send less at once."),
    415: ("This media type is not taken here", "Look at the OpenAPI document for what is."),
    429: ("Too many requests: wait and try again", "Wait for the time in Retry-After."),
}


def problem(error: CoordinatorError) -> Response:
    """The answer for a refusal of ours."""
    body: dict[str, Any] = {
        "type": _TYPES + _slug(type(error).__name__), "title": error.title, "status": error.status,
        "detail": error.detail,
    }  # fmt: skip
    if isinstance(error, Invalid):
        body["errors"] = [{"pointer": fault.pointer, "detail": fault.detail} for fault in error.errors]
    if isinstance(error, Refused):
        body["blocked_by"] = [{"kind": one.kind, "id": one.id, "text": one.text} for one in error.blocked_by]
    response = _response(body)
    if isinstance(error, NotReady | TooMany):
        response.headers["Retry-After"] = str(getattr(error, "retry_after", 5))
    if isinstance(error, NotSignedIn):
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def http_problem(error: HTTPException) -> Response:
    """The answer for a refusal of the web server (no such route, too large, too many)."""
    status = error.code or 500
    title, detail = _HTTP.get(status, (error.name, "The request was refused."))
    response = _response({"type": "about:blank", "title": title, "status": status, "detail": detail})
    for name in ("Allow", "Retry-After"):
        value = dict(error.get_headers()).get(name) or (error.response and error.response.headers.get(name))
        if value:
            response.headers[name] = value
    if status == 405 and getattr(error, "valid_methods", None):
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))  # type: ignore[attr-defined]
    return response


def _response(body: dict[str, Any]) -> Response:
    said = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")  # a pointer may hold half a surrogate pair
    return Response(said, status=body["status"], content_type=MEDIA_TYPE)


def _slug(name: str) -> str:
    return "".join(f"-{one.lower()}" if one.isupper() else one for one in name).lstrip("-")
