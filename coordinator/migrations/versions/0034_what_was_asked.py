"""What was asked for, and what an originator agreed to, is never changed; what is over stays so.

Releases, their parts and consents could be rewritten by whoever has the application's password, and an approval or a
consent that was taken back could be made to hold again.
"""

from alembic import op

from coordinator.migrations.protection import allow_changes, protect_later, refuse_changes, unprotect_later

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

TABLES = ("releases", "release_items", "consents")


def upgrade() -> None:
    for table in TABLES:
        protect_later(op.get_bind(), table)
    refuse_changes(op.get_bind())


def downgrade() -> None:
    allow_changes(op.get_bind())
    for table in TABLES:
        unprotect_later(op.get_bind(), table)
