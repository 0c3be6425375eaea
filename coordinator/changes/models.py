"""Changes that wait for a second person: tables only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from coordinator.db import Base, Code, Hash, Id
from coordinator.timeline import models as _timeline  # noqa: F401  the data keys its values are sealed under


class ProposedChange(Base):
    """`state`: waiting, accepted, refused, withdrawn, overtaken (the row changed meanwhile), expired.

    `subject` names what is to change (an endpoint's name, a contact's code, an account's id …). `sealed` holds the old
    and the new values and the reason. `notices`: ids of the alerts that told the old channel. `source`: the SHA-256 of
    the file it came from.
    """

    __tablename__ = "proposed_changes"
    id: Mapped[Id]
    kind: Mapped[Code]
    subject: Mapped[str] = mapped_column(String(254))
    old_digest: Mapped[Hash]
    new_digest: Mapped[Hash]
    data_key_id: Mapped[int]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    source: Mapped[str] = mapped_column(String(64), default="")
    notices: Mapped[list[Any]]
    asked_by: Mapped[Code]
    asked_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    state: Mapped[Code] = mapped_column(default="waiting")
    answered_by: Mapped[Code] = mapped_column(default="")
    answered_at: Mapped[datetime | None]
    answer: Mapped[str] = mapped_column(Text, default="")
    __table_args__ = (Index("ix_proposed_changes_state", "state", "kind", "subject"),)
