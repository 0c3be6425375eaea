"""What the database refuses by itself: answering one's own request, and what leaves without a permit that holds."""

from alembic import op

from coordinator.migrations.protection import protect_permits, unprotect_permits

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    protect_permits(op.get_bind())


def downgrade() -> None:
    unprotect_permits(op.get_bind())
