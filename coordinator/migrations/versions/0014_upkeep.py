"""Upkeep: epochs after a restore, holds on sending, former signing keys, the instant of each chain's newest entry."""

import sqlalchemy as sa
from alembic import op

from coordinator.db import BigId, Instant, Json

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("chains", sa.Column("at", Instant(), nullable=True))
    op.create_table(
        "epochs",
        sa.Column("number", BigId, autoincrement=False, nullable=False),
        sa.Column("began_at", Instant(), nullable=False),
        sa.Column("began_by", sa.String(length=80), nullable=False),
        sa.Column("backup_at", Instant(), nullable=False),
        sa.Column("backup_digest", sa.String(length=64), nullable=False),
        sa.Column("gap", Json, nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_epochs")),
    )
    op.create_table(
        "sending_holds",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=80), nullable=False),
        sa.Column("source", sa.String(length=120), nullable=False),
        sa.Column("begun_at", Instant(), nullable=False),
        sa.Column("begun_by", sa.String(length=80), nullable=False),
        sa.Column("lifted_at", Instant(), nullable=True),
        sa.Column("lifted_by", sa.String(length=80), nullable=False),
        sa.Column("accepts_until", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sending_holds")),
    )
    open_only = sa.text("lifted_at IS NULL")
    op.create_index(
        "uq_sending_holds_open", "sending_holds", ["kind", "source"], unique=True, sqlite_where=open_only,
        postgresql_where=open_only,
    )  # fmt: skip
    op.create_table(
        "signing_keys",
        sa.Column("public_key", sa.String(length=64), nullable=False),
        sa.Column("endorsed_by", sa.String(length=64), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("public_key", name=op.f("pk_signing_keys")),
    )


def downgrade() -> None:
    op.drop_table("signing_keys")
    op.drop_table("sending_holds")
    op.drop_table("epochs")
    op.drop_column("chains", "at")
