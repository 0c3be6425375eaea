"""gunicorn as our web server: modules loaded once before the fork, store and application opened in each process."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from gunicorn.app.base import BaseApplication

from coordinator import config
from coordinator.store import Store
from workers.children import die_with_parent
from workers.heartbeat import Beat

PROCESSES, THREADS = 2, 8
BACKLOG = 512
TIMEOUT = 60


class WebServer(BaseApplication):
    """The pages and the API over HTTP. `bind` is an address, or `fd://N` for a socket that is open already."""

    def __init__(self, bind: str, *, processes: int = PROCESSES, threads: int = THREADS, proxies: int = 0) -> None:
        self._bind, self._processes, self._threads, self._proxies = bind, processes, threads, proxies
        super().__init__()

    def load_config(self) -> None:
        settings: dict[str, Any] = {
            "bind": self._bind, "workers": self._processes, "worker_class": "gthread", "threads": self._threads,
            "backlog": BACKLOG, "timeout": TIMEOUT, "graceful_timeout": 8, "keepalive": 15, "worker_tmp_dir": _memory(),
            "post_fork": _post_fork, "worker_exit": _worker_exit, "loglevel": "warning", "accesslog": None,
            "control_socket_disable": True, "forwarded_allow_ips": "*" if self._proxies else "127.0.0.1,::1",
            "limit_request_line": 4094, "limit_request_fields": 60, "limit_request_field_size": 8190,
            "proc_name": "coordinator-web",
        }  # fmt: skip
        for name, value in settings.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Callable[..., Any]:
        """In each process, after the fork."""
        from coordinator.app import create_app

        return create_app(_store())


_opened: list[Store] = []
_beats: list[Beat] = []


def _store() -> Store:
    if not _opened:
        _opened.append(Store(config.load()))
    return _opened[0]


def _post_fork(server: Any, worker: Any) -> None:
    die_with_parent()
    beat = Beat(_store(), "web")
    beat.start()
    _beats.append(beat)


def _worker_exit(server: Any, worker: Any) -> None:
    for beat in _beats:
        beat.stop()


def _memory() -> str | None:
    """gunicorn's own signs of life go to memory where there is some, so that a slow disk kills no worker."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def listen(host: str, port: int) -> socket.socket:
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
