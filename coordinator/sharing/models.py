"""Releases, decisions and approvals: tables only. Decisions and approvals are append-only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    false,
    literal_column,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from coordinator.db import Base, Code, Exercised, Hash, Id, Json, whole, within
from coordinator.incidents import models as _incidents  # noqa: F401  the tables its keys point to

_WAITS = "state = 'awaiting-approval'"
#: To ask which releases wait for a second person: written out and not bound, so that the index of these few serves.
AWAITING_APPROVAL: ColumnElement[str] = literal_column("'awaiting-approval'")


class Release(Exercised, Base):
    """One text that is to leave, for one purpose: the unit that is decided for each recipient.

    `kind`: receipt initial update correction closure recall request check call-our-desk notice.
    `state`: evaluated awaiting-approval released refused withdrawn. `ack`: person, system or "" (none asked).
    `ladder`: the chain of reminders and next steps, as playbooks write it. `content_digest` covers what is sent.
    `facts` go along in the envelope: noticed_at, states_affected, and for a receipt the report it answers.
    """

    __tablename__ = "releases"
    id: Mapped[Id]
    incident_id: Mapped[int | None]
    kind: Mapped[Code]
    purpose: Mapped[Code]
    info_category: Mapped[Code]
    title_version_id: Mapped[int]
    body_version_id: Mapped[int]
    marking: Mapped[dict[str, Any]]
    originator_id: Mapped[int | None] = mapped_column(ForeignKey("organisations.id"))
    content_digest: Mapped[Hash]
    language: Mapped[str] = mapped_column(String(20), default="en")
    reply_by: Mapped[datetime | None]
    in_reply_to_id: Mapped[int | None]
    ack: Mapped[str] = mapped_column(String(6), default="")
    ladder: Mapped[list[Any]]
    facts: Mapped[dict[str, Any]]
    state: Mapped[Code] = mapped_column(default="evaluated")
    requested_by: Mapped[Code]
    created_at: Mapped[datetime]
    __table_args__ = (
        whole(),
        within("incident_id", "incidents"),
        within("in_reply_to_id", "releases"),
        within("title_version_id", "item_versions"),
        within("body_version_id", "item_versions"),
        Index("ix_releases_incident", "incident_id", "id"),
        Index("ix_releases_waiting", "id", sqlite_where=text(_WAITS), postgresql_where=text(_WAITS)),
        Index("ix_releases_title_version", "title_version_id"),
        Index("ix_releases_body_version", "body_version_id"),
    )


class ReleaseItem(Exercised, Base):
    """Which item versions a release was composed from: the strictest of their markings binds it.

    `enclosed`: its indicators, or its STIX objects as they came, go along in the forms that can carry them. `field`:
    the name under which it is included or left out (parts.py); "" and "description": the text was made from it.
    """

    __tablename__ = "release_items"
    id: Mapped[Id]
    release_id: Mapped[int]
    item_version_id: Mapped[int]
    enclosed: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    field: Mapped[Code] = mapped_column(default="", server_default="")
    __table_args__ = (
        within("release_id", "releases"),
        within("item_version_id", "item_versions"),
        UniqueConstraint("release_id", "item_version_id"),
        Index("ix_release_items_version", "item_version_id"),
    )


class ReleaseVersion(Exercised, Base):
    """A release that is a version of a draft, for these of its recipients: composed of the parts they are given.

    `included`: the names of what it was composed from (parts.py). `left_out`: why the rest is not in it, as
    {recipient: {name: [reasons]}}; no reasons where whoever releases chose so. Never changed: to choose again is to
    make another version.
    """

    __tablename__ = "release_versions"
    id: Mapped[Id]
    release_id: Mapped[int]
    version_of_id: Mapped[int]
    recipients: Mapped[list[Any]]
    included: Mapped[list[Any]]
    left_out: Mapped[dict[str, Any]]
    __table_args__ = (
        within("release_id", "releases"),
        within("version_of_id", "releases"),
        UniqueConstraint("release_id"),
        Index("ix_release_versions_of", "version_of_id"),
    )


class ShareDecision(Exercised, Base):
    """What the rules said of one recipient, with everything they looked at as a digest. Never changed, only followed.

    `recipient` is an organisation's code, `user:<id>` for our own people, or `PUBLIC`. `previous_id`: the decision this
    one re-evaluates. An alert points here by (id, result, content_digest, recipient), so that only a permit for exactly
    that text and recipient can carry one (I1, R01).
    """

    __tablename__ = "share_decisions"
    id: Mapped[Id]
    release_id: Mapped[int]
    incident_id: Mapped[int | None]
    recipient: Mapped[Code]
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id"))
    channel_id: Mapped[int | None]
    channel_kind: Mapped[Code]
    result: Mapped[str] = mapped_column(String(6))
    reasons: Mapped[list[str]]
    obligations: Mapped[list[str]]
    effective_tlp: Mapped[str] = mapped_column(String(12))
    agreement: Mapped[str | None] = mapped_column(String(80))
    agreement_version: Mapped[int | None]
    agreement_problems: Mapped[dict[str, Any]]
    purpose: Mapped[Code]
    content_digest: Mapped[Hash]
    inputs: Mapped[dict[str, Any]]
    inputs_digest: Mapped[Hash]
    policy_version: Mapped[Code]
    evaluated_at: Mapped[datetime]
    valid_until: Mapped[datetime]
    requested_by: Mapped[Code]
    previous_id: Mapped[int | None]
    __table_args__ = (
        whole(),
        UniqueConstraint("id", "result", "content_digest", "recipient", name="uq_share_decisions_permit"),
        within("release_id", "releases"),
        within("incident_id", "incidents"),
        within("channel_id", "channels"),
        within("previous_id", "share_decisions"),
        Index("ix_share_decisions_release", "release_id", "recipient"),
        Index("ix_share_decisions_incident", "incident_id", "id"),
        Index("ix_share_decisions_agreement", "agreement", "id"),
    )


class StandingClearance(Base):
    """A fixed text without case facts that two persons cleared beforehand: one signature releases it (call-our-desk).

    In force from `confirmed_at` until `until` or `revoked_at`. `content_digest` is the one a release of exactly this
    text bears. Ours, for every partner, the same in an exercise.
    """

    __tablename__ = "standing_clearances"
    id: Mapped[Id]
    title: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    language: Mapped[str] = mapped_column(String(20))
    content_digest: Mapped[Hash]
    until: Mapped[datetime]
    proposed_by: Mapped[int] = mapped_column(ForeignKey("users.id"))
    proposed_role: Mapped[Code]
    proposed_at: Mapped[datetime]
    confirmed_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    confirmed_role: Mapped[Code] = mapped_column(default="")
    confirmed_at: Mapped[datetime | None]
    revoked_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    revoked_at: Mapped[datetime | None]
    revoke_reason: Mapped[str] = mapped_column(Text, default="")
    __table_args__ = (CheckConstraint("confirmed_by IS NULL OR confirmed_by <> proposed_by", name="two_persons"),)


class Approval(Exercised, Base):
    """A second person's word on a referred decision. `answer`: approve, refuse. Bound to the content digest."""

    __tablename__ = "approvals"
    id: Mapped[Id]
    decision_id: Mapped[int]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    role: Mapped[Code]
    answer: Mapped[str] = mapped_column(String(7))
    reason: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime]
    until: Mapped[datetime]
    content_digest: Mapped[Hash]
    voided_at: Mapped[datetime | None]
    __table_args__ = (within("decision_id", "share_decisions"), UniqueConstraint("decision_id", "user_id"))


