"""Alerts of an incident that was marked as a duplicate stand still: what is unsent waits, and silence climbs no ladder.

What was said stays said: links still answer, acknowledgements count, and who was told is told. Receipts and notices to
our own people go on, since they answer for something that happened.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import timeline
from coordinator.alerts.models import Alert, Delivery, DeliveryAttempt
from coordinator.incidents.models import Incident

#: Why a delivery is held back: stands in its last attempt.
DUPLICATE = "DUPLICATE"
_GO_ON = ("receipt", "notice", "closure", "check")
#: States in which an alert wants nothing more.
_OVER = ("acknowledged", "withdrawn")


def stands(tx: Session, alert: Alert) -> bool:
    """Whether the alert waits until somebody says that its incident is no duplicate."""
    if alert.incident_id is None or alert.user_id is not None or alert.kind in _GO_ON:
        return False
    return tx.execute(select(Incident.status).where(Incident.id == alert.incident_id)).scalar_one() == "duplicate"


def hold(tx: Session, alert: Alert, delivery: Delivery, *, now: datetime) -> None:
    """Hold back a queued delivery, on record."""
    delivery.attempts += 1
    tx.add(DeliveryAttempt(
        delivery_id=delivery.id, number=delivery.attempts, decision_id=delivery.decision_id, at=now,
        outcome="withheld", detail=DUPLICATE, exercise=delivery.exercise,
    ))  # fmt: skip
    delivery.state, delivery.settled_at, delivery.next_attempt_at = "withheld", now, None
    if alert.state == "queued":
        alert.state = "withheld"
    tx.flush()
    timeline.append(
        tx, "alert.withheld", "An alert was held back: its incident was marked as a duplicate.", actor="system",
        incident=tx.get_one(Incident, alert.incident_id), values={"delivery": delivery.id, "reasons": [DUPLICATE]},
        about=("alert", alert.id), exercise=alert.exercise,
    )  # fmt: skip


def waiting(tx: Session, incident_id: int) -> list[tuple[Alert, Delivery]]:
    """The unsent deliveries of an incident's alerts: queued ones."""
    query = select(Alert, Delivery).join(Delivery, Delivery.alert_id == Alert.id)
    rows = tx.execute(query.where(Alert.incident_id == incident_id, Delivery.state == "queued").order_by(Delivery.id))
    return [(row.Alert, row.Delivery) for row in rows if stands(tx, row.Alert)]


def held(tx: Session, incident_id: int) -> list[tuple[Alert, Delivery]]:
    """The deliveries that were held back because the incident was a duplicate, and nothing happened to them since; not
    those of an alert that was answered or withdrawn meanwhile."""
    last = (
        select(DeliveryAttempt.detail)
        .where(DeliveryAttempt.delivery_id == Delivery.id)
        .order_by(DeliveryAttempt.number.desc()).limit(1).scalar_subquery()
    )  # fmt: skip
    query = select(Alert, Delivery).join(Delivery, Delivery.alert_id == Alert.id)
    rows = tx.execute(query.where(
        Alert.incident_id == incident_id, Delivery.state == "withheld", last == DUPLICATE,
        Alert.state.not_in(_OVER),
    ).order_by(Delivery.id))  # fmt: skip
    return [(row.Alert, row.Delivery) for row in rows]


def unanswered(tx: Session, incident_id: int) -> list[Alert]:
    """Alerts that still want an answer: their ladders go on."""
    query = select(Alert).where(
        Alert.incident_id == incident_id, Alert.ack != "", Alert.state.not_in(_OVER)
    )
    return list(tx.execute(query.order_by(Alert.id)).scalars())
