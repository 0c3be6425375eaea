"""What left is asked back from each recipient, and answered."""

import sqlalchemy as sa
from alembic import op

from coordinator.db import BigId, Instant
from coordinator.migrations.protection import protect_later

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.create_table(
        "recalls",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("incident_id", BigId, nullable=False),
        sa.Column("cause", sa.String(length=80), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.String(length=80), nullable=False),
        sa.Column("asked_at", Instant(), nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id", "exercise"], ["incidents.id", "incidents.exercise"],
            name=op.f("fk_recalls_incident_id_exercise"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recalls")),
        sa.UniqueConstraint("id", "exercise", name=op.f("uq_recalls_id_exercise")),
    )  # fmt: skip
    op.create_index("ix_recalls_incident", "recalls", ["incident_id"], unique=False)
    op.create_table(
        "recalled",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("recall_id", BigId, nullable=False),
        sa.Column("release_id", BigId, nullable=False),
        sa.Column("recipient", sa.String(length=80), nullable=False),
        sa.Column("asks_id", BigId, nullable=True),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["recall_id", "exercise"], ["recalls.id", "recalls.exercise"],
            name=op.f("fk_recalled_recall_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["release_id", "exercise"], ["releases.id", "releases.exercise"],
            name=op.f("fk_recalled_release_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["asks_id", "exercise"], ["releases.id", "releases.exercise"], name=op.f("fk_recalled_asks_id_exercise")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recalled")),
        sa.UniqueConstraint("release_id", "recipient", name=op.f("uq_recalled_release_id_recipient")),
    )  # fmt: skip
    op.create_index("ix_recalled_asks", "recalled", ["asks_id"], unique=False)
    for table in ("recalls", "recalled"):
        protect_later(op.get_bind(), table)


def downgrade() -> None:
    op.drop_table("recalled")
    op.drop_table("recalls")
