"""Duties with a clock: the versioned rules, and what runs on an incident. Tables only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from coordinator.db import Base, Code, Exercised, Hash, Id, whole, within
from coordinator.incidents import models as _incidents  # noqa: F401  the tables its keys point to


class ObligationRule(Base):
    """One version of a clock rule; never changed once written. `terms` as schema.RuleSchema has them.

    Until a legal reviewer has signed this very version it is advisory (`signed_by` None).
    """

    __tablename__ = "obligation_rules"
    id: Mapped[Id]
    rule: Mapped[Code]
    version: Mapped[int]
    digest: Mapped[Hash]
    terms: Mapped[dict[str, Any]]
    current: Mapped[bool] = mapped_column(Boolean, default=True)
    recorded_at: Mapped[datetime]
    recorded_by: Mapped[Code]
    signed_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    signed_at: Mapped[datetime | None]
    signed_note: Mapped[str] = mapped_column(Text, default="")
    __table_args__ = (UniqueConstraint("rule", "version"),)


class Obligation(Exercised, Base):
    """A duty on an incident. `state`: armed running met waived not-applicable superseded; the rest is derived.

    `given`: instants a person gave for it, by basis. `target_at`: the deadline, or the target of a soft one.
    `later_at`: what corrected facts would make it, and no person has said yet. `told`: the warnings given. Evidence
    and reasons are item versions.
    """

    __tablename__ = "obligations"
    id: Mapped[Id]
    incident_id: Mapped[int]
    rule_version_id: Mapped[int] = mapped_column(ForeignKey("obligation_rules.id"))
    rule: Mapped[Code]
    state: Mapped[Code]
    basis: Mapped[Code] = mapped_column(default="")
    basis_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    target_at: Mapped[datetime | None]
    later_at: Mapped[datetime | None]
    given: Mapped[dict[str, Any]]
    told: Mapped[list[str]]
    started_at: Mapped[datetime]
    started_by: Mapped[Code]
    met_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    settled_by: Mapped[Code] = mapped_column(default="")
    note_version_id: Mapped[int | None]
    version: Mapped[int] = mapped_column(default=1)
    __table_args__ = (
        whole(),
        within("incident_id", "incidents"),
        within("note_version_id", "item_versions"),
        Index("ix_obligations_incident", "incident_id", "rule"),
        Index("ix_obligations_due", "state", "target_at"),
    )
