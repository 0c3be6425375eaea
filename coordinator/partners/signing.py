"""Standard Webhooks 1.0: signing what we send and verifying what partners send.

Signed bytes are `id + "." + timestamp + "." + raw body`; the signature is HMAC-SHA256 in base64 after `v1,`. Headers
come from anybody, so each is checked strictly before it is used, and whatever is wrong has one of two answers.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets as randomness
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from coordinator.errors import CoordinatorError, NotAuthenticated, NotParseable

TOLERANCE_S = 300
SECRET_PREFIX = "whsec_"

_MAX_SIGNATURES = 16
_MAX_SIGNATURE_HEADER = 2048
_SECRET_BYTES = range(24, 65)
# Printable ASCII; a "." would let an id swallow part of the timestamp in the signed bytes.
_ID = re.compile(r"[!-\-/-~]{1,256}", re.ASCII)
# One way to write one number: no sign, blank, underscore, fraction, leading zero or foreign digit.
_TIMESTAMP = re.compile(r"0|[1-9][0-9]{0,11}", re.ASCII)


class MalformedHeaders(NotParseable):
    """A webhook header is missing, repeated, too long or not of the form the standard gives it (400)."""


class BadSignature(NotAuthenticated):
    """The signature is not of this body, or the time is not within 300 s (401). One answer for every cause."""


class BadSecret(CoordinatorError):
    """The secret is not `whsec_` and the base64 of 24 to 64 bytes."""

    status = 422
    title = "A webhook secret is whsec_ and the base64 of 24 to 64 bytes"


class Headers(Protocol):
    """Request headers as pairs; a name may come twice. A dict or werkzeug's headers will do."""

    def items(self) -> Iterable[tuple[str, str]]: ...


def generate_secret() -> str:
    """A fresh secret of 32 random bytes."""
    return SECRET_PREFIX + base64.b64encode(randomness.token_bytes(32)).decode("ascii")


def check_secret(secret: str) -> None:
    """Raises BadSecret unless `secret` can be used; the prefix may be left off."""
    _key(secret)


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX).encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise BadSecret() from None
    if len(key) not in _SECRET_BYTES:
        raise BadSecret()
    return key


def sign(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`; `timestamp` is the attempt in whole seconds since 1970.

    Raises BadSecret, and ValueError for an id or a time that no receiver could accept.
    """
    if not _ID.fullmatch(message_id):
        raise ValueError("a message id is 1 to 256 printable ASCII characters without a dot")
    if isinstance(timestamp, bool) or not isinstance(timestamp, int) or not _TIMESTAMP.fullmatch(str(timestamp)):
        raise ValueError("a timestamp is a whole number of seconds since 1970")
    return "v1," + _signature(_key(secret), message_id, str(timestamp), body)


def signed_headers(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of one attempt, signed with every secret: a receiver may be on either side of a rotation."""
    if not secrets:
        raise ValueError("nothing to sign with")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(secret, message_id, timestamp, body) for secret in secrets),
    }


def _signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    content = f"{message_id}.{timestamp}.".encode("ascii") + body
    return base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode("ascii")


def verify(secrets: Sequence[str], headers: Headers, body: bytes, now: datetime) -> int:
    """The index in `secrets` (current, previous …) of the one that signed this body; the first where several did.

    Raises MalformedHeaders, or BadSignature. For an unknown endpoint pass no secrets: the answer is the same, and so is
    the work. A replay within the tolerance passes here: uniqueness of the id is the caller's to hold.
    """
    if now.utcoffset() is None:
        raise ValueError("now carries an offset")  # a naive one would be read as local time
    given = _three(headers)
    message_id, timestamp, offered = given["webhook-id"], given["webhook-timestamp"], given["webhook-signature"]
    if not _ID.fullmatch(message_id):
        raise MalformedHeaders("Send a webhook-id of 1 to 256 printable ASCII characters without a dot.")
    candidates = _candidates(offered)
    timely = _TIMESTAMP.fullmatch(timestamp) is not None and abs(now.timestamp() - int(timestamp)) <= TOLERANCE_S
    signed_at = timestamp if timely else "0"
    # Every key is tried against every signature, so that the time taken tells nothing about which one nearly fitted.
    matching = []
    for number, key in enumerate([_key(secret) for secret in secrets] or [bytes(32)]):
        expected = _signature(key, message_id, signed_at, body).encode("ascii")
        if sum([hmac.compare_digest(expected, candidate) for candidate in candidates]):
            matching.append(number)
    if not (timely and matching and secrets):
        raise BadSignature()
    return matching[0]


def _three(headers: Headers) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers.items():
        name = name.lower()
        if name not in ("webhook-id", "webhook-timestamp", "webhook-signature"):
            continue
        if name in found:
            raise MalformedHeaders(f"Send {name} once.")
        found[name] = value
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        if not found.get(name):
            raise MalformedHeaders(f"Send the header {name}.")
    return found


def _candidates(offered: str) -> list[bytes]:
    """The v1 signatures of a header. Other versions are for other keys and are passed over (ed25519 is v1a)."""
    if len(offered) > _MAX_SIGNATURE_HEADER:
        raise MalformedHeaders(f"Send a webhook-signature of at most {_MAX_SIGNATURE_HEADER} characters.")
    parts = [part for part in offered.split(" ") if part]
    if len(parts) > _MAX_SIGNATURES:
        raise MalformedHeaders(f"Send at most {_MAX_SIGNATURES} signatures.")
    versioned = (part.partition(",") for part in parts)
    return [value.encode("utf-8", "surrogatepass") for version, _, value in versioned if version == "v1"]
