"""What a person published on the public page."""

import sqlalchemy as sa
from alembic import op

from coordinator.db import BigId, Instant
from coordinator.migrations.protection import protect_later

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    op.create_table(
        "public_notices",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("release_id", BigId, nullable=False),
        sa.Column("incident_id", BigId, nullable=False),
        sa.Column("recipient", sa.String(length=80), server_default="PUBLIC", nullable=False),
        sa.Column("decision_id", BigId, nullable=False),
        sa.Column("decision_result", sa.String(length=6), server_default="permit", nullable=False),
        sa.Column("content_digest", sa.String(length=64), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("replaces_id", BigId, nullable=True),
        sa.Column("published_at", Instant(), nullable=False),
        sa.Column("published_by", BigId, nullable=False),
        sa.Column("withdrawn_at", Instant(), nullable=True),
        sa.Column("withdrawn_by", BigId, nullable=True),
        sa.Column("withdraw_reason", sa.Text(), nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.CheckConstraint(
            "decision_result = 'permit' AND recipient = 'PUBLIC'", name=op.f("ck_public_notices_permit_only")
        ),
        sa.CheckConstraint("exercise = ''", name=op.f("ck_public_notices_never_exercise")),
        sa.ForeignKeyConstraint(
            ["decision_id", "decision_result", "content_digest", "recipient"],
            ["share_decisions.id", "share_decisions.result", "share_decisions.content_digest",
             "share_decisions.recipient"],
            name="fk_public_notices_permit",
        ),
        sa.ForeignKeyConstraint(
            ["decision_id", "exercise"], ["share_decisions.id", "share_decisions.exercise"],
            name=op.f("fk_public_notices_decision_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["release_id", "exercise"], ["releases.id", "releases.exercise"],
            name=op.f("fk_public_notices_release_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["incident_id", "exercise"], ["incidents.id", "incidents.exercise"],
            name=op.f("fk_public_notices_incident_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["replaces_id"], ["public_notices.id"], name=op.f("fk_public_notices_replaces_id")
        ),
        sa.ForeignKeyConstraint(["published_by"], ["users.id"], name=op.f("fk_public_notices_published_by")),
        sa.ForeignKeyConstraint(["withdrawn_by"], ["users.id"], name=op.f("fk_public_notices_withdrawn_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_public_notices")),
        sa.UniqueConstraint("public_id", name=op.f("uq_public_notices_public_id")),
        sa.UniqueConstraint("release_id", name=op.f("uq_public_notices_release_id")),
    )  # fmt: skip
    op.create_index("ix_public_notices_incident", "public_notices", ["incident_id", "id"], unique=False)
    protect_later(op.get_bind(), "public_notices")


def downgrade() -> None:
    op.drop_table("public_notices")
