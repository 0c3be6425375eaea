"""A way that turned out to lead nowhere: a mail that came back, an address that the mail server does not know.

That a mail came back is noted by a person: "handed over" is all that a mail server ever tells us.
"""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import Principal
from coordinator.alerts import rungs
from coordinator.alerts.models import Alert, Delivery, DeliveryAttempt
from coordinator.errors import Fault, Invalid, NotFound, Refused
from coordinator.partners.queries import channels_of
from coordinator.partners.service import mark_suspect
from coordinator.tasks.service import open_task

#: Once a mail was handed over, so long it may still come back.
_OUT = ("handed-over",)


def record_bounce(tx: Session, delivery_id: int, *, principal: Principal, note: str = "") -> Delivery:
    """A mail that was handed over came back: this way is closed, a task asks for the address, the ladder goes on.

    Noted twice, the second time changes nothing. Raises NotFound, Invalid (/note), Refused where it is no mail that was
    handed over.
    """
    if len(note) > 200:
        raise Invalid([Fault("/note", "Write at most 200 characters.")])
    alert_id = tx.execute(select(Delivery.alert_id).where(Delivery.id == delivery_id)).scalar_one_or_none()
    if alert_id is None:
        raise NotFound()
    alert = rungs.locked(tx, alert_id, principal=principal)
    delivery = tx.get_one(Delivery, delivery_id, populate_existing=True)
    if _last_outcome(tx, delivery) == "bounced":
        return delivery
    if delivery.kind != "email" or delivery.state not in _OUT:
        raise Refused("Only a mail that was handed over can have come back.")
    _close(tx, alert, delivery)
    timeline.append(
        tx, "alert.bounced", "A mail with an alert came back.", actor=principal.actor,
        incident=rungs.incident_of(tx, alert), about=("alert", alert.id), exercise=alert.exercise,
        values={"delivery": delivery.id, "note": note.strip(), "recipient": alert.recipient},
    )  # fmt: skip
    doubt_address(tx, alert, delivery, why="a mail to its address came back")
    if alert.state not in rungs.SETTLED:
        rungs.next_rung(tx, alert.id, to="next-channel", reason="the mail came back")
    return delivery


def doubt_contact(tx: Session, alert: Alert, contact_id: int | None, *, why: str) -> None:
    """The entry of a contact may be wrong: it is suspect until somebody has looked, and somebody is asked to."""
    if contact_id is not None:
        mark_suspect(tx, contact_id, actor="system", reason=why)
    ask_to_check(tx, alert, why=why)


def doubt_address(tx: Session, alert: Alert, delivery: Delivery, *, why: str) -> None:
    """One address of a contact leads nowhere. Where it has another channel the contact stays good for that one, so that
    the ladder can go on by telephone at night; where it has none, the contact itself is suspect."""
    if delivery.contact_id is None:
        return
    others = [each for each in channels_of(tx, delivery.contact_id) if each.active and each.id != delivery.channel_id]
    if others:
        ask_to_check(tx, alert, why=why)
    else:
        doubt_contact(tx, alert, delivery.contact_id, why=why)


def ask_to_check(tx: Session, alert: Alert, *, why: str) -> None:
    open_task(
        tx, title=f"Check the points of contact at {alert.recipient}", role="coordinator",
        instructions=f"Why: {why}. Find out how they are reached and correct the contact.",
        incident=rungs.incident_of(tx, alert), fallback_role="duty-officer", created_by="system",
        exercise=alert.exercise,
    )  # fmt: skip


def _close(tx: Session, alert: Alert, delivery: Delivery) -> None:
    now = clock.now()
    delivery.attempts += 1
    tx.add(DeliveryAttempt(
        delivery_id=delivery.id, number=delivery.attempts, decision_id=delivery.decision_id, at=now, outcome="bounced",
        detail="a person noted that it came back", exercise=delivery.exercise,
    ))  # fmt: skip
    delivery.state, delivery.settled_at = "failed", now
    tx.flush()
    reached = any(each.state in ("delivered", "handed-over") for each in rungs.deliveries_of(tx, alert))
    if alert.state == "handed-over" and not reached:
        alert.state = "failed"  # until the next way is begun
        tx.flush()


def _last_outcome(tx: Session, delivery: Delivery) -> str:
    last = select(func.max(DeliveryAttempt.id)).where(DeliveryAttempt.delivery_id == delivery.id).scalar_subquery()
    return tx.execute(select(DeliveryAttempt.outcome).where(DeliveryAttempt.id == last)).scalar_one_or_none() or ""
