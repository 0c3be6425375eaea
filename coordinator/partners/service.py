"""Adding and changing partners, contacts, endpoints and keys. Each says on record what changed.

`put_…` functions are idempotent: they add what is new, change what differs, and answer with one line saying so, or "".
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.errors import Fault, Invalid, NotFound, Refused
from coordinator.partners import signing
from coordinator.partners.models import Channel, Contact, Endpoint, EndpointKey, Organisation, Setting
from coordinator.partners.queries import keys_of, organisation_by_code, usable
from coordinator.timeline.keys import new_key, seal

#: How long a replaced secret still works beside the new one.
OVERLAP = timedelta(days=7)


def put_setting(tx: Session, name: str, value: Any, *, actor: str) -> str:
    row = tx.get(Setting, name)
    if row is not None and row.value == value:
        return ""
    old = row.value if row else None
    if row is None:
        tx.add(Setting(name=name, value=value))
    else:
        row.value = value
    timeline.append(tx, "setting.changed", f"The setting {name} was changed.", actor=actor,
                    values={"old": old, "new": value})  # fmt: skip
    return f"setting {name}: {'changed' if row else 'added'}"


def put_organisation(tx: Session, fields: dict[str, Any], *, actor: str) -> str:
    """`fields` as in a world file; `own` and `client_of_own` default to no."""
    wanted = {
        "name": fields["name"], "kind": fields["kind"], "country": fields.get("country") or "",
        "communities": list(fields.get("communities") or ()), "sectors": list(fields.get("sectors") or ()),
        "is_own": bool(fields.get("own")), "client_of_own": bool(fields.get("client_of_own")),
    }  # fmt: skip
    return _put(tx, Organisation, {"code": fields["code"]}, wanted, noun="organisation", actor=actor)


def put_endpoint(tx: Session, fields: dict[str, Any], *, actor: str) -> str:
    """`fields` as in a world file: id organisation direction url? secret exercise? allow_private? restricted? tlp_max?
    stix_asks?"""
    organisation = _organisation(tx, fields["organisation"])
    wanted = {
        "organisation_id": organisation.id, "direction": fields["direction"], "url": fields.get("url") or "",
        "allow_private": list(fields.get("allow_private") or ()), "exercise": fields.get("exercise") or "",
        "restricted": bool(fields.get("restricted")), "tlp_max": fields.get("tlp_max") or "",
        "stix_asks": " ".join(fields.get("stix_asks") or ()),
    }  # fmt: skip
    line = _put(tx, Endpoint, {"slug": fields["id"]}, wanted, noun="endpoint", actor=actor)
    endpoint = tx.execute(select(Endpoint).where(Endpoint.slug == fields["id"])).scalar_one()
    key_line = _put_first_secret(tx, endpoint, fields["secret"], actor=actor)
    return "; ".join(part for part in (line, key_line) if part)


def put_contact(tx: Session, fields: dict[str, Any], *, actor: str) -> str:
    """`fields` as in a world file, with ordered `channels`; a channel that is gone is retired, never deleted."""
    organisation = _organisation(tx, fields["organisation"])
    person = fields.get("person") or {}
    wanted = {
        "organisation_id": organisation.id, "kind": fields["kind"], "function": fields.get("function") or "",
        "person_name": person.get("name") or "", "person_email": person.get("email") or "",
        "languages": list(fields.get("languages") or ()), "time_zone": fields.get("time_zone") or "UTC",
        "hours": fields.get("hours") or "office", "position": fields.get("order") or 1,
        "verified_on": fields.get("verified_on"), "tlp_max": fields.get("tlp_max") or "AMBER",
    }  # fmt: skip
    line = _put(tx, Contact, {"code": fields["code"]}, wanted, noun="contact", actor=actor)
    contact = tx.execute(select(Contact).where(Contact.code == fields["code"])).scalar_one()
    changed = _put_channels(tx, contact, fields.get("channels") or [], actor=actor)
    return line or (f"contact {contact.code}: channels changed" if changed else "")


def add_secret(
    tx: Session, endpoint_id: int, secret: str, *, actor: str, overlap: timedelta = OVERLAP
) -> EndpointKey:
    """Rotate: the new secret works at once, the ones before it until `overlap` is over. Secrets are never used
    twice."""
    signing.check_secret(secret)
    fingerprint = fingerprint_of(secret)
    check_unused(tx, secret)
    now = clock.now()
    for old in keys_of(tx, endpoint_id):
        if usable(old, now) and (old.not_after is None or old.not_after > now + overlap):
            old.not_after = now + overlap
    key_id = new_key(tx)
    row = EndpointKey(
        endpoint_id=endpoint_id, fingerprint=fingerprint, data_key_id=key_id, created_at=now,
        sealed=seal(tx, key_id, secret.encode(), about="endpoint key"),
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    timeline.append(tx, "key.added", "A webhook secret was added.", actor=actor, about=("endpoint_key", row.id),
                    values={"endpoint": endpoint_id})  # fmt: skip
    return row


def check_unused(tx: Session, secret: str) -> None:
    """Raises Invalid for a secret that any endpoint has or had."""
    if tx.execute(select(EndpointKey.id).where(EndpointKey.fingerprint == fingerprint_of(secret))).first():
        raise Invalid([Fault("/secret", "This secret was used before. Make a new one for each endpoint and rotation.")])


def revoke_key(tx: Session, key_id: int, *, actor: str, reason: str) -> None:
    """Stop a key now. What was received under it can be listed by the id kept on each report."""
    row = tx.get(EndpointKey, key_id)
    if row is None:
        raise NotFound()
    if row.revoked_at is None:
        row.revoked_at = clock.now()
        timeline.append(tx, "key.revoked", "A webhook secret was revoked.", actor=actor, values={"reason": reason},
                        about=("endpoint_key", key_id))  # fmt: skip


def disable_endpoint(tx: Session, endpoint_id: int, *, actor: str, reason: str) -> None:
    """Stop using an endpoint, for example when it answered 410."""
    row = tx.get(Endpoint, endpoint_id)
    if row is not None and row.state == "active":
        row.state = "disabled"
        timeline.append(tx, "endpoint.disabled", "An endpoint was disabled.", actor=actor, values={"reason": reason},
                        about=("endpoint", endpoint_id))  # fmt: skip


def hold_to_stix(tx: Session, endpoint: Endpoint, words: Sequence[str], *, actor: str) -> None:
    """What STIX from this system is held to beside what the standard demands. One person does it: it lets nothing in
    and nothing out, and may be taken back. Raises Refused for an endpoint that nobody sends to."""
    if endpoint.direction != "in":
        raise Refused("Nobody sends to us through this endpoint.")
    asks = " ".join(words)
    if asks != endpoint.stix_asks:
        values = {"old": {"stix_asks": endpoint.stix_asks}, "new": {"stix_asks": asks}}
        endpoint.stix_asks = asks
        timeline.append(tx, "endpoint.changed", f"The endpoint {endpoint.slug} was changed.", actor=actor,
                        about=("endpoint", endpoint.id), values=values)  # fmt: skip


def mark_suspect(tx: Session, contact_id: int, *, actor: str, reason: str) -> None:
    """Say that a contact's entry may be wrong; it stays, but is no longer the first choice."""
    row = tx.get(Contact, contact_id)
    if row is not None and row.suspect_since is None:
        row.suspect_since = clock.now()
        timeline.append(tx, "contact.suspected", "A point of contact may be wrong.", actor=actor,
                        values={"reason": reason}, about=("contact", contact_id))  # fmt: skip


