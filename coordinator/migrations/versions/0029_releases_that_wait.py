"""An index of the few releases that wait for a second person: every page counts them."""

from alembic import op
from sqlalchemy import text

revision = "0029"
down_revision = "0028"

_WAITS = text("state = 'awaiting-approval'")


def upgrade() -> None:
    op.create_index("ix_releases_waiting", "releases", ["id"], sqlite_where=_WAITS, postgresql_where=_WAITS)


def downgrade() -> None:
    op.drop_index("ix_releases_waiting", "releases")
