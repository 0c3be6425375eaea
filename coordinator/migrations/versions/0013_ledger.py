"""The ledger is asked by partner and by item: indexes for both."""

from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_index("ix_alerts_organisation", "alerts", ["organisation_id", "id"])
    op.create_index("ix_release_items_version", "release_items", ["item_version_id"])


def downgrade() -> None:
    op.drop_index("ix_release_items_version", table_name="release_items")
    op.drop_index("ix_alerts_organisation", table_name="alerts")
