"""The record and the outbox: tables only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from coordinator.db import Base, BigId, Code, Exercised, Hash, Id


class DataKey(Base):
    """A data key in wrapped form. Destroying it erases everything sealed under it; the chains still verify."""

    __tablename__ = "data_keys"
    id: Mapped[Id]
    master_key_id: Mapped[str] = mapped_column(String(16))
    wrapped: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    destroyed_at: Mapped[datetime | None]


class Chain(Base):
    """The head of one hash chain: `record`, or `incident/<id>`."""

    __tablename__ = "chains"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    length: Mapped[int]
    head: Mapped[Hash]
    data_key_id: Mapped[int]
    at: Mapped[datetime | None]  # of the newest entry: the next one is never earlier


class Entry(Exercised, Base):
    """One thing that happened. Append-only: triggers refuse change and deletion.

    `commitment` is SHA-256 over a random salt and the canonical value; the value lies beside, sealed, in EntryValue.
    """

    __tablename__ = "entries"
    id: Mapped[Id]
    chain: Mapped[str] = mapped_column(String(40))
    seq: Mapped[int]
    at: Mapped[datetime]
    kind: Mapped[Code]
    actor: Mapped[Code]
    incident_id: Mapped[int | None]
    object_type: Mapped[str] = mapped_column(String(40), default="")
    object_id: Mapped[int | None]
    commitment: Mapped[Hash]
    prev: Mapped[Hash]
    hash: Mapped[Hash]
    __table_args__ = (UniqueConstraint("chain", "seq"), Index("ix_entries_incident", "incident_id", "id"))


class EntryValue(Base):
    """The sealed salt, text and values of an entry. May be erased; the entry stays and still verifies."""

    __tablename__ = "entry_values"
    entry_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    data_key_id: Mapped[int] = mapped_column(BigId, index=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class Pending(Exercised, Base):
    """Something that must follow, now or at `ready_at`. Deleted in the transaction that does it, so done exactly once.

    `kind` is an entry kind or a job's own name; workers/relay.py says what follows from it. Ids only, never content.
    """

    __tablename__ = "pending"
    id: Mapped[Id]
    kind: Mapped[Code]
    object_id: Mapped[int]
    job: Mapped[str] = mapped_column(String(80), default="")
    created_at: Mapped[datetime]
    ready_at: Mapped[datetime] = mapped_column(index=True)
    lease_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    last_fault: Mapped[str] = mapped_column(String(200), default="")
    dead: Mapped[bool] = mapped_column(Boolean, default=False)
    __table_args__ = (Index("ix_pending_object", "kind", "object_id"),)


class Checkpoint(Base):
    """A signed statement over all chains at an instant. `root` is over every (chain, length, head), sorted by name."""

    __tablename__ = "checkpoints"
    number: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    chains: Mapped[int]
    entries: Mapped[int]
    root: Mapped[Hash]
    prev: Mapped[Hash]
    hash: Mapped[Hash]
    signature: Mapped[str] = mapped_column(Text)
    public_key: Mapped[str] = mapped_column(String(64))


class CheckpointHead(Base):
    """The chains that grew since the checkpoint before: what is needed to rebuild the root of any checkpoint."""

    __tablename__ = "checkpoint_heads"
    number: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    chain: Mapped[str] = mapped_column(String(40), primary_key=True)
    length: Mapped[int]
    head: Mapped[Hash]


class SigningKey(Base):
    """A former key for checkpoints, endorsed by the one that came after it: older checkpoints still verify."""

    __tablename__ = "signing_keys"
    public_key: Mapped[str] = mapped_column(String(64), primary_key=True)
    endorsed_by: Mapped[str] = mapped_column(String(64))
    signature: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime]


class Epoch(Base):
    """The time since a restore. `gap`: what is known of what was lost, in numbers and instants; never content."""

    __tablename__ = "epochs"
    number: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    began_at: Mapped[datetime]
    began_by: Mapped[Code]
    backup_at: Mapped[datetime]
    backup_digest: Mapped[Hash]
    gap: Mapped[dict[str, Any]]


class SendingHold(Base):
    """While one is open nothing leaves. `kind`: emergency, restore, clock; `source`: the machine whose clock it is.

    `accepts_until`: the clock was found right although it is behind the record, whose newest entry has this instant.
    """

    __tablename__ = "sending_holds"
    id: Mapped[Id]
    kind: Mapped[Code]
    source: Mapped[str] = mapped_column(String(120), default="")
    begun_at: Mapped[datetime]
    begun_by: Mapped[Code]
    lifted_at: Mapped[datetime | None]
    lifted_by: Mapped[Code] = mapped_column(default="")
    accepts_until: Mapped[datetime | None]
    __table_args__ = (
        Index("uq_sending_holds_open", "kind", "source", unique=True, sqlite_where=text("lifted_at IS NULL"),
              postgresql_where=text("lifted_at IS NULL")),
    )  # fmt: skip


class Heartbeat(Base):
    """A sign of life of a process; `kind` is web, worker, relay or sweeper."""

    __tablename__ = "heartbeats"
    name: Mapped[str] = mapped_column(String(120), primary_key=True)
    kind: Mapped[Code]
    at: Mapped[datetime]
    detail: Mapped[dict[str, Any]]
