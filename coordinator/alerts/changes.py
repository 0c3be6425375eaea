"""What a person may still do with an alert that was raised: withdraw it, or send again what did not arrive."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import Principal
from coordinator.alerts import rungs
from coordinator.alerts.models import Alert, Delivery
from coordinator.errors import Fault, Invalid, NotFound, Refused
from coordinator.incidents.holds import lock_incident_row
from coordinator.sharing.approvals import end_release
from coordinator.sharing.models import Release

_STUCK = ("dead", "failed", "withheld")


def withdraw(tx: Session, alert_id: int, *, principal: Principal, reason: str) -> Alert:
    """Take an alert back: retries stop, its links say only "withdrawn". What was read stays read; a recall is an alert
    of its own. Asked twice, the second time changes nothing. Raises NotFound, Invalid without a reason."""
    if not reason.strip() or len(reason) > 2000:
        raise Invalid([Fault("/reason", "Say why, in at most 2000 characters.")])
    alert, now = rungs.locked(tx, alert_id, principal=principal), clock.now()
    if alert.state == "withdrawn":
        return alert
    take_back(tx, alert, actor=principal.actor, reason=reason.strip(), now=now)
    return alert


def call_off(tx: Session, release_id: int, *, reason: str) -> None:
    """Whoever asked for a release needs it no longer: what has not left is withdrawn, and nobody is asked to clear it.

    What has left stays as it is: its reader may still answer, and taking it back is a person's decision.
    """
    release = tx.get_one(Release, release_id)
    if release.incident_id is not None:
        lock_incident_row(tx, release.incident_id)
    for alert_id in tx.execute(select(Alert.id).where(Alert.release_id == release_id)).scalars().all():
        alert = rungs.locked(tx, alert_id)
        left = any(each.state in ("delivered", "handed-over") for each in rungs.deliveries_of(tx, alert))
        if not left and alert.state not in rungs.SETTLED:
            take_back(tx, alert, actor="system", reason=reason, now=clock.now())
    if release.state == "awaiting-approval":
        end_release(tx, release, actor="system", reason=reason)


def take_back(tx: Session, alert: Alert, *, actor: str, reason: str, now: datetime) -> None:
    """The alert is held by this transaction."""
    before, alert.state, alert.withdrawn_at = alert.state, "withdrawn", now
    tx.flush()
    rungs.stop(tx, alert, now=now)
    timeline.append(
        tx, "alert.withdrawn", "An alert was withdrawn.", actor=actor, incident=rungs.incident_of(tx, alert),
        values={"before": before, "reason": reason, "recipient": alert.recipient}, about=("alert", alert.id),
        exercise=alert.exercise,
    )  # fmt: skip


def redeliver(tx: Session, delivery_id: int, *, principal: Principal) -> Delivery:
    """Send again a delivery that is dead, failed or was withheld: same message id, and the rules are asked again.

    Raises NotFound, and Refused where there is nothing stuck or the alert wants nothing more.
    """
    alert_id = tx.execute(select(Delivery.alert_id).where(Delivery.id == delivery_id)).scalar_one_or_none()
    if alert_id is None:
        raise NotFound()
    alert = rungs.locked(tx, alert_id, principal=principal)
    delivery = tx.get_one(Delivery, delivery_id, populate_existing=True)
    if alert.state in rungs.SETTLED:
        raise Refused("This alert was answered or withdrawn: there is nothing to send.")
    if delivery.state not in _STUCK:
        raise Refused("Only what failed or was held back can be sent again.")
    before = delivery.state
    rungs.requeue(tx, alert, delivery)
    timeline.append(
        tx, "alert.redelivered", "A delivery was set going again.", actor=principal.actor,
        incident=rungs.incident_of(tx, alert), values={"delivery": delivery.id, "before": before},
        about=("alert", alert.id), exercise=alert.exercise,
    )  # fmt: skip
    return delivery
