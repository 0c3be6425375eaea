"""Every address that is looked at, with the ids of everything there is: found by asking, so that a new one is too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from typing import Any

from coordinator.incidents.rules import Status
from coordinator.interchange.exits import FORMS

#: What tools ask, with a token.
TOOLS = ("/api/v1", "/taxii2")
_NOT_WALKED = {"health.metrics", "site.static_file", "docs.file"}
TAXII = "application/taxii+json;version=2.1"
#: Lists that are searched and narrowed, and by what; {half} is half a word, {reference} an incident's.
_ASKED = {
    "board.board": ("q={half}", "q={reference}", "status=reported", "exercise=EX-CANARY", "severity=3", "state=FI"),
    "released.listed": ("q={half}", "q={reference}", "before={public_id}"),
    "api.released.listed": ("q={half}", "q={reference}", "cursor={public_id}", "limit=1"),
    "api.incidents.listed": ("q={half}", "q={reference}", "exercise=EX-CANARY", "status=reported,triage"),
    "ledger.listed": ("incident={reference}", "partner={partner}", "item={item}", "exercise=EX-CANARY"),
    "api.ledger.listed": ("incident={reference}", "partner={partner}", "item={item}", "exercise=EX-CANARY"),
    "api.exits.taken": tuple(f"as={form}" for form in FORMS), "released.file": tuple(f"as={form}" for form in FORMS),
    "incidents.as_it_stood": ("at=2030-01-01T00:00", "date=2030-01-01&time=00:00"),
}


def addresses(built: Any, *, api: bool) -> list[tuple[str, str, str]]:
    """(endpoint, path, token of a link or "") of every GET with every id; those of one endpoint stand together."""
    if api not in built.addresses:
        built.addresses[api] = list(_addresses(built, api))
    return built.addresses[api]


def _addresses(built: Any, api: bool) -> Iterator[tuple[str, str, str]]:
    known = _known(built)
    for rule in sorted(built.app.url_map.iter_rules(), key=lambda rule: (rule.endpoint, rule.rule)):
        if "GET" not in (rule.methods or ()) or rule.endpoint in _NOT_WALKED:
            continue
        if rule.rule.startswith(TOOLS) is not api:
            continue
        for values in _values(rule, known):
            path = re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", lambda match, said=values: str(said[match[1]]), rule.rule)
            yield rule.endpoint, path, str(values.get("token", ""))
            for query in _ASKED.get(rule.endpoint, ()):
                for asked in _queries(query, known):
                    yield rule.endpoint, f"{path}?{asked}", ""


def _collections(built: Any) -> dict[str, str]:
    """The collection of each partner -> who reads it, as the server names them."""
    found = {}
    for one in built.people:
        if one.partner:
            for each in _asked(built, one.name, "/taxii2/released/collections/").get("collections", ()):
                found[each["id"]] = one.name
    return found


def _objects(built: Any) -> list[str]:
    """The ids of a few objects of every collection."""
    found: list[str] = []
    for collection, name in _collections(built).items():
        said = _asked(built, name, f"/taxii2/released/collections/{collection}/objects/")
        found += [each["id"] for each in said.get("objects", ()) if each["type"] in ("incident", "report")][:2]
    return found


def _asked(built: Any, name: str, path: str) -> Any:
    headers = {"Authorization": f"Bearer {built.tokens[name]}", "Accept": TAXII}
    return built.app.test_client().get(path, headers=headers, base_url="https://desk.example").get_json(force=True)


def _queries(query: str, known: dict[str, Any]) -> Iterator[str]:
    name = re.search(r"{(\w+)}", query)
    if name is None:
        yield query
        return
    found = known[name[1]]
    for value in found[:: max(1, len(found) // 20)]:
        yield query.replace("{" + name[1] + "}", str(value))


def _values(rule: Any, known: dict[str, Any]) -> Iterator[dict[str, Any]]:
    names = sorted(rule.arguments)
    if not names:
        yield {}
        return
    for together, rows in known["together"].items():
        if set(together) == set(names):
            yield from (dict(zip(together, row, strict=True)) for row in rows)
            return
    choices = [_choices(rule, name, known) for name in names]
    for row in product(*choices):
        yield dict(zip(names, row, strict=True))


def _choices(rule: Any, name: str, known: dict[str, Any]) -> list[Any]:
    place = rule.rule.removeprefix("/api/v1").split("/")[1]
    for kind in (f"{place}.{name}", name):
        if kind in known:
            return list(known[kind])
    for kind in (f"{place}.{name}", place):
        if kind in known["numbers"]:
            return list(known["numbers"][kind])
    assert f"<int:{name}>" in rule.rule, (
        f"The walk does not know what stands for <{name}> in {rule.rule}: say it in tests/canary/addresses.py"
    )
    return list(range(1, 13))


def _known(built: Any) -> dict[str, Any]:
    """What may stand in an address, by the name of the part."""

    def column(query: str) -> list[Any]:
        return [row[0] for row in built.rows(query)]

    numbered = {row.id: f"INC-{str(row.created_at)[:4]}-{row.id:06d}"
                for row in built.rows("SELECT id, created_at FROM incidents")}  # fmt: skip
    references = list(numbered.values())
    alerts = built.rows("SELECT id, incident_id FROM alerts")
    files = built.rows("SELECT id, incident_id FROM attachments")
    wrong = references[0]  # everything of another incident is asked for below this one, which all may see
    vault = built.machine.store.vault
    tokens = [vault.token("acknowledge", f"delivery:{each}") for each in column("SELECT webhook_id FROM deliveries")]
    return {
        "reference": references, "token": [*tokens, "no-such-token"],
        "public_id": [*column("SELECT public_id FROM alerts"), "alr-0000000000"],
        "public.public_id": [*column("SELECT public_id FROM public_notices"), "pub-none"],
        "report": [*column("SELECT public_id FROM reports"), "rep-0"], "to": list(Status),
        "code": [one.code for one in built.partners], "contact": column("SELECT code FROM contacts")[:3],
        "key": [*column("SELECT DISTINCT key FROM agreements"), "none"],
        "endpoint": column("SELECT slug FROM endpoints"), "partner": [one.code for one in built.partners],
        "half": [word.text[:-2] for word in built.model.words if word.area in ("case", "alert")],
        "collection_id": list(_collections(built)), "object_id": _objects(built)[:6], "status_id": ["none"],
        "place": [1, 2],
        "item": column("SELECT DISTINCT item FROM item_versions"), "do": ["pause"],
        "numbers": {
            "tasks": column("SELECT id FROM tasks"), "decisions": column("SELECT id FROM share_decisions"),
            "clearances": column("SELECT id FROM share_decisions"), "runs": column("SELECT id FROM runs"),
            "attachments": column("SELECT id FROM attachments"), "users": column("SELECT id FROM users"),
            "playbooks": [1, 2], "released.number": [1, 2], "keys": column("SELECT id FROM endpoint_keys"),
        },
        "together": {
            ("reference", "alert_id"): [(numbered.get(row.incident_id, wrong), row.id) for row in alerts] + [
                (wrong, row.id) for row in alerts],
            ("reference", "attachment_id"): [(numbered.get(row.incident_id, wrong), row.id) for row in files] + [
                (wrong, row.id) for row in files],
        },
    }  # fmt: skip
