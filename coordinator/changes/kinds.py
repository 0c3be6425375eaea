"""What can wait for a second person: for each kind how it stands now, how it would be, and the use case that makes it.

`wanted` is the data of the use case, as the schema of its room gives it. `present` and `compared` say old and new in
the same fields, so that the difference can be shown and a change of the row meanwhile is noticed; of a secret they hold
a fingerprint only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts import passkeys, service, staff
from coordinator.accounts.models import User
from coordinator.accounts.schema import load_user
from coordinator.agreements import queries as register
from coordinator.agreements.schema import load_agreement, load_consent
from coordinator.agreements.service import check_parties, record_agreement, record_consent
from coordinator.changes.rules import Kind
from coordinator.errors import Fault, Invalid, NotFound
from coordinator.outside.faults import load
from coordinator.partners import http_hosts, openpgp, queries, signing
from coordinator.partners import service as partners
from coordinator.partners.models import Contact, Endpoint, Organisation
from coordinator.partners.schema import ContactSchema, EndpointSchema, HttpHostSchema, OrganisationSchema

Data = dict[str, Any]


@dataclass(frozen=True)
class Handling:
    """`subject` names what is changed; `read` makes the use case's data from plain JSON data again; `check` raises what
    the use case would, as early as somebody asks; `apply` is given who asked and why."""

    subject: Callable[[Data], str]
    present: Callable[[Session, Data], Data | None]
    compared: Callable[[Session, Data], Data]
    read: Callable[[Data], Data]
    apply: Callable[[Session, Data, str, str], str]
    check: Callable[[Session, Data], None] = lambda _tx, _wanted: None


_ENDPOINT, _CONTACT, _HTTP_HOST = EndpointSchema(), ContactSchema(), HttpHostSchema()
_ORGANISATION = OrganisationSchema()


def _key_of(tx: Session, endpoint: Endpoint) -> str:
    newest = next((key for key in queries.keys_of(tx, endpoint.id) if queries.usable(key)), None)
    return f"key {newest.fingerprint[:12]}" if newest else ""


def _by_slug(tx: Session, slug: str) -> Endpoint | None:
    return tx.execute(select(Endpoint).where(Endpoint.slug == slug)).scalar_one_or_none()


def _endpoint_now(tx: Session, wanted: Data) -> Data | None:
    row = _by_slug(tx, wanted["id"])
    if row is None:
        return None
    return {
        "organisation": tx.get_one(Organisation, row.organisation_id).code, "direction": row.direction, "url": row.url,
        "allow_private": list(row.allow_private), "restricted": row.restricted, "tlp_max": row.tlp_max,
        "exercise": row.exercise, "secret": _key_of(tx, row), "stix_asks": row.stix_asks.split(),
    }  # fmt: skip


def _endpoint_wanted(_tx: Session, wanted: Data) -> Data:
    return {
        "organisation": wanted["organisation"], "direction": wanted["direction"], "url": wanted.get("url") or "",
        "allow_private": list(wanted.get("allow_private") or ()), "restricted": bool(wanted.get("restricted")),
        "tlp_max": wanted.get("tlp_max") or "", "exercise": wanted.get("exercise") or "",
        "secret": f"key {partners.fingerprint_of(wanted['secret'])[:12]}",
        "stix_asks": list(wanted.get("stix_asks") or ()),
    }  # fmt: skip


def _check_endpoint(tx: Session, wanted: Data) -> None:
    row, secret = _by_slug(tx, wanted["id"]), wanted["secret"]
    if row is None or _key_of(tx, row) != f"key {partners.fingerprint_of(secret)[:12]}":
        partners.check_unused(tx, secret)


def _key_now(tx: Session, wanted: Data) -> Data | None:
    row = _by_slug(tx, wanted["endpoint"])
    return {"secret": _key_of(tx, row)} if row is not None else None


def _check_key(tx: Session, wanted: Data) -> None:
    if _by_slug(tx, wanted["endpoint"]) is None:
        raise NotFound()
    signing.check_secret(wanted["secret"])
    partners.check_unused(tx, wanted["secret"])


def _add_key(tx: Session, wanted: Data, actor: str, _reason: str) -> str:
    row = _by_slug(tx, wanted["endpoint"])
    if row is None:
        raise NotFound()
    overlap = timedelta(days=wanted.get("overlap_days", partners.OVERLAP.days))
    partners.add_secret(tx, row.id, wanted["secret"], actor=actor, overlap=overlap)
    return f"endpoint {row.slug}: secret rotated"


def _host_now(tx: Session, wanted: Data) -> Data | None:
    row = http_hosts.by_code(tx, wanted["id"])
    if row is None:
        return None
    return {
        "organisation": tx.get_one(Organisation, row.organisation_id).code, "origin": row.origin,
        "methods": list(row.methods), "allow_private": list(row.allow_private), "exercise": row.exercise,
        "credential": f"key {row.fingerprint[:12]}" if row.fingerprint else "", "state": row.state,
    }  # fmt: skip


def _host_wanted(tx: Session, wanted: Data) -> Data:
    row, given = http_hosts.by_code(tx, wanted["id"]), wanted.get("credential")
    kept = row.fingerprint if row is not None and row.origin == http_hosts.origin_of(wanted["origin"]) else ""
    mark = http_hosts.fingerprint_of(given) if given else kept
    return {
        "organisation": wanted["organisation"], "origin": http_hosts.origin_of(wanted["origin"]),
        "methods": sorted(wanted["methods"]), "allow_private": list(wanted.get("allow_private") or ()),
        "exercise": wanted.get("exercise") or "", "credential": f"key {mark[:12]}" if mark else "", "state": "active",
    }  # fmt: skip


def _organisation_now(tx: Session, wanted: Data) -> Data | None:
    row = queries.organisation_by_code(tx, wanted["code"])
    if row is None:
        return None
    return {
        "name": row.name, "kind": row.kind, "country": row.country, "communities": sorted(row.communities),
        "sectors": list(row.sectors), "own": row.is_own, "client_of_own": row.client_of_own,
    }  # fmt: skip


def _organisation_wanted(_tx: Session, wanted: Data) -> Data:
    return {
        "name": wanted["name"], "kind": str(wanted["kind"]), "country": wanted.get("country") or "",
        "communities": sorted(wanted.get("communities") or ()), "sectors": list(wanted.get("sectors") or ()),
        "own": bool(wanted.get("own")), "client_of_own": bool(wanted.get("client_of_own")),
    }  # fmt: skip


def _contact_now(tx: Session, wanted: Data) -> Data | None:
    row = tx.execute(select(Contact).where(Contact.code == wanted["code"])).scalar_one_or_none()
    if row is None:
        return None
    slugs = {each.id: each.slug for each in queries.endpoints(tx)}
    channels = [
        _way(each.kind, slugs.get(each.endpoint_id or 0) or each.address or each.number, each.pgp_key)
        for each in queries.channels_of(tx, row.id)
    ]
    return {
        "organisation": tx.get_one(Organisation, row.organisation_id).code, "kind": row.kind, "function": row.function,
        "person": f"{row.person_name} {row.person_email}".strip(), "languages": list(row.languages),
        "time_zone": row.time_zone, "hours": row.hours, "order": row.position, "tlp_max": row.tlp_max,
        "channels": channels,
    }  # fmt: skip


def _contact_wanted(_tx: Session, wanted: Data) -> Data:
    person = wanted.get("person") or {}
    channels = [
        _way(each["kind"], each.get("endpoint") or each.get("address") or each.get("number") or each.get("place") or "",
             each.get("pgp_key") or "")
        for each in wanted.get("channels") or ()
    ]  # fmt: skip
    return {
        "organisation": wanted["organisation"], "kind": wanted["kind"], "function": wanted.get("function") or "",
        "person": f"{person.get('name') or ''} {person.get('email') or ''}".strip(),
        "languages": list(wanted.get("languages") or ()), "time_zone": wanted.get("time_zone") or "UTC",
        "hours": wanted.get("hours") or "office", "order": wanted.get("order") or 1,
        "tlp_max": wanted.get("tlp_max") or "AMBER", "channels": channels,
    }  # fmt: skip


def _way(kind: str, where: str, pgp_key: str) -> str:
    if not pgp_key:
        return f"{kind} {where}"
    return f"{kind} {where} (OpenPGP key {openpgp.fingerprint_of(pgp_key) or 'that cannot be read'})"


def _agreement_now(tx: Session, wanted: Data) -> Data | None:
    found = register.versions_of(tx, wanted["agreement_id"])
    return dict(found[0].terms) if found else None


def _consent_subject(wanted: Data) -> str:
    return f"{wanted['from']} to {wanted['to']}: {wanted['purpose']}, {wanted['item']}"[:254]


def _consent_now(tx: Session, wanted: Data) -> Data | None:
    return plain(wanted) if register.stands(tx, wanted) else None


def _setting_now(tx: Session, wanted: Data) -> Data | None:
    """What is in force: some role is told of everything new also where nobody set it."""
    name = wanted["name"]
    value = queries.duty_role(tx) if name == "duty_role" else queries.setting(tx, name)
    return {name: value} if value is not None else None


def _check_setting(tx: Session, wanted: Data) -> None:
    if wanted["name"] == "own_organisation" and queries.organisation_by_code(tx, wanted["value"]) is None:
        raise Invalid([Fault("", "There is no organisation with this code: add it under organisations.")])


def _put_setting(tx: Session, wanted: Data, actor: str, _reason: str) -> str:
    _check_setting(tx, wanted)
    return partners.put_setting(tx, wanted["name"], wanted["value"], actor=actor)


def _account_now(tx: Session, wanted: Data) -> Data | None:
    user = service.find_user(tx, wanted["email"])
    return {"email": user.email, "name": user.name, "role": user.role} if user is not None else None


def _account_wanted(tx: Session, wanted: Data) -> Data:
    said = {"email": wanted["email"].strip().lower(), "name": wanted["name"], "role": str(wanted["role"])}
    new = service.find_user(tx, wanted["email"]) is None
    return said | ({"organisation": wanted["organisation"]} if new and wanted.get("organisation") else {})


def _check_account(tx: Session, wanted: Data) -> None:
    code = wanted.get("organisation")
    if code and queries.organisation_by_code(tx, code) is None:
        raise Invalid([Fault("/organisation", "No organisation has this code: load a world file with it first.")])


def _factors_now(tx: Session, wanted: Data) -> Data | None:
    user = tx.get(User, wanted["user"])
    if user is None:
        raise NotFound()
    return {
        "email": user.email, "password and authenticator": "set" if user.password_hash else "",
        "passkeys": len(passkeys.passkeys_of(tx, user.id)),
        "enrolled": clock.rfc3339(user.enrolled_at) if user.enrolled_at else "",
    }  # fmt: skip


def _factors_wanted(tx: Session, wanted: Data) -> Data:
    return {"email": tx.get_one(User, wanted["user"]).email}


HANDLING: Mapping[Kind, Handling] = {
    Kind.ENDPOINT: Handling(
        subject=lambda wanted: wanted["id"], present=_endpoint_now, compared=_endpoint_wanted,
        read=lambda data: load(_ENDPOINT, data), check=_check_endpoint,
        apply=lambda tx, wanted, actor, _reason: partners.put_endpoint(tx, wanted, actor=actor),
    ),
    Kind.KEY: Handling(
        subject=lambda wanted: wanted["endpoint"], present=_key_now, read=dict, check=_check_key, apply=_add_key,
        compared=lambda _tx, wanted: {"secret": f"key {partners.fingerprint_of(wanted['secret'])[:12]}"},
    ),
    Kind.HTTP_HOST: Handling(
        subject=lambda wanted: wanted["id"], present=_host_now, compared=_host_wanted,
        read=lambda data: load(_HTTP_HOST, data),
        apply=lambda tx, wanted, actor, _reason: http_hosts.put_http_host(tx, wanted, actor=actor),
    ),
    Kind.ORGANISATION: Handling(
        subject=lambda wanted: wanted["code"], present=_organisation_now, compared=_organisation_wanted,
        read=lambda data: load(_ORGANISATION, data),
        apply=lambda tx, wanted, actor, _reason: partners.put_organisation(tx, wanted, actor=actor),
    ),
    Kind.CONTACT: Handling(
        subject=lambda wanted: wanted["code"], present=_contact_now, compared=_contact_wanted,
        read=lambda data: load(_CONTACT, data),
        apply=lambda tx, wanted, actor, _reason: partners.put_contact(tx, wanted, actor=actor),
    ),
    Kind.AGREEMENT: Handling(
        subject=lambda wanted: wanted["agreement_id"], present=_agreement_now, read=load_agreement, check=check_parties,
        compared=lambda _tx, wanted: dict(wanted),
        apply=lambda tx, wanted, actor, reason: record_agreement(tx, wanted, actor=actor, reason=reason),
    ),
    Kind.CONSENT: Handling(
        subject=_consent_subject, present=_consent_now, compared=lambda _tx, wanted: plain(wanted), read=load_consent,
        apply=lambda tx, wanted, actor, _reason: record_consent(tx, wanted, actor=actor),
    ),
    Kind.ACCOUNT: Handling(
        subject=lambda wanted: wanted["email"].strip().lower(), present=_account_now, compared=_account_wanted,
        read=load_user, check=_check_account,
        apply=lambda tx, wanted, actor, _reason: staff.put_user(tx, wanted, actor=actor),
    ),
    Kind.FACTOR_RESET: Handling(
        subject=lambda wanted: str(wanted["user"]), present=_factors_now, compared=_factors_wanted, read=dict,
        apply=lambda tx, wanted, actor, _reason: staff.reset_factors(tx, wanted["user"], actor=actor),
    ),
    Kind.SETTING: Handling(
        subject=lambda wanted: wanted["name"], present=_setting_now, read=dict, check=_check_setting,
        compared=lambda _tx, wanted: {wanted["name"]: wanted["value"]}, apply=_put_setting,
    ),
}  # fmt: skip


def plain(values: Mapping[str, Any]) -> Data:
    """The same as JSON data: instants as RFC 3339 text, codes as text."""
    return {name: _plain(value) for name, value in values.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return plain(value)
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if hasattr(value, "isoformat"):
        return clock.rfc3339(value)
    return str(value) if isinstance(value, str) else value
