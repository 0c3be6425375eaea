"""A release may be a version of a draft for some of its recipients, composed of those parts that they are given."""

import sqlalchemy as sa
from alembic import op

from coordinator.db import BigId, Json
from coordinator.migrations.protection import protect_later

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    op.add_column("release_items", sa.Column("field", sa.String(length=80), nullable=False, server_default=""))
    op.create_table(
        "release_versions",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("release_id", BigId, nullable=False),
        sa.Column("version_of_id", BigId, nullable=False),
        sa.Column("recipients", Json, nullable=False),
        sa.Column("included", Json, nullable=False),
        sa.Column("left_out", Json, nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["release_id", "exercise"], ["releases.id", "releases.exercise"],
            name=op.f("fk_release_versions_release_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["version_of_id", "exercise"], ["releases.id", "releases.exercise"],
            name=op.f("fk_release_versions_version_of_id_exercise"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_release_versions")),
        sa.UniqueConstraint("release_id", name=op.f("uq_release_versions_release_id")),
    )  # fmt: skip
    op.create_index("ix_release_versions_of", "release_versions", ["version_of_id"], unique=False)
    protect_later(op.get_bind(), "release_versions")


def downgrade() -> None:
    op.drop_table("release_versions")
    op.drop_column("release_items", "field")
