"""Services that playbooks may call by themselves, and the calls."""

import sqlalchemy as sa
from alembic import op

from coordinator.db import BigId, Instant, Json
from coordinator.migrations.protection import protect_later

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    op.create_table(
        "http_hosts",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("code", sa.String(length=80), nullable=False),
        sa.Column("organisation_id", BigId, nullable=False),
        sa.Column("origin", sa.String(length=300), nullable=False),
        sa.Column("methods", Json, nullable=False),
        sa.Column("allow_private", Json, nullable=False),
        sa.Column("auth_header", sa.String(length=80), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("data_key_id", BigId, nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(length=80), nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_http_hosts_organisation_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_http_hosts")),
        sa.UniqueConstraint("code", name=op.f("uq_http_hosts_code")),
        sa.UniqueConstraint("id", "exercise", name=op.f("uq_http_hosts_id_exercise")),
        sa.UniqueConstraint("origin", "exercise", name=op.f("uq_http_hosts_origin_exercise")),
    )
    op.create_index(op.f("ix_http_hosts_organisation_id"), "http_hosts", ["organisation_id"], unique=False)
    _calls()


def _calls() -> None:
    op.create_table(
        "http_calls",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("attempt_id", BigId, nullable=False),
        sa.Column("host_id", BigId, nullable=False),
        sa.Column("decision_id", BigId, nullable=True),
        sa.Column("idempotency_key", sa.String(length=80), nullable=False),
        sa.Column("state", sa.String(length=80), nullable=False),
        sa.Column("fence", BigId, nullable=False),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("status", BigId, nullable=True),
        sa.Column("outcome", sa.String(length=200), nullable=False),
        sa.Column("data_key_id", BigId, nullable=False),
        sa.Column("request_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("answer_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("begun_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        *(
            sa.ForeignKeyConstraint(
                [column, "exercise"], [f"{table}.id", f"{table}.exercise"],
                name=op.f(f"fk_http_calls_{column}_exercise"),
            )
            for column, table in (("attempt_id", "step_attempts"), ("host_id", "http_hosts"),
                                  ("decision_id", "share_decisions"))
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_http_calls")),
        sa.UniqueConstraint("attempt_id", name=op.f("uq_http_calls_attempt_id")),
        sa.UniqueConstraint("id", "exercise", name=op.f("uq_http_calls_id_exercise")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_http_calls_idempotency_key")),
    )  # fmt: skip
    op.create_table(
        "http_attempts",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("call_id", BigId, nullable=False),
        sa.Column("number", BigId, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("outcome", sa.String(length=200), nullable=False),
        sa.Column("status", BigId, nullable=True),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["call_id", "exercise"], ["http_calls.id", "http_calls.exercise"],
            name=op.f("fk_http_attempts_call_id_exercise"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_http_attempts")),
        sa.UniqueConstraint("call_id", "number", name=op.f("uq_http_attempts_call_id_number")),
    )
    protect_later(op.get_bind(), "http_attempts")


def downgrade() -> None:
    op.drop_table("http_attempts")
    op.drop_table("http_calls")
    op.drop_table("http_hosts")
