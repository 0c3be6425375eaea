"""What the processes are made of: web, worker, relay, and several of them forked from one.

Each opens its store itself, after any fork. `python -m workers.processes web BIND` and `… jobs` are the children of
`coordinator up`; they read their settings from the environment.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import configure_mappers

from coordinator import config, logs, timeline
from coordinator.db import Base
from coordinator.store import Store
from coordinator.timeline.models import Pending
from workers import app, jobs
from workers.children import die_with_parent
from workers.heartbeat import Beat
from workers.jobs import Job
from workers.watchdog import Watchdog

THREADS = 4
WORKERS = 2
#: Loaded before the fork, so that the processes share them: whatever jobs and Celery import when they are first used.
PRELOADED = (
    "celery.app.amqp", "celery.app.log", "celery.apps.worker", "celery.bin.base", "celery.concurrency.thread",
    "celery.events.state", "celery.fixups", "celery.loaders.default", "celery.worker.consumer", "celery.worker.loops",
    "celery.worker.strategy", "kombu.transport.redis", "sqlalchemy.dialects.postgresql", "sqlalchemy.dialects.sqlite",
    "coordinator.interchange", "coordinator.runs.queries", "workers.advance", "workers.deliver", "workers.due",
    "workers.periodic", "workers.relay", "workers.tell",
)  # fmt: skip


def set_up_logging(level: str) -> None:
    """Lines on stderr without content. Libraries speak from warnings on."""
    logs.configure(level)
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(name)s %(levelname)s %(message)s", force=True
    )
    logging.getLogger("coordinator").setLevel(level)
    logging.getLogger("celery.redirected").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", message=".*superuser privileges.*")


def preload() -> None:
    """Load what every process will need, and let the mappers be made once."""
    for name in PRELOADED:
        import_module(name)
    configure_mappers()


def warm_up(settings: config.Settings, also: Callable[[Store], object] | None = None) -> None:
    """Do once, on a database that is thrown away, what libraries put off until it is first done.

    Pages of memory written before the fork stay shared; written after it, every process has its own (12 MB each here).
    """
    with tempfile.TemporaryDirectory() as folder:
        store = Store(replace(settings, data_dir=Path(folder), database_url=f"sqlite:///{folder}/warm.db",
                              master_key_file=Path(folder, "key")))  # fmt: skip
        Base.metadata.create_all(store.engine, tables=[
            Base.metadata.tables[name] for name in ("chains", "data_keys", "entries", "entry_values", "pending")
        ])  # fmt: skip
        with store.unit_of_work() as tx:
            timeline.append(tx, "warm.up", "", actor="system")
            tx.info["nudges"].clear()
        with store.read() as tx:
            tx.execute(select(Pending)).scalars().all()
        if also is not None:
            also(store)
        store.close()


def run_worker(
    store: Store, jobs_by_name: Mapping[str, Job], *, queues: Sequence[str] = app.QUEUES, threads: int = THREADS
) -> int:
    """Serve the queues until SIGTERM or SIGINT; jobs that run are finished first. Returns the exit code."""
    from celery import signals  # web is made of this module too, and needs none of it

    die_with_parent()
    celery = app.make_celery(store.settings.redis_url)

    watchdog = Watchdog(store.live, queues)

    @celery.task(name=app.JOB, shared=False)
    def job(pending_id: int, lease: str, name: str = "") -> None:
        watchdog.began()
        try:
            jobs.run(store, pending_id, lease, jobs_by_name)
        finally:
            watchdog.ended()

    beat = Beat(store, "worker", {"queues": list(queues), "threads": threads})
    signals.worker_ready.connect(lambda **_: beat.start(), weak=False)  # not before it takes work, and ends in order
    watchdog.start()
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
    from workers.periodic import Rounds
    from workers.relay import SUBSCRIBERS, Relay

    die_with_parent()
    relay = Relay(store, app.make_celery(store.settings.redis_url), subscribers or SUBSCRIBERS)
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: relay.stop())
    beat = Beat(store, "relay")
    rounds = Rounds(store, watching=relay.watching)
    beat.start()
    rounds.start()
    gc.freeze()
    relay.run()
    rounds.stop()
    beat.stop()
    return 0


def worker_process(queues: Sequence[str] = app.QUEUES, threads: int = THREADS) -> int:
    """One worker over all our jobs, with a store of its own."""
    from workers.relay import JOBS

    return run_worker(app.store(), JOBS, queues=queues, threads=threads)


def relay_process() -> int:
    """One relay over all our jobs, with a store of its own."""
    return run_relay(app.store())


def run_workers(count: int, *, queues: Sequence[str] = app.QUEUES, threads: int = THREADS, relay: bool = False) -> int:
    """Several workers out of one process, with a relay if wanted; those that die are forked again."""
    from workers.forks import Forks, Part

    preload()
    warm_up(config.load())
    parts = [Part(f"worker-{number + 1}", lambda: worker_process(queues, threads)) for number in range(count)]
    if relay:
        parts.append(Part("relay", relay_process, stop_order=1))
    return Forks(parts).run()


def run_web(bind: str) -> int:
    """The pages and the API until SIGTERM; gunicorn ends the process."""
    from workers.web_server import WebServer

    settings = config.load()
    for name in ("coordinator.app", "coordinator.web", "coordinator.api"):
        import_module(name)
    warm_up(settings)
    WebServer(bind, proxies=settings.trusted_proxies).run()
    return 0


def main(argv: Sequence[str]) -> int:
    """`web BIND` or `jobs`."""
    set_up_logging(config.load().log_level)
    if argv[1] == "web":
        return run_web(argv[2])
    return run_workers(WORKERS, relay=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
