"""An end to a whole exchange. Time-outs bound a single read only; a receiver that drips a byte a second keeps to them.

When the time is over the connection is shut from beside, and whoever waits for it gets an end of file.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import PoolManager


class TimeOver(Exception):
    """The exchange took longer than it may."""


class Deadline:
    """Within the block, every connection made in this thread by a watched pool is shut after `seconds`.

    Leaving the block with an error after that time raises TimeOver instead.
    """

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._over = False
        self._before: Token[Deadline | None] | None = None

    def watch(self, connection: socket.socket) -> None:
        """Keep a second handle on the connection: the first is taken over by TLS."""
        double = socket.socket(fileno=os.dup(connection.fileno()))
        with self._lock:
            self._sockets.append(double)
            if self._over:
                _shut(double)

    def check(self) -> None:
        """Raises TimeOver when the time is over."""
        if self._over:
            raise TimeOver()

    def __enter__(self) -> Deadline:
        self._before = _current.set(self)
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._before is not None:
            _current.reset(self._before)
        with self._lock:
            for each in self._sockets:
                each.close()
            self._sockets.clear()
        if fault is not None and self._over:
            raise TimeOver() from fault

    def _end(self) -> None:
        with self._lock:
            self._over = True
            for each in self._sockets:
                _shut(each)


_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def watch_connections(pools: PoolManager) -> None:
    """Make the connections of these pools keep to the deadline they are made under."""
    pools.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _watched(super()._new_conn())


class _SecureConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _watched(super()._new_conn())


def _watched(connection: socket.socket) -> socket.socket:
    deadline = _current.get()
    if deadline is not None:
        deadline.watch(connection)
    return connection


class _Pool(HTTPConnectionPool):
    ConnectionCls: Any = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls: Any = _SecureConnection
