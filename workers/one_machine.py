"""The one-machine mode: what has to be there before it starts, and which processes make its tree."""

from __future__ import annotations

import os
import socket
import sys
from datetime import timedelta

from coordinator import config, migrations
from coordinator.errors import Misconfigured
from coordinator.store import Store
from workers.broker import find_broker
from workers.children import ChildSpec

FIRST_LINK = timedelta(minutes=15)
FIRST_ADMINISTRATOR = "administrator@localhost"
LINK_FILE = "first-administrator-link"
BACKLOG = 512


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
    config.note_address(settings, base_url)
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

    from coordinator.obligations.register import ship_rules
    from coordinator.runs.catalogue import ship_library
    from coordinator.timeline.models import Heartbeat

    store = Store(settings)
    try:
        if migrations.pending_revisions(store.engine):
            migrations.upgrade(settings)
        with store.unit_of_work() as tx:
            ship_library(tx)
            ship_rules(tx)
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
        token = accounts.create_link(tx, user.id, actor="system", purpose="first-administrator", life=FIRST_LINK)
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
