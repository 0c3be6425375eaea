"""A worker that takes nothing although work waits ends itself; one that works, or has nothing to do, stays."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys, time
from workers import watchdog
watchdog.LOOK_SECONDS = 0.02

class Broker:
    def holds(self, lists):
        return sys.argv[1] == "waits"

dog = watchdog.Watchdog(Broker(), ["main"])
if sys.argv[2] == "working":
    dog.began()
dog.start()
for _ in range(40):
    if sys.argv[2] == "taking":
        dog.began(); dog.ended()
    time.sleep(0.01)
"""


@pytest.mark.parametrize(("queue", "worker", "code"), [
    ("waits", "hanging", 75), ("waits", "working", 0), ("waits", "taking", 0), ("empty", "hanging", 0),
])  # fmt: skip
def test_only_a_worker_that_takes_nothing_while_messages_wait_ends_itself(queue, worker, code):
    assert subprocess.run([sys.executable, "-c", SCRIPT, queue, worker], timeout=30).returncode == code
