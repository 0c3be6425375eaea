"""A partner's system that takes alerts, and what a test does about them."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import select
from werkzeug import Request, Response

from coordinator.accounts.principal import Principal
from coordinator.alerts import service as alerts
from coordinator.alerts.models import DeliveryAttempt
from coordinator.store import Store
from coordinator.tasks.models import Task
from tests.alerting import (
    deliveries,
    due,
    put_contact,
    put_incident,
    webhook,
)
from tests.factories import PARTNER
from workers import deliver as worker


@dataclass
class Receiver:
    """A partner's system that answers as told and keeps what it got."""

    url: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    seen: list[Request] = field(default_factory=list)

    def take(self, request: Request) -> Response:
        request.get_data()
        self.seen.append(request)
        return Response(status=self.status, headers=self.headers)


def told(store: Store, *channels: dict[str, object], ack: str = "", tlp: str = "GREEN", **more: object) -> int:
    """One alert to the partner's contact with these channels; the alert's id."""
    with store.unit_of_work() as tx:
        put_contact(tx, *(channels or (webhook(),)))
        answer = alerts.tell(
            tx, incident=put_incident(tx, tlp=tlp), kind="initial", title="Ransomware", body="What we saw.",
            purpose="network-defence", info_category="incident-notification", requested_by="user:99",
            audience={"organisations": [PARTNER]}, ack=ack, **more,  # type: ignore[arg-type]
        )  # fmt: skip
        return answer.permitted[0].id


def run_due(store: Store, *, until: object = None) -> list[int]:
    found = due(store, "delivery.due", until=until)  # type: ignore[arg-type]
    for delivery_id in found:
        worker.deliver(store, delivery_id)
    return found


def attempts(store: Store, alert_id: int) -> list[str]:
    ids = [row.id for row in deliveries(store, alert_id)]
    with store.read() as tx:
        query = select(DeliveryAttempt.outcome).where(DeliveryAttempt.delivery_id.in_(ids))
        return list(tx.execute(query.order_by(DeliveryAttempt.id)).scalars())


def tasks(store: Store) -> list[str]:
    with store.read() as tx:
        return list(tx.execute(select(Task.title).where(Task.state == "open").order_by(Task.id)).scalars())


def officer() -> Principal:
    return Principal(99, "Officer", "coordinator")
