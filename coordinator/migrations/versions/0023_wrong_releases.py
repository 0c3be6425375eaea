"""Wrong releases: which alert, and the incident opened for it."""

import sqlalchemy as sa
from alembic import op

from coordinator.db import BigId, Instant
from coordinator.migrations.protection import protect_later

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    op.create_table(
        "wrong_releases",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("alert_id", BigId, nullable=False),
        sa.Column("incident_id", BigId, nullable=False),
        sa.Column("marked_by", sa.String(length=80), nullable=False),
        sa.Column("marked_at", Instant(), nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["alert_id", "exercise"], ["alerts.id", "alerts.exercise"], name=op.f("fk_wrong_releases_alert_id_exercise")
        ),
        sa.ForeignKeyConstraint(
            ["incident_id", "exercise"], ["incidents.id", "incidents.exercise"],
            name=op.f("fk_wrong_releases_incident_id_exercise"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wrong_releases")),
        sa.UniqueConstraint("alert_id", name=op.f("uq_wrong_releases_alert_id")),
    )  # fmt: skip
    protect_later(op.get_bind(), "wrong_releases")


def downgrade() -> None:
    op.drop_table("wrong_releases")
