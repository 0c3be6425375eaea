"""What a person let stand, they let stand as it was bound then: raised further, it is asked about anew."""

import sqlalchemy as sa
from alembic import op

from coordinator.db import Json

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("reviews", sa.Column("bound", Json, nullable=True))


def downgrade() -> None:
    op.drop_column("reviews", "bound")
