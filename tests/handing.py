"""Alerts that were told to partners and have left, with people of theirs who take them: for tests of what goes out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from coordinator.alerts import service as alerts
from coordinator.alerts.models import Alert
from coordinator.incidents.models import Incident
from coordinator.store import Store
from tests.alerting import (
    MailBox,
    agreement,
    due,
    mail_server,
    mailbox,
    put_contact,
    put_incident,
    put_organisation,
    settings_of,
)
from tests.factories import OTHER, PARTNER
from workers import deliver as worker


@contextmanager
def two_partners(store: Store) -> Iterator[Store]:
    """Both partners have a mailbox and are in our community; there is an agreement with the first."""
    box = MailBox()
    with mail_server(box) as url, settings_of(store, smtp_url=url, base_url="https://us.example"):
        with store.unit_of_work() as tx:
            for code in (PARTNER, OTHER):
                put_organisation(tx, code)
                put_contact(tx, mailbox(f"desk@{code.lower()}.example"), code=code, organisation=code)
            agreement(tx)
        yield store


def told(store: Store, *codes: str, incident_id: int | None = None, tlp: str = "AMBER", **more: Any) -> list[str]:
    """Tell these partners of an incident, and send it. The public ids of the alerts, in the order of the codes."""
    fields = {
        "kind": "initial", "title": "Ransomware", "body": "We saw a loader.", "purpose": "network-defence",
        "info_category": "incident-notification", "requested_by": "user:99", **more,
    }  # fmt: skip
    with store.unit_of_work() as tx:
        incident = put_incident(tx, tlp=tlp) if incident_id is None else tx.get_one(Incident, incident_id)
        found = alerts.tell(tx, incident=incident, audience={"organisations": list(codes)}, **fields)
        ids = {alert.recipient: alert.id for alert in found.permitted}
    for delivery_id in due(store, "delivery.due"):
        worker.deliver(store, delivery_id)
    with store.read() as tx:
        return [tx.get_one(Alert, ids[code]).public_id for code in codes]
