"""What a partner reads costs as much with a hundred thousand alerts as with a few: indexes in the order in which its
page and its collection are read, and a mark on what stands in the collection already."""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"

_ONLY = {
    "ix_alerts_waiting": (
        ("organisation_id", "created_at", "public_id"), "ack <> '' AND (acknowledged_at IS NULL OR kind = 'request')",
    ),  # fmt: skip
    "ix_alerts_drilled": (("organisation_id", "exercise"), "exercise <> ''"),
    "ix_alerts_to_list": (("organisation_id", "exercise", "kind", "id"), "NOT listed"),
}


def upgrade() -> None:
    op.add_column("alerts", sa.Column("listed", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute("UPDATE alerts SET listed = true WHERE id IN (SELECT alert_id FROM collection_objects)")
    op.create_index("ix_alerts_newest", "alerts", ["organisation_id", "created_at", "public_id"])
    for name, (columns, where) in _ONLY.items():
        op.create_index(name, "alerts", list(columns), sqlite_where=sa.text(where), postgresql_where=sa.text(where))
    _collection(("added_at",), ("exercise", "object_id", "version", "added_at"))


def downgrade() -> None:
    _collection(("id",), ("object_id",))
    for name in ("ix_alerts_newest", *_ONLY):
        op.drop_index(name, "alerts")
    op.drop_column("alerts", "listed")


def _collection(place: tuple[str, ...], of_object: tuple[str, ...]) -> None:
    op.drop_index("ix_collection_objects_place", "collection_objects")
    op.drop_index("ix_collection_objects_object", "collection_objects")
    op.create_index("ix_collection_objects_place", "collection_objects", ["organisation_id", "exercise", *place])
    op.create_index("ix_collection_objects_object", "collection_objects", ["organisation_id", *of_object])
