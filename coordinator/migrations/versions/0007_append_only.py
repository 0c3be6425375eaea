"""What may never be changed: triggers."""

from alembic import op

from coordinator.migrations.protection import protect, unprotect

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    protect(op.get_bind())


def downgrade() -> None:
    unprotect(op.get_bind())
