"""The register of agreements: texts kept with it, refused consents, and what went out under an agreement."""

import sqlalchemy as sa
from alembic import op

from coordinator.db import BigId, Instant
from coordinator.migrations.protection import protect_later, unprotect_later

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "agreement_documents",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", BigId, nullable=False),
        sa.Column("tlp", sa.String(length=12), nullable=False),
        sa.Column("data_key_id", BigId, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("added_at", Instant(), nullable=False),
        sa.Column("added_by", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agreement_documents")),
        sa.UniqueConstraint("key", "sha256", name=op.f("uq_agreement_documents_key_sha256")),
    )
    op.create_index(op.f("ix_agreement_documents_key"), "agreement_documents", ["key"], unique=False)
    protect_later(op.get_bind(), "agreement_documents")
    protect_later(op.get_bind(), "proposed_changes")
    op.add_column("consents", sa.Column("answer", sa.String(length=80), nullable=False, server_default="granted"))
    op.create_index("ix_share_decisions_agreement", "share_decisions", ["agreement", "id"], unique=False)


def downgrade() -> None:
    unprotect_later(op.get_bind(), "proposed_changes")
    op.drop_index("ix_share_decisions_agreement", table_name="share_decisions")
    op.drop_column("consents", "answer")
    op.drop_index(op.f("ix_agreement_documents_key"), table_name="agreement_documents")
    op.drop_table("agreement_documents")
