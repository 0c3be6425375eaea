"""Indexes by which the ledger of one item and of one exercise finds its few lines among a million."""

from alembic import op
from sqlalchemy import text

revision = "0027"
down_revision = "0026"

_EXERCISES = text("exercise <> ''")


def upgrade() -> None:
    op.create_index("ix_releases_title_version", "releases", ["title_version_id"])
    op.create_index("ix_releases_body_version", "releases", ["body_version_id"])
    op.create_index(
        "ix_alerts_exercise", "alerts", ["exercise", "id"], sqlite_where=_EXERCISES, postgresql_where=_EXERCISES
    )


def downgrade() -> None:
    op.drop_index("ix_alerts_exercise", "alerts")
    op.drop_index("ix_releases_body_version", "releases")
    op.drop_index("ix_releases_title_version", "releases")
