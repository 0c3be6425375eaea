"""What the `worker` and `relay` processes are made of. Each opens its store itself, after any fork."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence

from coordinator.store import Store
from workers import app, jobs
from workers.children import die_with_parent
from workers.heartbeat import Beat
from workers.jobs import Job
from workers.periodic import Rounds

THREADS = 4


def set_up_logging(level: str) -> None:
    """Plain lines on stderr. Messages are ours and hold no content; libraries speak from warnings on."""
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(name)s %(levelname)s %(message)s", force=True
    )
    logging.getLogger("coordinator").setLevel(level)


def run_worker(
    store: Store, jobs_by_name: Mapping[str, Job], *, queues: Sequence[str] = app.QUEUES, threads: int = THREADS
) -> int:
    """Serve the queues until SIGTERM or SIGINT; jobs that run are finished first. Returns the exit code."""
    die_with_parent()
    celery = app.make_celery(store.settings.redis_url)

    @celery.task(name=app.JOB, shared=False)
    def job(pending_id: int, lease: str, name: str = "") -> None:
        jobs.run(store, pending_id, lease, jobs_by_name)

    beat = Beat(store, "worker", {"queues": list(queues), "threads": threads})
    beat.start()
    worker = celery.Worker(
        pool="threads", concurrency=threads, queues=list(queues), loglevel="WARNING", without_gossip=True,
        without_mingle=True, without_heartbeat=True, hostname=f"worker-{os.getpid()}@%h", quiet=True,
    )  # fmt: skip
    gc.freeze()
    worker.start()
    beat.stop()
    return worker.exitcode or 0


def run_relay(store: Store, subscribers: Mapping[str, Sequence[Job]] | None = None) -> int:
    """Relay pending rows and do the periodic work until SIGTERM or SIGINT."""
    from workers.relay import SUBSCRIBERS, Relay

    die_with_parent()
    relay = Relay(store, app.make_celery(store.settings.redis_url), subscribers or SUBSCRIBERS)
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: relay.stop())
    beat = Beat(store, "relay")
    rounds = Rounds(store)
    beat.start()
    rounds.start()
    gc.freeze()
    relay.run()
    rounds.stop()
    beat.stop()
    return 0
