"""Recording agreements and consents. Amending adds a version; nothing is ever edited in place."""

from __future__ import annotations

import hashlib
from typing import Any, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.agreements import queries, timers
from coordinator.agreements.models import Agreement, AgreementDocument, Consent
from coordinator.errors import Fault, Invalid, NotFound
from coordinator.markings import parse_tlp
from coordinator.outside.canonical_json import canonical
from coordinator.partners.models import Organisation
from coordinator.partners.queries import organisation_by_code
from coordinator.timeline.keys import new_key, seal, unseal

LARGEST_DOCUMENT = 10 << 20


def record_agreement(tx: Session, terms: dict[str, Any], *, actor: str, reason: str = "") -> str:
    """Add an agreement or a new version of it, with why; one line that says so, or "" when it stands already.

    `terms` are register fields as agreements/schema gives them.

    Raises Invalid when a party is not a known organisation.
    """
    key, digest = terms["agreement_id"], hashlib.sha256(canonical(terms)).hexdigest()
    check_parties(tx, terms)
    old = tx.execute(select(Agreement).where(Agreement.key == key, Agreement.current).with_for_update()).scalar()
    if old is not None and old.digest == digest:
        return ""
    if old is not None:
        old.current = False
        tx.flush()
    row = Agreement(
        key=key, version=old.version + 1 if old else 1, current=True, terms=terms, digest=digest,
        created_at=clock.now(), recorded_by=actor, reason=reason,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    timeline.append(
        tx, "agreement.recorded", f"Version {row.version} of the agreement {key} was recorded.", actor=actor,
        about=("agreement", row.id), values={"old": old.terms if old else None, "new": terms, "reason": reason},
    )  # fmt: skip
    _set_reminders(tx, row)
    if old is not None:
        timeline.pending(tx, "agreement.amended", row.id)
    return f"agreement {key}: {'version ' + str(row.version) + ' recorded' if old else 'added'}"


def _set_reminders(tx: Session, row: Agreement) -> None:
    """A timer for each date that a person has to think of, and for each at which what waits is put to the rules again.
    Those of an older version find that it is not current."""
    for kind, at in timers.of_terms(row.terms, clock.now()):
        timeline.pending(tx, kind, row.id, ready_at=at)


def attach_document(
    tx: Session, key: str, *, name: str, media_type: str, content: bytes, tlp: str, actor: str
) -> AgreementDocument:
    """Keep the text of an agreement, sealed under a key of its own; the same bytes again are the same row.

    Raises NotFound, Invalid (empty, too large, no name).
    """
    queries.version(tx, key)
    name = name.replace("\\", "/").rsplit("/", 1)[-1].strip()[:200]
    faults = [] if name else [Fault("/document", "Choose a file that has a name.")]
    if not 0 < len(content) <= LARGEST_DOCUMENT:
        faults.append(Fault("/document", f"Choose a file of at most {LARGEST_DOCUMENT >> 20} MiB that is not empty."))
    if faults:
        raise Invalid(faults)
    digest, label = hashlib.sha256(content).hexdigest(), parse_tlp(tlp)
    same = select(AgreementDocument).where(AgreementDocument.key == key, AgreementDocument.sha256 == digest)
    found = tx.execute(same).scalar_one_or_none()
    if found is not None:
        return found
    data_key = new_key(tx)
    row = AgreementDocument(
        key=key, name=name, media_type=media_type[:100] or "application/octet-stream", sha256=digest, size=len(content),
        tlp=label.value, data_key_id=data_key, sealed=seal(tx, data_key, content, about="agreement document"),
        added_at=clock.now(), added_by=actor,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    timeline.append(
        tx, "agreement.document", f"The text of the agreement {key} was attached.", actor=actor,
        about=("agreement_document", row.id), values={"name": name, "sha256": digest, "tlp": label.value},
    )  # fmt: skip
    return row


def read_document(tx: Session, document_id: int, *, actor: str) -> tuple[AgreementDocument, bytes]:
    """The bytes of an agreement's text; that somebody took them is on record. Raises NotFound."""
    row = tx.get(AgreementDocument, document_id)
    if row is None:
        raise NotFound()
    content = unseal(tx, row.data_key_id, row.sealed, about="agreement document")
    timeline.append(tx, "agreement.document-read", "The text of an agreement was downloaded.", actor=actor,
                    about=("agreement_document", row.id))  # fmt: skip
    return row, content


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
    if until is not None and until > clock.now():
        timeline.pending(tx, timers.CONSENT, row.id, ready_at=until)
    return f"consent {fields['from']} to {fields['to']}: added"


def record_refusal(tx: Session, fields: dict[str, Any], *, actor: str) -> None:
    """An originator said no: kept with its evidence, so that nobody asks again unknowing. It permits nothing."""
    found = {name: organisation_by_code(tx, fields[name]) for name in ("from", "to")}
    faults = [Fault(f"/{name}", "There is no organisation with this code: add it first.")
              for name, row in found.items() if row is None]  # fmt: skip
    if faults:
        raise Invalid(faults)
    giver, receiver = (cast(Organisation, found[name]) for name in ("from", "to"))
    row = Consent(
        from_id=giver.id, to_id=receiver.id, purpose=fields["purpose"], item=fields.get("item") or "*",
        valid_until=fields.get("valid_until"), evidence=fields.get("evidence") or "", granted_at=clock.now(),
        recorded_by=actor, answer="refused",
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    timeline.append(
        tx, "consent.refused", f"{fields['from']} refused consent for {fields['to']}.", actor=actor,
        about=("consent", row.id), values={name: fields.get(name) for name in ("purpose", "item", "evidence")},
    )  # fmt: skip


def withdraw_consent(tx: Session, consent_id: int, *, actor: str, reason: str) -> None:
    """From now on the consent holds no more: every send decides again and finds it gone. Raises NotFound."""
    row = tx.get(Consent, consent_id)
    if row is None:
        raise NotFound()
    if row.withdrawn_at is None:
        row.withdrawn_at = clock.now()
        timeline.append(tx, "consent.withdrawn", "A consent was withdrawn.", actor=actor, values={"reason": reason},
                        about=("consent", consent_id))  # fmt: skip
        timeline.pending(tx, "consent.withdrawn", row.id)
