"""The register of agreements and consents: tables only. Status is never stored, it follows from dates."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from coordinator.db import Base, Code, Hash, Id
from coordinator.partners import models as _partners  # noqa: F401  the tables its keys point to


class Agreement(Base):
    """One version of one agreement; `terms` holds the register's fields by their names. Amending adds a row."""

    __tablename__ = "agreements"
    id: Mapped[Id]
    key: Mapped[Code]
    version: Mapped[int]
    current: Mapped[bool] = mapped_column(Boolean, default=True, index=True)
    terms: Mapped[dict[str, Any]]
    digest: Mapped[Hash]
    created_at: Mapped[datetime]
    recorded_by: Mapped[Code]
    reason: Mapped[str] = mapped_column(Text, default="", server_default="")
    __table_args__ = (UniqueConstraint("key", "version"),)


class AgreementDocument(Base):
    """The text of an agreement as a file with a label of its own, sealed. `name` is what `instrument_text_ref` says."""

    __tablename__ = "agreement_documents"
    id: Mapped[Id]
    key: Mapped[Code] = mapped_column(index=True)
    name: Mapped[str] = mapped_column(String(200))
    media_type: Mapped[str] = mapped_column(String(100))
    sha256: Mapped[Hash]
    size: Mapped[int]
    tlp: Mapped[str] = mapped_column(String(12))
    data_key_id: Mapped[int]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    added_at: Mapped[datetime]
    added_by: Mapped[Code]
    __table_args__ = (UniqueConstraint("key", "sha256"),)


class Consent(Base):
    """An originator's answer about one step onward (third-party rule, R03). `item` is an item's key, or *. `answer`:
    granted, or refused, which is kept so that nobody asks again unknowing; silence is no consent (R28)."""

    __tablename__ = "consents"
    id: Mapped[Id]
    from_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"))
    to_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"))
    purpose: Mapped[Code]
    item: Mapped[str] = mapped_column(String(40), default="*")
    valid_until: Mapped[datetime | None]
    evidence: Mapped[str] = mapped_column(Text, default="")
    granted_at: Mapped[datetime]
    recorded_by: Mapped[Code]
    withdrawn_at: Mapped[datetime | None]
    answer: Mapped[Code] = mapped_column(default="granted", server_default="granted")
    __table_args__ = (Index("ix_consents_pair", "from_id", "to_id"),)
