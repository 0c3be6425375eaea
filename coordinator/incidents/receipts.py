"""What a receipt of another coordinator teaches: the reference it made for an incident of ours.

Its later updates, corrections, closures and recalls come under that reference, and so find the incident.
"""

from __future__ import annotations

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from coordinator import timeline
from coordinator.incidents.envelope import Received
from coordinator.incidents.facts import Inbound
from coordinator.incidents.models import ExternalReference, Incident


def note_receipt(tx: Session, inbound: Inbound, received: Received, incident: Incident) -> None:
    """Put on record that the receipt came, and keep the reference it names. Nothing of the case changes.

    `incident`: locked by the caller. A reference that is known already keeps the incident it stands for.
    """
    theirs = received.report.get("external_id")
    learnt = theirs is not None and not _known(tx, inbound, theirs)
    if learnt:
        tx.execute(insert(ExternalReference).values(
            organisation_id=inbound.organisation_id, external_id=theirs, incident_id=incident.id,
            exercise=inbound.exercise,
        ))  # fmt: skip
    timeline.append(
        tx, "report.received", "A receipt of the partner's system came in.", actor=inbound.actor, incident=incident,
        values={"report": inbound.public_id, "kind": "receipt", "their_reference": theirs, "learnt": learnt},
        about=("report", inbound.id),
    )  # fmt: skip


def _known(tx: Session, inbound: Inbound, theirs: str) -> bool:
    query = select(ExternalReference.id).where(
        ExternalReference.organisation_id == inbound.organisation_id, ExternalReference.external_id == theirs,
        ExternalReference.exercise == inbound.exercise,
    )  # fmt: skip
    return tx.execute(query).first() is not None
