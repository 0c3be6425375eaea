"""Stores to test on: SQLite always, PostgreSQL where its binaries are. Each test begins with an empty one."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as examples
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Rule

from coordinator import config, migrations
from coordinator.app import Application, create_app
from coordinator.store import Store
from coordinator.vault import open_master_key
from tests.factories import PartnerSystem, World, small_world
from tests.postgres import Database, NoPostgres, PostgresServer

# A busy machine is no fault of a rule: no example has to be done, or made, by a time.
examples.register_profile("untimed", examples.default, deadline=None, suppress_health_check=[HealthCheck.too_slow])
examples.load_profile("untimed")



def pytest_collection_finish() -> None:
    """What was loaded stays: it is not looked through again for rubbish between tests, as in the server."""
    gc.collect()
    gc.freeze()


class Compiled(BytecodeCache):
    """What templates compile to, kept for the next application of this process: nearly every test has its own."""

    kept: ClassVar[dict[str, bytes]] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self.kept:
            bucket.bytecode_from_string(self.kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.kept[bucket.key] = bucket.bytecode_to_string()


Application.jinja_options = {"bytecode_cache": Compiled()}
_BUILDERS: dict[Any, Any] = {}
_compile_builder = Rule._compile_builder


def _compiled_once(rule: Rule, append_unknown: bool = True) -> Any:
    """What builds the address of a route follows from the route: it is compiled once, not for every application."""
    asked = (rule.rule, tuple(rule._trace), repr(rule.defaults), append_unknown)
    if asked not in _BUILDERS:
        _BUILDERS[asked] = _compile_builder(rule, append_unknown)
    return _BUILDERS[asked]


Rule._compile_builder = _compiled_once  # type: ignore[method-assign, assignment]


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite database, copied for each test."""
    home = tmp_path_factory.mktemp("template")
    migrations.upgrade(config.load({}, data_dir=home))
    return home / "coordinator.db"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL server for the whole session."""
    try:
        server = PostgresServer()
    except NoPostgres:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is missing: with CI=1 every test runs")
        pytest.skip("PostgreSQL is not installed")
    with server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Database:
    """A migrated PostgreSQL database, copied for each test."""
    database = postgres_server.new_database()
    home = config.load({}, data_dir=tmp_path_factory.mktemp("template-pg"))
    migrations.upgrade(replace(home, database_url=database.app_url, owner_database_url=database.owner_url))
    return database


@pytest.fixture(scope="session")
def postgres_database(postgres_server: PostgresServer, postgres_template: Database) -> Database:
    """The one the tests of a session use in turn, emptied after each: making one costs half a second."""
    return postgres_server.new_database(template=postgres_template.name)


@pytest.fixture
def settings(tmp_path: Path) -> config.Settings:
    """Settings of a one-machine installation in a temporary folder, without a broker."""
    return config.load({}, data_dir=tmp_path / "var")


@pytest.fixture
def sqlite_store(settings: config.Settings, sqlite_template: Path) -> Iterator[Store]:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    shutil.copy(sqlite_template, settings.data_dir / "coordinator.db")
    store = Store(settings)
    yield store
    store.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def store(request: pytest.FixtureRequest, settings: config.Settings) -> Iterator[Store]:
    """A migrated, empty store; the test runs once for each kind of database, as the application's own role."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_store")
        return
    database: Database = request.getfixturevalue("postgres_database")
    settings = replace(settings, database_url=database.app_url, owner_database_url=database.owner_url)
    made = Store(settings, vault=open_master_key(settings.master_key_file, create=True))
    yield made
    made.close()
    empty(request.getfixturevalue("postgres_server"), database)


def empty(server: PostgresServer, database: Database) -> None:
    """Take every row away, as superuser: the record's triggers refuse it to everybody else. Ids begin at 1 again."""
    url = server.superuser_url.replace("/postgres?", f"/{database.name}?")
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET lock_timeout = '10s'")
        connection.execute("""
            DO $$ DECLARE name text; BEGIN
              FOR name IN SELECT tablename FROM pg_tables
                          WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
                EXECUTE format('DELETE FROM %I', name);
              END LOOP;
              FOR name IN SELECT sequencename FROM pg_sequences WHERE last_value IS NOT NULL LOOP
                EXECUTE format('ALTER SEQUENCE %I RESTART', name);
              END LOOP;
            END $$""")


@pytest.fixture
def world(store: Store) -> World:
    return small_world(store)


@pytest.fixture
def app(store: Store) -> Application:
    """The JSON door alone."""
    return create_app(store, pages=False)


@pytest.fixture
def client(app: Application) -> Any:
    return app.test_client()


@pytest.fixture
def partner(client: Any, world: World) -> PartnerSystem:
    """The system of FI-CSIRT, posting to us."""
    return PartnerSystem(client, world)
