"""Duties with a clock, the rules they run under, and assessments."""

import sqlalchemy as sa
from alembic import op

from coordinator.db import BigId, Instant, Json
from coordinator.migrations.protection import protect_later

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.create_table(
        "obligation_rules",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("rule", sa.String(length=80), nullable=False),
        sa.Column("version", BigId, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("terms", Json, nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("recorded_at", Instant(), nullable=False),
        sa.Column("recorded_by", sa.String(length=80), nullable=False),
        sa.Column("signed_by", BigId, nullable=True),
        sa.Column("signed_at", Instant(), nullable=True),
        sa.Column("signed_note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["signed_by"], ["users.id"], name=op.f("fk_obligation_rules_signed_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_obligation_rules")),
        sa.UniqueConstraint("rule", "version", name=op.f("uq_obligation_rules_rule_version")),
    )
    protect_later(op.get_bind(), "obligation_rules")
    _duties()
    _assessments()


def _duties() -> None:
    op.create_table(
        "obligations",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("incident_id", BigId, nullable=False),
        sa.Column("rule_version_id", BigId, nullable=False),
        sa.Column("rule", sa.String(length=80), nullable=False),
        sa.Column("state", sa.String(length=80), nullable=False),
        sa.Column("basis", sa.String(length=80), nullable=False),
        sa.Column("basis_at", Instant(), nullable=True),
        sa.Column("due_at", Instant(), nullable=True),
        sa.Column("target_at", Instant(), nullable=True),
        sa.Column("later_at", Instant(), nullable=True),
        sa.Column("given", Json, nullable=False),
        sa.Column("told", Json, nullable=False),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("started_by", sa.String(length=80), nullable=False),
        sa.Column("met_at", Instant(), nullable=True),
        sa.Column("settled_at", Instant(), nullable=True),
        sa.Column("settled_by", sa.String(length=80), nullable=False),
        sa.Column("note_version_id", BigId, nullable=True),
        sa.Column("version", BigId, nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id", "exercise"], ["incidents.id", "incidents.exercise"],
            name=op.f("fk_obligations_incident_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["note_version_id", "exercise"], ["item_versions.id", "item_versions.exercise"],
            name=op.f("fk_obligations_note_version_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["rule_version_id"], ["obligation_rules.id"], name=op.f("fk_obligations_rule_version_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_obligations")),
        sa.UniqueConstraint("id", "exercise", name=op.f("uq_obligations_id_exercise")),
    )
    op.create_index("ix_obligations_incident", "obligations", ["incident_id", "rule"], unique=False)
    op.create_index("ix_obligations_due", "obligations", ["state", "target_at"], unique=False)


def _assessments() -> None:
    op.create_table(
        "assessments",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("incident_id", BigId, nullable=False),
        sa.Column("task_id", BigId, nullable=True),
        sa.Column("method", sa.String(length=80), nullable=False),
        sa.Column("suggested_by", sa.String(length=80), nullable=False),
        sa.Column("state", sa.String(length=80), nullable=False),
        sa.Column("severity", BigId, nullable=True),
        sa.Column("author", sa.String(length=80), nullable=False),
        sa.Column("accepted_by", sa.String(length=80), nullable=False),
        sa.Column("asked_at", Instant(), nullable=False),
        sa.Column("accepted_at", Instant(), nullable=True),
        sa.Column("content_version_id", BigId, nullable=True),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["content_version_id", "exercise"], ["item_versions.id", "item_versions.exercise"],
            name=op.f("fk_assessments_content_version_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["incident_id", "exercise"], ["incidents.id", "incidents.exercise"],
            name=op.f("fk_assessments_incident_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["task_id", "exercise"], ["tasks.id", "tasks.exercise"], name=op.f("fk_assessments_task_id_exercise")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assessments")),
        sa.UniqueConstraint("id", "exercise", name=op.f("uq_assessments_id_exercise")),
    )
    op.create_index("ix_assessments_incident", "assessments", ["incident_id", "id"], unique=False)
    op.create_index("ix_assessments_task", "assessments", ["task_id"], unique=False)


def downgrade() -> None:
    op.drop_table("assessments")
    op.drop_table("obligations")
    op.drop_table("obligation_rules")
