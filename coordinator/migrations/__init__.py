"""Numbered migrations, both directions, and the rights of the application's own role."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from coordinator import db
from coordinator.config import Settings
from coordinator.migrations.protection import grant_to
from coordinator.vault import Vault, open_master_key

if TYPE_CHECKING:
    from alembic.config import Config

LOCK = 4_207_001  # any fixed number: two starting processes must not migrate at once


def upgrade(settings: Settings, *, revision: str = "head") -> None:
    """Bring the database to `revision` as its owner, then give the application role what it needs and no more."""
    _run(settings, "upgrade", revision)


def downgrade(settings: Settings, revision: str) -> None:
    """Go back to `revision` (`base` removes everything)."""
    _run(settings, "downgrade", revision)


def newest_revision() -> str:
    """The revision of this version's structure."""
    return revisions()[-1]


def pending_revisions(engine: Engine) -> list[str]:
    """Revisions the database does not have yet, oldest first.

    The chain is linear and numbered by its files, so that a process which only asks does not load Alembic.
    """
    with engine.connect().execution_options(**{db.READ_ONLY: True}) as connection:
        began = inspect(connection).has_table("alembic_version")
        have = connection.execute(text("SELECT version_num FROM alembic_version")).scalar() if began else None
    return [revision for revision in revisions() if have is None or revision > have]


def revisions() -> list[str]:
    """All there are, oldest first."""
    return sorted(file.name[:4] for file in (Path(__file__).parent / "versions").glob("[0-9][0-9][0-9][0-9]_*.py"))


def _run(settings: Settings, step: str, revision: str) -> None:
    from alembic import command

    engine = db.make_engine(settings.owner_database_url or settings.database_url, pool_size=1)
    try:
        with engine.connect() as connection, connection.begin():
            _lock(connection)
            config = _config()
            config.attributes["connection"] = connection
            config.attributes["vault"] = lambda: _vault(settings)
            getattr(command, step)(config, revision)
            if settings.owner_database_url and step == "upgrade":
                grant_to(connection, settings.database_url)
    finally:
        engine.dispose()


def _vault(settings: Settings) -> Vault:
    """For a step that seals or opens what is there. Whoever has rows to seal has the key already."""
    return open_master_key(settings.master_key_file, create=False, former=settings.old_master_key_file)


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL lock_timeout = '10s'"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
