"""What a sender's STIX is held to, and what was remarked on it."""

import sqlalchemy as sa
from alembic import op

from coordinator.db import Json

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    op.add_column("endpoints", sa.Column("stix_asks", sa.Text(), server_default="", nullable=False))
    op.add_column("reports", sa.Column("remarks", Json, nullable=True))


def downgrade() -> None:
    op.drop_column("reports", "remarks")
    op.drop_column("endpoints", "stix_asks")
