"""Names that can be said on the phone, and the ones made for a partner, from which it learns nothing of our numbers."""

from __future__ import annotations

import os
import re
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator.db import insert_or_ignore
from coordinator.incidents.models import PartnerReference

# Crockford's base 32: no I, L, O, U, so that nothing is misheard or misread.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_REFERENCE = re.compile(r"INC-([0-9]{4})-([0-9]{6,15})")


def reference_of(incident: Any) -> str:
    """`INC-2026-000123` for an incident row (id and created_at are read)."""
    return numbered(incident.id, incident.created_at)


def numbered(incident_id: int, created_at: datetime) -> str:
    """`reference_of` for an incident whose row is not at hand."""
    return f"INC-{created_at.year}-{incident_id:06d}"


def parse_reference(text: str) -> int | None:
    """The id in a reference, in any case of letters; None where it is none. The year is for `reference_of` to check."""
    match = _REFERENCE.fullmatch(text.strip().upper())
    return int(match[2]) if match else None


def new_public_id(prefix: str) -> str:
    """An opaque id of 100 random bits, like `rep-7F3K…`."""
    return f"{prefix}-{_random_text(20)}"


def new_partner_reference() -> str:
    """Twelve characters in three groups (60 random bits): `REF-7K3M-Q9TD-W25C`."""
    text = _random_text(12)
    return f"REF-{text[:4]}-{text[4:8]}-{text[8:]}"


def _random_text(length: int) -> str:
    # The alphabet has 32 characters: the low five bits of a random byte choose one without preference.
    return "".join(_ALPHABET[byte & 31] for byte in os.urandom(length))


def partner_reference(tx: Session, incident: Any, organisation_id: int) -> str:
    """The reference made for one organisation; the same each time. `incident`: id and exercise are read."""
    query = select(PartnerReference.reference).where(
        PartnerReference.incident_id == incident.id, PartnerReference.organisation_id == organisation_id
    )
    while (found := tx.execute(query).scalar_one_or_none()) is None:
        tx.execute(insert_or_ignore(tx, PartnerReference).values(
            incident_id=incident.id, organisation_id=organisation_id, reference=new_partner_reference(),
            exercise=incident.exercise,
        ))  # fmt: skip  # ignored where another process made it first, or where the text is taken: look again
    return found
