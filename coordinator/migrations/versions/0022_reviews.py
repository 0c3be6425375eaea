"""What left is looked at again where a consent was withdrawn or a label raised."""

import sqlalchemy as sa
from alembic import op

from coordinator.db import BigId, Instant, Json
from coordinator.migrations.protection import protect_later

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.create_table(
        "reviews",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("incident_id", BigId, nullable=False),
        sa.Column("cause", sa.String(length=80), nullable=False),
        sa.Column("consent_id", BigId, nullable=True),
        sa.Column("alerts", Json, nullable=False),
        sa.Column("task_id", BigId, nullable=True),
        sa.Column("opened_at", Instant(), nullable=False),
        sa.Column("answer", sa.String(length=80), nullable=False),
        sa.Column("answered_by", sa.String(length=80), nullable=False),
        sa.Column("answered_at", Instant(), nullable=True),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["consent_id"], ["consents.id"], name=op.f("fk_reviews_consent_id")),
        sa.ForeignKeyConstraint(
            ["incident_id", "exercise"], ["incidents.id", "incidents.exercise"],
            name=op.f("fk_reviews_incident_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["task_id", "exercise"], ["tasks.id", "tasks.exercise"], name=op.f("fk_reviews_task_id_exercise")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reviews")),
    )  # fmt: skip
    op.create_index("ix_reviews_incident", "reviews", ["incident_id"], unique=False)
    op.create_index("ix_reviews_task", "reviews", ["task_id"], unique=False)
    protect_later(op.get_bind(), "reviews")


def downgrade() -> None:
    op.drop_table("reviews")
