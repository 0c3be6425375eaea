"""Which fields that take words of somebody the world filled, by the API's own description: none is left out unseen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

#: What a string may be besides words of somebody: then its schema says so.
_NO_WORDS = ("enum", "format", "pattern", "const")
_METHODS = ("post", "put", "patch")
#: Fields that hold a code, a name of something there is, or a measure, and whose schema only says text: by their end.
_CODES = ("/language", "/exercise", "/corrects", "/to", "/from", "/other", "/duplicate_of", "/originator",
          "/media_type", "/asks[]", "/sha256", "/type", "/rel_to[]", "/not_rel_to[]", "/embargo_set[]", "/item", "/id",
          "/spec_version", "/start", "/directory[]",
          "/incident", "/organisations[]", "/agreement", "/community", "/include[]", "/recipients[]", "/mapping{}",
          "/role", "/token", "/rule", "/holidays[]", "/mark", "/auth_header", "/organisation", "/phone",
          "/agreement_id", "/breach_report_due", "/languages[]", "/on", "/notification_duties[]", "/party",
          "/signed_on", "/points_of_contact[]", "/renewal_period", "/request_answer_due", "/retention_max",
          "/review_due", "/supersedes", "/termination_notice")  # fmt: skip
#: What this world has none of.
NOT_HERE = {
    "POST /incidents/{reference}/markings /named_recipients[]": "nothing here is raised to RED",
    "POST /floods/{number}/refuse /reason": "nothing floods it; tests/flows/test_a_partner_is_compromised.py has one",
    **{f"POST {path}/pd_basis": "nothing here holds personal data" for path in (
        "/incidents/{reference}/markings ", "/incidents/{reference}/notes ", "/incidents/{reference}/releases ",
        "/intake/{endpoint} /caveats", "/reports /caveats")},
    **{f"POST /{each}": "no label is lowered at the originator's word" for each in (
        "incidents/{reference}/markings /asked_by", "lowered-labels/{number}/refuse /reason", *(
            f"incidents/{{reference}}/lowered-labels /{name}" for name in (
                "reason", "report", "said_by", "words", "items[]")))},
    "POST /quarantine/{report}/release /reason": "what waits there came as an exercise, and is called real or refused",
}


def fields(described: dict[str, Any]) -> dict[str, set[str]]:
    """Operation ("METHOD /path") -> pointers of its fields that take words; `described`: /api/v1/openapi.json."""
    schemas, found = described["components"]["schemas"], {}
    for path, operations in described["paths"].items():
        for method in _METHODS:
            bodies = operations.get(method, {}).get("requestBody", {}).get("content", {})
            pointers = {pointer for one in bodies.values() for pointer in _words(one.get("schema", {}), "", schemas)}
            found[f"{method.upper()} {path.removeprefix('/api/v1')}"] = {
                each for each in pointers if not each.endswith(_CODES)}  # fmt: skip
    return {name: pointers for name, pointers in found.items() if pointers}


def _words(schema: dict[str, Any], pointer: str, schemas: dict[str, Any]) -> Iterator[str]:
    while "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    for kind in ("allOf", "anyOf", "oneOf"):
        for one in schema.get(kind, ()):
            yield from _words(one, pointer, schemas)
    if "string" in str(schema.get("type")) and not any(each in schema for each in _NO_WORDS):
        yield pointer
    for name, one in schema.get("properties", {}).items():
        yield from _words(one, f"{pointer}/{name}", schemas)
    if isinstance(schema.get("items"), dict):
        yield from _words(schema["items"], f"{pointer}[]", schemas)


def filled(body: Any, pointer: str = "") -> Iterator[str]:
    """Pointers of the fields of a body in which a word stands."""
    if isinstance(body, dict):
        for name, one in body.items():
            yield from filled(one, f"{pointer}/{name}")
    elif isinstance(body, list):
        for one in body:
            yield from filled(one, f"{pointer}[]")
    elif "zqk" in str(body).lower():
        yield pointer


def name_of(described: dict[str, Any], method: str, path: str) -> str:
    """The operation of an address, as the description names it."""
    for known in described["paths"]:
        shape = re.sub(r"{[^}]*}", "[^/]+", known.removeprefix("/api/v1"))
        if re.fullmatch(shape, path) and method.lower() in described["paths"][known]:
            return f"{method} {known.removeprefix('/api/v1')}"
    return f"{method} {path}"
