"""The text of an agreement: kept at once, and named by the terms in a new version, which two persons make."""

from __future__ import annotations

from sqlalchemy.orm import Session

from coordinator.agreements import queries
from coordinator.agreements.models import AgreementDocument
from coordinator.agreements.schema import load_agreement
from coordinator.agreements.service import attach_document
from coordinator.changes import service
from coordinator.changes.rules import Kind
from coordinator.errors import Fault, Invalid
from coordinator.markings import Tlp


def attach(
    tx: Session, key: str, *, name: str, media_type: str, content: bytes, tlp: str, actor: str, reason: str = ""
) -> tuple[AgreementDocument, service.Asked]:
    """Keep the text, and ask for the version of the agreement that names it by its SHA-256; one text a version.

    Raises NotFound, Invalid (no label, no name, empty, too large).
    """
    if tlp not in {label.value for label in Tlp}:
        raise Invalid([Fault("/tlp", "Choose the label of this text.")])
    row = attach_document(tx, key, name=name, media_type=media_type, content=content, tlp=tlp, actor=actor)
    terms = queries.version(tx, key).terms | {"instrument_text_ref": {"document": row.name, "sha256": row.sha256}}
    why = reason.strip() or f"The text {row.name} was attached."
    return row, service.ask(tx, Kind.AGREEMENT, load_agreement(terms), actor=actor, reason=why)
