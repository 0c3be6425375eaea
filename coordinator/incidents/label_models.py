"""What originators said of the labels of what they told us: tables only."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from coordinator.db import Base, BigId, Code, Exercised, Id, whole, within
from coordinator.incidents import models as _incidents  # noqa: F401  the tables its keys point to


class LabelWord(Exercised, Base):
    """One word on a label: that its originator (`from_id`) lowered it to `tlp`, or (`from_id` empty) that we take back
    what we had raised ourselves.

    `state`: waiting for a second person, then effective, refused, withdrawn or overtaken; raised: the originator asked
    for a stricter label, which holds at once. `sealed`: {said_by, words, reason}; `file_sealed`: the letter or mail
    itself. `report_id`: the message of the originator's own in which it was said.
    """

    __tablename__ = "label_words"
    id: Mapped[Id]
    incident_id: Mapped[int]
    from_id: Mapped[int | None] = mapped_column(ForeignKey("organisations.id"))
    tlp: Mapped[str] = mapped_column(String(12))
    channel: Mapped[Code]
    said_at: Mapped[datetime]
    report_id: Mapped[int | None] = mapped_column(BigId)
    data_key_id: Mapped[int]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    file_name: Mapped[str] = mapped_column(String(200), default="")
    file_type: Mapped[str] = mapped_column(String(120), default="")
    file_sha256: Mapped[str] = mapped_column(String(64), default="")
    file_sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    asked_by: Mapped[Code]
    asked_at: Mapped[datetime]
    state: Mapped[Code] = mapped_column(default="waiting")
    answered_by: Mapped[Code] = mapped_column(default="")
    answered_at: Mapped[datetime | None]
    answer: Mapped[str] = mapped_column(Text, default="")
    __table_args__ = (
        whole(),
        within("incident_id", "incidents"),
        within("report_id", "reports"),
        Index("ix_label_words_incident", "incident_id", "id"),
        Index("ix_label_words_state", "state", "id"),
    )


class LabelWordItem(Exercised, Base):
    """One thing a word is about: the key of an item, or "" for the incident itself."""

    __tablename__ = "label_word_items"
    id: Mapped[Id]
    word_id: Mapped[int]
    item: Mapped[str] = mapped_column(String(40))
    __table_args__ = (
        within("word_id", "label_words"),
        UniqueConstraint("word_id", "item"),
        Index("ix_label_word_items_item", "item", "word_id"),
    )
