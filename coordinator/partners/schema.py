"""Organisations, points of contact, endpoints and settings as outside data: in world files, and one by one on pages.

References between them are names here; whether they exist is asked of the file and the database together (see
`references` in interchange/world_schema).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from marshmallow import ValidationError, fields, validates_schema

from coordinator import vocabulary
from coordinator.outside import terms
from coordinator.outside.faults import Shape
from coordinator.outside.fields import Choice, Flag, Instant, Lean, Listed, Part, Text, Token, Whole
from coordinator.partners import openpgp
from coordinator.partners.signing import SECRET_PREFIX, BadSecret, check_secret
from coordinator.vocabulary import stix_checks

HOURS = ("24x7", "office")
PRIVATE_RANGES = ("10.0.0.0/8", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")

_CHANNEL_NEEDS: Mapping[str, str] = {
    "webhook": "endpoint", "email": "address", "voice": "number", "courier": "place",
}  # fmt: skip
_CHANNEL_MAY: Mapping[str, tuple[str, ...]] = {
    "webhook": (), "email": ("pgp_key",), "voice": (), "courier": (),
}  # fmt: skip


def community(**kwargs: Any) -> Token:
    """The name of a community: small letters, digits, dashes; `cyber-defence` where none is named (TLP 2.0)."""
    sentence = "Send a community's name: small letters, digits and dashes, at most 64."
    return Token(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?", sentence, longest=64, **kwargs)


class TimeZone(Lean, fields.String):
    """A name of the IANA time zone database."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str) or value not in terms.time_zones():
            raise ValidationError("Send an IANA time zone, like Europe/Tallinn.")
        return value


class Url(Lean, fields.String):
    """An http or https address without a user name in it. Whether it may be called is decided when it is."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        if not isinstance(value, str) or len(value) > 2000 or not value.isascii() or not value.isprintable():
            raise ValidationError(_URL_SENTENCE)
        try:
            parts = urlsplit(value)
            sound = parts.scheme in ("https", "http") and parts.hostname and parts.port != 0
        except ValueError:
            sound = False
        if not sound or parts.username is not None or " " in value or parts.fragment:
            raise ValidationError(_URL_SENTENCE)
        return value


_URL_SENTENCE = "Send an https address without user name and fragment, at most 2000 characters."


class Secret(Lean, fields.String):
    """A Standard Webhooks secret: whsec_ and base64 of 24 to 64 bytes. Never repeated in a fault."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        try:
            if not isinstance(value, str) or not value.startswith(SECRET_PREFIX):
                raise BadSecret()
            check_secret(value)
        except BadSecret:
            raise ValidationError("Send whsec_ followed by base64 of 24 to 64 random bytes.") from None
        return value


class Ranges(Lean, fields.Raw):
    """Private address ranges that this endpoint alone may use, as CIDR; true stands for all, false for none."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> list[str]:
        if type(value) is bool:
            return list(PRIVATE_RANGES) if value else []
        if not isinstance(value, list) or len(value) > 20:
            raise ValidationError("Send a list of at most 20 ranges, like 10.1.2.0/24, or true or false.")
        return [_range(text) for text in value]


def _range(text: Any) -> str:
    try:
        return str(ipaddress.ip_network(text if isinstance(text, str) else ""))
    except ValueError:
        raise ValidationError("Send address ranges in CIDR form, like 10.1.2.0/24.") from None


class OrganisationSchema(Shape):
    code = terms.OrganisationCode(required=True)
    name = Text(300, required=True)
    kind = terms.choice(vocabulary.ORGANISATION_KINDS, required=True)
    country = terms.country()
    communities = Listed(community(), most=100)
    sectors = terms.sectors()
    own = Flag()
    client_of_own = Flag()


class PersonSchema(Shape):
    name = Text(200, required=True)
    email = terms.email()


class OpenPgpKey(Text):
    """An armoured public key that mail can be sealed to today."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            openpgp.check(text)
        except openpgp.BadKey as fault:
            raise ValidationError(fault.detail) from None
        return openpgp.blocks(text)[0]


class ChannelSchema(Shape):
    """One way to reach a contact: a webhook names an endpoint, email an address, voice a number, a
    courier the place where a letter is handed over."""

    kind = Choice(_CHANNEL_NEEDS, required=True)
    endpoint = terms.identifier()
    address = terms.email()
    number = terms.phone()
    place = Text(254)
    pgp_key = OpenPgpKey(openpgp.LONGEST, lines=True)

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _fits_its_kind(self, data: Any, original: Any, **_: Any) -> None:
        kind = data.get("kind")
        if kind is None:
            return
        needed = _CHANNEL_NEEDS[kind]
        faults = {name: [f"A channel of kind {kind} has no {name}: leave it out."]
                  for name in data if name not in ("kind", needed, *_CHANNEL_MAY[kind])}
        if not original.get(needed):
            faults[needed] = [f"A channel of kind {kind} needs {needed}."]
        if faults:
            raise ValidationError(faults)


