"""Numbered migrations, both directions, and the rights of the application's own role."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from coordinator import db
from coordinator.config import Settings
from coordinator.migrations.protection import grant_to

LOCK = 4_207_001  # any fixed number: two starting processes must not migrate at once


def upgrade(settings: Settings, *, revision: str = "head") -> None:
    """Bring the database to `revision` as its owner, then give the application role what it needs and no more."""
    _run(settings, command.upgrade, revision)


def downgrade(settings: Settings, revision: str) -> None:
    """Go back to `revision` (`base` removes everything)."""
    _run(settings, command.downgrade, revision)


def newest_revision() -> str:
    """The revision of this version's structure."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def pending_revisions(engine: Engine) -> list[str]:
    """Revisions the database does not have yet, oldest first."""
    scripts = ScriptDirectory.from_config(_config())
    with engine.connect().execution_options(**{db.READ_ONLY: True}) as connection:
        have = set(MigrationContext.configure(connection).get_current_heads())
    todo = []
    for script in scripts.walk_revisions():
        if script.revision in have:
            break
        todo.append(script.revision)
    return todo[::-1]


def _run(settings: Settings, step: object, revision: str) -> None:
    engine = db.make_engine(settings.owner_database_url or settings.database_url, pool_size=1)
    try:
        with engine.connect() as connection, connection.begin():
            _lock(connection)
            config = _config()
            config.attributes["connection"] = connection
            step(config, revision)  # type: ignore[operator]
            if settings.owner_database_url and step is command.upgrade:
                grant_to(connection, settings.database_url)
    finally:
        engine.dispose()


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL lock_timeout = '10s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
