"""Reports, incidents and what is said in them: tables only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    func,
    literal_column,
)
from sqlalchemy.orm import Mapped, mapped_column

from coordinator.accounts import models as _accounts  # noqa: F401  the tables its keys point to
from coordinator.db import Base, BigId, Code, Exercised, Hash, Id, Json, whole, within
from coordinator.partners import models as _partners  # noqa: F401  the tables its keys point to


class Report(Exercised, Base):
    """One inbound report, kept as it came. `message_id` is the webhook-id or the Idempotency-Key.

    `disposition`: received (raw bytes are safe, not read yet) accepted update duplicate quarantined invalid refused;
    rejected (by a person) and refiled (as a real one) follow quarantined. `doubted_at`: somebody of ours doubts that
    its sender wrote it. `remarks`: as `incidents.remarks` keeps them.
    """

    __tablename__ = "reports"
    id: Mapped[Id]
    public_id: Mapped[str] = mapped_column(String(40), unique=True)
    received_at: Mapped[datetime]
    via: Mapped[Code]
    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisations.id"))
    endpoint_id: Mapped[int | None]
    endpoint_key_id: Mapped[int | None] = mapped_column(ForeignKey("endpoint_keys.id"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    message_id: Mapped[str] = mapped_column(String(200))
    raw_digest: Mapped[Hash]
    raw_size: Mapped[int]
    media_type: Mapped[str] = mapped_column(String(120))
    format: Mapped[Code] = mapped_column(default="native")
    data_key_id: Mapped[int]
    status_hash: Mapped[Hash] = mapped_column(unique=True)
    tlp: Mapped[str | None] = mapped_column(String(12))
    external_id: Mapped[str | None] = mapped_column(String(200))
    disposition: Mapped[Code] = mapped_column(default="received")
    reason: Mapped[Code] = mapped_column(default="")
    faults: Mapped[list[Any] | None] = mapped_column(Json)
    flags: Mapped[list[Any] | None] = mapped_column(Json)
    remarks: Mapped[dict[str, Any] | None] = mapped_column(Json)
    incident_id: Mapped[int | None]
    doubted_at: Mapped[datetime | None]
    doubted_by: Mapped[Code] = mapped_column(default="", server_default="")
    __table_args__ = (
        whole(),
        within("endpoint_id", "endpoints"),
        within("incident_id", "incidents"),
        UniqueConstraint("endpoint_id", "message_id"),
        UniqueConstraint("user_id", "message_id", name="uq_reports_user_message"),
        Index("ix_reports_same_bytes", "organisation_id", "raw_digest"),
        Index("ix_reports_incident", "incident_id"),
        Index("ix_reports_disposition", "disposition", "id"),
        Index("ix_reports_endpoint", "endpoint_id", "received_at"),
    )


class ReportBody(Base):
    """The raw bytes of a report, sealed under the report's data key. Refused classified material has none."""

    __tablename__ = "report_bodies"
    report_id: Mapped[int] = mapped_column(ForeignKey("reports.id"), primary_key=True, autoincrement=False)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    erase_after: Mapped[datetime | None]


class Flood(Exercised, Base):
    """More new incidents than are opened by themselves from one endpoint: what came over that waits as one task.
    `open_slot` is the endpoint's id while it lasts, so that there is one at a time. `task_id`: given when there is one.
    """

    __tablename__ = "floods"
    id: Mapped[Id]
    endpoint_id: Mapped[int]
    open_slot: Mapped[int | None] = mapped_column(unique=True)
    began_at: Mapped[datetime]
    over_at: Mapped[datetime | None]
    task_id: Mapped[int | None]
    __table_args__ = (whole(), within("endpoint_id", "endpoints"), Index("ix_floods_task", "task_id"))


