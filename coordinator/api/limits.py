"""Limits by the network's trusted hop before anything costs much, and by partner endpoint after its signature held.

Counted in Redis for all processes together; while it is away, by each process for itself. A flood is slowed, never
lost: 429 with Retry-After, and partners send again.
"""

from __future__ import annotations

from flask import Flask, Response, current_app, request
from flask_limiter import Limiter
from limits import parse
from limits.errors import StorageError

from coordinator.config import Settings
from coordinator.errors import TooMany

#: All requests of one address; refused guesses of one address (no token, wrong token, no such link).
REQUESTS, GUESSES = "100000 per minute", "600 per minute"
#: Signed reports and files at one endpoint.
PARTNER = "60000 per minute"
_UNCOUNTED = ("health.healthz", "health.readyz", "health.metrics")
_GUESSED = (401, 404, 410)


def install(app: Flask, settings: Settings) -> Limiter:
    """Put the limits before every view. app.config LIMIT_REQUESTS, LIMIT_GUESSES and LIMIT_PARTNER change them."""
    for name, usual in (("LIMIT_REQUESTS", REQUESTS), ("LIMIT_GUESSES", GUESSES), ("LIMIT_PARTNER", PARTNER)):
        app.config.setdefault(name, usual)
    limiter = Limiter(
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
    app.extensions["coordinator.limiter"] = limiter
    return limiter


def check_partner(slug: str) -> None:
    """One more request of a partner whose signature held. Raises TooMany."""
    limiter: Limiter = current_app.extensions["coordinator.limiter"]
    try:
        allowed = limiter.limiter.hit(parse(current_app.config["LIMIT_PARTNER"]), "partner", slug)
    except StorageError:  # it went away since the last look: a partner's report is not refused for that
        return
    if not allowed:
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


def _patience(redis_url: str) -> dict[str, float]:
    return {"socket_connect_timeout": 0.2, "socket_timeout": 0.5, "wrap_exceptions": True} if redis_url else {}
