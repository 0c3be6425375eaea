"""Agreements and sharing: their tables."""

import sqlalchemy as sa
from alembic import op

from coordinator.db import BigId, Instant, Json

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "agreements",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("version", BigId, nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("terms", Json, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("recorded_by", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreements")),
        sa.UniqueConstraint("key", "version", name=op.f("uq_agreements_key_version")),
    )
    op.create_index(op.f("ix_agreements_current"), "agreements", ["current"], unique=False)
    op.create_table(
        "consents",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("from_id", BigId, nullable=False),
        sa.Column("to_id", BigId, nullable=False),
        sa.Column("purpose", sa.String(length=80), nullable=False),
        sa.Column("item", sa.String(length=40), nullable=False),
        sa.Column("valid_until", Instant(), nullable=True),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("granted_at", Instant(), nullable=False),
        sa.Column("recorded_by", sa.String(length=80), nullable=False),
        sa.Column("withdrawn_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["from_id"], ["organisations.id"], name=op.f("fk_consents_from_id")),
        sa.ForeignKeyConstraint(["to_id"], ["organisations.id"], name=op.f("fk_consents_to_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
    )
    op.create_index("ix_consents_pair", "consents", ["from_id", "to_id"], unique=False)
    op.create_table(
        "releases",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("incident_id", BigId, nullable=True),
        sa.Column("kind", sa.String(length=80), nullable=False),
        sa.Column("purpose", sa.String(length=80), nullable=False),
        sa.Column("info_category", sa.String(length=80), nullable=False),
        sa.Column("title_version_id", BigId, nullable=False),
        sa.Column("body_version_id", BigId, nullable=False),
        sa.Column("marking", Json, nullable=False),
        sa.Column("originator_id", BigId, nullable=True),
        sa.Column("content_digest", sa.String(length=64), nullable=False),
        sa.Column("language", sa.String(length=20), nullable=False),
        sa.Column("reply_by", Instant(), nullable=True),
        sa.Column("in_reply_to_id", BigId, nullable=True),
        sa.Column("ack", sa.String(length=6), nullable=False),
        sa.Column("ladder", Json, nullable=False),
        sa.Column("facts", Json, nullable=False),
        sa.Column("state", sa.String(length=80), nullable=False),
        sa.Column("requested_by", sa.String(length=80), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["body_version_id", "exercise"],
            ["item_versions.id", "item_versions.exercise"],
            name=op.f("fk_releases_body_version_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["in_reply_to_id", "exercise"],
            ["releases.id", "releases.exercise"],
            name=op.f("fk_releases_in_reply_to_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["incident_id", "exercise"],
            ["incidents.id", "incidents.exercise"],
            name=op.f("fk_releases_incident_id_exercise"),
        ),
        sa.ForeignKeyConstraint(["originator_id"], ["organisations.id"], name=op.f("fk_releases_originator_id")),
        sa.ForeignKeyConstraint(
            ["title_version_id", "exercise"],
            ["item_versions.id", "item_versions.exercise"],
            name=op.f("fk_releases_title_version_id_exercise"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_releases")),
        sa.UniqueConstraint("id", "exercise", name=op.f("uq_releases_id_exercise")),
    )
    op.create_index("ix_releases_incident", "releases", ["incident_id", "id"], unique=False)
    op.create_table(
        "release_items",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("release_id", BigId, nullable=False),
        sa.Column("item_version_id", BigId, nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["item_version_id", "exercise"],
            ["item_versions.id", "item_versions.exercise"],
            name=op.f("fk_release_items_item_version_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["release_id", "exercise"],
            ["releases.id", "releases.exercise"],
            name=op.f("fk_release_items_release_id_exercise"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_release_items")),
        sa.UniqueConstraint("release_id", "item_version_id", name=op.f("uq_release_items_release_id_item_version_id")),
    )
    op.create_table(
        "share_decisions",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("release_id", BigId, nullable=False),
        sa.Column("incident_id", BigId, nullable=True),
        sa.Column("recipient", sa.String(length=80), nullable=False),
        sa.Column("contact_id", BigId, nullable=True),
        sa.Column("channel_id", BigId, nullable=True),
        sa.Column("channel_kind", sa.String(length=80), nullable=False),
        sa.Column("result", sa.String(length=6), nullable=False),
        sa.Column("reasons", Json, nullable=False),
        sa.Column("obligations", Json, nullable=False),
        sa.Column("effective_tlp", sa.String(length=12), nullable=False),
        sa.Column("agreement", sa.String(length=80), nullable=True),
        sa.Column("agreement_version", BigId, nullable=True),
        sa.Column("agreement_problems", Json, nullable=False),
        sa.Column("purpose", sa.String(length=80), nullable=False),
        sa.Column("content_digest", sa.String(length=64), nullable=False),
        sa.Column("inputs", Json, nullable=False),
        sa.Column("inputs_digest", sa.String(length=64), nullable=False),
        sa.Column("policy_version", sa.String(length=80), nullable=False),
        sa.Column("evaluated_at", Instant(), nullable=False),
        sa.Column("valid_until", Instant(), nullable=False),
        sa.Column("requested_by", sa.String(length=80), nullable=False),
        sa.Column("previous_id", BigId, nullable=True),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["channel_id", "exercise"],
            ["channels.id", "channels.exercise"],
            name=op.f("fk_share_decisions_channel_id_exercise"),
        ),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_share_decisions_contact_id")),
        sa.ForeignKeyConstraint(
            ["incident_id", "exercise"],
            ["incidents.id", "incidents.exercise"],
            name=op.f("fk_share_decisions_incident_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["previous_id", "exercise"],
            ["share_decisions.id", "share_decisions.exercise"],
            name=op.f("fk_share_decisions_previous_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["release_id", "exercise"],
            ["releases.id", "releases.exercise"],
            name=op.f("fk_share_decisions_release_id_exercise"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_share_decisions")),
        sa.UniqueConstraint("id", "exercise", name=op.f("uq_share_decisions_id_exercise")),
        sa.UniqueConstraint("id", "result", "content_digest", "recipient", name="uq_share_decisions_permit"),
    )
    op.create_index("ix_share_decisions_incident", "share_decisions", ["incident_id", "id"], unique=False)
    op.create_index("ix_share_decisions_release", "share_decisions", ["release_id", "recipient"], unique=False)
    op.create_table(
        "approvals",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("decision_id", BigId, nullable=False),
        sa.Column("user_id", BigId, nullable=False),
        sa.Column("role", sa.String(length=80), nullable=False),
        sa.Column("answer", sa.String(length=7), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("until", Instant(), nullable=False),
        sa.Column("content_digest", sa.String(length=64), nullable=False),
        sa.Column("voided_at", Instant(), nullable=True),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["decision_id", "exercise"],
            ["share_decisions.id", "share_decisions.exercise"],
            name=op.f("fk_approvals_decision_id_exercise"),
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_approvals_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
        sa.UniqueConstraint("decision_id", "user_id", name=op.f("uq_approvals_decision_id_user_id")),
    )


def downgrade() -> None:
    op.drop_table("approvals")
    op.drop_table("share_decisions")
    op.drop_table("release_items")
    op.drop_table("releases")
    op.drop_table("consents")
    op.drop_table("agreements")