class Quarantined(Exercised, Base):
    """A report that waits for a person. `state`: waiting, then released, attached, refused or refiled.
    `urgent`: it says that people are in danger. `possibly_real`: it came as an exercise that we do not know of.
    """

    __tablename__ = "quarantine"
    report_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    reason: Mapped[Code]
    flood_id: Mapped[int | None]
    endpoint_id: Mapped[int | None]
    urgent: Mapped[bool] = mapped_column(Boolean, default=False)
    possibly_real: Mapped[bool] = mapped_column(Boolean, default=False)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    since: Mapped[datetime]
    due_at: Mapped[datetime]
    told_at: Mapped[datetime | None]
    overdue_told_at: Mapped[datetime | None]
    state: Mapped[Code] = mapped_column(default="waiting")
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[Code] = mapped_column(default="")
    __table_args__ = (
        within("report_id", "reports"),
        within("flood_id", "floods"),
        within("endpoint_id", "endpoints"),
        Index("ix_quarantine_waiting", "state", "due_at", "report_id"),
        Index("ix_quarantine_flood", "flood_id", "state", "report_id"),
        Index("ix_quarantine_told", "endpoint_id", "told_at"),
    )


class Incident(Exercised, Base):
    """The thing coordinated. `title` is empty for restricted incidents: there it is only in the sealed item version.

    `source_id` is who reported it. Where the originator it names is another one, that is a claim until
    `originator_confirmed_by` says who of ours confirmed it.
    """

    __tablename__ = "incidents"
    id: Mapped[Id]
    title: Mapped[str] = mapped_column(Text, default="")
    search_text: Mapped[str] = mapped_column(Text, default="")  # as words.searchable folds it
    status: Mapped[Code] = mapped_column(default="reported")
    determination: Mapped[Code] = mapped_column(default="suspected")
    classification: Mapped[Code] = mapped_column(default="undetermined")
    tlp: Mapped[str] = mapped_column(String(12))
    marking: Mapped[dict[str, Any]]
    severity: Mapped[int | None]
    severity_reason: Mapped[str] = mapped_column(Text, default="")
    severity_by: Mapped[Code] = mapped_column(default="")
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    originator_id: Mapped[int | None] = mapped_column(ForeignKey("organisations.id"))
    source_id: Mapped[int | None] = mapped_column(ForeignKey("organisations.id"))
    originator_confirmed_by: Mapped[Code] = mapped_column(default="")
    rejection_asked_by: Mapped[Code] = mapped_column(default="")
    sectors: Mapped[list[str]]
    states_affected: Mapped[list[str]]
    suspected_malicious: Mapped[str] = mapped_column(String(7), default="unknown")
    cross_border: Mapped[str] = mapped_column(String(7), default="unknown")
    humanitarian_flags: Mapped[list[str]]
    occurred_at: Mapped[datetime | None]
    occurred_fidelity: Mapped[str] = mapped_column(String(6), default="")
    detected_at: Mapped[datetime | None]
    detected_fidelity: Mapped[str] = mapped_column(String(6), default="")
    noticed_at: Mapped[datetime | None]
    noticed_fidelity: Mapped[str] = mapped_column(String(6), default="")
    aware_at: Mapped[datetime | None]
    aware_fidelity: Mapped[str] = mapped_column(String(6), default="")
    ended_at: Mapped[datetime | None]
    ended_fidelity: Mapped[str] = mapped_column(String(6), default="")
    outlook: Mapped[Code] = mapped_column(default="")
    closure_note_id: Mapped[int | None]
    restricted: Mapped[bool] = mapped_column(Boolean, default=False)
    language: Mapped[str] = mapped_column(String(20), default="en")
    duplicate_of_id: Mapped[int | None]
    parent_id: Mapped[int | None]
    data_key_id: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    triaged_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(default=1)
    __table_args__ = (
        whole(),
        within("duplicate_of_id", "incidents"),
        within("parent_id", "incidents"),
        Index("ix_incidents_updated", "exercise", "updated_at", "id"),
        Index("ix_incidents_status", "exercise", "status", "updated_at", "id"),
        Index("ix_incidents_severity", "exercise", "status", "severity", "updated_at", "id"),
        Index("ix_incidents_owner", "exercise", "owner_id", "status", "updated_at", "id"),
    )


