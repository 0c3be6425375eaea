"""Originators are asked for their consent: what was asked, and what came of it."""

import sqlalchemy as sa
from alembic import op

from coordinator.db import BigId, Instant
from coordinator.migrations.protection import protect_later

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.create_table(
        "consent_requests",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("incident_id", BigId, nullable=False),
        sa.Column("release_id", BigId, nullable=False),
        sa.Column("decision_id", BigId, nullable=True),
        sa.Column("from_id", BigId, nullable=False),
        sa.Column("to_id", BigId, nullable=False),
        sa.Column("purpose", sa.String(length=80), nullable=False),
        sa.Column("item", sa.String(length=40), nullable=False),
        sa.Column("valid_until", Instant(), nullable=False),
        sa.Column("reply_by", Instant(), nullable=False),
        sa.Column("asked_by", sa.String(length=80), nullable=False),
        sa.Column("asked_at", Instant(), nullable=False),
        sa.Column("state", sa.String(length=80), nullable=False),
        sa.Column("acknowledgement_id", BigId, nullable=True),
        sa.Column("by_proxy", sa.String(length=80), nullable=False),
        sa.Column("answered_at", Instant(), nullable=True),
        sa.Column("confirmed_by", sa.String(length=80), nullable=False),
        sa.Column("confirmed_at", Instant(), nullable=True),
        sa.Column("decline_reason", sa.Text(), nullable=False),
        sa.Column("consent_id", BigId, nullable=True),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["acknowledgement_id"], ["acknowledgements.id"], name=op.f("fk_consent_requests_acknowledgement_id")
        ),
        sa.ForeignKeyConstraint(["consent_id"], ["consents.id"], name=op.f("fk_consent_requests_consent_id")),
        sa.ForeignKeyConstraint(["from_id"], ["organisations.id"], name=op.f("fk_consent_requests_from_id")),
        sa.ForeignKeyConstraint(["to_id"], ["organisations.id"], name=op.f("fk_consent_requests_to_id")),
        sa.ForeignKeyConstraint(
            ["incident_id", "exercise"], ["incidents.id", "incidents.exercise"],
            name=op.f("fk_consent_requests_incident_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["release_id", "exercise"], ["releases.id", "releases.exercise"],
            name=op.f("fk_consent_requests_release_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["decision_id", "exercise"], ["share_decisions.id", "share_decisions.exercise"],
            name=op.f("fk_consent_requests_decision_id_exercise"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_requests")),
        sa.UniqueConstraint("id", "exercise", name=op.f("uq_consent_requests_id_exercise")),
        sa.UniqueConstraint("release_id", name=op.f("uq_consent_requests_release_id")),
    )  # fmt: skip
    op.create_index("ix_consent_requests_incident", "consent_requests", ["incident_id", "id"], unique=False)
    protect_later(op.get_bind(), "consent_requests")


def downgrade() -> None:
    op.drop_table("consent_requests")
