"""The PostgreSQL server that other tests lean on, and the rights its two roles start with."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from tests.postgres import NoPostgres, PostgresServer, find_programs

pytestmark = pytest.mark.postgresql


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


def run(url: str, statement: str) -> object:
    engine = sa.create_engine(url)
    try:
        with engine.begin() as connection:
            result = connection.execute(sa.text(statement))
            return result.scalar() if result.returns_rows else None
    finally:
        engine.dispose()


def test_the_application_role_may_connect_and_nothing_more_until_the_owner_grants_it(server: PostgresServer) -> None:
    database = server.new_database()
    run(database.owner_url, "CREATE TABLE kept (id int)")
    assert run(database.app_url, "SELECT 1") == 1
    for refused in (
        "CREATE TABLE mine (id int)",
        "CREATE TEMP TABLE t (id int)",
        "SELECT * FROM kept",
        "TRUNCATE kept",
    ):
        with pytest.raises(ProgrammingError, match="permission denied"):
            run(database.app_url, refused)


def test_databases_are_apart_and_can_be_copied_and_dropped_while_in_use(server: PostgresServer) -> None:
    first = server.new_database()
    run(first.owner_url, "CREATE TABLE kept AS SELECT 7 AS id")
    copy = server.new_database(template=first.name)
    assert run(copy.owner_url, "SELECT id FROM kept") == 7
    assert run(server.new_database().owner_url, "SELECT to_regclass('kept')") is None
    engine = sa.create_engine(copy.owner_url)
    with engine.connect():
        server.drop_database(copy)
    engine.dispose()


def test_it_leaves_no_process_and_no_file() -> None:
    with PostgresServer() as server:
        folder, process = server._folder, server._process
        assert process
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_a_machine_without_it_is_told_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(()))
    with pytest.raises(NoPostgres):
        find_programs()
