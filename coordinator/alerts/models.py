"""What is told to partners and to our own duty people, and what came back: tables only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from coordinator.db import Base, Code, Exercised, Hash, Id, Json, whole, within
from coordinator.sharing import models as _sharing  # noqa: F401  the tables its keys point to
from coordinator.tasks import models as _tasks  # noqa: F401  the tables its keys point to

#: What the indexes of few among many hold.
_EXERCISE, _TO_LIST = text("exercise <> ''"), text("NOT listed")
_WAITS = text("ack <> '' AND (acknowledged_at IS NULL OR kind = 'request')")


class Alert(Exercised, Base):
    """One release to one recipient. It cannot exist without a permit for that recipient and that text (I1, R01).

    `state`: queued handed-over delivered acknowledged withheld failed withdrawn. `rung`: the
    delivery tried last. `ladder_step`: how many entries of the release's ladder are done. `plan`: every way to this
    recipient with what the rules said of it when the alert was raised (plan.py).
    `partner_reference` is the reference made for that recipient. `listed`: it stands in the recipient's collection.
    """

    __tablename__ = "alerts"
    id: Mapped[Id]
    release_id: Mapped[int]
    incident_id: Mapped[int | None]
    kind: Mapped[Code]
    recipient: Mapped[Code]
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisations.id"))
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    decision_id: Mapped[int]
    decision_result: Mapped[str] = mapped_column(String(6), default="permit", server_default="permit")
    content_digest: Mapped[Hash]
    public_id: Mapped[str] = mapped_column(String(40), unique=True)
    partner_reference: Mapped[str] = mapped_column(String(40), default="")
    in_reply_to_id: Mapped[int | None]
    state: Mapped[Code] = mapped_column(default="queued")
    ack: Mapped[str] = mapped_column(String(6), default="")
    rung: Mapped[int] = mapped_column(default=0)
    ladder_step: Mapped[int] = mapped_column(default=0)
    plan: Mapped[list[Any] | None] = mapped_column(Json)
    reply_by: Mapped[datetime | None]
    created_at: Mapped[datetime]
    acknowledged_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]
    listed: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    __table_args__ = (
        whole(),
        CheckConstraint("decision_result = 'permit'", name="permit_only"),
        ForeignKeyConstraint(
            ["decision_id", "decision_result", "content_digest", "recipient"],
            ["share_decisions.id", "share_decisions.result", "share_decisions.content_digest",
             "share_decisions.recipient"],
            name="fk_alerts_permit",
        ),
        within("decision_id", "share_decisions"),
        within("release_id", "releases"),
        within("incident_id", "incidents"),
        within("in_reply_to_id", "alerts"),
        UniqueConstraint("release_id", "recipient"),
        Index("ix_alerts_incident", "incident_id", "id"),
        Index("ix_alerts_state", "state", "id"),
        Index("ix_alerts_unanswered", "ack", "state", "id"),
        Index("ix_alerts_organisation", "organisation_id", "id"),
        Index("ix_alerts_exercise", "exercise", "id", sqlite_where=_EXERCISE, postgresql_where=_EXERCISE),
        Index("ix_alerts_newest", "organisation_id", "created_at", "public_id"),
        Index(
            "ix_alerts_waiting", "organisation_id", "created_at", "public_id", sqlite_where=_WAITS,
            postgresql_where=_WAITS,
        ),
        Index("ix_alerts_drilled", "organisation_id", "exercise", sqlite_where=_EXERCISE, postgresql_where=_EXERCISE),
        Index(
            "ix_alerts_to_list", "organisation_id", "exercise", "kind", "id", sqlite_where=_TO_LIST,
            postgresql_where=_TO_LIST,
        ),
    )


class Delivery(Exercised, Base):
    """One way of bringing an alert to its recipient; a retry is an attempt, a next channel or contact a new delivery.

    `state`: queued handed-over delivered failed withheld cancelled dead. The webhook-id and the Message-ID are the same
    on every attempt. `fence` grows with each lease, so that a worker that woke late cannot write.
    """

    __tablename__ = "deliveries"
    id: Mapped[Id]
    alert_id: Mapped[int]
    rung: Mapped[int]
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contacts.id"))
    channel_id: Mapped[int | None]
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    kind: Mapped[Code]
    webhook_id: Mapped[str] = mapped_column(String(60), unique=True)
    state: Mapped[Code] = mapped_column(default="queued")
    decision_id: Mapped[int]
    attempts: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None]
    lease_until: Mapped[datetime | None]
    fence: Mapped[int] = mapped_column(default=0)
    task_id: Mapped[int | None]
    ack_hash: Mapped[Hash] = mapped_column(unique=True)
    ack_expires_at: Mapped[datetime]
    created_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    __table_args__ = (
        whole(),
        within("alert_id", "alerts"),
        within("channel_id", "channels"),
        within("decision_id", "share_decisions"),
        within("task_id", "tasks"),
        UniqueConstraint("alert_id", "rung"),
        Index("ix_deliveries_state", "state", "next_attempt_at"),
    )


class DeliveryAttempt(Exercised, Base):
    """One try. `outcome`: delivered handed-over retry refused gone withheld bounced. `detail` holds no content.
    Append-only."""

    __tablename__ = "delivery_attempts"
    id: Mapped[Id]
    delivery_id: Mapped[int]
    number: Mapped[int]
    decision_id: Mapped[int]
    at: Mapped[datetime]
    outcome: Mapped[Code]
    detail: Mapped[str] = mapped_column(String(200), default="")
    __table_args__ = (
        within("delivery_id", "deliveries"),
        within("decision_id", "share_decisions"),
        UniqueConstraint("delivery_id", "number"),
    )


class Acknowledgement(Exercised, Base):
    """An answer. `kind`: system, person. `assurance`: link session signed noted-by-officer. Append-only.

    `answer`: acknowledged, not-for-me, question; to a recall deleted, cannot-delete, not-received; to a request for a
    consent granted, refused, withdrawn.
    """

    __tablename__ = "acknowledgements"
    id: Mapped[Id]
    alert_id: Mapped[int]
    delivery_id: Mapped[int | None]
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(6))
    assurance: Mapped[Code]
    answer: Mapped[Code]
    by: Mapped[str] = mapped_column(Text, default="")
    note_version_id: Mapped[int | None]
    __table_args__ = (
        within("alert_id", "alerts"),
        within("delivery_id", "deliveries"),
        within("note_version_id", "item_versions"),
        Index("ix_acknowledgements_alert", "alert_id"),
    )


class Handout(Exercised, Base):
    """Something released was taken by its recipient, or by one of ours for it, in a form of its own. Append-only.

    `way`: page, api, taxii (the recipient's own people), officer (ours, as a file to hand on). `format`: stix, misp,
    json, pdf, file (FileHandout). `decision_id`: the permit it left on, no older than the rules allow.
    """

    __tablename__ = "handouts"
    id: Mapped[Id]
    alert_id: Mapped[int]
    decision_id: Mapped[int]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    way: Mapped[Code]
    format: Mapped[Code]
    at: Mapped[datetime]
    __table_args__ = (
        within("alert_id", "alerts"),
        within("decision_id", "share_decisions"),
        Index("ix_handouts_alert", "alert_id", "at"),
    )


class PublicNotice(Exercised, Base):
    """A release that a person published on the public page. It cannot exist without a permit for the public and that
    text, and never of an exercise. What is withdrawn stays, without its text. `replaces_id`: the notice it corrects."""

    __tablename__ = "public_notices"
    id: Mapped[Id]
    release_id: Mapped[int]
    incident_id: Mapped[int]
    recipient: Mapped[Code] = mapped_column(default="PUBLIC", server_default="PUBLIC")
    decision_id: Mapped[int]
    decision_result: Mapped[str] = mapped_column(String(6), default="permit", server_default="permit")
    content_digest: Mapped[Hash]
    public_id: Mapped[str] = mapped_column(String(40), unique=True)
    replaces_id: Mapped[int | None] = mapped_column(ForeignKey("public_notices.id"))
    published_at: Mapped[datetime]
    published_by: Mapped[int] = mapped_column(ForeignKey("users.id"))
    withdrawn_at: Mapped[datetime | None]
    withdrawn_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    withdraw_reason: Mapped[str] = mapped_column(Text, default="")
    __table_args__ = (
        CheckConstraint("decision_result = 'permit' AND recipient = 'PUBLIC'", name="permit_only"),
        CheckConstraint("exercise = ''", name="never_exercise"),
        ForeignKeyConstraint(
            ["decision_id", "decision_result", "content_digest", "recipient"],
            ["share_decisions.id", "share_decisions.result", "share_decisions.content_digest",
             "share_decisions.recipient"],
            name="fk_public_notices_permit",
        ),
        within("decision_id", "share_decisions"),
        within("release_id", "releases"),
        within("incident_id", "incidents"),
        UniqueConstraint("release_id"),
        Index("ix_public_notices_incident", "incident_id", "id"),
    )


class FileHandout(Exercised, Base):
    """The file that was taken in a handing out, and the digest of the bytes that left. Append-only."""

    __tablename__ = "file_handouts"
    id: Mapped[Id]
    handout_id: Mapped[int] = mapped_column(ForeignKey("handouts.id"), unique=True)
    release_file_id: Mapped[int]
    sha256: Mapped[Hash]
    __table_args__ = (
        within("release_file_id", "release_files"),
        Index("ix_file_handouts_release_file", "release_file_id"),
    )


class CollectionObject(Exercised, Base):
    """One STIX object of what was released to a partner, as its TAXII collection lists it: ids and times, no content.

    `id` is its place in the collection. Rows go when their alert may no longer be given, and come back at the end.
    """

    __tablename__ = "collection_objects"
    id: Mapped[Id]
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"))
    alert_id: Mapped[int]
    object_id: Mapped[str] = mapped_column(String(300))
    type: Mapped[str] = mapped_column(String(250))
    version: Mapped[str] = mapped_column(String(40))
    added_at: Mapped[datetime]
    __table_args__ = (
        within("alert_id", "alerts"),
        UniqueConstraint("alert_id", "object_id", "version"),
        Index("ix_collection_objects_place", "organisation_id", "exercise", "added_at"),
        Index("ix_collection_objects_object", "organisation_id", "exercise", "object_id", "version", "added_at"),
    )


class ConsentRequest(Exercised, Base):
    """What was asked of an originator: may this go on to `to`, for a purpose, until a time. The reason is in the text.

    `item`: an item's key, or the reference of an incident for all of theirs in it. `state`: asked, granted (they said
    yes; a second person of ours confirms it), effective (there is a consent), refused, withdrawn, declined (not
    confirmed). Silence changes nothing (R28). `by_proxy`: the officer who noted their answer.
    """

    __tablename__ = "consent_requests"
    id: Mapped[Id]
    incident_id: Mapped[int]
    release_id: Mapped[int] = mapped_column(unique=True)
    decision_id: Mapped[int | None]
    from_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"))
    to_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"))
    purpose: Mapped[Code]
    item: Mapped[str] = mapped_column(String(40))
    valid_until: Mapped[datetime]
    reply_by: Mapped[datetime]
    asked_by: Mapped[Code]
    asked_at: Mapped[datetime]
    state: Mapped[Code] = mapped_column(default="asked")
    acknowledgement_id: Mapped[int | None] = mapped_column(ForeignKey("acknowledgements.id"))
    by_proxy: Mapped[Code] = mapped_column(default="")
    answered_at: Mapped[datetime | None]
    confirmed_by: Mapped[Code] = mapped_column(default="")
    confirmed_at: Mapped[datetime | None]
    decline_reason: Mapped[str] = mapped_column(Text, default="")
    consent_id: Mapped[int | None] = mapped_column(ForeignKey("consents.id"))
    __table_args__ = (
        whole(),
        within("incident_id", "incidents"),
        within("release_id", "releases"),
        within("decision_id", "share_decisions"),
        Index("ix_consent_requests_incident", "incident_id", "id"),
    )


class Review(Exercised, Base):
    """What left has to be looked at again: the consent it went out under was withdrawn, or what it was made from is
    bound more strictly now. A person decides, as a task. `cause`: consent-withdrawn, label-raised. `alerts`: ids of
    those that had it. `answer`: "", recall, stands (lawful when sent), nothing (nobody had it). `bound`: by alert, a
    digest of what it was bound by when it was answered."""

    __tablename__ = "reviews"
    id: Mapped[Id]
    incident_id: Mapped[int]
    cause: Mapped[Code]
    consent_id: Mapped[int | None] = mapped_column(ForeignKey("consents.id"))
    alerts: Mapped[list[Any]]
    task_id: Mapped[int | None]
    opened_at: Mapped[datetime]
    answer: Mapped[Code] = mapped_column(default="")
    answered_by: Mapped[Code] = mapped_column(default="")
    answered_at: Mapped[datetime | None]
    bound: Mapped[dict[str, Any] | None] = mapped_column(Json)
    __table_args__ = (
        within("incident_id", "incidents"),
        within("task_id", "tasks"),
        Index("ix_reviews_incident", "incident_id"),
        Index("ix_reviews_task", "task_id"),
    )


class WrongRelease(Exercised, Base):
    """An alert that should not have gone there, and the incident that was opened for it (R22). Append-only."""

    __tablename__ = "wrong_releases"
    id: Mapped[Id]
    alert_id: Mapped[int] = mapped_column(unique=True)
    incident_id: Mapped[int]
    marked_by: Mapped[Code]
    marked_at: Mapped[datetime]
    __table_args__ = (within("alert_id", "alerts"), within("incident_id", "incidents"))
