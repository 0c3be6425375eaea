"""Writers of one SQLite file stand in line, and the line never stops anybody for good."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from coordinator import db, timeline
from coordinator.store import Store

HOLD = """
import sys, time
from coordinator.db import WriteQueue
with WriteQueue(sys.argv[1]).turn():
    print("held", flush=True)
    time.sleep(600)
"""


def test_one_thread_at_a_time_has_the_turn(tmp_path: Path) -> None:
    queue, inside, most = db.WriteQueue(str(tmp_path / "x")), [], []

    def write() -> None:
        for _ in range(50):
            with queue.turn():
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    queue.close()
    assert len(most) == 200
    assert max(most) == 1


def test_a_killed_process_frees_its_place(tmp_path: Path) -> None:
    path = str(tmp_path / "x")
    holder = subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    got = threading.Event()
    queue = db.WriteQueue(path)

    def wait() -> None:
        with queue.turn():
            got.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert not got.wait(0.2)
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    waiting.join()
    assert got.is_set()
    queue.close()


def test_who_waited_too_long_asks_the_database_itself(sqlite_store: Store, monkeypatch) -> None:
    monkeypatch.setattr(db, "QUEUE_PATIENCE", 0.05)
    queue = db.write_queue(sqlite_store.engine)
    assert queue is not None
    sqlite_store._queue = queue
    with queue.turn(), sqlite_store.unit_of_work() as tx:  # the turn is taken, the database is free
        timeline.pending(tx, "test", 1)
    queue.close()


def test_a_refused_change_gives_the_turn_back(sqlite_store: Store) -> None:
    for _ in range(2):
        with contextlib.suppress(ZeroDivisionError), sqlite_store.unit_of_work():
            raise ZeroDivisionError
    with sqlite_store.unit_of_work() as tx:
        timeline.pending(tx, "test", 1)
