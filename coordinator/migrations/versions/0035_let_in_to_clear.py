"""Whoever an earlier version let in to clear something is marked so: nobody named them, and RED is not for them.

Those are the members whom the record says the system let in; members that people or reports named stay as they are.
"""

from alembic import op

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    op.execute(
        "UPDATE incident_members SET added_by = 'system:clearance' WHERE added_by = 'system' AND EXISTS ("
        "SELECT 1 FROM entries WHERE entries.incident_id = incident_members.incident_id"
        " AND entries.kind = 'member.added' AND entries.actor = 'system' AND entries.object_type = 'user'"
        " AND entries.object_id = incident_members.user_id)"
    )


def downgrade() -> None:
    """Nothing: what was written then is true before as well."""