def verify_contact(tx: Session, contact_id: int, *, actor: str, how: str, at: datetime | None = None) -> None:
    """A contact answered or was confirmed: fresh again."""
    row = tx.get(Contact, contact_id)
    if row is None:
        raise NotFound()
    row.verified_on, row.suspect_since = at or clock.now(), None
    timeline.append(tx, "contact.verified", "A point of contact was verified.", actor=actor, values={"how": how},
                    about=("contact", contact_id))  # fmt: skip


def _put(
    tx: Session, model: type[Any], key: dict[str, Any], wanted: dict[str, Any], *, noun: str, actor: str
) -> str:
    """Add or change one row; the record holds the old and the new values of what changed."""
    (name,) = key.values()
    row = tx.execute(select(model).filter_by(**key)).scalar_one_or_none()
    if row is None:
        row = model(**key, **wanted)
        tx.add(row)
        tx.flush()
        timeline.append(tx, f"{noun}.added", f"The {noun} {name} was added.", actor=actor, about=(noun, row.id),
                        values={"new": _plain(wanted)})  # fmt: skip
        return f"{noun} {name}: added"
    changes = {field: value for field, value in wanted.items() if getattr(row, field) != value}
    if not changes:
        return ""
    if "exercise" in changes:
        raise Refused(f"The {noun} {name} cannot move between real work and an exercise: give it a new name.")
    old = {field: getattr(row, field) for field in changes}
    for field, value in changes.items():
        setattr(row, field, value)
    if hasattr(row, "version"):
        row.version += 1
    timeline.append(tx, f"{noun}.changed", f"The {noun} {name} was changed.", actor=actor, about=(noun, row.id),
                    values={"old": _plain(old), "new": _plain(changes)})  # fmt: skip
    return f"{noun} {name}: changed {', '.join(sorted(changes))}"


