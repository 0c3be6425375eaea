"""Texts cleared beforehand by two persons, and the plan of an alert."""

import sqlalchemy as sa
from alembic import op

from coordinator.db import BigId, Instant, Json
from coordinator.migrations.protection import protect_later

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "standing_clearances",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("language", sa.String(length=20), nullable=False),
        sa.Column("content_digest", sa.String(length=64), nullable=False),
        sa.Column("until", Instant(), nullable=False),
        sa.Column("proposed_by", BigId, nullable=False),
        sa.Column("proposed_role", sa.String(length=80), nullable=False),
        sa.Column("proposed_at", Instant(), nullable=False),
        sa.Column("confirmed_by", BigId, nullable=True),
        sa.Column("confirmed_role", sa.String(length=80), nullable=False),
        sa.Column("confirmed_at", Instant(), nullable=True),
        sa.Column("revoked_by", BigId, nullable=True),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.Column("revoke_reason", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "confirmed_by IS NULL OR confirmed_by <> proposed_by", name=op.f("ck_standing_clearances_two_persons")
        ),
        sa.ForeignKeyConstraint(["confirmed_by"], ["users.id"], name=op.f("fk_standing_clearances_confirmed_by")),
        sa.ForeignKeyConstraint(["proposed_by"], ["users.id"], name=op.f("fk_standing_clearances_proposed_by")),
        sa.ForeignKeyConstraint(["revoked_by"], ["users.id"], name=op.f("fk_standing_clearances_revoked_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_standing_clearances")),
    )
    op.add_column("alerts", sa.Column("plan", Json, nullable=True))
    protect_later(op.get_bind(), "standing_clearances")


def downgrade() -> None:
    op.drop_column("alerts", "plan")
    op.drop_table("standing_clearances")
