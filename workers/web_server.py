"""gunicorn as our web server: the application is made once before the fork, connections are opened after it."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
from collections.abc import Callable
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.workers.gthread import ThreadWorker

from coordinator import config
from coordinator.store import Store
from coordinator.web.live import glance
from workers.children import die_with_parent
from workers.heartbeat import Beat

PROCESSES, THREADS = 2, 8
BACKLOG = 512
TIMEOUT = 60
#: A longer request is no poll of ours.
LONGEST_POLL = 8192
WARM = ("/healthz", "/readyz", "/sign-in", "/")


class DeskWorker(ThreadWorker):  # type: ignore[misc]
    """Threads for everything, except that a poll which memory can answer is answered at once, by the loop.

    A thousand open pages ask five hundred times a second. To wake a thread for each, parse it and go through the
    application costs ten times what there is to say, and is taken from those who file meanwhile.
    """

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        """A connection that was kept alive has something to say."""
        if not (self.alive and self._glanced(conn, client)):
            super().on_client_socket_readable(conn, client)

    def _glanced(self, conn: Any, client: Any) -> bool:
        try:
            asked = client.recv(LONGEST_POLL, socket.MSG_PEEK)
            answer = glance(self.wsgi, asked) if asked.startswith(b"GET ") else None
            if answer is None:
                return False
            client.recv(len(asked))
            if client.send(answer) != len(answer):
                client.shutdown(socket.SHUT_RDWR)
                return False
        except OSError:
            return False  # the usual way finds out what is wrong with it
        conn.set_timeout()
        self.keepalived_conns.remove(conn)
        self.keepalived_conns.append(conn)
        return True


class WebServer(BaseApplication):
    """The pages and the API over HTTP. `bind` is an address, or `fd://N` for a socket that is open already."""

    def __init__(self, bind: str, *, processes: int = PROCESSES, threads: int = THREADS, proxies: int = 0) -> None:
        self._bind, self._processes, self._threads, self._proxies = bind, processes, threads, proxies
        super().__init__()

    def load_config(self) -> None:
        settings: dict[str, Any] = {
            "bind": self._bind, "workers": self._processes, "worker_class": DeskWorker, "threads": self._threads,
            "backlog": BACKLOG, "timeout": TIMEOUT, "graceful_timeout": 8, "keepalive": 15, "worker_tmp_dir": _memory(),
            "post_fork": self._post_fork, "worker_exit": self._worker_exit, "preload_app": True, "accesslog": None,
            "loglevel": "warning",
            "control_socket_disable": True, "forwarded_allow_ips": "*" if self._proxies else "127.0.0.1,::1",
            "limit_request_line": 4094, "limit_request_fields": 60, "limit_request_field_size": 8190,
            "proc_name": "coordinator-web",
        }  # fmt: skip
        for name, value in settings.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def load(self) -> Callable[..., Any]:
        """Once, before the fork: what it loads is shared by the processes. It leaves no connection open.

        A few requests are answered for nobody, because what templates and mappers build at first use would otherwise be
        built in every process (18 MB each).
        """
        from coordinator.app import create_app

        self._store = Store(config.load())
        application = create_app(self._store)
        with contextlib.suppress(Exception):  # a database that is away now may be there for the first visitor
            for path in WARM:
                application.test_client().get(path)
        self._store.close()
        gc.collect()
        gc.freeze()
        return application

    def _post_fork(self, server: Any, worker: Any) -> None:
        die_with_parent()
        self._beat = Beat(self._store, "web")
        self._beat.start()

    def _worker_exit(self, server: Any, worker: Any) -> None:
        self._beat.stop()


def _memory() -> str | None:
    """gunicorn's own signs of life go to memory where there is some, so that a slow disk kills no worker."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
