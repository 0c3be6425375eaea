"""Signatures that come with a document whose version is here already."""

import sqlalchemy as sa
from alembic import op

from coordinator.db import BigId, Instant
from coordinator.migrations.protection import protect_later, unprotect_later

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "playbook_signatures",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("version_id", BigId, nullable=False),
        sa.Column("signature", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("added_at", Instant(), nullable=False),
        sa.Column("added_by", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"], ["playbook_versions.id"], name=op.f("fk_playbook_signatures_version_id_playbook_versions")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_playbook_signatures")),
        sa.UniqueConstraint("version_id", "digest", name=op.f("uq_playbook_signatures_version_id_digest")),
    )
    protect_later(op.get_bind(), "playbook_signatures")


def downgrade() -> None:
    unprotect_later(op.get_bind(), "playbook_signatures")
    op.drop_table("playbook_signatures")