class Recall(Exercised, Base):
    """Something that left is asked back, by a person and with a reason. `cause`: asked, consent-withdrawn,
    label-raised, wrong-release."""

    __tablename__ = "recalls"
    id: Mapped[Id]
    incident_id: Mapped[int]
    cause: Mapped[Code]
    reason: Mapped[str] = mapped_column(Text)
    asked_by: Mapped[Code]
    asked_at: Mapped[datetime]
    __table_args__ = (whole(), within("incident_id", "incidents"), Index("ix_recalls_incident", "incident_id"))


class Recalled(Exercised, Base):
    """One text that one recipient is asked to delete: from then on the rules let it out to that one no more, by any
    way. `asks_id`: the release that asks for it; None where it never left. How it was answered, the alerts of that
    release say. Append-only."""

    __tablename__ = "recalled"
    id: Mapped[Id]
    recall_id: Mapped[int]
    release_id: Mapped[int]
    recipient: Mapped[Code]
    asks_id: Mapped[int | None]
    at: Mapped[datetime]
    __table_args__ = (
        within("recall_id", "recalls"),
        within("release_id", "releases"),
        within("asks_id", "releases"),
        UniqueConstraint("release_id", "recipient"),
        Index("ix_recalled_asks", "asks_id"),
    )


class FileCopy(Exercised, Base):
    """The copy of an attachment that may leave: made anew from what the file shows. One for each attachment.

    `state`: waiting, cleaned, refused (`why`: a code of cleaning.results.REFUSED). `removed`: codes of what was left
    behind. `bears_source`: whether a name of its source was found in it; None where none was, and what is drawn in it
    no machine can read for certain. `reading`: {named: [[name, page]], pages, searched, wordless}, as cleaning.reading.
    `begun`: how often cleaning was begun; `lease_until`: until when somebody is at it.
    """

    __tablename__ = "file_copies"
    id: Mapped[Id]
    attachment_id: Mapped[int] = mapped_column(unique=True)
    incident_id: Mapped[int]
    state: Mapped[Code] = mapped_column(default="waiting")
    asked_by: Mapped[Code]
    asked_at: Mapped[datetime]
    begun: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None]
    made_at: Mapped[datetime | None]
    why: Mapped[Code] = mapped_column(default="")
    kind: Mapped[Code] = mapped_column(default="")
    removed: Mapped[list[Any] | None] = mapped_column(Json)
    unchanged: Mapped[bool] = mapped_column(Boolean, default=False)
    bears_source: Mapped[bool | None] = mapped_column(Boolean)
    reading: Mapped[dict[str, Any] | None] = mapped_column(Json)
    media_type: Mapped[str] = mapped_column(String(120), default="")
    ending: Mapped[Code] = mapped_column(default="")
    sha256: Mapped[Hash] = mapped_column(default="")
    size: Mapped[int] = mapped_column(default=0)
    data_key_id: Mapped[int]
    __table_args__ = (whole(), within("attachment_id", "attachments"), within("incident_id", "incidents"))