#: The words of an incident as PostgreSQL indexes them. On SQLite triggers keep them in the table `incident_words`.
_incidents = Incident.__table__.c
WORDS: ColumnElement[Any] = func.to_tsvector(literal_column("'simple'::regconfig"), _incidents.search_text)
Index(
    "ix_incidents_words", WORDS, _incidents.states_affected, _incidents.sectors, postgresql_using="gin"
).ddl_if(dialect="postgresql")  # fmt: skip


#: In place of who added a member: the system, because something of the incident waits for that person's clearance.
TO_CLEAR = "system:clearance"


class IncidentMember(Base):
    """Who may know of a restricted incident, beside the duty role and its owner. `added_by`: an actor, or TO_CLEAR."""

    __tablename__ = "incident_members"
    incident_id: Mapped[int] = mapped_column(ForeignKey("incidents.id"), primary_key=True, autoincrement=False)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True, autoincrement=False)
    added_by: Mapped[Code]
    added_at: Mapped[datetime]


class ItemVersion(Exercised, Base):
    """One version of something said: its content sealed, its marking, originator and information category in the open.

    `item` is the same for all versions. `kind`: title summary details note attachment task-result http-answer
    partner-reply alert-title alert-body alert-field. `originator_id` empty means our own. `source_id`: who told us,
    where that is not the originator it names and nobody has confirmed it: the consent of both is needed. Append-only.
    """

    __tablename__ = "item_versions"
    id: Mapped[Id]
    item: Mapped[str] = mapped_column(String(40))
    version: Mapped[int]
    kind: Mapped[Code]
    incident_id: Mapped[int | None]
    report_id: Mapped[int | None]
    tlp: Mapped[str | None] = mapped_column(String(12))
    marking: Mapped[dict[str, Any]]
    originator_id: Mapped[int | None] = mapped_column(ForeignKey("organisations.id"))
    source_id: Mapped[int | None] = mapped_column(ForeignKey("organisations.id"))
    info_category: Mapped[Code]
    digest: Mapped[Hash]
    data_key_id: Mapped[int]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    author: Mapped[Code]
    created_at: Mapped[datetime]
    __table_args__ = (
        whole(),
        within("incident_id", "incidents"),
        within("report_id", "reports"),
        UniqueConstraint("item", "version"),
        Index("ix_item_versions_incident", "incident_id", "kind", "id"),
    )


class Hold(Exercised, Base):
    """Something open that stops a status. Whoever opens work places it and settles it in the same transaction."""

    __tablename__ = "holds"
    id: Mapped[Id]
    incident_id: Mapped[int]
    kind: Mapped[Code]
    object_id: Mapped[int]
    text: Mapped[str] = mapped_column(Text)
    blocks: Mapped[str] = mapped_column(String(7))
    placed_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    __table_args__ = (
        within("incident_id", "incidents"),
        UniqueConstraint("kind", "object_id"),
        Index("ix_holds_incident", "incident_id", "settled_at"),
    )


class IncidentLink(Exercised, Base):
    """`kind`: related, parent. (Duplicates are on the incident itself.)"""

    __tablename__ = "incident_links"
    id: Mapped[Id]
    incident_id: Mapped[int]
    other_id: Mapped[int]
    kind: Mapped[Code]
    created_at: Mapped[datetime]
    created_by: Mapped[Code]
    __table_args__ = (
        within("incident_id", "incidents"),
        within("other_id", "incidents"),
        UniqueConstraint("incident_id", "other_id", "kind"),
    )


