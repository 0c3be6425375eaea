"""The Flask application: both doors, one way to say what was refused, headers, limits, logs."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count
from typing import Any

import structlog
from flask import Flask, Response, g, request
from flask.json.provider import DefaultJSONProvider
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as DatabaseTimeout
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from coordinator import api, clock, db, interchange, logs
from coordinator.api import limits
from coordinator.api.problems import http_problem, problem
from coordinator.errors import CoordinatorError, NotReady, Refused
from coordinator.store import Store
from coordinator.together import Together

ErrorPage = Callable[[Exception], Any]

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
API_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"

_log = structlog.get_logger("web")


class Json(DefaultJSONProvider):
    """Instants as RFC 3339 in UTC; names in the order they were given; text as it is."""

    sort_keys = False
    ensure_ascii = False

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """As text that can be sent: half a surrogate pair, as a name in what somebody sent may hold, becomes "?"."""
        return super().dumps(obj, **kwargs).encode("utf-8", "replace").decode()

    @staticmethod
    def default(value: Any) -> Any:
        return clock.rfc3339(value) if hasattr(value, "tzinfo") else DefaultJSONProvider.default(value)


class Application(Flask):
    """Flask with our JSON, and a place for the page that tells a person of a refusal."""

    json_provider_class = Json
    error_page: ErrorPage | None = None

    def dispatch_request(self) -> Any:
        """The view, once more where the database gave it up for another's sake and nothing of it was committed."""
        tries = count()

        def view() -> Any:
            if next(tries):
                for _, file in request.files.items(multi=True):
                    file.stream.seek(0)
            return Flask.dispatch_request(self)

        return db.again(view)

    def register_error_page(self, page: ErrorPage) -> None:
        """`page(error)` answers refusals outside the API; without one they are problem+json as well."""
        self.error_page = page


def create_app(store: Store, *, pages: bool = True) -> Application:
    """The application on a store that was opened in this process; without `pages` only the JSON door."""
    interchange.install()
    app = Application("coordinator", static_folder=None)
    app.extensions["coordinator"] = store
    app.extensions["coordinator.together"] = Together(store)
    _configure(app, store)
    limits.install(app, store.settings)
    api.install(app)
    if pages:
        _add_pages(app, store)
    app.register_error_handler(Exception, _refused(app))
    app.before_request(_begin)
    app.after_request(_finish)
    return app


def _configure(app: Application, store: Store) -> None:
    settings = store.settings
    app.config.update(
        SECRET_KEY=settings.secret_key or store.vault.derive("cookies").hex(),
        MAX_CONTENT_LENGTH=settings.max_body_bytes,
        MAX_FORM_MEMORY_SIZE=settings.max_body_bytes,
        MAX_FORM_PARTS=2000,
        SESSION_COOKIE_NAME="__Host-form" if settings.https else "form",
        SESSION_COOKIE_SECURE=settings.https,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
    )
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=0)  # type: ignore[method-assign]
    logs.configure(settings.log_level)


def _add_pages(app: Application, store: Store) -> None:
    from coordinator import web
    from coordinator.web.pages import error_page

    web.install(app, store)
    app.register_error_page(error_page)


def _refused(app: Application) -> ErrorPage:
    """The one place where errors become answers."""

    def answer(error: Exception) -> Any:
        if isinstance(error, OperationalError | DatabaseTimeout):
            _log.error("database", **logs.where(error), code=db.code_of(error), route=_route())
            error = NotReady("The database did not answer in time: send it again shortly.")
        elif isinstance(error, IntegrityError) and _taken_meanwhile(error):
            _log.warning("at the same instant", **logs.where(error), route=_route())
            error = Refused("Somebody did the same at the same instant. Look, and send it again if it is still needed.")
        elif not isinstance(error, CoordinatorError | HTTPException):
            _log.error("failed", **logs.where(error), route=_route())
            error = CoordinatorError("It was recorded; try again shortly.")
        if app.error_page is not None and not _is_api():
            return app.error_page(error)
        return http_problem(error) if isinstance(error, HTTPException) else problem(error)

    return answer


def _taken_meanwhile(error: IntegrityError) -> bool:
    """Whether two wrote the same thing at once: both had looked, and the database let one of them have it."""
    return db.code_of(error) in ("23505", "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY")


def _is_api() -> bool:
    return request.path.startswith(("/api/", "/taxii2/", "/healthz", "/readyz", "/metrics"))


def _begin() -> None:
    g.started = time.perf_counter()


def _finish(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("Content-Security-Policy", API_POLICY if _is_api() else PAGE_POLICY)
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("X-Frame-Options", "DENY")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
    headers.setdefault("Cache-Control", "no-store")
    secret = _is_api() or "token" in (request.view_args or {})
    headers.setdefault("Referrer-Policy", "no-referrer" if secret else "same-origin")
    if request.is_secure:
        headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
    if request.endpoint in ("health.healthz", "health.readyz", "health.metrics"):
        return response
    taken = round((time.perf_counter() - g.started) * 1000, 1) if "started" in g else None
    by = g.get("actor")
    _log.info("answered", method=request.method, route=_route(), status=response.status_code, ms=taken, by=by)
    return response


def _route() -> str:
    """The rule, never the path: a path may hold a token."""
    return request.url_rule.rule if request.url_rule else "(none)"
