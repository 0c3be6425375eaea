"""Settings made real: database, vault and live in one object. A process opens one store, after it has forked."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy.orm import Session

from coordinator import db
from coordinator.config import Settings, prepare_data_dir
from coordinator.errors import NoRoom
from coordinator.live import Live
from coordinator.vault import Vault, open_master_key


class _TakenBack(Exception):
    """Ends a rehearsal."""


class Store:
    """What every door and job holds. `unit_of_work()` is the only way to write; `read()` the only way to look."""

    def __init__(self, settings: Settings, *, vault: Vault | None = None) -> None:
        prepare_data_dir(settings)
        self.settings = settings
        self.engine = db.make_engine(settings.database_url)
        self._queue = db.write_queue(self.engine)
        self.vault = vault or open_master_key(
            settings.master_key_file, create=self.one_machine, former=settings.old_master_key_file
        )
        self.live = Live(settings.redis_url)
        database = self.engine.url.database
        self._disk = Path(database).parent if self.one_machine and database else settings.data_dir

    @property
    def one_machine(self) -> bool:
        return self.settings.database_url.startswith("sqlite")

    @contextmanager
    def unit_of_work(self) -> Iterator[Session]:
        """One transaction that commits when the block ends well. The relay is nudged afterwards."""
        with db.transaction(
            self.engine, info={"store": self}, on_commit=self.live.nudge, queue=self._queue
        ) as tx:
            yield tx

    @contextmanager
    def rehearsal(self) -> Iterator[Session]:
        """A unit of work that is taken back at its end: to see what would come of something. Nothing of it stays."""
        with suppress(_TakenBack), self.unit_of_work() as tx:
            yield tx
            raise _TakenBack

    @contextmanager
    def read(self) -> Iterator[Session]:
        """One consistent view; nothing written in it stays."""
        with db.transaction(self.engine, info={"store": self}, on_commit=self.live.nudge, read_only=True) as tx:
            yield tx

    def free_bytes(self) -> int:
        """What is free on the disk where rows go (one machine), or where our own files are."""
        return shutil.disk_usage(self._disk).free

    def require_room(self) -> None:
        """Before anything large or new is taken in. Raises NoRoom while the reserve of the disk would be touched."""
        if self.free_bytes() < self.settings.disk_reserve_bytes:
            raise NoRoom("The disk is nearly full: send it again later.")

    def close(self) -> None:
        self.engine.dispose()
        if self._queue is not None:
            self._queue.close()


def store_of(tx: Session) -> Store:
    """The store a transaction belongs to: for its vault and settings."""
    return tx.info["store"]
