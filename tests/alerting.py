"""A small world in which alerts can go out: a partner with a system, a mailbox, a telephone, and receivers for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from aiosmtpd.controller import Controller
from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.agreements.service import record_agreement
from coordinator.alerts.models import Alert, Delivery
from coordinator.incidents.models import Incident
from coordinator.markings import Marking
from coordinator.partners import service as partners
from coordinator.partners.models import Channel, Contact, Organisation
from coordinator.partners.signing import generate_secret
from coordinator.sharing.addressees import Addressee, to_contact
from coordinator.store import Store
from coordinator.timeline.keys import new_key
from coordinator.timeline.models import Pending
from tests.factories import OWN, PARTNER

COMMUNITY = "cyber-defence"


def put_organisation(tx: Session, code: str, **more: Any) -> None:
    partners.put_organisation(
        tx, {"code": code, "name": code, "kind": "national-csirt", "communities": [COMMUNITY], **more}, actor="cli:test"
    )


def put_system(tx: Session, url: str, *, code: str = PARTNER, slug: str = "fi-out", **more: Any) -> str:
    """A partner's out endpoint; answers its secret."""
    secret = generate_secret()
    partners.put_endpoint(
        tx, {"id": slug, "organisation": code, "direction": "out", "url": url, "secret": secret, **more},
        actor="cli:test",
    )  # fmt: skip
    return secret


def put_contact(tx: Session, *channels: dict[str, Any], code: str = "fi-duty", organisation: str = PARTNER,
                **more: Any) -> Contact:  # fmt: skip
    fields = {
        "code": code, "organisation": organisation, "kind": "technical", "function": "Duty desk", "hours": "24x7",
        "time_zone": "Europe/Helsinki", "order": 1, "verified_on": clock.now() - timedelta(days=10),
        "tlp_max": "AMBER", "channels": list(channels), **more,
    }  # fmt: skip
    partners.put_contact(tx, fields, actor="cli:test")
    return tx.execute(select(Contact).where(Contact.code == code)).scalar_one()


def agreement(
    tx: Session, *, ceiling: str = "AMBER", expires_on: datetime | None = None, code: str = PARTNER, **more: Any
) -> None:
    """An agreement with a partner on telling each other of incidents, in force since last year; or its next version."""
    terms = {
        "agreement_id": "MOU", "title": "Arrangement", "kind": "cert-cert", "legal_status": "operational",
        "parties": [{"party": each, "role": "both", "signed_on": "2025-01-10"} for each in (OWN, code)],
        "info_categories_allowed": ["incident-notification"], "tlp_ceiling": ceiling, "personal_data": "none",
        "permitted_purposes": ["network-defence", "incident-response"], "onward_sharing": "own-organisation",
        "effective_from": "2025-01-15T00:00:00Z", "expires_on": clock.rfc3339(expires_on) if expires_on else None,
        **more,
    }  # fmt: skip
    record_agreement(tx, {name: value for name, value in terms.items() if value is not None}, actor="cli:test")


def webhook(endpoint: str = "fi-out") -> dict[str, Any]:
    return {"kind": "webhook", "endpoint": endpoint}


def mailbox(address: str = "duty@fi.example") -> dict[str, Any]:
    return {"kind": "email", "address": address}


def phone(number: str = "+358000000") -> dict[str, Any]:
    return {"kind": "voice", "number": number}


def courier(place: str = "Duty desk, Street 1") -> dict[str, Any]:
    return {"kind": "courier", "place": place}


def put_incident(tx: Session, *, tlp: str = "GREEN", marking: Marking | None = None, **more: Any) -> Incident:
    """An open incident of our own with this label."""
    now = clock.now()
    row = Incident(
        title="Ransomware at a hospital", status="active", tlp=tlp, marking=(marking or Marking(tlp=tlp)).to_json(),
        sectors=["health"], states_affected=["FI"], humanitarian_flags=[], data_key_id=new_key(tx), created_at=now,
        updated_at=now, noticed_at=now - timedelta(hours=1), **more,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    return row


def addressee(tx: Session, contact: Contact, place: int = 0, *, tlp: Any = None) -> Addressee:
    """The contact by its channel in this place."""
    channels = tx.execute(select(Channel).where(Channel.contact_id == contact.id).order_by(Channel.position)).scalars()
    organisation = tx.get_one(Organisation, contact.organisation_id)
    return to_contact(tx, contact, channels.all()[place], organisation=organisation, tlp=tlp, now=clock.now())


@contextmanager
def settings_of(store: Store, **changed: Any) -> Iterator[Store]:
    """The store with other settings for a while."""
    before, store.settings = store.settings, replace(store.settings, **changed)
    try:
        yield store
    finally:
        store.settings = before


def due(store: Store, kind: str, *, until: datetime | None = None) -> list[int]:
    """Objects of the pending rows of a kind that are ready, and take the rows away, as the relay's jobs do."""
    with store.unit_of_work() as tx:
        query = select(Pending).where(Pending.kind == kind, Pending.ready_at <= (until or clock.now()))
        rows = list(tx.execute(query.order_by(Pending.id)).scalars())
        for row in rows:
            tx.delete(row)
        return [row.object_id for row in rows]


def alert_of(store: Store, alert_id: int) -> Alert:
    with store.read() as tx:
        found = tx.get_one(Alert, alert_id)
        tx.expunge(found)
        return found


def deliveries(store: Store, alert_id: int) -> list[Delivery]:
    with store.read() as tx:
        rows = list(tx.execute(select(Delivery).where(Delivery.alert_id == alert_id).order_by(Delivery.rung)).scalars())
        tx.expunge_all()
        return rows


@dataclass
class MailBox:
    """What a real SMTP server took. `answer`: the line it gives at the end of the data."""

    letters: list[Any] = field(default_factory=list)
    answer: str = "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answer.startswith("250"):
            self.letters.append(envelope)
        return self.answer


class _AnyPort(Controller):
    """On whatever port the system gives; the library's own look at its server wants to know which."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def mail_server(box: MailBox, **more: Any) -> Iterator[str]:
    """A mail server on a free port; gives its URL. `more`: as aiosmtpd takes it, for example tls_context."""
    controller = _AnyPort(box, hostname="127.0.0.1", port=0, **more)
    controller.start()
    try:
        yield f"smtp://127.0.0.1:{controller.port}"
    finally:
        controller.stop()
