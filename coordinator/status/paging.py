"""Cursors for lists that are paged by their last row (keyset): the hundredth page costs what the first one does."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from coordinator.errors import Fault, Invalid

MOST = 200


def to_cursor(*parts: Any) -> str:
    """An opaque cursor of plain values (text, numbers, None)."""
    return base64.urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode().rstrip("=")


def from_cursor(cursor: str, *shape: type | tuple[type, ...]) -> tuple[Any, ...] | None:
    """The values in a cursor of ours, None where there is none. Raises Invalid for anything else."""
    if not cursor:
        return None
    try:
        parts = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        fits = isinstance(parts, list) and len(parts) == len(shape)
        if fits and all(isinstance(part, kind) for part, kind in zip(parts, shape, strict=True)):
            return tuple(parts)
    except (ValueError, binascii.Error, RecursionError):
        pass
    raise Invalid([Fault("/cursor", "Use the cursor of the answer before, or leave it out to start again.")])


def bounded(limit: int) -> int:
    """How many rows one page may have."""
    return max(1, min(limit, MOST))
