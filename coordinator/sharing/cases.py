"""A document of sharing cases, as an adviser writes them to see what the rules say: `coordinator sharing evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from coordinator.outside.strict_json import parse_json
from coordinator.sharing.inputs import MalformedCase
from coordinator.sharing.rules import decide
from coordinator.vocabulary.shapes import absent, codes, read_instant, text, unknown_field

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024

_CASE_FIELDS = frozenset({"item", "recipient", "purpose", "agreements", "now", "requested_by", "approvals"})
# For the reader of the document only.
_NOTES = frozenset({"name", "id", "expect", "note", "notes", "comment", "description", "why", "source"})
_DEFAULT_FIELDS = frozenset({"now", "requested_by", "approvals"})


def read_document(raw: bytes) -> Any:
    """The JSON document in `raw`, read strictly. Raises NotParseable or TooLarge, which say where."""
    return parse_json(raw, max_bytes=MAX_DOCUMENT_BYTES)


def evaluate_document(document: Any, *, now: datetime) -> list[dict[str, Any]]:
    """The decision on each case, in order, in its JSON form.

    `now` is used where neither the case nor the document's `defaults` names an instant; the requester is then `u1`.
    Raises MalformedCase with a pointer into the document, such as `/cases/3/item/tlp`, before anything is answered.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("cases"), list):
        raise MalformedCase("/cases", "is required: a list of cases")
    defaults = _defaults(document.get("defaults"), now)
    return [_evaluate(case, defaults, number) for number, case in enumerate(document["cases"])]


def _defaults(given: Any, now: datetime) -> dict[str, Any]:
    found: dict[str, Any] = {"now": now, "requested_by": "u1", "approvals": []}
    if absent(given):
        return found
    _refuse_unknown(given, _DEFAULT_FIELDS, "defaults")
    readers = {"now": read_instant, "requested_by": text(), "approvals": codes()}
    for name, value in given.items():
        if not absent(value):
            try:
                found[name] = readers[name](value)
            except MalformedCase as fault:
                raise fault.under("defaults", name) from None
    return found


def _evaluate(case: Any, defaults: dict[str, Any], number: int) -> dict[str, Any]:
    _refuse_unknown(case, _CASE_FIELDS | _NOTES, "cases", number)
    given = defaults | {name: case[name] for name in _CASE_FIELDS if not absent(case.get(name))}
    agreements = given.get("agreements", [])
    if not isinstance(agreements, list):
        raise MalformedCase(f"/cases/{number}/agreements", "must be a list")
    try:
        return decide(
            given.get("item"),  # type: ignore[arg-type]
            given.get("recipient"),  # type: ignore[arg-type]
            given.get("purpose"),
            agreements,
            given["now"],
            given["requested_by"],
            given["approvals"],
        ).to_json()
    except MalformedCase as fault:
        raise fault.under("cases", number) from None


def _refuse_unknown(given: Any, known: frozenset[str], *where: str | int) -> None:
    if not isinstance(given, Mapping):
        raise MalformedCase("", "must be an object").under(*where)
    for name in given:
        if name not in known:
            raise unknown_field(name).under(*where)
