"""The shape of a world file: who there is, how they are reached and what was agreed, as one JSON document.

Everything that the file alone can show is checked here; `references` lists what has to exist in it or in the database.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from marshmallow import ValidationError, validates_schema

from coordinator.accounts.schema import UserSchema
from coordinator.agreements.schema import AgreementSchema, ConsentSchema
from coordinator.outside.faults import Shape, load
from coordinator.outside.fields import Listed, Part
from coordinator.partners.schema import (
    ContactSchema,
    EndpointSchema,
    HttpHostSchema,
    OrganisationSchema,
    SettingsSchema,
)
from coordinator.partners.signing import SECRET_PREFIX

_MOST = 50_000

# What may stand in a file once: list, field, and the form in which two are the same.
_ONCE: tuple[tuple[str, str, Callable[[str], Any]], ...] = (
    ("organisations", "code", str),
    ("contacts", "code", str),
    ("endpoints", "id", str),
    ("http_hosts", "id", str),
    ("endpoints", "secret", lambda secret: base64.b64decode(secret.removeprefix(SECRET_PREFIX))),
    ("agreements", "agreement_id", str),
    ("agreements", "reference", str),
    ("users", "email", str.casefold),
)
_TO_ORGANISATIONS = (
    ("contacts", "organisation"), ("endpoints", "organisation"), ("http_hosts", "organisation"),
    ("consents", "from"), ("consents", "to"), ("users", "organisation"),
)  # fmt: skip
_OWN_SENTENCE = "Only one organisation is our own, the one that settings.own_organisation names."


class Reference(NamedTuple):
    """`code` must be a `kind` (organisation, endpoint, contact, agreement) of the file or the database."""

    pointer: str
    kind: str
    code: str


class WorldSchema(Shape):
    settings = Part(SettingsSchema)
    organisations = Listed(Part(OrganisationSchema), most=_MOST)
    contacts = Listed(Part(ContactSchema), most=_MOST)
    endpoints = Listed(Part(EndpointSchema), most=_MOST)
    http_hosts = Listed(Part(HttpHostSchema), most=_MOST)
    agreements = Listed(Part(AgreementSchema), most=_MOST)
    consents = Listed(Part(ConsentSchema), most=_MOST)
    users = Listed(Part(UserSchema), most=_MOST)

    @validates_schema(skip_on_field_errors=False)
    def _once(self, data: Any, **_: Any) -> None:
        faults: dict[str, Any] = {}
        for part, name, same in _ONCE:
            for index in _repeated(data.get(part, ()), name, same):
                faults.setdefault(part, {}).setdefault(index, {})[name] = [f"This {name} is in the file already."]
        for index in _not_own(data):
            faults.setdefault("organisations", {}).setdefault(index, {})["own"] = [_OWN_SENTENCE]
        if faults:
            raise ValidationError(faults)


_WORLD = WorldSchema()


def _repeated(rows: Any, name: str, same: Callable[[str], Any]) -> list[int]:
    seen: set[Any] = set()
    again = []
    for index, row in enumerate(rows):
        if name in row:
            value = same(row[name])
            if value in seen:
                again.append(index)
            seen.add(value)
    return again


def _not_own(data: dict[str, Any]) -> list[int]:
    """Organisations that say `own` beside another one, or beside the one that the settings name."""
    named = data.get("settings", {}).get("own_organisation")
    own = [(index, row.get("code")) for index, row in enumerate(data.get("organisations", ())) if row.get("own")]
    return [index for place, (index, code) in enumerate(own) if place > 0 or (named is not None and code != named)]


def load_world(data: Any) -> dict[str, Any]:
    """A world file as plain data with every part present (empty where absent), or Invalid with every fault.

    Codes are canonical; `verified_on` and `valid_until` are aware UTC datetimes; agreements are register terms as they
    are stored; `endpoints[].allow_private` is a list of CIDR ranges.
    """
    world = load(_WORLD, data)
    return {name: world.get(name, {} if name == "settings" else []) for name in WorldSchema._declared_fields}


def references(world: dict[str, Any]) -> Iterator[Reference]:
    """Everything in a loaded world that names something else."""
    if own := world["settings"].get("own_organisation"):
        yield Reference("/settings/own_organisation", "organisation", own)
    for part, name in _TO_ORGANISATIONS:
        for index, row in enumerate(world[part]):
            if name in row:
                yield Reference(f"/{part}/{index}/{name}", "organisation", row[name])
    yield from _channel_references(world["contacts"])
    yield from _agreement_references(world["agreements"])


def _channel_references(contacts: list[dict[str, Any]]) -> Iterator[Reference]:
    for index, contact in enumerate(contacts):
        for place, channel in enumerate(contact.get("channels", ())):
            if "endpoint" in channel:
                yield Reference(f"/contacts/{index}/channels/{place}/endpoint", "endpoint", channel["endpoint"])


def _agreement_references(agreements: list[dict[str, Any]]) -> Iterator[Reference]:
    for index, terms in enumerate(agreements):
        for place, party in enumerate(terms["parties"]):
            yield Reference(f"/agreements/{index}/parties/{place}/party", "organisation", party["party"])
        for place, contact in enumerate(terms.get("points_of_contact", ())):
            yield Reference(f"/agreements/{index}/points_of_contact/{place}", "contact", contact)
        if "supersedes" in terms:
            yield Reference(f"/agreements/{index}/supersedes", "agreement", terms["supersedes"])
