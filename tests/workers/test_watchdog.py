"""A worker that takes nothing although work waits ends itself; one that works, or has nothing to do, stays."""

import subprocess
import sys

import pytest

from tests.harness.processes import PATIENCE

SCRIPT = """
import queue, sys, types
from workers import watchdog

class Broker:
    def holds(self, lists):
        return sys.argv[1] == "waits"

class Pause:
    # Between two looks: over when the worker has done what it does, however long that takes.
    def wait(self, seconds):
        looked.put(None)
        worked.get()

looked, worked = queue.Queue(), queue.Queue()
dog = watchdog.Watchdog(Broker(), ["main"])
watchdog.threading = types.SimpleNamespace(Event=Pause)
if sys.argv[2] == "working":
    dog.began()
dog.start()
for _ in range(20):
    looked.get()
    if sys.argv[2] == "taking":
        dog.began(); dog.ended()
    worked.put(None)
looked.get()
"""


@pytest.mark.parametrize(("queue", "worker", "code"), [
    ("waits", "hanging", 75), ("waits", "working", 0), ("waits", "taking", 0), ("empty", "hanging", 0),
])  # fmt: skip
def test_only_a_worker_that_takes_nothing_while_messages_wait_ends_itself(queue, worker, code):
    assert subprocess.run([sys.executable, "-c", SCRIPT, queue, worker], timeout=PATIENCE).returncode == code
