"""What a route takes and gives, said above it: the OpenAPI document is made of these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from marshmallow import Schema

#: Query arguments of every list that is given in pages.
PAGED = ("limit", "cursor")


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What a route takes and gives beside what its address says. `query`: names of query arguments.

    `foreign`: media types it takes as well, whose shape is another standard's. `bare`: the body may be missing.
    `more`: statuses it may be refused with beside those that follow from what it takes (refusals.py).
    `tagged`: what is answered has an ETag, and If-None-Match is looked at.
    """

    body: type[Schema] | None = None
    answer: type[Schema] | None = None
    status: int = 200
    query: tuple[str, ...] = ()
    if_match: bool = False
    media_types: tuple[str, ...] = ("application/json",)
    foreign: tuple[str, ...] = ()
    bare: bool = False
    more: tuple[int, ...] = ()
    tagged: bool = False


def describes(**said: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The view takes and gives what `Operation` says; a route without this is not in the document (a test refuses)."""

    def declare(view: Callable[..., Any]) -> Callable[..., Any]:
        view.operation = Operation(**said)  # type: ignore[attr-defined]
        return view

    return declare
