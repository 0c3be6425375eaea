"""Recording agreements and consents. Amending adds a version; nothing is ever edited in place."""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785
from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.agreements import queries
from coordinator.agreements.models import Agreement, Consent
from coordinator.errors import Fault, Invalid, NotFound
from coordinator.partners.queries import organisation_by_code


def record_agreement(tx: Session, terms: dict[str, Any], *, actor: str) -> str:
    """Add an agreement or a new version of it; one line that says so, or "" when it stands already.

    `terms` are register fields as agreements/schema gives them.

    Raises Invalid when a party is not a known organisation.
    """
    key, digest = terms["agreement_id"], hashlib.sha256(rfc8785.dumps(terms)).hexdigest()
    check_parties(tx, terms)
    old = tx.execute(select(Agreement).where(Agreement.key == key, Agreement.current).with_for_update()).scalar()
    if old is not None and old.digest == digest:
        return ""
    if old is not None:
        old.current = False
        tx.flush()
    row = Agreement(
        key=key, version=old.version + 1 if old else 1, current=True, terms=terms, digest=digest,
        created_at=clock.now(), recorded_by=actor,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    timeline.append(
        tx, "agreement.recorded", f"Version {row.version} of the agreement {key} was recorded.", actor=actor,
        about=("agreement", row.id), values={"old": old.terms if old else None, "new": terms},
    )  # fmt: skip
    return f"agreement {key}: {'version ' + str(row.version) + ' recorded' if old else 'added'}"


def check_parties(tx: Session, terms: dict[str, Any]) -> None:
    """Raises Invalid for a party that is not a known organisation."""
    for place, party in enumerate(terms["parties"]):
        if organisation_by_code(tx, party["party"]) is None:
            raise Invalid([Fault(f"/parties/{place}/party", "There is no organisation with this code: add it first.")])


def record_consent(tx: Session, fields: dict[str, Any], *, actor: str) -> str:
    """An originator's permission: from to purpose item valid_until evidence (codes; `*` for any). "" when it stands."""
    parties = {}
    for name in ("from", "to"):
        found = organisation_by_code(tx, fields[name])
        if found is None:
            raise Invalid([Fault(f"/{name}", "There is no organisation with this code: add it first.")])
        parties[name] = found.id
    wanted = {
        "from_id": parties["from"], "to_id": parties["to"], "purpose": fields["purpose"],
        "item": fields.get("item") or "*", "valid_until": fields.get("valid_until"),
        "evidence": fields.get("evidence") or "",
    }  # fmt: skip
    if queries.stands(tx, fields):
        return ""
    row = Consent(**wanted, granted_at=clock.now(), recorded_by=actor)
    tx.add(row)
    tx.flush()
    until = wanted["valid_until"]
    timeline.append(
        tx, "consent.recorded", f"Consent of {fields['from']} for {fields['to']} was recorded.", actor=actor,
        about=("consent", row.id),
        values={**{name: fields.get(name) for name in ("from", "to", "purpose", "item", "evidence")},
                "valid_until": clock.rfc3339(until) if until else None},
    )  # fmt: skip
    return f"consent {fields['from']} to {fields['to']}: added"


def withdraw_consent(tx: Session, consent_id: int, *, actor: str, reason: str) -> None:
    """From now on the consent holds no more: every send decides again and finds it gone. Raises NotFound."""
    row = tx.get(Consent, consent_id)
    if row is None:
        raise NotFound()
    if row.withdrawn_at is None:
        row.withdrawn_at = clock.now()
        timeline.append(tx, "consent.withdrawn", "A consent was withdrawn.", actor=actor, values={"reason": reason},
                        about=("consent", consent_id))  # fmt: skip
