"""Whoever owns the database can take its protection away: what is then written is found elsewhere, or holds nothing."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from coordinator.sharing.models import Release, ReleaseItem
from coordinator.store import Store


def past_protection(store: Store, table: str, statement: str, **values: Any) -> None:
    """Run one statement on a table as the owner of the database, without its triggers, which stand again afterwards."""
    if store.one_machine:
        with store.unit_of_work() as tx:
            query = sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table")
            triggers = [tuple(row) for row in tx.execute(query, {"table": table})]
            for name, _sql in triggers:
                tx.execute(sa.text(f"DROP TRIGGER {name}"))
            tx.execute(sa.text(statement), values)
            for _name, sql in triggers:
                tx.connection().exec_driver_sql(sql)
        return
    engine = sa.create_engine(store.settings.owner_database_url)
    with engine.begin() as connection:
        connection.execute(sa.text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        connection.execute(sa.text(statement), values)
        connection.execute(sa.text(f"ALTER TABLE {table} ENABLE TRIGGER USER"))
    engine.dispose()


def put_a_part_in(tx: Session, release_id: int) -> None:
    """A text is no longer what was decided on: another part stands with it. Of all that makes a text, this is what the
    application's role can write; nothing of it can be changed."""
    release = tx.get_one(Release, release_id)
    tx.add(ReleaseItem(
        release_id=release.id, item_version_id=release.title_version_id, field="", exercise=release.exercise
    ))  # fmt: skip
    tx.flush()
