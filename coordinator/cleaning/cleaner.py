"""A copy of a file that may leave, of whatever kind it is. Pure: bytes in, bytes out; only ever run in a child."""

from __future__ import annotations

from importlib import import_module

from coordinator.cleaning import kinds
from coordinator.cleaning.results import LARGEST, LARGEST_MADE, OFFICE, OPENDOCUMENT, PDF, PICTURE, Cleaned, Uncleanable

#: Imported at need: each stands on a library of its own.
_CLEANERS = {kind: f"coordinator.cleaning.{name}" for kind, name in
             ((PICTURE, "pictures"), (PDF, "pdf"), (OFFICE, "office"), (OPENDOCUMENT, "opendocument"))}  # fmt: skip


def clean(body: bytes, name: str) -> Cleaned:
    """`name` as its sender gave it. Raises Uncleanable with the reason."""
    if len(body) > LARGEST:
        raise Uncleanable("too-large")
    kind = kinds.kind_of(body, name)
    made: Cleaned = import_module(_CLEANERS[kind]).clean(body) if kind in _CLEANERS else kinds.plain(body, name)
    if len(made.body) > LARGEST_MADE:
        raise Uncleanable("too-large")
    return made
