"""Who may open a page. Every view says so itself: `@needs(Right.X)` or `@open_to("reason")`; a test walks all routes.

The principal is read once a request from the session's token; pages that only poll do not keep a session alive.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from flask import current_app, g, redirect, request, session, url_for

from coordinator import clock
from coordinator.accounts import factors, rules, sessions
from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Right, Role
from coordinator.errors import NoRight, NotSignedIn, StepUpNeeded
from coordinator.store import Store
from coordinator.web.pulse import LIVE_HEADER, Pulse

View = TypeVar("View", bound=Callable[..., Any])

TOKEN = "token"
#: A second factor is asked again before release, approval, secrets and export when it is older than this (seconds).
FRESH = 15 * 60
#: The field of a code that is given together with what it is needed for.
CODE = "second_factor_code"


def needs(right: Right, *, fresh: bool = False) -> Callable[[View], View]:
    """The view is for people whose role has `right`. `fresh`: their second factor must have been given lately."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            principal = required()
            if not may(right):
                raise NoRight()
            if rules.asks_second_factor(right) and principal.second_factor_at is None:
                return redirect(url_for("account.second_factor", then=_here()))
            if fresh and not is_fresh(principal):
                return _step_up()
            return view(*args, **kwargs)

        guarded.declares = right  # type: ignore[attr-defined]
        guarded.fresh = fresh  # type: ignore[attr-defined]
        return cast(View, guarded)

    return decorate


def signed_in(reason: str) -> Callable[[View], View]:
    """The view is for everybody who is signed in, whatever the role; `reason` says why that is enough."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            required()
            return view(*args, **kwargs)

        guarded.declares = reason  # type: ignore[attr-defined]
        return cast(View, guarded)

    return decorate


def open_to(reason: str) -> Callable[[View], View]:
    """The view needs no sign-in; `reason` says who comes here and why that is safe."""

    def decorate(view: View) -> View:
        view.declares = reason  # type: ignore[attr-defined]
        return view

    return decorate


def store() -> Store:
    return current_app.extensions["coordinator"]


def pulse() -> Pulse:
    return current_app.extensions["pulse"]


def current() -> Principal | None:
    """Who is signed in, if anybody."""
    if "principal" not in g:
        g.principal = _read_session()
    return g.principal


def required() -> Principal:
    """Who is signed in. Raises NotSignedIn."""
    principal = current()
    if principal is None:
        raise NotSignedIn()
    return principal


def may(right: Right) -> bool:
    """Whether the one who is signed in may do this at all; for views and for what templates offer."""
    principal = current()
    return principal is not None and rules.may(Role(principal.role), right)


def is_fresh(principal: Principal) -> bool:
    at = principal.second_factor_at
    return at is not None and (clock.now() - at).total_seconds() < FRESH


def browser() -> dict[str, str]:
    """What a session remembers of where it was opened."""
    return {"browser": (request.user_agent.string or "")[:200], "address": (request.remote_addr or "")[:60]}


def keep_signed_in(token: str) -> None:
    """Begin a browser session afresh, so that nothing planted before sign-in stays."""
    session.clear()
    session[TOKEN] = token
    g.pop("principal", None)


def _read_session() -> Principal | None:
    token = session.get(TOKEN)
    if not isinstance(token, str):
        return None
    with store().read() as tx:
        found = sessions.session_principal(tx, token)
    if found is None:
        session.pop(TOKEN, None)
        return None
    principal, touch_due = found
    if touch_due and LIVE_HEADER not in request.headers and not request.path.endswith("/live"):
        with store().unit_of_work() as tx:
            sessions.touch(tx, cast(int, principal.session_id))
    return principal


def _here() -> str:
    return request.full_path.rstrip("?") if request.method == "GET" else ""


def take_code() -> None:
    """Confirm the second factor with a code that came along: from the page that asked for it and kept what was sent
    (errors/step_up). A wrong one counts as any wrong one, and is asked for again where it was needed."""
    code, principal = request.form.get(CODE, ""), current()
    if code and principal is not None and not is_fresh(principal):
        with store().unit_of_work() as tx:
            factors.step_up(tx, principal, code=code)
        g.pop("principal", None)


def _step_up() -> Any:
    """A GET is asked again and comes back; what was posted is refused, and kept on the page that asks for the code."""
    if request.method == "GET":
        return redirect(url_for("account.step_up", then=_here()))
    raise StepUpNeeded()
