"""Keys whose signatures on playbooks are trusted."""

import sqlalchemy as sa
from alembic import op

from coordinator.db import BigId, Instant, Json

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "playbook_signers",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=80), nullable=False),
        sa.Column("added_at", Instant(), nullable=False),
        sa.Column("added_by", Json, nullable=False),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_playbook_signers")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_playbook_signers_fingerprint")),
    )


def downgrade() -> None:
    op.drop_table("playbook_signers")