def _put_channels(tx: Session, contact: Contact, channels: list[dict[str, Any]], *, actor: str) -> bool:
    query = select(Channel).where(Channel.contact_id == contact.id, Channel.active).order_by(Channel.position)
    have = list(tx.execute(query).scalars())
    wanted = [_channel(tx, channel) for channel in channels]
    if [_said(row) for row in have] == wanted:
        return False
    last = tx.execute(
        select(Channel.position).where(Channel.contact_id == contact.id).order_by(Channel.position.desc()).limit(1)
    ).scalar()
    for row in have:
        row.active = False
    for offset, fields in enumerate(wanted, start=1):
        tx.add(Channel(contact_id=contact.id, position=(last or 0) + offset, **fields))
    tx.flush()
    timeline.append(
        tx, "contact.channels", "The channels of a point of contact were changed.", actor=actor,
        about=("contact", contact.id), values={"old": [_said(row) for row in have], "new": wanted},
    )  # fmt: skip
    return True


def _channel(tx: Session, fields: dict[str, Any]) -> dict[str, Any]:
    endpoint = None
    if fields["kind"] == "webhook":
        endpoint = tx.execute(select(Endpoint).where(Endpoint.slug == fields["endpoint"])).scalar_one_or_none()
        if endpoint is None or endpoint.direction != "out":
            raise Invalid([Fault("/contacts", "A webhook channel names an endpoint with direction out.")])
    return {
        "kind": fields["kind"], "endpoint_id": endpoint.id if endpoint else None,
        "exercise": endpoint.exercise if endpoint else fields.get("exercise") or "",
        "address": fields.get("address") or fields.get("place") or "", "pgp_key": fields.get("pgp_key") or "",
        "number": fields.get("number") or "",
    }  # fmt: skip


def _said(row: Channel) -> dict[str, Any]:
    return {name: getattr(row, name) for name in ("kind", "endpoint_id", "exercise", "address", "pgp_key", "number")}


def _put_first_secret(tx: Session, endpoint: Endpoint, secret: str, *, actor: str) -> str:
    """A world file may name the secret an endpoint has; another one is a rotation."""
    fingerprint = fingerprint_of(secret)
    keys = keys_of(tx, endpoint.id)
    if keys and keys[0].fingerprint == fingerprint and usable(keys[0]):
        return ""
    add_secret(tx, endpoint.id, secret, actor=actor)
    return f"endpoint {endpoint.slug}: secret {'rotated' if keys else 'set'}"


def fingerprint_of(secret: str) -> str:
    """The same for every way of writing the same key bytes. Keys are random, so a plain digest gives nothing away."""
    return hashlib.sha256(b"endpoint secret\0" + base64.b64decode(secret.removeprefix("whsec_"))).hexdigest()


def _organisation(tx: Session, code: str) -> Organisation:
    found = organisation_by_code(tx, code)
    if found is None:
        raise Invalid([Fault("/organisation", "There is no organisation with this code: add it first.")])
    return found


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: clock.rfc3339(value) if isinstance(value, datetime) else value for name, value in values.items()}
