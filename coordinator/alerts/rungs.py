"""The ladder of an alert: a delivery for each way tried, the reminder, the next channel or contact, and the end of it.

Silence moves only inside our organisation or to the same party's contacts; telling anybody else is a person's decision.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import Principal
from coordinator.alerts import standstill
from coordinator.alerts.audience import system_of, usable, ways_to
from coordinator.alerts.ladder import Way, entry_due, next_way
from coordinator.alerts.models import Alert, Delivery
from coordinator.errors import NotFound
from coordinator.incidents.holds import lock_incident_row, settle_hold
from coordinator.incidents.models import Incident
from coordinator.incidents.queries import check_visible
from coordinator.markings import Marking
from coordinator.partners.models import Channel, Contact, Organisation
from coordinator.sharing.addressees import Addressee, to_contact
from coordinator.sharing.models import Release, ShareDecision
from coordinator.sharing.rules import Result
from coordinator.sharing.service import TextChanged, redecide
from coordinator.store import store_of
from coordinator.tasks.service import cancel_task, open_task
from coordinator.vault import token_hash

#: How long an acknowledgement link lives.
LINK_LIFE = timedelta(days=30)
#: States in which an alert wants nothing more.
SETTLED = ("acknowledged", "withdrawn")
OPEN = ("queued",)


def begin(tx: Session, alert: Alert, addressee: Addressee, decision: ShareDecision) -> Delivery:
    """Add a delivery by this way and leave word for the worker. The permit has been given; the worker asks again."""
    now = clock.now()
    last = tx.execute(select(Delivery.rung).where(Delivery.alert_id == alert.id).order_by(Delivery.rung.desc())).first()
    message_id = f"msg_{secrets.token_hex(16)}"
    delivery = Delivery(
        alert_id=alert.id, rung=last.rung + 1 if last else 0, contact_id=addressee.contact_id,
        channel_id=addressee.channel_id, user_id=addressee.user_id, kind=addressee.channel_kind, webhook_id=message_id,
        decision_id=decision.id, next_attempt_at=now, ack_hash=token_hash(_token(tx, message_id)),
        ack_expires_at=now + LINK_LIFE, created_at=now, exercise=alert.exercise,
    )  # fmt: skip
    tx.add(delivery)
    tx.flush()
    alert.rung = delivery.rung
    alert.contact_id = addressee.contact_id or alert.contact_id
    if alert.state in ("failed", "withheld"):
        alert.state = "queued"
    tx.flush()
    timeline.pending(tx, "delivery.due", delivery.id, exercise=delivery.exercise)
    return delivery


def ack_token(tx: Session, delivery: Delivery) -> str:
    """The token of the acknowledgement link: the same on every attempt, only its digest is stored.

    Made from the message id, which is random: after a restore the numbers of rows are given out a second time.
    """
    return _token(tx, delivery.webhook_id)


def _token(tx: Session, message_id: str) -> str:
    return store_of(tx).vault.token("acknowledge", f"delivery:{message_id}")


def sign_in_token(tx: Session, delivery: Delivery) -> str:
    """The token of the one-time link in a letter that invites somebody: as above, for another purpose."""
    return store_of(tx).vault.token("sign-in", f"delivery:{delivery.webhook_id}")


def requeue(tx: Session, alert: Alert, delivery: Delivery) -> None:
    """Send this delivery again, now, under the same message id."""
    delivery.state, delivery.next_attempt_at = "queued", clock.now()
    delivery.settled_at = None  # a lease that was never given back stays: what that worker sent nobody knows
    if alert.state not in SETTLED and alert.state not in ("delivered", "handed-over"):
        alert.state = "queued"
    tx.flush()
    timeline.pending(tx, "delivery.due", delivery.id, exercise=delivery.exercise)


def set_timer(tx: Session, alert: Alert, release: Release) -> None:
    """Set the timer for the next entry of the ladder, if there is one."""
    due_at = entry_due(release.ladder, alert.ladder_step, alert.created_at)
    if due_at is not None:
        timeline.pending(tx, "alert.rung", alert.id, ready_at=due_at, exercise=alert.exercise)


def wanted_by(tx: Session, alert: Alert) -> datetime | None:
    """Until when this way has time: the next entry of the ladder or the answer's date, the first to come."""
    release = tx.get_one(Release, alert.release_id)
    times = (entry_due(release.ladder, alert.ladder_step, alert.created_at), alert.reply_by)
    return min((at for at in times if at is not None and at > clock.now()), default=None)


