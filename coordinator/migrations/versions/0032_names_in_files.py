"""Where the cleaned copy of a file names its source: which name, on which page, and how much of it was searched."""

import sqlalchemy as sa
from alembic import op

from coordinator.db import Json

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    op.add_column("file_copies", sa.Column("reading", Json, nullable=True))


def downgrade() -> None:
    op.drop_column("file_copies", "reading")
