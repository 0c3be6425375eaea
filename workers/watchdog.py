"""Ends a worker that takes nothing although work waits: a consumer can hang for good after its broker was killed.

Seen with Celery 5.6.3: the process lives, its heartbeat goes on, and messages pile up. The process that forked this one
starts another at once, and the rows say what is left to do.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence

from coordinator.live import Live

LOOK_SECONDS = 3.0
#: So many looks in a row without a sign of work while messages wait.
LOOKS = 5
EXIT_CODE = 75
log = logging.getLogger("coordinator.watchdog")


class Watchdog(threading.Thread):
    """`began` and `ended` are called around each job. A broker that is away is not this worker's fault."""

    def __init__(self, live: Live, queues: Sequence[str]) -> None:
        super().__init__(name="watchdog", daemon=True)
        self._live, self._queues = live, tuple(queues)
        self._lock = threading.Lock()
        self._count = self._running = 0

    def began(self) -> None:
        with self._lock:
            self._count, self._running = self._count + 1, self._running + 1

    def ended(self) -> None:
        with self._lock:
            self._count, self._running = self._count + 1, self._running - 1

    def run(self) -> None:
        idle, seen, pause = 0, -1, threading.Event()
        while not pause.wait(LOOK_SECONDS):
            idle = idle + 1 if self._running == 0 and self._count == seen and self._live.holds(self._queues) else 0
            seen = self._count
            if idle >= LOOKS:
                log.error("watchdog: messages wait and nothing is taken: this worker ends and is started anew")
                os._exit(EXIT_CODE)
