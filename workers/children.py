"""What a child process is: how it is started, how one sees that it is ready, and that it dies with its parent.

Standard library only, and little of it: the process that supervises a tree keeps this loaded all the time.
"""

import ctypes
import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

PR_SET_PDEATHSIG = 1  # linux/prctl.h
PROBE_SECONDS = 2.0

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, kw_only=True)
class ChildSpec:
    """One process of a tree.

    `ready` is text, so that a tree can be handed to another process: `tcp://host:port` and `unix:///path` must take a
    connection, `http://host:port/path` must answer 200, `file:///path` must exist; None is ready as soon as it runs.
    `log` is a file that gets stdout and stderr; None passes both on to the supervisor's stderr.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    ready: str | None = None
    start_order: int = 0
    stop_order: int = 0
    stop_seconds: float = 10.0
    log: str | None = None
    pass_fds: tuple[int, ...] = ()


def die_with_parent(signum: int = signal.SIGKILL) -> None:
    """Ask the kernel to send `signum` to this process when its parent ends; does nothing where Linux is missing.

    The setting is not inherited by fork: whoever forks workers of its own calls this again in each of them.
    """
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, int(signum), 0, 0, 0)


def is_ready(probe: str | None) -> bool:
    """Whether what `probe` names (see ChildSpec.ready) answers now; waits at most two seconds for an answer."""
    if probe is None:
        return True
    scheme, _, rest = probe.partition("://")
    if scheme == "file":
        return os.path.exists(rest)
    place, slash, path = rest.partition("/") if scheme != "unix" else (rest, "", "")
    try:
        with _connect(place) as connection:
            return scheme != "http" or _answers_200(connection, place, slash + path)
    except OSError:
        return False


def check_probe(probe: str | None) -> None:
    """Refuse a probe that could never succeed, before anything is started.

    Raises ValueError with the probe in its text.
    """
    if probe is None:
        return
    scheme, separator, rest = probe.partition("://")
    if not (separator and rest and scheme in ("tcp", "unix", "http", "file")):
        raise ValueError(f"a child is ready by tcp://, unix://, http:// or file://, not by {probe!r}")


def _connect(place: str) -> socket.socket:
    if place.startswith("/"):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PROBE_SECONDS)
        try:
            connection.connect(place)
        except OSError:
            connection.close()
            raise
        return connection
    host, _, port = place.rpartition(":")
    return socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_SECONDS)


def _answers_200(connection: socket.socket, place: str, path: str) -> bool:
    connection.sendall(f"GET {path or '/'} HTTP/1.0\r\nHost: {place}\r\n\r\n".encode())
    answer = b""
    while len(answer) < 12:
        part = connection.recv(1024)
        if not part:
            return False
        answer += part
    return answer.split(b" ", 2)[1:2] == [b"200"]
