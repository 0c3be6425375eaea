"""What waits among very much that does not is found by an index, on both databases."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event, text

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.alerts import released
from coordinator.interchange import collection
from coordinator.status import task_lists
from coordinator.status.ledger import Asked, lines
from coordinator.store import Store
from tests.alerting import agreement
from tests.factories import World, person
from tests.postgres import Database, PostgresServer


@pytest.fixture
def postgres_database(postgres_server: PostgresServer, postgres_template: Database) -> Database:
    """A new one: how PostgreSQL goes about it depends on what was in the tables before."""
    return postgres_server.new_database(template=postgres_template.name)


def plans(store: Store, ask: Any, *, writes: bool = False) -> str:
    """How the database goes about everything that `ask(tx)` reads, where looking through a table is the last resort."""
    asked: list[tuple[str, Any]] = []
    with store.unit_of_work() if writes else store.read() as tx:
        connection = tx.connection()
        on_sqlite = connection.dialect.name == "sqlite"
        if not on_sqlite:
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        note = lambda _c, _cursor, sql, values, _context, _many: asked.append((sql, values))  # noqa: E731
        event.listen(connection, "before_cursor_execute", note)
        ask(tx)
        event.remove(connection, "before_cursor_execute", note)
        word = "EXPLAIN QUERY PLAN " if on_sqlite else "EXPLAIN "
        found = [str(tuple(row)) for sql, values in asked for row in connection.exec_driver_sql(word + sql, values)]
    return "\n".join(found)


def test_releases_that_wait_and_the_ledger_of_an_exercise_have_an_index_of_their_own(store: Store) -> None:
    reader = Principal(user_id=1, name="C", role="coordinator")
    waiting = plans(store, lambda tx: task_lists.clearances_count(tx, principal=reader))
    assert "ix_releases_waiting" in waiting
    exercise = plans(store, lambda tx: lines(tx, principal=reader, asked=Asked(exercise="ex-1")))
    assert "ix_alerts_exercise" in exercise and "hashed SubPlan" not in exercise


def test_what_went_under_an_agreement_is_found_party_by_party_in_its_order(store: Store, world: World) -> None:
    with store.unit_of_work() as tx:
        agreement(tx)
    reader = Principal(user_id=1, name="C", role="coordinator")
    under = plans(store, lambda tx: lines(tx, principal=reader, asked=Asked(agreement="MOU")))
    assert "ix_alerts_organisation" in names(under) and "hashed SubPlan" not in under
    sorting = "TEMP B-TREE FOR ORDER BY"
    assert under.count(sorting) == plans(store, lambda tx: lines(tx, principal=reader, asked=Asked())).count(sorting)


def test_what_a_partner_reads_is_found_in_the_order_in_which_it_is_read(store: Store, world: World) -> None:
    reader = person(store, "partner-user", organisation_id=world.partner_id)
    page = plans(store, lambda tx: released.released(tx, reader=reader))
    assert "hashed SubPlan" not in page, "the whole of a table is read to show fifty rows of another"
    assert "ix_alerts_newest" in page and "TEMP B-TREE FOR ORDER BY" not in page and "Sort" not in page
    assert "ix_alerts_waiting" in plans(store, lambda tx: released.waiting(tx, reader=reader))
    assert "ix_alerts_drilled" in plans(store, lambda tx: collection.collections(tx, reader=reader))
    with store.read() as tx:
        mine = collection.collections(tx, reader=reader)[0]
    for asked in (collection.Asked(), collection.Asked(added_after=clock.now(), types=("report",))):
        look = partial(collection.read, collection=mine, asked=asked, reader=reader)
        listed = plans(store, look, writes=True)
        assert {"ix_alerts_to_list", "ix_collection_objects_place", "ix_collection_objects_object"} <= names(listed)
    named = partial(collection.read, collection=mine, asked=collection.Asked(ids=("report--1",)), reader=reader)
    assert "ix_collection_objects_place" not in names(plans(store, named, writes=True))


def names(plan: str) -> set[str]:
    return set(re.findall(r"ix_[a-z_]+", plan))
