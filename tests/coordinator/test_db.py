"""Transactions: what a failed commit leaves behind, and who gets the connection next."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError


def test_a_commit_that_fails_leaves_nothing_and_the_next_transaction_works(sqlite_store):
    store = sqlite_store
    with store.unit_of_work() as tx:
        tx.execute(text("CREATE TABLE parent (id INTEGER PRIMARY KEY)"))
        tx.execute(text(
            "CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent (id) "
            "DEFERRABLE INITIALLY DEFERRED)"
        ))  # fmt: skip
    for _ in range(3):
        with pytest.raises(DBAPIError), store.unit_of_work() as tx:
            tx.execute(text("INSERT INTO child (parent) VALUES (7)"))  # noticed only when it is committed
    with store.unit_of_work() as tx:
        assert tx.execute(text("SELECT count(*) FROM child")).scalar_one() == 0
        tx.execute(text("INSERT INTO parent (id) VALUES (7)"))
    with store.read() as tx:
        assert tx.execute(text("SELECT count(*) FROM parent")).scalar_one() == 1
