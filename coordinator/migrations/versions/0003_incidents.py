"""Incidents: their tables."""

import sqlalchemy as sa
from alembic import op

from coordinator.db import BigId, Instant, Json

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "drafts",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("user_id", BigId, nullable=False),
        sa.Column("form", sa.String(length=80), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("data_key_id", BigId, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_drafts_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drafts")),
        sa.UniqueConstraint("public_id", name=op.f("uq_drafts_public_id")),
    )
    op.create_index(op.f("ix_drafts_user_id"), "drafts", ["user_id"], unique=False)
    op.create_table(
        "incidents",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("search_text", sa.Text(), nullable=False),
        sa.Column("status", sa.String(length=80), nullable=False),
        sa.Column("determination", sa.String(length=80), nullable=False),
        sa.Column("classification", sa.String(length=80), nullable=False),
        sa.Column("tlp", sa.String(length=12), nullable=False),
        sa.Column("marking", Json, nullable=False),
        sa.Column("severity", BigId, nullable=True),
        sa.Column("severity_reason", sa.Text(), nullable=False),
        sa.Column("severity_by", sa.String(length=80), nullable=False),
        sa.Column("owner_id", BigId, nullable=True),
        sa.Column("originator_id", BigId, nullable=True),
        sa.Column("source_id", BigId, nullable=True),
        sa.Column("originator_confirmed_by", sa.String(length=80), nullable=False),
        sa.Column("rejection_asked_by", sa.String(length=80), nullable=False),
        sa.Column("sectors", Json, nullable=False),
        sa.Column("states_affected", Json, nullable=False),
        sa.Column("suspected_malicious", sa.String(length=7), nullable=False),
        sa.Column("cross_border", sa.String(length=7), nullable=False),
        sa.Column("humanitarian_flags", Json, nullable=False),
        sa.Column("occurred_at", Instant(), nullable=True),
        sa.Column("occurred_fidelity", sa.String(length=6), nullable=False),
        sa.Column("detected_at", Instant(), nullable=True),
        sa.Column("detected_fidelity", sa.String(length=6), nullable=False),
        sa.Column("noticed_at", Instant(), nullable=True),
        sa.Column("noticed_fidelity", sa.String(length=6), nullable=False),
        sa.Column("aware_at", Instant(), nullable=True),
        sa.Column("aware_fidelity", sa.String(length=6), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("ended_fidelity", sa.String(length=6), nullable=False),
        sa.Column("outlook", sa.String(length=80), nullable=False),
        sa.Column("closure_note_id", BigId, nullable=True),
        sa.Column("restricted", sa.Boolean(), nullable=False),
        sa.Column("language", sa.String(length=20), nullable=False),
        sa.Column("duplicate_of_id", BigId, nullable=True),
        sa.Column("parent_id", BigId, nullable=True),
        sa.Column("data_key_id", BigId, nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.Column("triaged_at", Instant(), nullable=True),
        sa.Column("closed_at", Instant(), nullable=True),
        sa.Column("version", BigId, nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["duplicate_of_id", "exercise"],
            ["incidents.id", "incidents.exercise"],
            name=op.f("fk_incidents_duplicate_of_id_exercise"),
        ),
        sa.ForeignKeyConstraint(["originator_id"], ["organisations.id"], name=op.f("fk_incidents_originator_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_incidents_owner_id")),
        sa.ForeignKeyConstraint(
            ["parent_id", "exercise"],
            ["incidents.id", "incidents.exercise"],
            name=op.f("fk_incidents_parent_id_exercise"),
        ),
        sa.ForeignKeyConstraint(["source_id"], ["organisations.id"], name=op.f("fk_incidents_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
        sa.UniqueConstraint("id", "exercise", name=op.f("uq_incidents_id_exercise")),
    )
    op.create_index("ix_incidents_owner", "incidents", ["owner_id", "status"], unique=False)
    op.create_index("ix_incidents_severity", "incidents", ["exercise", "severity", "updated_at", "id"], unique=False)
    op.create_index("ix_incidents_status", "incidents", ["exercise", "status", "updated_at", "id"], unique=False)
    op.create_index("ix_incidents_updated", "incidents", ["exercise", "updated_at", "id"], unique=False)
    op.create_table(
        "external_references",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("organisation_id", BigId, nullable=False),
        sa.Column("external_id", sa.String(length=200), nullable=False),
        sa.Column("incident_id", BigId, nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id", "exercise"],
            ["incidents.id", "incidents.exercise"],
            name=op.f("fk_external_references_incident_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_external_references_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_external_references")),
        sa.UniqueConstraint(
            "organisation_id",
            "external_id",
            "exercise",
            name=op.f("uq_external_references_organisation_id_external_id_exercise"),
        ),
    )
    op.create_index(op.f("ix_external_references_incident_id"), "external_references", ["incident_id"], unique=False)
    op.create_table(
        "holds",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("incident_id", BigId, nullable=False),
        sa.Column("kind", sa.String(length=80), nullable=False),
        sa.Column("object_id", BigId, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("blocks", sa.String(length=7), nullable=False),
        sa.Column("placed_at", Instant(), nullable=False),
        sa.Column("settled_at", Instant(), nullable=True),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id", "exercise"],
            ["incidents.id", "incidents.exercise"],
            name=op.f("fk_holds_incident_id_exercise"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holds")),
        sa.UniqueConstraint("kind", "object_id", name=op.f("uq_holds_kind_object_id")),
    )
    op.create_index("ix_holds_incident", "holds", ["incident_id", "settled_at"], unique=False)
    op.create_table(
        "incident_links",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("incident_id", BigId, nullable=False),
        sa.Column("other_id", BigId, nullable=False),
        sa.Column("kind", sa.String(length=80), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id", "exercise"],
            ["incidents.id", "incidents.exercise"],
            name=op.f("fk_incident_links_incident_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["other_id", "exercise"],
            ["incidents.id", "incidents.exercise"],
            name=op.f("fk_incident_links_other_id_exercise"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident_links")),
        sa.UniqueConstraint(
            "incident_id", "other_id", "kind", name=op.f("uq_incident_links_incident_id_other_id_kind")
        ),
    )
    op.create_table(
        "incident_members",
        sa.Column("incident_id", BigId, autoincrement=False, nullable=False),
        sa.Column("user_id", BigId, autoincrement=False, nullable=False),
        sa.Column("added_by", sa.String(length=80), nullable=False),
        sa.Column("added_at", Instant(), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name=op.f("fk_incident_members_incident_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_incident_members_user_id")),
        sa.PrimaryKeyConstraint("incident_id", "user_id", name=op.f("pk_incident_members")),
    )
    op.create_table(
        "partner_references",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("incident_id", BigId, nullable=False),
        sa.Column("organisation_id", BigId, nullable=False),
        sa.Column("reference", sa.String(length=40), nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id", "exercise"],
            ["incidents.id", "incidents.exercise"],
            name=op.f("fk_partner_references_incident_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_partner_references_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_partner_references")),
        sa.UniqueConstraint(
            "incident_id", "organisation_id", name=op.f("uq_partner_references_incident_id_organisation_id")
        ),
        sa.UniqueConstraint("reference", name=op.f("uq_partner_references_reference")),
    )
    op.create_table(
        "reports",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("via", sa.String(length=80), nullable=False),
        sa.Column("organisation_id", BigId, nullable=True),
        sa.Column("endpoint_id", BigId, nullable=True),
        sa.Column("endpoint_key_id", BigId, nullable=True),
        sa.Column("user_id", BigId, nullable=True),
        sa.Column("message_id", sa.String(length=200), nullable=False),
        sa.Column("raw_digest", sa.String(length=64), nullable=False),
        sa.Column("raw_size", BigId, nullable=False),
        sa.Column("media_type", sa.String(length=120), nullable=False),
        sa.Column("format", sa.String(length=80), nullable=False),
        sa.Column("data_key_id", BigId, nullable=False),
        sa.Column("status_hash", sa.String(length=64), nullable=False),
        sa.Column("tlp", sa.String(length=12), nullable=True),
        sa.Column("external_id", sa.String(length=200), nullable=True),
        sa.Column("disposition", sa.String(length=80), nullable=False),
        sa.Column("reason", sa.String(length=80), nullable=False),
        sa.Column("faults", Json, nullable=True),
        sa.Column("flags", Json, nullable=True),
        sa.Column("incident_id", BigId, nullable=True),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id", "exercise"],
            ["endpoints.id", "endpoints.exercise"],
            name=op.f("fk_reports_endpoint_id_exercise"),
        ),
        sa.ForeignKeyConstraint(["endpoint_key_id"], ["endpoint_keys.id"], name=op.f("fk_reports_endpoint_key_id")),
        sa.ForeignKeyConstraint(
            ["incident_id", "exercise"],
            ["incidents.id", "incidents.exercise"],
            name=op.f("fk_reports_incident_id_exercise"),
        ),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisations.id"], name=op.f("fk_reports_organisation_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_reports_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reports")),
        sa.UniqueConstraint("endpoint_id", "message_id", name=op.f("uq_reports_endpoint_id_message_id")),
        sa.UniqueConstraint("id", "exercise", name=op.f("uq_reports_id_exercise")),
        sa.UniqueConstraint("public_id", name=op.f("uq_reports_public_id")),
        sa.UniqueConstraint("status_hash", name=op.f("uq_reports_status_hash")),
        sa.UniqueConstraint("user_id", "message_id", name="uq_reports_user_message"),
    )
    op.create_index("ix_reports_disposition", "reports", ["disposition", "id"], unique=False)
    op.create_index("ix_reports_incident", "reports", ["incident_id"], unique=False)
    op.create_index("ix_reports_same_bytes", "reports", ["organisation_id", "raw_digest"], unique=False)
    op.create_table(
        "item_versions",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("item", sa.String(length=40), nullable=False),
        sa.Column("version", BigId, nullable=False),
        sa.Column("kind", sa.String(length=80), nullable=False),
        sa.Column("incident_id", BigId, nullable=True),
        sa.Column("report_id", BigId, nullable=True),
        sa.Column("tlp", sa.String(length=12), nullable=True),
        sa.Column("marking", Json, nullable=False),
        sa.Column("originator_id", BigId, nullable=True),
        sa.Column("source_id", BigId, nullable=True),
        sa.Column("info_category", sa.String(length=80), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("data_key_id", BigId, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("author", sa.String(length=80), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id", "exercise"],
            ["incidents.id", "incidents.exercise"],
            name=op.f("fk_item_versions_incident_id_exercise"),
        ),
        sa.ForeignKeyConstraint(["originator_id"], ["organisations.id"], name=op.f("fk_item_versions_originator_id")),
        sa.ForeignKeyConstraint(["source_id"], ["organisations.id"], name=op.f("fk_item_versions_source_id")),
        sa.ForeignKeyConstraint(
            ["report_id", "exercise"],
            ["reports.id", "reports.exercise"],
            name=op.f("fk_item_versions_report_id_exercise"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_item_versions")),
        sa.UniqueConstraint("id", "exercise", name=op.f("uq_item_versions_id_exercise")),
        sa.UniqueConstraint("item", "version", name=op.f("uq_item_versions_item_version")),
    )
    op.create_index("ix_item_versions_incident", "item_versions", ["incident_id", "kind", "id"], unique=False)
    op.create_table(
        "report_bodies",
        sa.Column("report_id", BigId, autoincrement=False, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("erase_after", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["report_id"], ["reports.id"], name=op.f("fk_report_bodies_report_id")),
        sa.PrimaryKeyConstraint("report_id", name=op.f("pk_report_bodies")),
    )
    op.create_table(
        "attachments",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("incident_id", BigId, nullable=True),
        sa.Column("report_id", BigId, nullable=False),
        sa.Column("item_version_id", BigId, nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("media_type", sa.String(length=120), nullable=False),
        sa.Column("sniffed_type", sa.String(length=120), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", BigId, nullable=False),
        sa.Column("state", sa.String(length=80), nullable=False),
        sa.Column("data_key_id", BigId, nullable=False),
        sa.Column("stored_at", Instant(), nullable=True),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id", "exercise"],
            ["incidents.id", "incidents.exercise"],
            name=op.f("fk_attachments_incident_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["item_version_id", "exercise"],
            ["item_versions.id", "item_versions.exercise"],
            name=op.f("fk_attachments_item_version_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["report_id", "exercise"],
            ["reports.id", "reports.exercise"],
            name=op.f("fk_attachments_report_id_exercise"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attachments")),
        sa.UniqueConstraint("id", "exercise", name=op.f("uq_attachments_id_exercise")),
        sa.UniqueConstraint("report_id", "sha256", name=op.f("uq_attachments_report_id_sha256")),
    )
    op.create_index("ix_attachments_incident", "attachments", ["incident_id"], unique=False)
    op.create_table(
        "attachment_chunks",
        sa.Column("attachment_id", BigId, autoincrement=False, nullable=False),
        sa.Column("part", BigId, autoincrement=False, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["attachment_id"], ["attachments.id"], name=op.f("fk_attachment_chunks_attachment_id")),
        sa.PrimaryKeyConstraint("attachment_id", "part", name=op.f("pk_attachment_chunks")),
    )


def downgrade() -> None:
    op.drop_table("attachment_chunks")
    op.drop_table("attachments")
    op.drop_table("report_bodies")
    op.drop_table("item_versions")
    op.drop_table("reports")
    op.drop_table("partner_references")
    op.drop_table("incident_members")
    op.drop_table("incident_links")
    op.drop_table("holds")
    op.drop_table("external_references")
    op.drop_table("incidents")
    op.drop_table("drafts")
