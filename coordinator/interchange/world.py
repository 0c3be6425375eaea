"""World files: organisations, contacts, endpoints, agreements, consents and users in one document. All or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import timeline
from coordinator.agreements.models import Agreement
from coordinator.changes import service as changes
from coordinator.changes.rules import Kind
from coordinator.errors import CoordinatorError, Fault, Invalid
from coordinator.interchange import world_schema
from coordinator.interchange.world_schema import references
from coordinator.outside.strict_json import parse_json
from coordinator.partners import service as partners
from coordinator.partners.models import Contact, Endpoint, Organisation

LARGEST = 16 * 1024 * 1024


def load_world(tx: Session, raw: bytes, *, actor: str, digest: str) -> list[str]:
    """Bring a world file in; returns one line for each thing added or changed. Raises Invalid with JSON pointers.

    Loading the same file again changes nothing. `digest` (SHA-256 of the file, hex) and `actor` go on record.
    """
    world = world_schema.load_world(parse_json(raw, max_bytes=LARGEST))
    timeline.lock_record(tx)
    _check_references(tx, world)
    lines = list(_lines(tx, world, actor=actor, source=digest))
    if lines:
        timeline.append(
            tx, "world.loaded", "A world file was loaded.", actor=actor, values={"sha256": digest, "lines": lines}
        )
    return lines


_NAMED: Mapping[str, Any] = {
    "organisation": Organisation.code, "endpoint": Endpoint.slug, "contact": Contact.code, "agreement": Agreement.key
}  # fmt: skip


def _check_references(tx: Session, world: dict[str, Any]) -> None:
    """Everything named must be in the file or in the database; all that is missing is said at once."""
    there: dict[str, set[str]] = {
        "organisation": {each["code"] for each in world["organisations"]},
        "endpoint": {each["id"] for each in world["endpoints"]},
        "contact": {each["code"] for each in world["contacts"]},
        "agreement": {each["agreement_id"] for each in world["agreements"]},
    }
    for kind, column in _NAMED.items():
        there[kind].update(tx.execute(select(column)).scalars())
    missing = [
        Fault(named.pointer, f"There is no {named.kind} with this code, neither in the file nor here: add it.")
        for named in references(world)
        if named.code not in there[named.kind]
    ]
    if missing:
        raise Invalid(missing)


def _lines(tx: Session, world: dict[str, Any], *, actor: str, source: str) -> Iterator[str]:
    settings = dict(world.get("settings") or {})
    own = settings.get("own_organisation")
    organisations = [
        {**each, "own": bool(each.get("own")) or each["code"] == own} for each in world.get("organisations") or ()
    ]
    yield from _each(tx, "organisations", organisations, partial(_ask_organisation, source=source), actor=actor)
    for name, value in settings.items():
        with _at(f"/settings/{name}"):
            line = _setting(tx, name, value, actor=actor, source=source)
        if line:
            yield line
    for part, kind in _ASKED.items():
        ask = partial(_ask, kind=kind, source=source)
        yield from _each(tx, part, world.get(part), ask, actor=actor)


#: What two persons change: until there are two, it is loaded as it stands in the file.
_ASKED = {
    "endpoints": Kind.ENDPOINT, "http_hosts": Kind.HTTP_HOST, "contacts": Kind.CONTACT,
    "agreements": Kind.AGREEMENT, "consents": Kind.CONSENT, "users": Kind.ACCOUNT,
}  # fmt: skip


def _setting(tx: Session, name: str, value: Any, *, actor: str, source: str) -> str:
    """Days off are data that somebody keeps up; who we are and who is told is for two persons to change."""
    if name == "holidays":
        return partners.put_setting(tx, name, value, actor=actor)
    return _ask(tx, {"name": name, "value": value}, kind=Kind.SETTING, actor=actor, source=source)


def _ask(tx: Session, fields: dict[str, Any], *, kind: Kind, actor: str, source: str) -> str:
    return changes.ask(tx, kind, fields, actor=actor, reason="from a world file", source=source).line


def _ask_organisation(tx: Session, fields: dict[str, Any], *, actor: str, source: str) -> str:
    return changes.ask_organisation(tx, fields, actor=actor, reason="from a world file", source=source).line


def _each(
    tx: Session, part: str, rows: Iterable[dict[str, Any]] | None, put: Callable[..., str], *, actor: str
) -> Iterator[str]:
    for place, fields in enumerate(rows or ()):
        with _at(f"/{part}/{place}"):
            line = put(tx, fields, actor=actor)
        if line:
            yield line


@contextmanager
def _at(pointer: str) -> Iterator[None]:
    """Faults found deeper get the pointer of where in the file they are."""
    try:
        yield
    except Invalid as refused:
        raise Invalid([Fault(pointer + fault.pointer, fault.detail) for fault in refused.errors]) from refused
    except CoordinatorError as refused:
        raise Invalid([Fault(pointer, refused.detail)]) from refused
