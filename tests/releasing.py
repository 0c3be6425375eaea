"""Releases and decisions for tests, in a world with partners that have systems."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from coordinator.accounts.principal import Principal
from coordinator.accounts.service import create_user, users_with_role
from coordinator.incidents.models import Incident
from coordinator.sharing.addressees import Addressee
from coordinator.sharing.models import Release, ShareDecision
from coordinator.sharing.service import decide_share, prepare_release
from tests.alerting import addressee, put_contact, put_incident, put_organisation, put_system, webhook
from tests.factories import OTHER, World


def release(tx: Session, incident: Incident | None = None, **more: Any) -> Release:
    fields = {
        "kind": "initial", "title": "Ransomware", "body": "What we saw.", "purpose": "network-defence",
        "info_category": "incident-notification", "requested_by": "user:99", "incident": incident, **more,
    }  # fmt: skip
    return prepare_release(tx, **fields)


def partner(tx: Session, *channels: dict[str, Any], **more: Any) -> Addressee:
    return addressee(tx, put_contact(tx, *(channels or (webhook(),)), **more))


def referred(tx: Session, world: World) -> ShareDecision:
    """Something FI told us as GREEN, to go on to LV: permitted but for the second person."""
    put_organisation(tx, OTHER, kind="ministry")
    put_system(tx, "https://mfa.lv.example/hook", code=OTHER, slug="lv-out")
    contact = put_contact(tx, webhook("lv-out"), code="lv-cyber", organisation=OTHER)
    incident = put_incident(tx, originator_id=world.partner_id, source_id=world.partner_id)
    decision = decide_share(tx, release(tx, incident), addressee(tx, contact))
    assert (decision.result, decision.reasons) == ("refer", ["R-TWO-PERSON"])
    return decision


def clearing(tx: Session, role: str = "release-authority") -> Principal:
    """One more person of this role."""
    number = len(users_with_role(tx, role))
    user = create_user(tx, email=f"{role}-{number}@ee.example", name=role, role=role, actor="cli:test")
    return Principal(user.id, user.name, role)