def climb(tx: Session, alert_id: int) -> None:
    """The timer of the ladder: do the entry that is due, and set the next timer. Nothing once it is answered."""
    alert = locked(tx, alert_id)
    release = tx.get_one(Release, alert.release_id)
    due_at = entry_due(release.ladder, alert.ladder_step, alert.created_at)
    if alert.state in SETTLED or due_at is None or standstill.stands(tx, alert):
        return
    if due_at > clock.now():
        set_timer(tx, alert, release)
        return
    entry = release.ladder[alert.ladder_step]
    alert.ladder_step += 1
    tx.flush()
    if entry.get("remind"):
        remind(tx, alert.id)
    if entry.get("to"):
        next_rung(tx, alert.id, to=entry["to"], reason="no answer in time")
    if entry.get("to_role"):
        _bring_in(tx, alert, entry["to_role"])
    set_timer(tx, alert, release)


def remind(tx: Session, alert_id: int) -> Delivery | None:
    """Say it once more by the way tried last; None where there is nothing to remind of."""
    alert = locked(tx, alert_id)
    last = newest_delivery(tx, alert)
    if alert.state in SETTLED or last is None or last.state in OPEN:
        return None
    way = _same_way(tx, alert, last)
    if way is None:
        return next_rung(tx, alert_id, to="next", reason="the way used before is closed")
    return _begin_if_permitted(tx, alert, way, last)


def next_rung(tx: Session, alert_id: int, *, to: str = "next", reason: str = "") -> Delivery | None:
    """Go on to the next way to the same party that the rules permit; None where none is left: then a person has a task.

    `to`: next-channel, next-contact, deputy or next. `reason` is a short phrase without content.
    """
    alert = locked(tx, alert_id)
    if alert.state in SETTLED:
        return None
    last, found = newest_delivery(tx, alert), _ways(tx, alert)
    tried = [Way(each.contact_id, each.channel_id) for each in deliveries_of(tx, alert)]
    by_way = {Way(each.contact_id, each.channel_id): each for each in found}
    while (way := next_way(list(by_way), tried, tried[-1], to=to)) is not None:
        delivery = _begin_if_permitted(tx, alert, by_way[way], last)
        if delivery is not None:
            return delivery
        tried.insert(0, way)
    _end_of_ladder(tx, alert, reason=reason)
    return None


def locked(tx: Session, alert_id: int, *, principal: Principal | None = None) -> Alert:
    """The alert, held for this transaction; its incident is held first, always in that order.

    Raises NotFound, also where `principal` may not know of the incident.
    """
    found = tx.execute(select(Alert.incident_id).where(Alert.id == alert_id)).one_or_none()
    if found is None:
        raise NotFound()
    if found.incident_id is not None and principal is not None:
        check_visible(tx, found.incident_id, principal=principal)
    if found.incident_id is not None:
        lock_incident_row(tx, found.incident_id)
    query = select(Alert).where(Alert.id == alert_id).with_for_update()
    return tx.execute(query, execution_options={"populate_existing": True}).scalar_one()


def deliveries_of(tx: Session, alert: Alert) -> list[Delivery]:
    """All ways tried, oldest first."""
    return list(tx.execute(select(Delivery).where(Delivery.alert_id == alert.id).order_by(Delivery.rung)).scalars())


def newest_delivery(tx: Session, alert: Alert) -> Delivery | None:
    every = deliveries_of(tx, alert)
    return every[-1] if every else None


def stop(tx: Session, alert: Alert, *, now: datetime) -> None:
    """End what is under way: queued deliveries and calls not made are called off, the hold is settled. Timers find
    nothing to do."""
    tx.execute(
        update(Delivery).where(Delivery.alert_id == alert.id, Delivery.state == "queued")
        .values(state="cancelled", settled_at=now)
    )  # fmt: skip
    for delivery in deliveries_of(tx, alert):
        if delivery.task_id is not None:
            cancel_task(tx, delivery.task_id, reason="the alert wants nothing more", actor="system")
    settle_hold(tx, kind="alert", object_id=alert.id)


