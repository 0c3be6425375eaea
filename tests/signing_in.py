"""Steps of signing in for tests: accounts, links, sessions, passwords with an authenticator app, passkeys."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyotp
from sqlalchemy import select

from coordinator import clock
from coordinator.accounts import factors, passkeys, service, sessions
from coordinator.accounts.principal import Principal
from coordinator.store import Store
from coordinator.timeline.models import Entry
from tests.authenticator import Authenticator

ORIGIN = "https://coordinator.example"
BROWSER = "this browser"
PASSWORD = "a long enough password"


def account(store: Store, email: str = "anna@ministry.example", role: str = "coordinator") -> int:
    with store.unit_of_work() as tx:
        return service.create_user(tx, email=email, name="Anna", role=role, actor="cli:test").id


def by_link(store: Store, user_id: int) -> Principal:
    """Who is signed in after using a one-time link."""
    with store.unit_of_work() as tx:
        token = sessions.use_link(tx, service.create_link(tx, user_id, actor="cli:test"))
    return principal_of(store, token)


def principal_of(store: Store, token: str) -> Principal | None:
    with store.read() as tx:
        found = sessions.session_principal(tx, token)
    return found[0] if found else None


def begun(store: Store, principal: Principal) -> dict[str, Any]:
    with store.unit_of_work() as tx:
        return passkeys.begin_adding(tx, principal)


def finished(store: Store, principal: Principal, credential: Any, name: str = "Blue key") -> int:
    with store.unit_of_work() as tx:
        return passkeys.finish_adding(tx, principal, name=name, credential=credential).id


def added(store: Store, principal: Principal, **more: Any) -> Authenticator:
    """An authenticator with a passkey of this account."""
    device = Authenticator(ORIGIN, **more)
    device.row = finished(store, principal, device.make(begun(store, principal)))
    return device


def asked(store: Store, bound_to: str = BROWSER) -> dict[str, Any]:
    with store.read() as tx:
        return passkeys.begin_sign_in(tx, bound_to=bound_to)


def sign_in(store: Store, credential: Any, bound_to: str = BROWSER) -> str | None:
    with store.unit_of_work() as tx:
        return passkeys.sign_in(tx, credential, bound_to=bound_to)


def signed_in(store: Store, device: Authenticator) -> Principal | None:
    token = sign_in(store, device.sign(asked(store)))
    return principal_of(store, token) if token else None


def kinds(store: Store) -> list[str]:
    with store.read() as tx:
        return list(tx.execute(select(Entry.kind).order_by(Entry.id)).scalars())


def row_of(store: Store, model: Any, key: int) -> Any:
    with store.read() as tx:
        found = tx.get(model, key)
        tx.expunge(found)
        return found


def with_password(store: Store, user_id: int) -> tuple[pyotp.TOTP, Principal]:
    """An account with password and authenticator app; returns its code maker and a confirmed principal."""
    principal = by_link(store, user_id)
    with store.unit_of_work() as tx:
        totp = pyotp.parse_uri(factors.begin_enrolment(tx, principal))
    with store.unit_of_work() as tx:
        factors.finish_enrolment(tx, principal, password=PASSWORD, code=totp.at(clock.now()))
    return totp, replace(principal, second_factor_at=clock.now())
