"""What waits among very much that does not is found by an index, on both databases."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event, text

from coordinator.accounts.principal import Principal
from coordinator.status import task_lists
from coordinator.status.ledger import Asked, lines
from coordinator.store import Store


def plans(store: Store, ask: Any) -> str:
    """How the database goes about everything that `ask(tx)` reads, where looking through a table is the last resort."""
    asked: list[tuple[str, Any]] = []
    with store.read() as tx:
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
    assert "ix_alerts_exercise" in exercise
