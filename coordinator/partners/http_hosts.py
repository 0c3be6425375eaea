"""The list of services that playbooks may call by themselves. What is not on it stays a person's task."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import timeline
from coordinator.errors import CoordinatorError, Fault, Invalid, Refused
from coordinator.partners.models import HttpHost, Organisation
from coordinator.partners.queries import organisation_by_code
from coordinator.timeline.keys import new_key, seal, unseal

ABOUT = "http host"
_PORTS = {"http": 80, "https": 443}


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL as they are compared; "" where it is none (RFC 6454)."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return ""
    if parts.scheme not in _PORTS or not parts.hostname or parts.username is not None:
        return ""
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname.rstrip(".")
    return f"{parts.scheme}://{name}:{port}"


def put_http_host(tx: Session, fields: dict[str, Any], *, actor: str) -> str:
    """Add or change an entry; `fields` as HttpHostSchema gives them. Without `credential` the one there is stays.

    Raises Invalid for an organisation that is not there, Refused for an origin that another entry has.
    """
    organisation = organisation_by_code(tx, fields["organisation"])
    if organisation is None:
        raise Invalid([Fault("/organisation", "There is no organisation with this code: add it first.")])
    origin, exercise = origin_of(fields["origin"]), fields.get("exercise") or ""
    row = by_code(tx, fields["id"])
    same = tx.execute(
        select(HttpHost.code).where(HttpHost.origin == origin, HttpHost.exercise == exercise)
    ).scalar_one_or_none()
    if same is not None and same != fields["id"]:
        raise Refused("Another entry has this origin already: change that one.")
    if row is not None and row.exercise != exercise:
        raise Refused("An entry cannot move between real work and an exercise: give it a new name.")
    added = row is None
    row = row or HttpHost(code=fields["id"], exercise=exercise)
    before = _said(row)
    if row.origin != origin:  # a credential is for where it was given for, and goes nowhere else
        row.sealed, row.data_key_id, row.fingerprint, row.auth_header = None, None, "", ""
    row.organisation_id, row.origin, row.state = organisation.id, origin, "active"
    row.methods, row.allow_private = sorted(fields["methods"]), list(fields.get("allow_private") or ())
    if fields.get("credential") and row.fingerprint != fingerprint_of(fields["credential"]):
        row.auth_header = fields.get("auth_header") or "Authorization"
        row.data_key_id, row.fingerprint = new_key(tx), fingerprint_of(fields["credential"])
        row.sealed = seal(tx, row.data_key_id, fields["credential"].encode(), about=ABOUT)
    if not added and _said(row) == before:
        return ""
    tx.add(row)
    tx.flush()
    timeline.append(
        tx, "http-host.added" if added else "http-host.changed", f"The service {row.code} may be called by playbooks.",
        actor=actor, about=("http_host", row.id),
        values={"origin": origin, "organisation": organisation.code, "methods": row.methods,
                "allow_private": row.allow_private, "credential": row.fingerprint[:12]},
    )  # fmt: skip
    return f"http host {row.code}: {'added' if added else 'changed'}"


def _said(row: HttpHost) -> tuple[Any, ...]:
    return (
        row.organisation_id, row.origin, row.methods, row.allow_private, row.auth_header, row.fingerprint, row.state
    )  # fmt: skip


def disable_http_host(tx: Session, code: str, *, actor: str, reason: str) -> HttpHost | None:
    """Stop calling it, at once and by one person."""
    row = by_code(tx, code)
    if row is not None and row.state == "active":
        row.state = "disabled"
        timeline.append(tx, "http-host.disabled", "A service is no longer called by playbooks.", actor=actor,
                        values={"reason": reason}, about=("http_host", row.id))  # fmt: skip
    return row


def host_for(tx: Session, url: str, *, exercise: str) -> HttpHost | None:
    """The active entry for a URL, None where nothing may be called there."""
    query = select(HttpHost).where(
        HttpHost.origin == origin_of(url), HttpHost.exercise == exercise, HttpHost.state == "active"
    )
    return tx.execute(query).scalar_one_or_none()


def credential_of(tx: Session, row: HttpHost) -> dict[str, str]:
    """The header that carries the stored credential; none where none is stored."""
    if row.sealed is None or row.data_key_id is None:
        return {}
    return {row.auth_header: unseal(tx, row.data_key_id, row.sealed, about=ABOUT).decode()}


class InUse(NamedTuple):
    """A service that may be called, and why that would fail here; "" where nothing is known against it."""

    code: str
    origin: str
    fault: str


def in_use(tx: Session) -> list[InUse]:
    """Every active entry by name."""
    query = select(HttpHost, Organisation.active).join(Organisation, Organisation.id == HttpHost.organisation_id)
    found = []
    for row, active in tx.execute(query.where(HttpHost.state == "active").order_by(HttpHost.code)):
        fault = "" if active else "its organisation is no partner any more"
        try:
            credential_of(tx, row)
        except CoordinatorError:
            fault = "its secret cannot be read: store it again"
        if row.auth_header and row.sealed is None:
            fault = "its secret is missing: store it again"
        found.append(InUse(row.code, row.origin, fault))
    return found


def by_code(tx: Session, code: str) -> HttpHost | None:
    return tx.execute(select(HttpHost).where(HttpHost.code == code)).scalar_one_or_none()


def http_hosts(tx: Session) -> list[dict[str, Any]]:
    """Every entry by name, never a credential."""
    query = select(HttpHost, Organisation.code).join(Organisation, Organisation.id == HttpHost.organisation_id)
    return [
        {"id": row.code, "organisation": code, "origin": row.origin, "methods": row.methods, "state": row.state,
         "allow_private": row.allow_private, "auth_header": row.auth_header or None,
         "credential": row.sealed is not None, "exercise": row.exercise}
        for row, code in tx.execute(query.order_by(HttpHost.code))
    ]  # fmt: skip


def fingerprint_of(credential: str) -> str:
    return hashlib.sha256(credential.encode()).hexdigest()