class FileCopyPart(Base):
    """A megabyte of such a copy, sealed."""

    __tablename__ = "file_copy_parts"
    copy_id: Mapped[int] = mapped_column(ForeignKey("file_copies.id"), primary_key=True, autoincrement=False)
    part: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class ReleaseFile(Exercised, Base):
    """A file that goes along with a release, and the digest of the very bytes: fixed when it is drafted.

    `copy_id` None: as it came, for a stated `reason`. `drawn`: no machine can say what is to be read in it. `name` is
    ours and says nothing. Never changed.
    """

    __tablename__ = "release_files"
    id: Mapped[Id]
    release_id: Mapped[int]
    item_version_id: Mapped[int]
    attachment_id: Mapped[int]
    copy_id: Mapped[int | None]
    name: Mapped[Code]
    media_type: Mapped[str] = mapped_column(String(120))
    sha256: Mapped[Hash]
    size: Mapped[int]
    drawn: Mapped[bool] = mapped_column(Boolean)
    reason: Mapped[str] = mapped_column(Text, default="")
    __table_args__ = (
        whole(),
        within("release_id", "releases"),
        within("item_version_id", "item_versions"),
        within("attachment_id", "attachments"),
        within("copy_id", "file_copies"),
        UniqueConstraint("release_id", "item_version_id"),
    )
