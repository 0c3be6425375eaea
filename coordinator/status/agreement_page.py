"""One agreement as it is worked with: in plain words, its dates, its texts, and what went out under it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, aliased

from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Right, Role, may
from coordinator.agreements import queries
from coordinator.agreements.calendar import objects_by, reminders
from coordinator.agreements.models import Consent
from coordinator.agreements.wording import explain
from coordinator.errors import NotFound
from coordinator.incidents.models import Incident
from coordinator.incidents.queries import visible
from coordinator.incidents.references import reference_of
from coordinator.partners.models import Organisation
from coordinator.sharing.models import Release, ShareDecision

SHOWN = 50


def agreement_page(tx: Session, key: str, *, principal: Principal, now: datetime) -> dict[str, Any]:
    """{agreement, terms, versions, sentences, documents, missing_document, reminders, objects_by, used}. Raises
    NotFound."""
    found = next((row for row in queries.standing(tx, now) if row["key"] == key), None)
    if found is None:
        raise NotFound()
    terms, documents = found["terms"], queries.documents_of(tx, key)
    named = (terms.get("instrument_text_ref") or {}).get("sha256")
    return {
        "agreement": found, "terms": terms, "versions": queries.versions_of(tx, key),
        "sentences": explain(terms, own=queries.own_code(tx)), "documents": documents,
        "missing_document": named if named and named not in {row.sha256 for row in documents} else "",
        "reminders": [one for one in reminders(terms) if one.of > now], "objects_by": objects_by(terms),
        "used": used(tx, key, principal=principal),
    }  # fmt: skip


def used(tx: Session, key: str, *, principal: Principal) -> dict[str, Any]:
    """What the rules permitted under this agreement, at once or after a clearance: {count, releases[{at, recipient,
    kind, purpose, version, tlp, incident}]}, newest first. `count` is of all; named are those whose incident the reader
    may know of."""
    earlier = aliased(ShareDecision)
    # A permit made anew for the next attempt is the same release; one that follows a clearance is the first of its own.
    first = or_(earlier.id.is_(None), earlier.result != "permit", earlier.agreement.is_distinct_from(key))
    where = (ShareDecision.agreement == key, ShareDecision.result == "permit", first)
    followed = ShareDecision.previous_id == earlier.id
    count = tx.execute(
        select(func.count()).select_from(ShareDecision).outerjoin(earlier, followed).where(*where)
    ).scalar_one()
    query = (
        select(ShareDecision, Release, Incident)
        .outerjoin(earlier, followed)
        .join(Release, Release.id == ShareDecision.release_id)
        .outerjoin(Incident, Incident.id == Release.incident_id)
        .where(*where, _known(principal))
    )
    releases = [
        {"at": decision.evaluated_at, "recipient": decision.recipient, "kind": release.kind,
         "tlp": decision.effective_tlp, "purpose": decision.purpose,
         "version": decision.agreement_version, "decision": decision.id,
         "incident": reference_of(incident) if incident is not None else None}
        for decision, release, incident in tx.execute(query.order_by(ShareDecision.id.desc()).limit(SHOWN))
    ]  # fmt: skip
    return {"count": count, "releases": releases}


def consents(tx: Session, now: datetime) -> list[dict[str, Any]]:
    """Consents and refusals, newest first: {id, from, to, purpose, item, valid_until, evidence, state, at}; `state`:
    standing, over, withdrawn, refused."""
    codes = {row.id: row.code for row in tx.execute(select(Organisation.id, Organisation.code))}
    rows = tx.execute(select(Consent).order_by(Consent.id.desc()).limit(200)).scalars()
    return [
        {"id": row.id, "from": codes.get(row.from_id), "to": codes.get(row.to_id), "purpose": row.purpose,
         "item": row.item, "valid_until": row.valid_until, "evidence": row.evidence, "at": row.granted_at,
         "state": _state(row, now)}
        for row in rows
    ]  # fmt: skip


def _state(row: Consent, now: datetime) -> str:
    if row.answer == "refused":
        return "refused"
    if row.withdrawn_at is not None:
        return "withdrawn"
    return "over" if row.valid_until is not None and now >= row.valid_until else "standing"


def _known(principal: Principal) -> Any:
    if not may(Role(principal.role), Right.READ_INCIDENTS):
        return Release.incident_id.is_(None)
    return or_(Release.incident_id.is_(None), visible(principal))
