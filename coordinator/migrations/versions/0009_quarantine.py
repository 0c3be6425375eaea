"""Quarantine with an owner and a due time, floods, exercises we know of, and reports whose sender is doubted."""

import sqlalchemy as sa
from alembic import op

from coordinator.db import BigId, Instant

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "exercises",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("code", sa.String(length=80), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("starts_at", Instant(), nullable=False),
        sa.Column("ends_at", Instant(), nullable=False),
        sa.Column("run_by", sa.String(length=80), nullable=False),
        sa.Column("version", BigId, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exercises")),
        sa.UniqueConstraint("code", name=op.f("uq_exercises_code")),
    )
    op.create_table(
        "exercise_members",
        sa.Column("exercise_id", BigId, autoincrement=False, nullable=False),
        sa.Column("organisation_id", BigId, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["exercise_id"], ["exercises.id"], name=op.f("fk_exercise_members_exercise_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"],
            name=op.f("fk_exercise_members_organisation_id"),
        ),
        sa.PrimaryKeyConstraint("exercise_id", "organisation_id", name=op.f("pk_exercise_members")),
    )
    op.create_table(
        "floods",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("endpoint_id", BigId, nullable=False),
        sa.Column("open_slot", BigId, nullable=True),
        sa.Column("began_at", Instant(), nullable=False),
        sa.Column("over_at", Instant(), nullable=True),
        sa.Column("task_id", BigId, nullable=True),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id", "exercise"], ["endpoints.id", "endpoints.exercise"],
            name=op.f("fk_floods_endpoint_id_exercise"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_floods")),
        sa.UniqueConstraint("id", "exercise", name=op.f("uq_floods_id_exercise")),
        sa.UniqueConstraint("open_slot", name=op.f("uq_floods_open_slot")),
    )
    op.create_index("ix_floods_task", "floods", ["task_id"], unique=False)
    op.create_table(
        "quarantine",
        sa.Column("report_id", BigId, autoincrement=False, nullable=False),
        sa.Column("reason", sa.String(length=80), nullable=False),
        sa.Column("flood_id", BigId, nullable=True),
        sa.Column("endpoint_id", BigId, nullable=True),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("possibly_real", sa.Boolean(), nullable=False),
        sa.Column("owner_id", BigId, nullable=True),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("due_at", Instant(), nullable=False),
        sa.Column("told_at", Instant(), nullable=True),
        sa.Column("overdue_told_at", Instant(), nullable=True),
        sa.Column("state", sa.String(length=80), nullable=False),
        sa.Column("decided_at", Instant(), nullable=True),
        sa.Column("decided_by", sa.String(length=80), nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id", "exercise"], ["endpoints.id", "endpoints.exercise"],
            name=op.f("fk_quarantine_endpoint_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["flood_id", "exercise"], ["floods.id", "floods.exercise"],
            name=op.f("fk_quarantine_flood_id_exercise"),
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_quarantine_owner_id")),
        sa.ForeignKeyConstraint(
            ["report_id", "exercise"], ["reports.id", "reports.exercise"],
            name=op.f("fk_quarantine_report_id_exercise"),
        ),
        sa.PrimaryKeyConstraint("report_id", name=op.f("pk_quarantine")),
    )
    op.create_index("ix_quarantine_flood", "quarantine", ["flood_id", "state", "report_id"], unique=False)
    op.create_index("ix_quarantine_told", "quarantine", ["endpoint_id", "told_at"], unique=False)
    op.create_index("ix_quarantine_waiting", "quarantine", ["state", "due_at", "report_id"], unique=False)
    op.add_column("reports", sa.Column("doubted_at", Instant(), nullable=True))
    op.add_column("reports", sa.Column("doubted_by", sa.String(length=80), server_default="", nullable=False))
    op.create_index("ix_reports_endpoint", "reports", ["endpoint_id", "received_at"], unique=False)
    # What waits already gets its place in the queue, due at once.
    op.execute(
        "INSERT INTO quarantine (report_id, reason, endpoint_id, urgent, possibly_real, since, due_at, state, "
        "decided_by, exercise) SELECT id, reason, endpoint_id, false, reason = 'exercise-mismatch', received_at, "
        "received_at, 'waiting', '', exercise FROM reports WHERE disposition = 'quarantined'"
    )


def downgrade() -> None:
    op.drop_index("ix_reports_endpoint", "reports")
    op.drop_column("reports", "doubted_by")
    op.drop_column("reports", "doubted_at")
    for table in ("quarantine", "floods", "exercise_members", "exercises"):
        op.drop_table(table)
