"""The floor of everything that goes through Celery: tasks without a database, on the same broker and worker count.

`python -m benchmarks.celery_floor` forks as many workers of as many threads as `coordinator up` has. `nothing` does
nothing; `post` signs a body and posts it, which is the least a delivery can be.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import requests
from celery import Celery

from coordinator import live
from coordinator.partners import signing
from workers import app, processes
from workers.children import die_with_parent

QUEUE = "floor"
NOTHING, POST = "floor.nothing", "floor.post"
_sessions = threading.local()


def celery(redis_url: str) -> Celery:
    """Our own Celery settings, with the floor's two tasks."""
    made = app.make_celery(redis_url)

    @made.task(name=NOTHING, shared=False)
    def nothing(number: int) -> None:
        """The least a task can do."""

    @made.task(name=POST, shared=False)
    def post(url: str, secret: str, message_id: str, at: int, body: str) -> None:
        if not hasattr(_sessions, "session"):
            _sessions.session = requests.Session()
        raw = body.encode()
        headers = signing.signed_headers([secret], message_id, at, raw)
        _sessions.session.post(url, data=raw, headers=headers, timeout=10)

    return made


def work(redis_url: str) -> int:
    """One worker process."""
    die_with_parent()
    worker: Any = celery(redis_url).Worker(
        pool="threads", concurrency=processes.THREADS, queues=[QUEUE], loglevel="ERROR", without_gossip=True,
        without_mingle=True, without_heartbeat=True, hostname=f"floor-{os.getpid()}@%h", quiet=True,
    )  # fmt: skip
    worker.start()
    return 0


@contextlib.contextmanager
def workers(redis_url: str) -> Iterator[Celery]:
    """The floor's workers running; gives the application to send with."""
    running = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.celery_floor", redis_url], preexec_fn=die_with_parent,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield celery(redis_url)
    finally:
        running.terminate()
        running.wait()


def waiting(redis_url: str) -> int:
    """Messages that are queued or in hand."""
    client = live.connect(redis_url)
    return int(client.llen(QUEUE)) + int(client.hlen("unacked"))  # type: ignore[arg-type]


if __name__ == "__main__":
    from workers.forks import Forks, Part

    processes.preload()
    Forks([Part(f"floor-{number}", lambda: work(sys.argv[1])) for number in range(processes.WORKERS)]).run()
