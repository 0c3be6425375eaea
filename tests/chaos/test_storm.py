"""The short form of the storm. The long one: `python -m tests.chaos --seconds 60 --reports 200`, also on PostgreSQL."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.chaos.storm import Plan, surroundings
from tests.postgres import Database, PostgresServer


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def test_nothing_is_lost_and_nothing_done_twice_while_processes_are_killed_and_the_broker_is_emptied(
    kind: str, request: pytest.FixtureRequest
) -> None:
    database = new_database(request) if kind == "postgresql" else None
    plan = Plan(seconds=10, reports=40, worked=2, seed=7)
    with (
        tempfile.TemporaryDirectory(prefix="coordinator-storm-") as folder,
        surroundings(Path(folder) / "var", plan, database) as storm,
    ):
        toll = storm.run()
    assert toll.blows.total() >= plan.blows, toll.blows
    assert toll.faults == [], "\n".join(toll.lines())


def new_database(request: pytest.FixtureRequest) -> Database:
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.new_database()
