"""What marking a duplicate stopped, and what a person chose among sources: their tables."""

import sqlalchemy as sa
from alembic import op

from coordinator.db import BigId, Instant, Json

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "duplicate_marks",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("incident_id", BigId, nullable=False),
        sa.Column("stays_id", BigId, nullable=False),
        sa.Column("status_before", sa.String(length=80), nullable=False),
        sa.Column("took_over", sa.Boolean(), nullable=False),
        sa.Column("aware_before", Instant(), nullable=True),
        sa.Column("aware_fidelity_before", sa.String(length=6), nullable=False),
        sa.Column("stopped", Json, nullable=True),
        sa.Column("given_back_at", Instant(), nullable=True),
        sa.Column("marked_at", Instant(), nullable=False),
        sa.Column("marked_by", sa.String(length=80), nullable=False),
        sa.Column("undone_at", Instant(), nullable=True),
        sa.Column("undone_by", sa.String(length=80), nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        _within("duplicate_marks", "incident_id", "incidents"),
        _within("duplicate_marks", "stays_id", "incidents"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_duplicate_marks")),
    )
    op.create_index("ix_duplicate_marks_incident", "duplicate_marks", ["incident_id", "id"])
    op.create_table(
        "chosen_facts",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("incident_id", BigId, nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("item_version_id", BigId, nullable=False),
        sa.Column("chosen_at", Instant(), nullable=False),
        sa.Column("chosen_by", sa.String(length=80), nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        _within("chosen_facts", "incident_id", "incidents"),
        _within("chosen_facts", "item_version_id", "item_versions"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chosen_facts")),
    )
    op.create_index("ix_chosen_facts_incident", "chosen_facts", ["incident_id", "name", "id"])


def downgrade() -> None:
    op.drop_table("chosen_facts")
    op.drop_table("duplicate_marks")


def _within(table: str, column: str, other: str) -> sa.ForeignKeyConstraint:
    """Of one exercise, or both real."""
    name = op.f(f"fk_{table}_{column}_exercise")
    return sa.ForeignKeyConstraint([column, "exercise"], [f"{other}.id", f"{other}.exercise"], name=name)
