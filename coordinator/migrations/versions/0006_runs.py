"""Runs: their tables."""

import sqlalchemy as sa
from alembic import op

from coordinator.db import BigId, Instant, Json

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "playbook_versions",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("playbook_id", sa.String(length=80), nullable=False),
        sa.Column("version", sa.String(length=30), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("internal", sa.Boolean(), nullable=False),
        sa.Column("priority", BigId, nullable=False),
        sa.Column("state", sa.String(length=80), nullable=False),
        sa.Column("imported_at", Instant(), nullable=False),
        sa.Column("imported_by", sa.String(length=80), nullable=False),
        sa.Column("activated_by", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_playbook_versions")),
        sa.UniqueConstraint("digest", name=op.f("uq_playbook_versions_digest")),
        sa.UniqueConstraint("playbook_id", "version", name=op.f("uq_playbook_versions_playbook_id_version")),
    )
    op.create_table(
        "runs",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("incident_id", BigId, nullable=True),
        sa.Column("playbook_version_id", BigId, nullable=False),
        sa.Column("once_key", sa.String(length=120), nullable=False),
        sa.Column("state", sa.String(length=80), nullable=False),
        sa.Column("explanation", Json, nullable=False),
        sa.Column("facts", Json, nullable=False),
        sa.Column("scope", Json, nullable=False),
        sa.Column("fault", sa.Text(), nullable=False),
        sa.Column("asked", Json, nullable=False),
        sa.Column("started_by", sa.String(length=80), nullable=False),
        sa.Column("started_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("version", BigId, nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id", "exercise"],
            ["incidents.id", "incidents.exercise"],
            name=op.f("fk_runs_incident_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["playbook_version_id"], ["playbook_versions.id"], name=op.f("fk_runs_playbook_version_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
        sa.UniqueConstraint("id", "exercise", name=op.f("uq_runs_id_exercise")),
        sa.UniqueConstraint("once_key", name=op.f("uq_runs_once_key")),
    )
    op.create_index("ix_runs_incident", "runs", ["incident_id", "id"], unique=False)
    op.create_index("ix_runs_state", "runs", ["state", "id"], unique=False)
    op.create_table(
        "run_tokens",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("run_id", BigId, nullable=False),
        sa.Column("token", sa.String(length=80), nullable=False),
        sa.Column("data", Json, nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id", "exercise"], ["runs.id", "runs.exercise"], name=op.f("fk_run_tokens_run_id_exercise")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run_tokens")),
        sa.UniqueConstraint("run_id", "token", name=op.f("uq_run_tokens_run_id_token")),
    )
    op.create_table(
        "step_states",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("run_id", BigId, nullable=False),
        sa.Column("step", sa.String(length=120), nullable=False),
        sa.Column("state", sa.String(length=80), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("passes", BigId, nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id", "exercise"], ["runs.id", "runs.exercise"], name=op.f("fk_step_states_run_id_exercise")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_step_states")),
        sa.UniqueConstraint("run_id", "step", name=op.f("uq_step_states_run_id_step")),
    )
    op.create_table(
        "timers",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("run_id", BigId, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("purpose", sa.String(length=80), nullable=False),
        sa.Column("due_at", Instant(), nullable=False),
        sa.Column("fired_at", Instant(), nullable=True),
        sa.Column("cancelled_at", Instant(), nullable=True),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id", "exercise"], ["runs.id", "runs.exercise"], name=op.f("fk_timers_run_id_exercise")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_timers")),
        sa.UniqueConstraint("id", "exercise", name=op.f("uq_timers_id_exercise")),
        sa.UniqueConstraint("run_id", "key", name=op.f("uq_timers_run_id_key")),
    )
    op.create_index("ix_timers_due", "timers", ["due_at"], unique=False)
    op.create_table(
        "step_attempts",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("run_id", BigId, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("step", sa.String(length=120), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=80), nullable=False),
        sa.Column("spec", Json, nullable=False),
        sa.Column("state", sa.String(length=80), nullable=False),
        sa.Column("task_id", BigId, nullable=True),
        sa.Column("release_id", BigId, nullable=True),
        sa.Column("outcome", sa.String(length=80), nullable=False),
        sa.Column("values", Json, nullable=False),
        sa.Column("begun_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["release_id", "exercise"],
            ["releases.id", "releases.exercise"],
            name=op.f("fk_step_attempts_release_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["run_id", "exercise"], ["runs.id", "runs.exercise"], name=op.f("fk_step_attempts_run_id_exercise")
        ),
        sa.ForeignKeyConstraint(
            ["task_id", "exercise"], ["tasks.id", "tasks.exercise"], name=op.f("fk_step_attempts_task_id_exercise")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_step_attempts")),
        sa.UniqueConstraint("id", "exercise", name=op.f("uq_step_attempts_id_exercise")),
        sa.UniqueConstraint("run_id", "key", name=op.f("uq_step_attempts_run_id_key")),
    )
    op.create_index("ix_step_attempts_release", "step_attempts", ["release_id"], unique=False)
    op.create_index("ix_step_attempts_task", "step_attempts", ["task_id"], unique=False)


def downgrade() -> None:
    op.drop_table("step_attempts")
    op.drop_table("timers")
    op.drop_table("step_states")
    op.drop_table("run_tokens")
    op.drop_table("runs")
    op.drop_table("playbook_versions")
