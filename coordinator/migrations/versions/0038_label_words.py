"""That an originator lowered its label is on record, waits for a second person, and is asked for by the database."""

import sqlalchemy as sa
from alembic import op

from coordinator.db import BigId, Instant
from coordinator.migrations import protected_labels as labels
from coordinator.migrations.protection import (
    allow_changes,
    protect_later,
    protect_permits,
    refuse_changes,
    unprotect_permits,
)

revision = "0038"
down_revision = "0037"

TABLES = ("label_words", "label_word_items")


def upgrade() -> None:
    op.create_table(
        "label_words",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("incident_id", BigId, nullable=False),
        sa.Column("from_id", BigId, nullable=True),
        sa.Column("tlp", sa.String(length=12), nullable=False),
        sa.Column("channel", sa.String(length=80), nullable=False),
        sa.Column("said_at", Instant(), nullable=False),
        sa.Column("report_id", BigId, nullable=True),
        sa.Column("data_key_id", BigId, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("file_name", sa.String(length=200), nullable=False),
        sa.Column("file_type", sa.String(length=120), nullable=False),
        sa.Column("file_sha256", sa.String(length=64), nullable=False),
        sa.Column("file_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("asked_by", sa.String(length=80), nullable=False),
        sa.Column("asked_at", Instant(), nullable=False),
        sa.Column("state", sa.String(length=80), nullable=False),
        sa.Column("answered_by", sa.String(length=80), nullable=False),
        sa.Column("answered_at", Instant(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["from_id"], ["organisations.id"], name=op.f("fk_label_words_from_id")),
        sa.ForeignKeyConstraint(
            ["incident_id", "exercise"], ["incidents.id", "incidents.exercise"],
            name=op.f("fk_label_words_incident_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["report_id", "exercise"], ["reports.id", "reports.exercise"],
            name=op.f("fk_label_words_report_id_exercise"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label_words")),
        sa.UniqueConstraint("id", "exercise", name=op.f("uq_label_words_id_exercise")),
    )  # fmt: skip
    op.create_index("ix_label_words_incident", "label_words", ["incident_id", "id"], unique=False)
    op.create_index("ix_label_words_state", "label_words", ["state", "id"], unique=False)
    op.create_table(
        "label_word_items",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("word_id", BigId, nullable=False),
        sa.Column("item", sa.String(length=40), nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["word_id", "exercise"], ["label_words.id", "label_words.exercise"],
            name=op.f("fk_label_word_items_word_id_exercise"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label_word_items")),
        sa.UniqueConstraint("word_id", "item", name=op.f("uq_label_word_items_word_id_item")),
    )  # fmt: skip
    op.create_index("ix_label_word_items_item", "label_word_items", ["item", "word_id"], unique=False)
    for table in TABLES:
        protect_later(op.get_bind(), table)
    protect_permits(op.get_bind(), labels.REFUSED_ROWS)
    refuse_changes(op.get_bind(), labels.REFUSED_CHANGES)


def downgrade() -> None:
    allow_changes(op.get_bind(), labels.REFUSED_CHANGES)
    unprotect_permits(op.get_bind(), labels.REFUSED_ROWS)
    for table in reversed(TABLES):
        op.drop_table(table)
