"""A container is healthy while its own process writes its heartbeat."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert

from coordinator import clock, config, migrations
from coordinator.store import Store
from coordinator.timeline.models import Heartbeat
from workers.alive import SILENT, is_alive


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    settings = config.load({}, data_dir=tmp_path)
    store = Store(settings)
    migrations.upgrade(settings)
    yield store
    store.close()


def beat(store: Store, name: str, *, kind: str = "worker", ago: timedelta = timedelta(0)) -> None:
    with store.unit_of_work() as tx:
        tx.execute(insert(Heartbeat).values(name=name, kind=kind, at=clock.now() - ago, detail={}))


@pytest.mark.parametrize(
    ("name", "kind", "ago", "expected"),
    [
        ("worker@here:7", "worker", timedelta(0), True),
        ("worker@here:7", "worker", SILENT / 2, True),
        ("worker@here:7", "worker", SILENT * 2, False),
        ("worker@elsewhere:7", "worker", timedelta(0), False),
        ("worker@hereabouts:7", "worker", timedelta(0), False),
        ("relay@here:7", "relay", timedelta(0), False),
    ],
)
def test_only_a_fresh_row_of_this_kind_and_host_counts(
    store: Store, name: str, kind: str, ago: timedelta, expected: bool
) -> None:
    beat(store, name, kind=kind, ago=ago)
    assert is_alive(store.engine, "worker", host="here") is expected


def test_the_newest_row_counts_when_a_process_was_replaced(store: Store) -> None:
    beat(store, "worker@here:1", ago=SILENT * 9)
    beat(store, "worker@here:2")
    assert is_alive(store.engine, "worker", host="here")


def test_the_exit_code_says_it(store: Store) -> None:
    def check(*arguments: str, folder: Path = store.settings.data_dir) -> tuple[int, str]:
        environment = {"COORDINATOR_DATA_DIR": str(folder)}
        command = [sys.executable, "-m", "workers.alive", *arguments]
        done = subprocess.run(command, env=environment, cwd=Path(__file__).parents[2], capture_output=True, text=True)
        return done.returncode, done.stderr

    assert check("worker") == (1, "no sign of life from worker within 60 s\n")
    beat(store, f"worker@{socket.gethostname()}:1")
    assert check("worker") == (0, "")
    assert check()[0] == 2
    assert check("worker", folder=Path("/nonexistent")) == (1, "the database does not answer (OperationalError)\n")
