"""Which refusals each call of the API may answer with, for the OpenAPI document; schemathesis holds them to it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from http import HTTPStatus
from typing import Any

from coordinator import errors

#: The sentence for each status that a call may be refused with.
SAID = {
    kind.status: kind.title
    for kind in (
        errors.NotParseable, errors.NotSignedIn, errors.NoRight, errors.NotFound, errors.Refused, errors.Gone,
        errors.Stale, errors.TooLarge, errors.UnsupportedType, errors.Invalid, errors.PreconditionRequired,
        errors.TooMany, errors.NotReady,
    )
}  # fmt: skip


def refusals(
    *, method: str, access: str, body: bool, argued: bool, addressed: bool, if_match: bool, more: Collection[int] = ()
) -> list[int]:
    """Statuses in order. `argued`: something of the query is read; `addressed`: the path names a thing."""
    return sorted({*_asking(access), *more, *_sent(body=body, if_match=if_match), 429, 503}
                  | ({404} if addressed else set())
                  | ({422} if argued or body else set())
                  | ({409} if method != "GET" else set()))  # fmt: skip


def _asking(access: str) -> Iterator[int]:
    """`access`: what the view declares (needs, signed-in, signed, open)."""
    if access != "open":
        yield errors.NotSignedIn.status
    if access == "needs":
        yield errors.NoRight.status


def _sent(*, body: bool, if_match: bool) -> Iterator[int]:
    if body:
        yield from (errors.NotParseable.status, errors.TooLarge.status, errors.UnsupportedType.status)
    if if_match:
        yield from (errors.Stale.status, errors.PreconditionRequired.status)


def components(schema: type) -> dict[str, dict[str, Any]]:
    """Each refusal once, as a component of the document (RFC 9457), by its name."""
    return {
        name_of(status): {
            "description": f"{said} (RFC 9457).", "content": {"application/problem+json": {"schema": schema}},
            **({"headers": {"Retry-After": {"schema": {"type": "string"}}}} if status in (429, 503) else {}),
        }
        for status, said in SAID.items()
    }  # fmt: skip


def name_of(status: int) -> str:
    """The component of a status."""
    return HTTPStatus(status).phrase.title().replace(" ", "").replace("'", "").replace("-", "")
