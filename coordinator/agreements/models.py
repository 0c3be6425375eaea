"""The register of agreements and consents: tables only. Status is never stored, it follows from dates."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, String, Text, UniqueConstraint
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
    __table_args__ = (UniqueConstraint("key", "version"),)


class Consent(Base):
    """An originator's permission for one step onward (third-party rule, R03). `item` is an item's key, or *."""

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
    __table_args__ = (Index("ix_consents_pair", "from_id", "to_id"),)
