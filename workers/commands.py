"""`coordinator up · web · worker · relay`: registered by entry point, so that `coordinator/` never imports a worker."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from coordinator import config
from coordinator.errors import Misconfigured
from workers.broker import BrokerNotFound

DEFAULT_PORT = 8080


def register(add: Callable[..., argparse.ArgumentParser]) -> None:
    """Add our commands; `add(path, run, help)` gives the parser of each."""
    for path, run, about in (
        ("up", _up, "run everything on this machine"),
        ("web", _web, "serve the pages and the API"),
    ):
        command = add(path, run, about)
        command.add_argument("--host", default="127.0.0.1")
        command.add_argument("--port", type=int, default=DEFAULT_PORT, help="0: a free one")
    command = add("worker", _worker, "do the jobs")
    command.add_argument("--queues", nargs="+", default=[], metavar="QUEUE", help="alerts, main (default: both)")
    command.add_argument("--concurrency", type=int, default=0, metavar="N", help="jobs at once in each process")
    command.add_argument("--processes", type=int, default=1, metavar="N", help="processes, forked from one")
    command = add("demo", _demo, "the main job on a small fictional world")
    command.add_argument("--exit", action="store_true", help="stop when the story is over, 0 if it was closed")
    command.add_argument("--port", type=int, default=0, help="0: a free one")
    add("retry", _retry, "try again everything that was given up after repeated failures")
    add("relay", _relay, "hand what must follow to the workers, and watch the clocks")


# ---------------------------------------------------------------- the parts


def _web(arguments: argparse.Namespace) -> int:
    from workers.processes import run_web, set_up_logging

    settings = _settings(arguments)
    config.check_bind(settings, arguments.host)
    set_up_logging(settings.log_level)
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    return run_web(f"{host}:{arguments.port}")


def _worker(arguments: argparse.Namespace) -> int:
    from workers import app, processes

    settings = _settings(arguments, broker=True)
    queues = tuple(name for each in arguments.queues for name in each.replace(",", " ").split()) or app.QUEUES
    unknown = set(queues) - set(app.QUEUES)
    if unknown:
        raise Misconfigured(f"--queues: choose among {', '.join(app.QUEUES)}")
    processes.set_up_logging(settings.log_level)
    threads = arguments.concurrency or processes.THREADS
    if arguments.processes > 1:
        return processes.run_workers(arguments.processes, queues=queues, threads=threads)
    return processes.worker_process(queues, threads)


def _relay(arguments: argparse.Namespace) -> int:
    from workers import processes

    processes.set_up_logging(_settings(arguments, broker=True).log_level)
    return processes.relay_process()


def _retry(arguments: argparse.Namespace) -> int:
    from coordinator.cli import actor, opened
    from coordinator.upkeep.given_up import revive_all

    with opened(arguments) as store, store.unit_of_work() as tx:
        count = revive_all(tx, actor=actor())
    print(f"{count} given up, tried again now." if count else "Nothing was given up.")
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    from workers.demo import command

    return command.run(arguments)


def _settings(arguments: argparse.Namespace, *, broker: bool = False) -> config.Settings:
    """The settings, with --data put where the processes to come will look for it."""
    if arguments.data:
        os.environ["COORDINATOR_DATA_DIR"] = str(Path(arguments.data).resolve())
    settings = config.load()
    if broker and not settings.redis_url:
        raise Misconfigured("Set COORDINATOR_REDIS_URL: workers and relay meet there")
    return settings


# ---------------------------------------------------------------- one machine


def _up(arguments: argparse.Namespace) -> int:
    from workers.one_machine import one_machine
    from workers.supervisor import AlreadyRunning, become_tree, hold_lock

    try:
        settings = _settings(arguments)
        config.check_bind(settings, arguments.host)
        config.prepare_data_dir(settings)
        hold_lock(str(settings.data_dir / "up.lock"))
        children, text = one_machine(settings, host=arguments.host, port=arguments.port)
    except (AlreadyRunning, BrokerNotFound) as refused:
        print(f"coordinator: {refused}", file=sys.stderr)
        return 1
    become_tree(children, ready_text=text)
