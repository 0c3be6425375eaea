"""What was taken out as a file or through a collection, and which parts of a release go along with it whole."""

import sqlalchemy as sa
from alembic import op

from coordinator.db import BigId, Instant
from coordinator.migrations.protection import protect_later

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.add_column("release_items", sa.Column("enclosed", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "handouts",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("alert_id", BigId, nullable=False),
        sa.Column("decision_id", BigId, nullable=False),
        sa.Column("user_id", BigId, nullable=False),
        sa.Column("way", sa.String(length=80), nullable=False),
        sa.Column("format", sa.String(length=80), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("exercise", sa.String(length=80), nullable=False, server_default=""),
        sa.ForeignKeyConstraint(
            ["alert_id", "exercise"], ["alerts.id", "alerts.exercise"], name=op.f("fk_handouts_alert_id_exercise")
        ),
        sa.ForeignKeyConstraint(
            ["decision_id", "exercise"], ["share_decisions.id", "share_decisions.exercise"],
            name=op.f("fk_handouts_decision_id_exercise"),
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_handouts_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_handouts")),
    )  # fmt: skip
    op.create_index("ix_handouts_alert", "handouts", ["alert_id", "at"], unique=False)
    op.create_table(
        "collection_objects",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("organisation_id", BigId, nullable=False),
        sa.Column("alert_id", BigId, nullable=False),
        sa.Column("object_id", sa.String(length=300), nullable=False),
        sa.Column("type", sa.String(length=250), nullable=False),
        sa.Column("version", sa.String(length=40), nullable=False),
        sa.Column("added_at", Instant(), nullable=False),
        sa.Column("exercise", sa.String(length=80), nullable=False, server_default=""),
        sa.ForeignKeyConstraint(
            ["alert_id", "exercise"], ["alerts.id", "alerts.exercise"],
            name=op.f("fk_collection_objects_alert_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_collection_objects_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collection_objects")),
        sa.UniqueConstraint(
            "alert_id", "object_id", "version", name=op.f("uq_collection_objects_alert_id_object_id_version")
        ),
    )  # fmt: skip
    op.create_index(
        "ix_collection_objects_place", "collection_objects", ["organisation_id", "exercise", "id"], unique=False
    )
    op.create_index("ix_collection_objects_object", "collection_objects", ["organisation_id", "object_id"])
    protect_later(op.get_bind(), "handouts")


def downgrade() -> None:
    op.drop_table("collection_objects")
    op.drop_table("handouts")
    op.drop_column("release_items", "enclosed")
