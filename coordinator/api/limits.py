"""Limits by the network's trusted hop before anything costs much, and by partner endpoint after its signature held.

Calls with a token or a link are counted in Redis for all processes together, and by each process for itself while it
is away. The signed door and pages that poll count in the process only: they are answered by the thousand, and do not
wait for Redis for that. A flood is slowed, never lost: 429 with Retry-After, and partners send again.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from functools import lru_cache
from typing import Any

from flask import Flask, Response, current_app, request
from flask_limiter import Limiter
from limits import RateLimitItem, parse

from coordinator.config import Settings
from coordinator.errors import TooMany

#: All requests of one address; refused guesses of one address (no token, wrong token, no such link).
REQUESTS, GUESSES = "100000 per minute", "600 per minute"
#: Signed reports and files at one endpoint.
PARTNER = "60000 per minute"
_UNCOUNTED = ("health.healthz", "health.readyz", "health.metrics", "api.intake.receive", "api.intake.receive_file")
#: Open pages ask these every two seconds; they are counted in the process like the signed door.
_POLLED = ("live.of_board", "live.of_incident")
_GUESSED = (401, 404, 410)


class _Sparing(Limiter):
    """Leaves what is not counted here alone at once: working out that no limit holds costs a third of such a call."""

    def _check_request_limit(self, callable_name: str | None = None, in_middleware: bool = True) -> None:
        if request.endpoint in _POLLED:
            check_hop()
        elif not _uncounted():
            super()._check_request_limit(callable_name, in_middleware)


def install(app: Flask, settings: Settings) -> Limiter:
    """Put the limits before every view. app.config LIMIT_REQUESTS, LIMIT_GUESSES and LIMIT_PARTNER change them."""
    for name, usual in (("LIMIT_REQUESTS", REQUESTS), ("LIMIT_GUESSES", GUESSES), ("LIMIT_PARTNER", PARTNER)):
        app.config.setdefault(name, usual)
    limiter = _Sparing(
        _hop,
        application_limits=[lambda: current_app.config["LIMIT_REQUESTS"]],
        default_limits=[lambda: current_app.config["LIMIT_GUESSES"]],
        default_limits_deduct_when=_is_guess,
        default_limits_exempt_when=_uncounted,
        application_limits_exempt_when=_uncounted,
        storage_uri=_storage(settings.redis_url),
        storage_options=_patience(settings.redis_url),
        in_memory_fallback_enabled=True,
        swallow_errors=True,
        strategy="fixed-window",
        key_prefix="coordinator:limits",
    )
    limiter.init_app(app)
    app.extensions["coordinator.windows"] = Windows()
    return limiter


class Windows:
    """Counts by name in fixed windows of one process: an old window is forgotten as a whole."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._window, self._counts = 0, Counter[str]()

    def hit(self, limit: str, name: str) -> bool:
        """Count one more of `name`; whether it is still within `limit` (as in "600 per minute")."""
        with self._lock:
            self._turn(limit)
            self._counts[name] += 1
            return self._counts[name] <= _parsed(limit).amount

    def is_over(self, limit: str, name: str) -> bool:
        """Whether one more of `name` would not be within `limit`; counts nothing."""
        with self._lock:
            self._turn(limit)
            return self._counts[name] >= _parsed(limit).amount

    def _turn(self, limit: str) -> None:
        window = int(time.monotonic() / _parsed(limit).get_expiry())
        if window != self._window:
            self._window, self._counts = window, Counter()


@lru_cache(maxsize=32)
def _parsed(limit: str) -> RateLimitItem:
    return parse(limit)


def check_hop() -> None:
    """One more request at the signed door from this address, and none of too many wrong guesses. Raises TooMany."""
    windows: Windows = current_app.extensions["coordinator.windows"]
    within = windows.hit(current_app.config["LIMIT_REQUESTS"], f"hop/{_hop()}")
    if not within or windows.is_over(current_app.config["LIMIT_GUESSES"], f"guess/{_hop()}"):
        raise TooMany("Too many from this address: wait a minute.")


def note_guess() -> None:
    """The signature did not hold."""
    windows: Windows = current_app.extensions["coordinator.windows"]
    windows.hit(current_app.config["LIMIT_GUESSES"], f"guess/{_hop()}")


def check_partner(slug: str) -> None:
    """One more request of a partner whose signature held. Raises TooMany."""
    windows: Windows = current_app.extensions["coordinator.windows"]
    if not windows.hit(current_app.config["LIMIT_PARTNER"], f"partner/{slug}"):
        raise TooMany("Too many at this endpoint: send the rest in a minute.")


def _hop() -> str:
    return request.remote_addr or "local"


def _is_guess(response: Response) -> bool:
    return response.status_code in _GUESSED


def _uncounted() -> bool:
    return request.endpoint in _UNCOUNTED


def _storage(redis_url: str) -> str:
    if not redis_url:
        return "memory://"
    return f"redis+{redis_url}" if redis_url.startswith("unix://") else redis_url


def _patience(redis_url: str) -> Any:
    return {"socket_connect_timeout": 0.2, "socket_timeout": 0.5, "wrap_exceptions": True} if redis_url else {}
