"""Who may call what. Every view says it with one decorator; a test walks all routes and fails for one that does not.

Here only bearer tokens and signatures count: no cookies, so nothing a browser sends by itself opens anything.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from flask import current_app, g, request

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Right, Role, Scope, rights_of
from coordinator.accounts.service import token_principal
from coordinator.api.limits import check_hop, note_guess
from coordinator.errors import NoRight, NotAuthenticated, NotReady, NotSignedIn
from coordinator.incidents.attachments import announced_size
from coordinator.incidents.intake import SenderChanged
from coordinator.partners.queries import IntakeEndpoint, intake_endpoint
from coordinator.partners.signing import verify
from coordinator.store import Store
from coordinator.timeline import sending_hold

View = Callable[..., Any]
#: Files held in memory at once in this process, 25 MiB each at most.
_UPLOADS = threading.BoundedSemaphore(4)


def store() -> Store:
    """The store of the application that answers this request."""
    return cast(Store, current_app.extensions["coordinator"])


def needs(right: Right, *, basic: bool = False) -> Callable[[View], View]:
    """The view is for those with this right; it finds who asks in `principal()`. `basic`: a token may also come as the
    password of HTTP Basic, for clients that know nothing else; the user name is not looked at."""

    def declare(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            g.principal = _with_right(right, basic=basic)
            return view(*args, **kwargs)

        guarded.access = ("needs", right)  # type: ignore[attr-defined]
        return guarded

    return declare


def signed_in(view: View) -> View:
    """The view is for anybody with a token that holds: it says nothing but who that is."""

    @wraps(view)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        g.principal = _bearer()
        g.actor = g.principal.actor
        return view(*args, **kwargs)

    guarded.access = ("signed-in", "any account")  # type: ignore[attr-defined]
    return guarded


def open_to(reason: str) -> Callable[[View], View]:
    """The view asks for no account; `reason` says why that is right."""

    def declare(view: View) -> View:
        view.access = ("open", reason)  # type: ignore[attr-defined]
        return view

    return declare


def signed_by_partner(view: View) -> View:
    """The view is for a partner system that signed this request; it gets `endpoint` and `key_id` (Standard Webhooks).

    An unknown endpoint, a disabled one and a wrong signature are one and the same answer, after the same work (R14).
    An endpoint may be one that this process remembers: the view keeps nothing unless it is still so, or raises
    SenderChanged.
    """

    @wraps(view)
    def guarded(endpoint: str, **kwargs: Any) -> Any:
        check_hop()
        found, key_id = _remembered(endpoint) or _verified(endpoint)
        g.actor = f"endpoint:{found.slug}"
        try:
            return view(endpoint=found, key_id=key_id, **kwargs)
        except SenderChanged:
            found, key_id = _verified(endpoint)
            return view(endpoint=found, key_id=key_id, **kwargs)

    guarded.access = ("signed", "a partner system's signature")  # type: ignore[attr-defined]
    return guarded


def signed_file(view: View) -> View:
    """As `signed_by_partner`, for a file that was announced: up to its announced size, a few at a time.

    What was not announced may be no larger than a report, so that nobody fills our memory without a secret.
    """

    @wraps(view)
    def guarded(endpoint: str, sha256: str) -> Any:
        store().require_room()  # before a byte of the file is read
        digest = sha256.lower()
        limit = _announced(endpoint, digest) or store().settings.max_body_bytes
        request.max_content_length = max(limit, 1)
        if not _UPLOADS.acquire(blocking=False):
            raise NotReady("Several files are coming in: send this one again shortly.")
        try:
            check_hop()
            found, _ = _verified(endpoint)
            g.actor = f"endpoint:{found.slug}"
            return view(endpoint=found, sha256=digest, body=request.get_data())
        finally:
            _UPLOADS.release()

    guarded.access = ("signed", "a partner system's signature")  # type: ignore[attr-defined]
    return guarded


def _clock_is_doubted() -> bool:
    """Then a signature that fails may fail by our clock alone, and what is genuine must not be turned away for good."""
    with store().read() as tx:
        return sending_hold.CLOCK in sending_hold.kinds(tx)


def _announced(slug: str, sha256: str) -> int | None:
    if not re.fullmatch("[0-9a-f]{64}", sha256) or not fit_slug(slug):
        return None
    with store().read() as tx:
        found = intake_endpoint(tx, slug)
        return announced_size(tx, endpoint_id=found.id, sha256=sha256) if found else None


def fit_slug(slug: str) -> bool:
    """Whether this can be an endpoint's name at all."""
    return len(slug) <= 80 and "\0" not in slug


def principal() -> Principal:
    """Who asks; there in every view that `needs` a right."""
    return cast(Principal, g.principal)


def _with_right(right: Right, *, basic: bool) -> Principal:
    found = _of_token(_basic_password()) if basic and _basic_password() else _bearer()
    scopes = None if found.scopes is None else [Scope(scope) for scope in found.scopes]
    if right not in rights_of(Role(found.role), scopes):
        raise NoRight("Your role or this token's scopes do not reach this.")
    g.actor = found.actor
    return found


def _bearer() -> Principal:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise NotSignedIn("Send Authorization: Bearer and an API token.")
    return _of_token(token.strip())


def _basic_password() -> str:
    given = request.authorization
    return (given.password or "") if given is not None and given.type == "basic" else ""


def _of_token(token: str) -> Principal:
    with store().read() as tx:
        found = token_principal(tx, token)
    if found is None:
        raise NotSignedIn("The token is not known, or no longer valid.")
    return found


def _remembered(slug: str) -> tuple[IntakeEndpoint, int] | None:
    """The endpoint as it was at its last message to this process, where one of its keys signed this request too."""
    found = _senders().get(slug)
    try:
        which = verify([secret for _, secret in found.keys] if found else [], request.headers,
                       request.get_data(cache=True), clock.now())  # fmt: skip
    except NotAuthenticated:
        return None
    return (found, found.keys[which][0]) if found else None


def _senders() -> dict[str, IntakeEndpoint]:
    return cast(dict[str, IntakeEndpoint], current_app.extensions.setdefault("coordinator.senders", {}))


def _verified(slug: str) -> tuple[IntakeEndpoint, int]:
    """The endpoint as it is now, and the id of its key that signed this request. Raises NotAuthenticated."""
    body = request.get_data(cache=True)
    with store().read() as tx:
        found = intake_endpoint(tx, slug) if fit_slug(slug) else None
    usable = found is not None and found.state == "active"
    secrets = [secret for _, secret in found.keys] if found and usable else []
    try:
        which = verify(secrets, request.headers, body, clock.now())
    except NotAuthenticated:
        if _clock_is_doubted():
            raise NotReady("Our clock is being checked: send it again shortly.") from None
        note_guess()
        raise
    if found is None or not usable:
        raise NotAuthenticated()
    _senders()[slug] = found
    return found, found.keys[which][0]
