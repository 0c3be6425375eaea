"""A copy of a file that may leave, of whatever kind it is. Pure: bytes in, bytes out; only ever run in a child."""

from __future__ import annotations

from coordinator.cleaning import kinds, office, pdf, pictures
from coordinator.cleaning.results import LARGEST, LARGEST_MADE, OFFICE, PDF, PICTURE, Cleaned, Uncleanable

_CLEANERS = {PICTURE: pictures.clean, PDF: pdf.clean, OFFICE: office.clean}


def clean(body: bytes, name: str) -> Cleaned:
    """`name` as its sender gave it. Raises Uncleanable with the reason."""
    if len(body) > LARGEST:
        raise Uncleanable("too-large")
    kind = kinds.kind_of(body, name)
    made = _CLEANERS[kind](body) if kind in _CLEANERS else kinds.plain(body, name)
    if len(made.body) > LARGEST_MADE:
        raise Uncleanable("too-large")
    return made
