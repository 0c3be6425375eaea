"""Looking at processes of this machine and waiting for things, with an end to every wait. Linux only (/proc)."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import redis

T = TypeVar("T")

#: Seconds until a wait ends in a failure. Only what is broken waits so long, a busy machine is no reason to fail.
PATIENCE = 180.0


def wait_for(look: Callable[[], T], seconds: float = PATIENCE, *, what: str, pause: float = 0.05) -> T:
    """Look again until the answer is true, and return it; `what` says in the failure what was waited for."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain for {what}"
        time.sleep(pause)
    return found


#: Below those that systems give to outgoing connections, so that none of these takes it before it is listened on.
_PORTS = range(20_000, 30_000)
_next_port = itertools.count(random.SystemRandom().randrange(len(_PORTS)))


def free_port() -> int:
    """A port nobody listens on now, another one each time."""
    for number in itertools.islice(_next_port, len(_PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", _PORTS[number % len(_PORTS)]))
            return int(probe.getsockname()[1])
    raise AssertionError("every port is taken")


def answers(client: redis.Redis) -> bool:
    """Whether the broker is there and ready."""
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def children() -> dict[int, int]:
    """The parent of every process."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                stat = (entry / "stat").read_text()
                state, parent = stat.rpartition(")")[2].split()[:2]
                if state != "Z":
                    parents[int(entry.name)] = int(parent)
    return parents


def descendants(pid: int) -> set[int]:
    """Everything below a process that runs now."""
    parents, found, edge = children(), set[int](), {pid}
    while edge:
        edge = {each for each, parent in parents.items() if parent in edge} - found
        found |= edge
    return found


def command_of(pid: int) -> str:
    """The command line of a process; "" when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def is_alive(pid: int) -> bool:
    return pid in children()


def kill_hard(pid: int) -> bool:
    """SIGKILL to one process; False when it was gone already."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
