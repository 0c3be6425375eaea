"""Who may call what. Every view says it with one decorator; a test walks all routes and fails for one that does not.

Here only bearer tokens and signatures count: no cookies, so nothing a browser sends by itself opens anything.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from flask import current_app, g, request

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Right, Role, Scope, rights_of
from coordinator.accounts.service import token_principal
from coordinator.errors import NoRight, NotAuthenticated, NotSignedIn
from coordinator.partners.queries import IntakeEndpoint, intake_endpoint
from coordinator.partners.signing import verify
from coordinator.store import Store

View = Callable[..., Any]


def store() -> Store:
    """The store of the application that answers this request."""
    return cast(Store, current_app.extensions["coordinator"])


def needs(right: Right) -> Callable[[View], View]:
    """The view is for those with this right; it finds who asks in `principal()`."""

    def declare(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            g.principal = _with_right(right)
            return view(*args, **kwargs)

        guarded.declares = right  # type: ignore[attr-defined]
        return guarded

    return declare


def open_to(reason: str) -> Callable[[View], View]:
    """The view asks for no account; `reason` says why that is right."""

    def declare(view: View) -> View:
        view.declares = reason  # type: ignore[attr-defined]
        return view

    return declare


def signed_by_partner(view: View) -> View:
    """The view is for a partner system that signed this request; it gets `endpoint` and `key_id` (Standard Webhooks).

    An unknown endpoint, a disabled one and a wrong signature are one and the same answer, after the same work (R14).
    """

    @wraps(view)
    def guarded(endpoint: str, **kwargs: Any) -> Any:
        found, key_id = _verified(endpoint)
        g.actor = f"endpoint:{found.slug}"
        return view(endpoint=found, key_id=key_id, **kwargs)

    guarded.declares = "a partner system's signature"  # type: ignore[attr-defined]
    return guarded


def principal() -> Principal:
    """Who asks; there in every view that `needs` a right."""
    return cast(Principal, g.principal)


def _with_right(right: Right) -> Principal:
    found = _bearer()
    scopes = None if found.scopes is None else [Scope(scope) for scope in found.scopes]
    if right not in rights_of(Role(found.role), scopes):
        raise NoRight("Your role or this token's scopes do not reach this.")
    g.actor = found.actor
    return found


def _bearer() -> Principal:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise NotSignedIn("Send Authorization: Bearer and an API token.")
    with store().read() as tx:
        found = token_principal(tx, token.strip())
    if found is None:
        raise NotSignedIn("The token is not known, or no longer valid.")
    return found


def _verified(slug: str) -> tuple[IntakeEndpoint, int]:
    body = request.get_data(cache=True)
    with store().read() as tx:
        found = intake_endpoint(tx, slug) if len(slug) <= 80 and "\0" not in slug else None
    usable = found is not None and found.state == "active"
    secrets = [secret for _, secret in found.keys] if found and usable else []
    which = verify(secrets, request.headers, body, clock.now())
    if found is None or not usable:
        raise NotAuthenticated()
    return found, found.keys[which][0]