class ContactSchema(Shape):
    """A point of contact: a reachable function, with or without a named person."""

    code = terms.identifier(required=True)
    organisation = terms.OrganisationCode(required=True)
    kind = terms.choice(vocabulary.CONTACT_KINDS, required=True)
    person = Part(PersonSchema)
    function = Text(200)
    languages = Listed(terms.Language(), most=30)
    time_zone = TimeZone()
    hours = Choice(HOURS)
    order = Whole(1, 1000)
    verified_on = Instant()
    tlp_max = terms.tlp()
    channels = Listed(Part(ChannelSchema), most=20)


def stix_asks(**more: Any) -> Listed:
    """What STIX of a sender is held to beside what the standard demands."""
    sentence = f"Name what is asked: {', '.join(stix_checks.ASKS)}, without-302, only-302."
    return Listed(Token(stix_checks.ASK, sentence, longest=20), most=len(stix_checks.NUMBERS), **more)


class EndpointSchema(Shape):
    """Where a partner system posts to us (in) or we to it (out). `id` is the last part of the intake URL."""

    id = terms.identifier(required=True)
    organisation = terms.OrganisationCode(required=True)
    direction = Choice(("in", "out"), required=True)
    url = Url()
    secret = Secret(required=True)
    exercise = terms.identifier()
    allow_private = Ranges()
    restricted = Flag()
    tlp_max = terms.tlp()
    stix_asks = stix_asks()

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _url_goes_with_out(self, data: Any, original: Any, **_: Any) -> None:
        direction = data.get("direction")
        if direction == "out" and not original.get("url"):
            raise ValidationError({"url": ["An endpoint we post to needs its URL."]})
        if direction == "in" and "url" in data:
            raise ValidationError({"url": ["A partner posts to our intake: an endpoint of direction in has no URL."]})


class StixAsksSchema(Shape):
    """`PUT /endpoints/{endpoint}/stix`: what STIX from there is held to beside what the standard demands."""

    asks = stix_asks(required=True)


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


class HttpHostSchema(Shape):
    """A service of an organisation that steps of type http-api may call. `credential` is the whole value of the header
    it asks for (`Authorization` unless `auth_header` says another)."""

    id = terms.identifier(required=True)
    organisation = terms.OrganisationCode(required=True)
    origin = Url(required=True)
    methods = Listed(Choice(METHODS), most=6, required=True)
    allow_private = Ranges()
    auth_header = Token(r"[A-Za-z0-9-]{1,60}", "Send the name of a header, like Authorization.")
    credential = Text(4000)
    exercise = terms.identifier()

    @validates_schema
    def _is_an_origin(self, data: Any, **_: Any) -> None:
        parts = urlsplit(data.get("origin", ""))
        if parts.path not in ("", "/") or parts.query:
            raise ValidationError({"origin": ["Send scheme, host and port only, like https://api.fi.example."]})
        if not data.get("methods"):
            raise ValidationError({"methods": ["Name the methods that may be used, GET for example."]})


class ExerciseSchema(Shape):
    """An exercise in the register: what reports call it, when it runs, who takes part."""

    code = terms.identifier(required=True)
    title = Text(200, required=True)
    starts_at = Instant(required=True)
    ends_at = Instant(required=True)
    organisations = Listed(terms.OrganisationCode(), most=500)


class HolidaysField(Lean, fields.Field):
    """Jurisdiction → its holidays as days: {"US": ["2026-11-26"]}. Comes out sorted, each day once."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> dict[str, list[str]]:
        if not isinstance(value, dict) or len(value) > 300:
            raise ValidationError('Send the days of each jurisdiction: {"US": ["2026-11-26"]}.')
        if not all(isinstance(place, str) and 0 < len(place) <= 40 for place in value):
            raise ValidationError("Name each jurisdiction as the clock rules name it, like US or EU.")
        return {place: _days(days) for place, days in sorted(value.items())}


def _days(days: Any) -> list[str]:
    if not isinstance(days, list) or len(days) > 2000:
        raise ValidationError("Send a list of at most 2000 days.")
    try:
        return sorted({date.fromisoformat(day).isoformat() for day in days})
    except (TypeError, ValueError):
        raise ValidationError("Write each holiday as a day, like 2026-11-26.") from None


class SettingsSchema(Shape):
    own_organisation = terms.OrganisationCode()
    community = community()
    duty_role = terms.choice(vocabulary.ROLES)
    holidays = HolidaysField()
