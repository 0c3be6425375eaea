"""`coordinator up · web · worker · relay`: registered by entry point, so that `coordinator/` never imports a worker."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from coordinator import config, migrations
from coordinator.errors import Misconfigured
from coordinator.store import Store
from workers.broker import BrokerNotFound, find_broker
from workers.children import ChildSpec

FIRST_LINK = timedelta(minutes=15)
FIRST_ADMINISTRATOR = "administrator@localhost"
LINK_FILE = "first-administrator-link"
DEFAULT_PORT = 8080
BACKLOG = 512


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


def one_machine(settings: config.Settings, *, host: str, port: int) -> tuple[list[ChildSpec], str]:
    """Prepare the data folder (database, keys, shipped playbooks, broker) and say which processes make the tree.

    Also the text for when it is ready. The caller holds the lock of the folder. Raises Misconfigured, BrokerNotFound.
    """
    try:
        door = _listen(host, port)
    except OSError as fault:
        raise Misconfigured(f"Cannot listen on {host} port {port}: {fault.strerror}") from None
    address = _address(host, door.getsockname()[1])
    base_url = settings.base_url if os.environ.get("COORDINATOR_BASE_URL") else f"http://{address}"
    broker = find_broker(data_dir=settings.data_dir, redis_url=settings.redis_url or None)
    text = [f"Ready: {base_url}", *_prepare(settings, base_url)]
    environment = {
        "COORDINATOR_DATA_DIR": str(settings.data_dir), "COORDINATOR_BASE_URL": base_url,
        "COORDINATOR_REDIS_URL": broker.url, "MALLOC_ARENA_MAX": "2",
    }  # fmt: skip
    run = (sys.executable, "-m", "workers.processes")
    door.set_inheritable(True)
    web = ChildSpec(
        name="web", argv=(*run, "web", f"fd://{door.fileno()}"), env=environment, ready=f"http://{address}/readyz",
        start_order=1, stop_order=0, pass_fds=(door.detach(),),
    )  # fmt: skip
    work = ChildSpec(name="jobs", argv=(*run, "jobs"), env=environment, start_order=1, stop_order=1, stop_seconds=30)
    return [child for child in (broker.child, web, work) if child is not None], "\n".join(text)


def _prepare(settings: config.Settings, base_url: str) -> list[str]:
    """Database, shipped playbooks, and the link for the first administrator; returns lines to print."""
    from sqlalchemy import delete

    from coordinator.runs.catalogue import ship_library
    from coordinator.timeline.models import Heartbeat

    store = Store(settings)
    try:
        if migrations.pending_revisions(store.engine):
            migrations.upgrade(settings)
        with store.unit_of_work() as tx:
            ship_library(tx)
            if store.one_machine:  # the lock is ours: whoever wrote these is gone
                tx.execute(delete(Heartbeat).where(Heartbeat.kind.in_(("web", "worker", "relay"))))
        return _first_administrator(store, base_url)
    finally:
        store.close()


def _first_administrator(store: Store, base_url: str) -> list[str]:
    """Until an administrator is enrolled, each start makes a one-time link: to the terminal, else to a 0600 file."""
    from coordinator.accounts import service as accounts

    file = store.settings.data_dir / LINK_FILE
    with store.unit_of_work() as tx:
        if accounts.administrator_enrolled(tx):
            file.unlink(missing_ok=True)
            return []
        known = accounts.users_with_role(tx, "administrator")
        user = known[0] if known else accounts.create_user(
            tx, email=FIRST_ADMINISTRATOR, name="Administrator", role="administrator", actor="system"
        )  # fmt: skip
        token = accounts.create_link(tx, user.id, actor="system", purpose="enrol", life=FIRST_LINK)
    link = f"{base_url}/sign-in/{token}"
    if sys.stdout.isatty():
        return [f"First administrator (once, within 15 minutes): {link}"]
    with open(file, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
        out.write(link + "\n")
    return [f"First administrator: the one-time link is in {file} (15 minutes)."]


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket, open before anything is started: a taken port is known at once, port 0 becomes a number.

    Raises OSError.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _address(host: str, port: int) -> str:
    """Where this machine reaches the door itself."""
    here = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"{here}:{port}"
