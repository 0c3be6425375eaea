"""Where something goes is what was decided, and what was taken back stays so.

A delivery could be turned to another partner's channel, an alert to another partner's pages, a notice put on the public
page without a clearance, and a withdrawn alert, notice or clearance made to hold again, by whoever has the
application's password.
"""

from alembic import op

from coordinator.migrations.protection import (
    LATER_REFUSED_CHANGES,
    REFUSED_WAYS,
    allow_changes,
    protect_later,
    protect_permits,
    refuse_changes,
    unprotect_later,
    unprotect_permits,
)

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    protect_later(op.get_bind(), "deliveries")
    protect_permits(op.get_bind(), REFUSED_WAYS)
    refuse_changes(op.get_bind(), LATER_REFUSED_CHANGES)


def downgrade() -> None:
    allow_changes(op.get_bind(), LATER_REFUSED_CHANGES)
    unprotect_permits(op.get_bind(), REFUSED_WAYS)
    unprotect_later(op.get_bind(), "deliveries")