def incident_of(tx: Session, alert: Alert) -> Incident | None:
    return tx.get_one(Incident, alert.incident_id) if alert.incident_id is not None else None


def _ways(tx: Session, alert: Alert) -> list[Addressee]:
    if alert.organisation_id is None:
        return []
    release = tx.get_one(Release, alert.release_id)
    organisation = tx.get_one(Organisation, alert.organisation_id)
    label = Marking.from_json(release.marking).effective
    ways = ways_to(tx, organisation, exercise=alert.exercise, tlp=label)
    return ways or system_of(tx, organisation, exercise=alert.exercise, tlp=label)


def _same_way(tx: Session, alert: Alert, delivery: Delivery) -> Addressee | None:
    """The way of an earlier delivery as it is now; None where it is closed."""
    if delivery.contact_id is None or delivery.channel_id is None:
        return next(iter(_ways(tx, alert)), None) if delivery.user_id is None else None
    contact, channel = tx.get_one(Contact, delivery.contact_id), tx.get_one(Channel, delivery.channel_id)
    label = Marking.from_json(tx.get_one(Release, alert.release_id).marking).effective
    if not contact.active or not usable(tx, channel, tlp=label):
        return None
    organisation = tx.get_one(Organisation, alert.organisation_id)
    return to_contact(tx, contact, channel, organisation=organisation, tlp=label, now=clock.now())


def _begin_if_permitted(tx: Session, alert: Alert, way: Addressee, last: Delivery | None) -> Delivery | None:
    try:
        decision = redecide(tx, last.decision_id if last else alert.decision_id, now=clock.now(), addressee=way)
    except TextChanged:  # as where it was to be sent: nothing of it leaves, and the end of the ladder tells a person
        return None
    return begin(tx, alert, way, decision) if decision.result == Result.PERMIT else None


def _end_of_ladder(tx: Session, alert: Alert, *, reason: str) -> None:
    """No way is left. Whether the alert failed or is only unanswered, a person takes over."""
    states = {each.state for each in deliveries_of(tx, alert)}
    if "queued" in states:
        return
    reached = bool(states & {"delivered", "handed-over"})
    if not reached:
        alert.state = "withheld" if states == {"withheld"} else "failed"
    tx.flush()
    kind = "alert.unanswered" if reached else "alert.failed"
    text = "Nobody has answered an alert and no other way is left." if reached else "An alert could not be delivered."
    timeline.append(
        tx, kind, text, actor="system", incident=incident_of(tx, alert), values={"reason": reason},
        about=("alert", alert.id), exercise=alert.exercise,
    )  # fmt: skip
    if not reached:
        timeline.pending(tx, kind, alert.id, exercise=alert.exercise)
    if alert.user_id is None:
        why = f"Why the last way ended: {reason}." if reason else ""
        hand_to_person(tx, alert, title=f"{text} Recipient: {alert.recipient}", instructions=why)


def hand_to_person(tx: Session, alert: Alert, *, title: str, instructions: str = "") -> None:
    """Open a task for the incident's owner; it takes the alert's place in what keeps the incident from closing."""
    incident = incident_of(tx, alert)
    open_task(
        tx, title=title, role="coordinator", incident=incident, instructions=instructions, created_by="system",
        assignee_id=incident.owner_id if incident is not None else None, fallback_role="duty-officer", priority=80,
        blocks="close" if incident is not None else "", exercise=alert.exercise,
    )  # fmt: skip
    settle_hold(tx, kind="alert", object_id=alert.id)


def _bring_in(tx: Session, alert: Alert, role: str) -> None:
    """A role of ours is brought in: a task, which is how people are told."""
    open_task(
        tx, title=f"{alert.recipient} has not answered an alert: look after it", role=role,
        incident=incident_of(tx, alert), created_by="system", priority=80, exercise=alert.exercise,
    )  # fmt: skip
