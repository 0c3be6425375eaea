"""Wake-ups over Redis. Nothing here is truth: any of it may be lost, and everyone who waits also looks.

`nudge(whom)` tells the relay that a commit left work for it. Open pages ask by themselves.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import redis

WAKE = "coordinator:wake"
RELAY = "relay"
#: After a failed call Redis is left alone for this long (seconds), so that a broker that is away does not slow the
#: doors.
REST = 2.0


class Live:
    """A forgiving client: every call returns at once when Redis is away.

    The library is loaded where there is a Redis to talk to: the command line mostly has none.
    """

    def __init__(self, url: str) -> None:
        self._client = connect(url) if url else None
        self._away: tuple[type[Exception], ...] = _errors() if url else ()
        self._rest_until = 0.0

    def nudge(self, whom: Iterable[str]) -> None:
        """Wake the relay, where it is among those to tell. Never raises."""
        client = self._awake() if RELAY in whom else None
        if client is None:
            return
        try:
            pipe = client.pipeline(transaction=False)
            pipe.lpush(WAKE, b"1")
            pipe.ltrim(WAKE, 0, 8)
            pipe.execute()
        except self._away:
            self._rest_until = time.monotonic() + REST

    def wait_for_wake(self, seconds: float) -> bool:
        """Sleep until a wake-up arrives or `seconds` are over; True if woken."""
        started = time.monotonic()
        client = self._awake()
        if client is not None:
            try:
                woken = client.blpop([WAKE], timeout=seconds)
                if woken:
                    client.delete(WAKE)
                return bool(woken)
            except self._away:
                self._rest_until = time.monotonic() + REST
        time.sleep(max(0.0, seconds - (time.monotonic() - started)))
        return False

    def answers(self) -> bool:
        """Whether Redis answers now."""
        if self._client is None:
            return False
        with contextlib.suppress(*self._away):
            return bool(self._client.ping())
        return False

    def holds(self, lists: Iterable[str]) -> bool:
        """Whether anything waits in one of these lists; no, while Redis is away."""
        client = self._awake()
        if client is None:
            return False
        try:
            return any(client.llen(each) for each in lists)
        except self._away:
            self._rest_until = time.monotonic() + REST
            return False

    def _awake(self) -> redis.Redis | None:
        """The client, unless a call failed just now."""
        return self._client if time.monotonic() >= self._rest_until else None


def connect(url: str) -> redis.Redis:
    """A client with short time-outs and no long retries: callers have another way."""
    import redis

    tcp = {} if url.startswith("unix://") else {"socket_keepalive": True}  # redis-py refuses it on a unix socket
    return redis.Redis.from_url(url, socket_timeout=2.0, socket_connect_timeout=0.5, health_check_interval=15, **tcp)


def _errors() -> tuple[type[Exception], ...]:
    import redis

    return redis.RedisError, OSError