class DuplicateMark(Exercised, Base):
    """An incident was marked a duplicate of the one that stays; `undone_at` ends it.
    `aware_before` is what the one that stays had, where it took over the earlier instant (`took_over`). `stopped`: ids
    of "runs" and "tasks" that stand still, and of tasks "moved"; empty until a worker did so; given back once.
    """

    __tablename__ = "duplicate_marks"
    id: Mapped[Id]
    incident_id: Mapped[int]
    stays_id: Mapped[int]
    status_before: Mapped[Code]
    took_over: Mapped[bool] = mapped_column(Boolean, default=False)
    aware_before: Mapped[datetime | None]
    aware_fidelity_before: Mapped[str] = mapped_column(String(6), default="")
    stopped: Mapped[dict[str, Any] | None] = mapped_column(Json)
    given_back_at: Mapped[datetime | None]
    marked_at: Mapped[datetime]
    marked_by: Mapped[Code]
    undone_at: Mapped[datetime | None]
    undone_by: Mapped[Code] = mapped_column(default="")
    __table_args__ = (
        within("incident_id", "incidents"),
        within("stays_id", "incidents"),
        Index("ix_duplicate_marks_incident", "incident_id", "id"),
    )


class ChosenFact(Exercised, Base):
    """A person chose what one source says of a fact, among those who say different things. The newest row counts."""

    __tablename__ = "chosen_facts"
    id: Mapped[Id]
    incident_id: Mapped[int]
    name: Mapped[Code]
    item_version_id: Mapped[int]
    chosen_at: Mapped[datetime]
    chosen_by: Mapped[Code]
    __table_args__ = (
        within("incident_id", "incidents"),
        within("item_version_id", "item_versions"),
        Index("ix_chosen_facts_incident", "incident_id", "name", "id"),
    )


class ExternalReference(Exercised, Base):
    """A partner's own id for an incident of ours."""

    __tablename__ = "external_references"
    id: Mapped[Id]
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"))
    external_id: Mapped[str] = mapped_column(String(200))
    incident_id: Mapped[int] = mapped_column(BigId, index=True)
    __table_args__ = (
        within("incident_id", "incidents"),
        UniqueConstraint("organisation_id", "external_id", "exercise"),
        Index("ix_external_references_external_id", "external_id"),
    )


class PartnerReference(Exercised, Base):
    """The reference made for one partner: what it sees instead of ours, so that it learns nothing from the number."""

    __tablename__ = "partner_references"
    id: Mapped[Id]
    incident_id: Mapped[int]
    organisation_id: Mapped[int] = mapped_column(ForeignKey("organisations.id"))
    reference: Mapped[str] = mapped_column(String(40), unique=True)
    __table_args__ = (within("incident_id", "incidents"), UniqueConstraint("incident_id", "organisation_id"))


class Attachment(Exercised, Base):
    """A file announced in a report or brought with the form. `state`: awaited, stored. Only ever downloaded."""

    __tablename__ = "attachments"
    id: Mapped[Id]
    incident_id: Mapped[int | None]
    report_id: Mapped[int]
    item_version_id: Mapped[int | None]
    name: Mapped[str] = mapped_column(String(255))
    media_type: Mapped[str] = mapped_column(String(120))
    sniffed_type: Mapped[str] = mapped_column(String(120), default="")
    sha256: Mapped[Hash]
    size: Mapped[int]
    state: Mapped[Code] = mapped_column(default="awaited")
    data_key_id: Mapped[int]
    stored_at: Mapped[datetime | None]
    __table_args__ = (
        whole(),
        within("incident_id", "incidents"),
        within("report_id", "reports"),
        within("item_version_id", "item_versions"),
        UniqueConstraint("report_id", "sha256"),
        Index("ix_attachments_incident", "incident_id"),
    )


class AttachmentChunk(Base):
    """A megabyte of an attachment, sealed. In the database, so that both stores back up and commit as one."""

    __tablename__ = "attachment_chunks"
    attachment_id: Mapped[int] = mapped_column(ForeignKey("attachments.id"), primary_key=True, autoincrement=False)
    part: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class Draft(Base):
    """A form not sent yet, kept here and never in the browser; sealed."""

    __tablename__ = "drafts"
    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    form: Mapped[Code]
    public_id: Mapped[str] = mapped_column(String(40), unique=True)
    data_key_id: Mapped[int]
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    updated_at: Mapped[datetime]


from coordinator.incidents import label_models as _labels  # noqa: E402, F401  further tables of this room
