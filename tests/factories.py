"""Small worlds for tests: rows made through the models, signed requests, native reports."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.models import User
from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Role, scopes_allowed
from coordinator.accounts.service import create_token, create_user
from coordinator.partners.exercises import put_exercise
from coordinator.partners.models import Endpoint, EndpointKey, Organisation, Setting
from coordinator.partners.signing import generate_secret, signed_headers
from coordinator.store import Store
from coordinator.timeline.keys import new_key, seal

OWN, PARTNER, OTHER = "EE-MFA", "FI-CSIRT", "LV-MFA"


@dataclass(frozen=True)
class World:
    """Ids and secrets of what `small_world` made."""

    own_id: int
    partner_id: int
    other_id: int
    endpoint_id: int
    secret: str
    endpoint: str = "fi-in"


def small_world(store: Store) -> World:
    """Our own organisation, a partner with an inbound endpoint, and a third party."""
    with store.unit_of_work() as tx:
        tx.add(Setting(name="duty_role", value="duty-officer"))
        own = organisation(tx, OWN, is_own=True, kind="ministry", country="EE")
        partner = organisation(tx, PARTNER, kind="national-csirt", country="FI")
        other = organisation(tx, OTHER, kind="ministry", country="LV")
        endpoint, secret = inbound_endpoint(tx, partner.id)
        return World(own.id, partner.id, other.id, endpoint.id, secret)


def organisation(tx: Session, code: str, **more: Any) -> Organisation:
    row = Organisation(code=code, name=code, communities=[], sectors=[], **{"kind": "ministry", **more})
    tx.add(row)
    tx.flush()
    return row


def inbound_endpoint(tx: Session, organisation_id: int, slug: str = "fi-in", **more: Any) -> tuple[Endpoint, str]:
    """An endpoint partner systems post to, with one secret."""
    row = Endpoint(slug=slug, organisation_id=organisation_id, direction="in", allow_private=[], **more)
    tx.add(row)
    tx.flush()
    return row, add_secret(tx, row.id)


def add_secret(tx: Session, endpoint_id: int) -> str:
    secret, key = generate_secret(), new_key(tx)
    tx.add(EndpointKey(
        endpoint_id=endpoint_id, fingerprint=hashlib.sha256(secret.encode()).hexdigest(), data_key_id=key,
        sealed=seal(tx, key, secret.encode(), about="endpoint key"), created_at=clock.now(),
    ))  # fmt: skip
    tx.flush()
    return secret


def person(store: Store, role: str = "coordinator", name: str = "", organisation_id: int | None = None) -> Principal:
    """A signed-in user of a role, with a fresh second factor."""
    with store.unit_of_work() as tx:
        name = name or role.replace("-", " ").title()
        user = create_user(
            tx, email=f"{name.lower().replace(' ', '.')}@ee.example", name=name, role=role, actor="cli:test",
            organisation_id=organisation_id,
        )  # fmt: skip
        user.enrolled_at = clock.now()
        return Principal(user.id, name, role, organisation_id, second_factor_at=clock.now())


def token_for(
    store: Store, role: str = "coordinator", scopes: list[str] | None = None, name: str = "",
    organisation_id: int | None = None,
) -> str:  # fmt: skip
    """An API token of a new user with every scope the role may have, or these."""
    wanted = sorted(scopes_allowed(Role(role))) if scopes is None else scopes
    user_id = person(store, role, name or f"{role} {time.monotonic_ns()}", organisation_id).user_id
    with store.unit_of_work() as tx:
        return create_token(tx, user_id, name="test", scopes=[str(one) for one in wanted], actor="cli:test")


def user_row(tx: Session, user_id: int) -> User:
    found = tx.get(User, user_id)
    assert found is not None
    return found


def native(**fields: Any) -> dict[str, Any]:
    """A small native report."""
    return {"title": "Ransomware at a hospital", "tlp": "GREEN", "noticed_at": "2026-11-22T03:10:00Z"} | fields


def signed(secret: str, body: bytes, message_id: str, *, content_type: str = "application/json") -> dict[str, str]:
    """The headers of a signed request, now."""
    headers = dict(signed_headers([secret], message_id, int(time.time()), body))
    return headers | {"Content-Type": content_type}


class PartnerSystem:
    """A partner's system that posts signed reports through a Flask test client."""

    def __init__(self, client: Any, world: World) -> None:
        self.client, self.world, self.count = client, world, 0

    def post(self, report: Any, message_id: str = "", *, content_type: str = "application/json") -> Any:
        """Post a report (data or bytes) under `message_id`, or the next one."""
        self.count += 1
        body = report if isinstance(report, bytes) else json.dumps(report, ensure_ascii=False).encode()
        message_id = message_id or f"msg_{self.count}"
        headers = signed(self.world.secret, body, message_id, content_type=content_type)
        return self.client.post(f"/api/v1/intake/{self.world.endpoint}", data=body, headers=headers)

    def put(self, sha256: str, body: bytes, message_id: str = "") -> Any:
        """Send a file that was announced."""
        self.count += 1
        headers = signed(
            self.world.secret, body, message_id or f"file_{self.count}", content_type="application/octet-stream"
        )
        return self.client.put(
            f"/api/v1/intake/{self.world.endpoint}/attachments/{sha256}", data=body, headers=headers
        )


def running_exercise(tx: Session, code: str = "EX-1", *organisations: str) -> None:
    """An exercise that began an hour ago, with these organisations (the partner where none is named)."""
    now = clock.now()
    put_exercise(tx, {
        "code": code, "title": f"Exercise {code}", "starts_at": now - timedelta(hours=1),
        "ends_at": now + timedelta(hours=8), "organisations": list(organisations) or [PARTNER],
    }, actor="cli:test")  # fmt: skip


def at_endpoint(client: Any, world: World, slug: str, secret: str) -> PartnerSystem:
    """The partner's system at another endpoint of its own."""
    return PartnerSystem(client, replace(world, endpoint=slug, secret=secret))
