"""Record: their tables."""

import sqlalchemy as sa
from alembic import op

from coordinator.db import BigId, Instant, Json

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "chains",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("length", BigId, nullable=False),
        sa.Column("head", sa.String(length=64), nullable=False),
        sa.Column("data_key_id", BigId, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_chains")),
    )
    op.create_table(
        "checkpoint_heads",
        sa.Column("number", BigId, autoincrement=False, nullable=False),
        sa.Column("chain", sa.String(length=40), nullable=False),
        sa.Column("length", BigId, nullable=False),
        sa.Column("head", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", "chain", name=op.f("pk_checkpoint_heads")),
    )
    op.create_table(
        "checkpoints",
        sa.Column("number", BigId, autoincrement=False, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("chains", BigId, nullable=False),
        sa.Column("entries", BigId, nullable=False),
        sa.Column("root", sa.String(length=64), nullable=False),
        sa.Column("prev", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("public_key", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_checkpoints")),
    )
    op.create_table(
        "data_keys",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("master_key_id", sa.String(length=16), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("destroyed_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_keys")),
    )
    op.create_table(
        "entries",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("chain", sa.String(length=40), nullable=False),
        sa.Column("seq", BigId, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("kind", sa.String(length=80), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("incident_id", BigId, nullable=True),
        sa.Column("object_type", sa.String(length=40), nullable=False),
        sa.Column("object_id", BigId, nullable=True),
        sa.Column("commitment", sa.String(length=64), nullable=False),
        sa.Column("prev", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_entries")),
        sa.UniqueConstraint("chain", "seq", name=op.f("uq_entries_chain_seq")),
    )
    op.create_index("ix_entries_incident", "entries", ["incident_id", "id"], unique=False)
    op.create_table(
        "entry_values",
        sa.Column("entry_id", BigId, autoincrement=False, nullable=False),
        sa.Column("data_key_id", BigId, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name=op.f("pk_entry_values")),
    )
    op.create_index(op.f("ix_entry_values_data_key_id"), "entry_values", ["data_key_id"], unique=False)
    op.create_table(
        "heartbeats",
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.Column("kind", sa.String(length=80), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("detail", Json, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_heartbeats")),
    )
    op.create_table(
        "pending",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(length=80), nullable=False),
        sa.Column("object_id", BigId, nullable=False),
        sa.Column("job", sa.String(length=80), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("ready_at", Instant(), nullable=False),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("attempts", BigId, nullable=False),
        sa.Column("last_fault", sa.String(length=200), nullable=False),
        sa.Column("dead", sa.Boolean(), nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pending")),
    )
    op.create_index("ix_pending_object", "pending", ["kind", "object_id"], unique=False)
    op.create_index(op.f("ix_pending_ready_at"), "pending", ["ready_at"], unique=False)


def downgrade() -> None:
    op.drop_table("pending")
    op.drop_table("heartbeats")
    op.drop_table("entry_values")
    op.drop_table("entries")
    op.drop_table("data_keys")
    op.drop_table("checkpoints")
    op.drop_table("checkpoint_heads")
    op.drop_table("chains")
