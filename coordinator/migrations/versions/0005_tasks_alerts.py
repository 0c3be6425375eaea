"""Tasks and alerts: their tables."""

import sqlalchemy as sa
from alembic import op

from coordinator.db import BigId, Instant, Json

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("incident_id", BigId, nullable=True),
        sa.Column("kind", sa.String(length=80), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("instructions", sa.Text(), nullable=False),
        sa.Column("role", sa.String(length=80), nullable=False),
        sa.Column("fallback_role", sa.String(length=80), nullable=False),
        sa.Column("assignee_id", BigId, nullable=True),
        sa.Column("priority", BigId, nullable=False),
        sa.Column("state", sa.String(length=9), nullable=False),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("blocks", sa.String(length=7), nullable=False),
        sa.Column("fields", Json, nullable=False),
        sa.Column("options", Json, nullable=False),
        sa.Column("checklist", Json, nullable=False),
        sa.Column("ladder", Json, nullable=False),
        sa.Column("not_by", Json, nullable=True),
        sa.Column("due_at", Instant(), nullable=True),
        sa.Column("reminded", BigId, nullable=False),
        sa.Column("overdue_told_at", Instant(), nullable=True),
        sa.Column("result_version_id", BigId, nullable=True),
        sa.Column("values", Json, nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("created_by", sa.String(length=80), nullable=False),
        sa.Column("done_at", Instant(), nullable=True),
        sa.Column("done_by", sa.String(length=80), nullable=False),
        sa.Column("version", BigId, nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["assignee_id"], ["users.id"], name=op.f("fk_tasks_assignee_id")),
        sa.ForeignKeyConstraint(
            ["incident_id", "exercise"],
            ["incidents.id", "incidents.exercise"],
            name=op.f("fk_tasks_incident_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["result_version_id", "exercise"],
            ["item_versions.id", "item_versions.exercise"],
            name=op.f("fk_tasks_result_version_id_exercise"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
        sa.UniqueConstraint("id", "exercise", name=op.f("uq_tasks_id_exercise")),
    )
    op.create_index("ix_tasks_assignee", "tasks", ["state", "assignee_id", "due_at"], unique=False)
    op.create_index("ix_tasks_incident", "tasks", ["incident_id", "state"], unique=False)
    op.create_index("ix_tasks_role", "tasks", ["state", "role", "due_at"], unique=False)
    op.create_index("ix_tasks_fallback", "tasks", ["state", "fallback_role", "due_at"], unique=False)
    op.create_table(
        "alerts",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("release_id", BigId, nullable=False),
        sa.Column("incident_id", BigId, nullable=True),
        sa.Column("kind", sa.String(length=80), nullable=False),
        sa.Column("recipient", sa.String(length=80), nullable=False),
        sa.Column("organisation_id", BigId, nullable=True),
        sa.Column("contact_id", BigId, nullable=True),
        sa.Column("user_id", BigId, nullable=True),
        sa.Column("decision_id", BigId, nullable=False),
        sa.Column("decision_result", sa.String(length=6), server_default="permit", nullable=False),
        sa.Column("content_digest", sa.String(length=64), nullable=False),
        sa.Column("public_id", sa.String(length=40), nullable=False),
        sa.Column("partner_reference", sa.String(length=40), nullable=False),
        sa.Column("in_reply_to_id", BigId, nullable=True),
        sa.Column("state", sa.String(length=80), nullable=False),
        sa.Column("ack", sa.String(length=6), nullable=False),
        sa.Column("rung", BigId, nullable=False),
        sa.Column("ladder_step", BigId, nullable=False),
        sa.Column("reply_by", Instant(), nullable=True),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("acknowledged_at", Instant(), nullable=True),
        sa.Column("withdrawn_at", Instant(), nullable=True),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.CheckConstraint("decision_result = 'permit'", name=op.f("ck_alerts_permit_only")),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_alerts_contact_id")),
        sa.ForeignKeyConstraint(
            ["decision_id", "decision_result", "content_digest", "recipient"],
            [
                "share_decisions.id",
                "share_decisions.result",
                "share_decisions.content_digest",
                "share_decisions.recipient",
            ],
            name="fk_alerts_permit",
        ),
        sa.ForeignKeyConstraint(
            ["decision_id", "exercise"],
            ["share_decisions.id", "share_decisions.exercise"],
            name=op.f("fk_alerts_decision_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["in_reply_to_id", "exercise"],
            ["alerts.id", "alerts.exercise"],
            name=op.f("fk_alerts_in_reply_to_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["incident_id", "exercise"],
            ["incidents.id", "incidents.exercise"],
            name=op.f("fk_alerts_incident_id_exercise"),
        ),
        sa.ForeignKeyConstraint(["organisation_id"], ["organisations.id"], name=op.f("fk_alerts_organisation_id")),
        sa.ForeignKeyConstraint(
            ["release_id", "exercise"], ["releases.id", "releases.exercise"], name=op.f("fk_alerts_release_id_exercise")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_alerts_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
        sa.UniqueConstraint("id", "exercise", name=op.f("uq_alerts_id_exercise")),
        sa.UniqueConstraint("public_id", name=op.f("uq_alerts_public_id")),
        sa.UniqueConstraint("release_id", "recipient", name=op.f("uq_alerts_release_id_recipient")),
    )
    op.create_index("ix_alerts_incident", "alerts", ["incident_id", "id"], unique=False)
    op.create_index("ix_alerts_state", "alerts", ["state", "id"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("alert_id", BigId, nullable=False),
        sa.Column("rung", BigId, nullable=False),
        sa.Column("contact_id", BigId, nullable=True),
        sa.Column("channel_id", BigId, nullable=True),
        sa.Column("user_id", BigId, nullable=True),
        sa.Column("kind", sa.String(length=80), nullable=False),
        sa.Column("webhook_id", sa.String(length=60), nullable=False),
        sa.Column("state", sa.String(length=80), nullable=False),
        sa.Column("decision_id", BigId, nullable=False),
        sa.Column("attempts", BigId, nullable=False),
        sa.Column("next_attempt_at", Instant(), nullable=True),
        sa.Column("lease_until", Instant(), nullable=True),
        sa.Column("fence", BigId, nullable=False),
        sa.Column("task_id", BigId, nullable=True),
        sa.Column("ack_hash", sa.String(length=64), nullable=False),
        sa.Column("ack_expires_at", Instant(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("settled_at", Instant(), nullable=True),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["alert_id", "exercise"], ["alerts.id", "alerts.exercise"], name=op.f("fk_deliveries_alert_id_exercise")
        ),
        sa.ForeignKeyConstraint(
            ["channel_id", "exercise"],
            ["channels.id", "channels.exercise"],
            name=op.f("fk_deliveries_channel_id_exercise"),
        ),
        sa.ForeignKeyConstraint(["contact_id"], ["contacts.id"], name=op.f("fk_deliveries_contact_id")),
        sa.ForeignKeyConstraint(
            ["decision_id", "exercise"],
            ["share_decisions.id", "share_decisions.exercise"],
            name=op.f("fk_deliveries_decision_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["task_id", "exercise"], ["tasks.id", "tasks.exercise"], name=op.f("fk_deliveries_task_id_exercise")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_deliveries_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("ack_hash", name=op.f("uq_deliveries_ack_hash")),
        sa.UniqueConstraint("alert_id", "rung", name=op.f("uq_deliveries_alert_id_rung")),
        sa.UniqueConstraint("id", "exercise", name=op.f("uq_deliveries_id_exercise")),
        sa.UniqueConstraint("webhook_id", name=op.f("uq_deliveries_webhook_id")),
    )
    op.create_index("ix_deliveries_state", "deliveries", ["state", "next_attempt_at"], unique=False)
    op.create_table(
        "acknowledgements",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("alert_id", BigId, nullable=False),
        sa.Column("delivery_id", BigId, nullable=True),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("kind", sa.String(length=6), nullable=False),
        sa.Column("assurance", sa.String(length=80), nullable=False),
        sa.Column("answer", sa.String(length=80), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("note_version_id", BigId, nullable=True),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["alert_id", "exercise"],
            ["alerts.id", "alerts.exercise"],
            name=op.f("fk_acknowledgements_alert_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["delivery_id", "exercise"],
            ["deliveries.id", "deliveries.exercise"],
            name=op.f("fk_acknowledgements_delivery_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["note_version_id", "exercise"],
            ["item_versions.id", "item_versions.exercise"],
            name=op.f("fk_acknowledgements_note_version_id_exercise"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acknowledgements")),
    )
    op.create_index("ix_acknowledgements_alert", "acknowledgements", ["alert_id"], unique=False)
    op.create_table(
        "delivery_attempts",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("delivery_id", BigId, nullable=False),
        sa.Column("number", BigId, nullable=False),
        sa.Column("decision_id", BigId, nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("outcome", sa.String(length=80), nullable=False),
        sa.Column("detail", sa.String(length=200), nullable=False),
        sa.Column("exercise", sa.String(length=80), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["decision_id", "exercise"],
            ["share_decisions.id", "share_decisions.exercise"],
            name=op.f("fk_delivery_attempts_decision_id_exercise"),
        ),
        sa.ForeignKeyConstraint(
            ["delivery_id", "exercise"],
            ["deliveries.id", "deliveries.exercise"],
            name=op.f("fk_delivery_attempts_delivery_id_exercise"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_attempts")),
        sa.UniqueConstraint("delivery_id", "number", name=op.f("uq_delivery_attempts_delivery_id_number")),
    )


def downgrade() -> None:
    op.drop_table("delivery_attempts")
    op.drop_table("acknowledgements")
    op.drop_table("deliveries")
    op.drop_table("alerts")
    op.drop_table("tasks")
