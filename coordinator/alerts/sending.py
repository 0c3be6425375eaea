"""The two transactions around a send: taking a delivery in hand, and writing down what came of it.

Between them no transaction is open. `fence` grows with every taking, so that a worker that woke late writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from coordinator import timeline
from coordinator.accounts.models import User
from coordinator.alerts import calls, ladder, rungs, standstill
from coordinator.alerts.audience import usable, within
from coordinator.alerts.bounces import doubt_address
from coordinator.alerts.letters import Event, event_for, key_for, letter_for
from coordinator.alerts.models import Alert, Delivery, DeliveryAttempt
from coordinator.alerts.wording import Letter
from coordinator.errors import NotFound
from coordinator.markings import Marking
from coordinator.partners.models import Channel, Contact, Endpoint
from coordinator.partners.queries import OutEndpoint, out_endpoint
from coordinator.partners.service import disable_endpoint
from coordinator.sharing.models import Release, ShareDecision
from coordinator.sharing.rules import Result
from coordinator.sharing.service import TextChanged, holds, redecide, settle_release
from coordinator.sharing.wording import explain
from coordinator.store import store_of
from coordinator.tasks.service import open_task
from coordinator.timeline import sending_hold

#: How long a worker holds a delivery without a sign of life (`renew`): what a killed worker costs an alert.
LEASE = timedelta(seconds=20)
#: While sending is on hold.
ASK_AGAIN = timedelta(seconds=5)


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt. `result`: delivered, handed-over, retry, refused (this way is no use), gone (410), or
    stopped (the last look before the bytes said no: nothing was sent).

    `detail` is a short phrase for people without content; `retry_after` in seconds, as the receiver asked; `unknown`:
    the mail server refuses this address for good.
    """

    result: str
    detail: str = ""
    retry_after: float | None = None
    unknown: bool = False


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """Everything one attempt needs, so that sending touches no row. `message_id` is the same on every attempt.

    `unsure`: another worker had it in hand and never said what came of it.
    """

    delivery_id: int
    fence: int
    message_id: str
    unsure: bool = False


@dataclass(frozen=True, kw_only=True)
class WebhookParcel(Parcel):
    endpoint: OutEndpoint
    event: Event


@dataclass(frozen=True, kw_only=True)
class MailParcel(Parcel):
    """`references`: message ids of the thread, oldest first; `mail_domain` completes them to Message-IDs; `pgp_key`:
    what the letter is sealed to, "" for clear text."""

    address: str
    letter: Letter
    references: Sequence[str]
    mail_domain: str
    pgp_key: str = ""


def claim(tx: Session, delivery_id: int, *, now: datetime) -> Parcel | datetime | None:
    """Take a delivery in hand: ask the rules again and put together what is to be sent.

    An instant: look again then (not due, in other hands, or sending is on hold). None where there is nothing to send:
    done, cancelled, withheld by the rules, or a call, which becomes a task.
    """
    delivery, alert = _held(tx, delivery_id)
    if delivery.state != "queued":
        return None
    if alert.state == "withdrawn":
        delivery.state, delivery.settled_at, delivery.next_attempt_at = "cancelled", now, None
        return None
    later = max(delivery.next_attempt_at or now, delivery.lease_until or now)
    if later > now:
        return later
    if sending_hold.stops(tx, own=delivery.user_id is not None):
        return now + ASK_AGAIN
    if standstill.stands(tx, alert):
        standstill.hold(tx, alert, delivery, now=now)
        return None
    decision = _decide_again(tx, alert, delivery, now=now)
    if decision is None:
        return None
    unsure = delivery.lease_until is not None
    delivery.decision_id, delivery.fence = decision.id, delivery.fence + 1
    delivery.lease_until = now + LEASE
    tx.flush()
    if delivery.kind == "voice":
        calls.open_call(tx, alert, delivery)
        _write(tx, alert, delivery, Outcome("handed-over", "a task for a call was opened"), now=now, jitter=0.0)
        return None
    return _pack(tx, alert, delivery, unsure=unsure)


def may_go(tx: Session, parcel: Parcel, *, now: datetime) -> bool:
    """The last look, right before the bytes go: whether this delivery is still this worker's to send, and everything
    it was taken in hand on stands as it did. Nothing is written; what is refused is put off by `settle` and decided
    on record by the next `claim`."""
    delivery = tx.get(Delivery, parcel.delivery_id)
    if delivery is None or (delivery.fence, delivery.state) != (parcel.fence, "queued"):
        return False
    alert = tx.get_one(Alert, delivery.alert_id)
    if alert.state == "withdrawn" or standstill.stands(tx, alert):
        return False
    if sending_hold.stops(tx, own=delivery.user_id is not None):
        return False
    return _way_is_open(tx, alert, delivery) and holds(tx, delivery.decision_id, now=now)


def recheck(tx: Session, delivery_id: int, *, now: datetime) -> None:
    """Ask the rules again about what waits to be sent, before its time: what they refuse is held back now."""
    delivery, alert = _held(tx, delivery_id)
    if delivery.state != "queued" or (delivery.lease_until or now) > now or standstill.stands(tx, alert):
        return
    decision = _decide_again(tx, alert, delivery, now=now)
    if decision is not None:
        delivery.decision_id = decision.id


def renew(tx: Session, parcel: Parcel, *, now: datetime) -> None:
    """The send is still going on: a mail server may think before each word."""
    mine = (Delivery.id == parcel.delivery_id, Delivery.fence == parcel.fence, Delivery.lease_until.is_not(None))
    tx.execute(update(Delivery).where(*mine).values(lease_until=now + LEASE))


def settle(tx: Session, parcel: Parcel, outcome: Outcome, *, now: datetime, jitter: float) -> bool:
    """Write down one attempt and what follows; False where somebody else has the delivery by now.

    `jitter` from 0.0 to 1.0 spreads the retries.
    """
    delivery, alert = _held(tx, parcel.delivery_id)
    if delivery.fence != parcel.fence:
        return False
    if outcome.result == "stopped":
        _put_off(tx, delivery, unsure=parcel.unsure, now=now)
        return True
    if isinstance(parcel, WebhookParcel) and outcome.result == "delivered":
        tx.execute(update(Endpoint).where(Endpoint.id == parcel.endpoint.id).values(last_ok_at=now))
    if isinstance(parcel, WebhookParcel) and outcome.result == "gone":
        _disable(tx, alert, parcel.endpoint.id)
    if outcome.unknown:
        doubt_address(tx, alert, delivery, why="the mail server refuses its address")
    _write(tx, alert, delivery, outcome, now=now, jitter=jitter)
    return True


def _held(tx: Session, delivery_id: int) -> tuple[Delivery, Alert]:
    alert_id = tx.execute(select(Delivery.alert_id).where(Delivery.id == delivery_id)).scalar_one_or_none()
    if alert_id is None:
        raise NotFound()
    alert = rungs.locked(tx, alert_id)
    query = select(Delivery).where(Delivery.id == delivery_id).with_for_update()
    return tx.execute(query, execution_options={"populate_existing": True}).scalar_one(), alert


def _decide_again(tx: Session, alert: Alert, delivery: Delivery, *, now: datetime) -> ShareDecision | None:
    """The permit for this attempt; None after the delivery was withheld, or closed because its way is gone."""
    if not _way_is_open(tx, alert, delivery):
        _write(tx, alert, delivery, Outcome("refused", "this contact or channel is not in use"), now=now, jitter=0)
        return None
    try:
        decision = redecide(tx, delivery.decision_id, now=now)
    except TextChanged:
        decision = tx.get_one(ShareDecision, delivery.decision_id)
        _withhold(tx, alert, delivery, decision, ["TEXT-CHANGED"], now=now)
        return None
    except NotFound:
        _write(tx, alert, delivery, Outcome("refused", "this contact or channel is gone"), now=now, jitter=0)
        return None
    if decision.result != Result.PERMIT:
        _withhold(tx, alert, delivery, decision, decision.reasons, now=now)
        return None
    if (decision.recipient, decision.contact_id, decision.channel_id) != (
        alert.recipient, delivery.contact_id, delivery.channel_id
    ):  # the database refuses it too: this is not a way that anybody decided on
        _withhold(tx, alert, delivery, decision, ["ADDRESS-CHANGED"], now=now)
        return None
    if _address_changed(tx, delivery, decision):
        _withhold(tx, alert, delivery, decision, ["ADDRESS-CHANGED"], now=now)
        return None
    return decision


def _address_changed(tx: Session, delivery: Delivery, decision: ShareDecision) -> bool:
    """Whether this very way leads elsewhere than when it was decided on: nobody re-points an alert under way unseen."""
    if decision.id == delivery.decision_id:
        return False
    before = tx.get_one(ShareDecision, delivery.decision_id)
    decided_on = before.inputs.get("way")
    return before.channel_id == decision.channel_id and bool(decided_on) and decided_on != decision.inputs.get("way")


def _way_is_open(tx: Session, alert: Alert, delivery: Delivery) -> bool:
    if delivery.user_id is not None:
        return tx.get_one(User, delivery.user_id).state == "active"
    if delivery.contact_id is None or delivery.channel_id is None:
        return delivery.kind == "webhook" and _system(tx, alert) is not None
    channel, contact = tx.get_one(Channel, delivery.channel_id), tx.get_one(Contact, delivery.contact_id)
    label = Marking.from_json(tx.get_one(Release, alert.release_id).marking).effective
    return contact.active and within(contact.tlp_max, label) and usable(tx, channel, tlp=label)


def _system(tx: Session, alert: Alert) -> Endpoint | None:
    query = select(Endpoint).where(
        Endpoint.organisation_id == alert.organisation_id, Endpoint.direction == "out", Endpoint.state == "active",
        Endpoint.exercise == alert.exercise,
    )  # fmt: skip
    return tx.execute(query.order_by(Endpoint.id)).scalars().first()


def _withhold(
    tx: Session, alert: Alert, delivery: Delivery, decision: ShareDecision, reasons: Sequence[str], *, now: datetime
) -> None:
    delivery.decision_id = decision.id
    _attempt(tx, delivery, "withheld", ", ".join(reasons), now=now)
    delivery.state, delivery.settled_at, delivery.next_attempt_at = "withheld", now, None
    if alert.state == "queued":
        alert.state = "withheld"
    tx.flush()
    if decision.result == Result.REFER:
        settle_release(tx, tx.get_one(Release, alert.release_id))  # it waits for a person again, and is listed so
    timeline.append(
        tx, "alert.withheld", "An alert was held back: the rules no longer permit it.", actor="system",
        incident=rungs.incident_of(tx, alert), about=("alert", alert.id), exercise=alert.exercise,
        values={"delivery": delivery.id, "decision": decision.id, "reasons": list(reasons)},
    )  # fmt: skip
    if alert.user_id is None:
        title = f"An alert to {alert.recipient} was held back when it was to be sent"
        rungs.hand_to_person(
            tx, alert, title=title,
            instructions="\n".join([
                *(f"{_why(code)} ({code})" for code in reasons),
                f"Look at decision {decision.id}. Change what it was made on and send it again, ask for a clearance, "
                "or withdraw the alert.",
            ]),
        )  # fmt: skip


_HELD_BACK = {
    "TEXT-CHANGED": "The stored text is not the one that was decided on. Find out who changed it.",
    "ADDRESS-CHANGED": "The address of this contact was changed while the alert was under way. Make sure that the new "
    "one is right.",
}  # fmt: skip


def _why(code: str) -> str:
    return _HELD_BACK.get(code) or explain(code)


def _put_off(tx: Session, delivery: Delivery, *, unsure: bool, now: datetime) -> None:
    """Nothing was sent, so there is no attempt: whoever takes it next asks the rules, on record."""
    delivery.lease_until = now if unsure else None
    tx.flush()
    if delivery.state == "queued":
        timeline.pending(tx, "delivery.due", delivery.id, exercise=delivery.exercise)


def _pack(tx: Session, alert: Alert, delivery: Delivery, *, unsure: bool) -> Parcel:
    same: dict[str, Any] = {"delivery_id": delivery.id, "fence": delivery.fence, "unsure": unsure}
    if delivery.kind == "webhook":
        return WebhookParcel(
            **same, message_id=delivery.webhook_id, endpoint=_endpoint(tx, alert, delivery),
            event=event_for(tx, alert, delivery),
        )  # fmt: skip
    letter, references = letter_for(tx, alert, delivery)
    domain = urlsplit(store_of(tx).settings.base_url).hostname or "localhost"
    return MailParcel(
        **same, message_id=delivery.webhook_id, address=_address(tx, delivery), letter=letter, references=references,
        mail_domain=domain, pgp_key=key_for(tx, delivery),
    )  # fmt: skip


def _endpoint(tx: Session, alert: Alert, delivery: Delivery) -> OutEndpoint:
    if delivery.channel_id is not None:
        endpoint_id = tx.get_one(Channel, delivery.channel_id).endpoint_id
    else:
        system = _system(tx, alert)
        endpoint_id = system.id if system is not None else None
    if endpoint_id is None:
        raise NotFound()
    return out_endpoint(tx, endpoint_id)


def _address(tx: Session, delivery: Delivery) -> str:
    if delivery.user_id is not None:
        return tx.get_one(User, delivery.user_id).email
    return tx.get_one(Channel, delivery.channel_id).address


def _write(
    tx: Session, alert: Alert, delivery: Delivery, outcome: Outcome, *, now: datetime, jitter: float
) -> None:
    """One attempt on record, then what follows from it."""
    number = _attempt(tx, delivery, outcome.result, outcome.detail, now=now)
    delivery.lease_until = None
    timeline.append(
        tx, "alert.attempted", _SENTENCES[outcome.result], actor="system", incident=rungs.incident_of(tx, alert),
        values={"delivery": delivery.id, "attempt": number, "channel": delivery.kind, "outcome": outcome.result,
                "detail": outcome.detail, "message": delivery.webhook_id},
        about=("alert", alert.id), exercise=alert.exercise,
    )  # fmt: skip
    if delivery.state == "cancelled":  # withdrawn or answered while it was being sent: the attempt stands, nothing more
        return
    if outcome.result in ("delivered", "handed-over"):
        _arrived(tx, alert, delivery, outcome.result, now=now)
        return
    wait = ladder.wait_before_next(number, retry_after=outcome.retry_after, jitter=jitter)
    if outcome.result == "retry" and wait is not None:
        delivery.next_attempt_at = now + wait
        tx.flush()
        timeline.pending(tx, "delivery.due", delivery.id, ready_at=now + wait, exercise=delivery.exercise)
        return
    delivery.state = "dead" if outcome.result == "retry" else "failed"
    delivery.settled_at, delivery.next_attempt_at = now, None
    tx.flush()
    rungs.next_rung(tx, alert.id, reason=outcome.detail or outcome.result)


_SENTENCES = {
    "delivered": "An alert was delivered to the partner's system.",
    "handed-over": "An alert was handed over.",
    "retry": "An attempt to deliver an alert failed and will be repeated.",
    "refused": "An alert could not be delivered this way.",
    "gone": "The partner's system says that it is gone; its endpoint was disabled.",
}


def _attempt(tx: Session, delivery: Delivery, outcome: str, detail: str, *, now: datetime) -> int:
    delivery.attempts += 1
    tx.add(DeliveryAttempt(
        delivery_id=delivery.id, number=delivery.attempts, decision_id=delivery.decision_id, at=now, outcome=outcome,
        detail=detail[:200], exercise=delivery.exercise,
    ))  # fmt: skip
    tx.flush()
    return delivery.attempts


def _arrived(tx: Session, alert: Alert, delivery: Delivery, result: str, *, now: datetime) -> None:
    delivery.state, delivery.settled_at, delivery.next_attempt_at = result, now, None
    if alert.state not in (*rungs.SETTLED, "delivered"):
        alert.state = result
    tx.flush()
    if not alert.ack and delivery.kind != "voice":
        rungs.settle_hold(tx, kind="alert", object_id=alert.id)


def _disable(tx: Session, alert: Alert, endpoint_id: int) -> None:
    """A 410 says that nobody is there any more: nothing is sent there until a person has looked."""
    endpoint = tx.get_one(Endpoint, endpoint_id, with_for_update=True)
    if endpoint.state == "disabled":
        return
    disable_endpoint(tx, endpoint.id, actor="system", reason="it answered that it is gone (410)")
    open_task(
        tx, title=f"The endpoint {endpoint.slug} answered that it is gone: ask the partner and set it right",
        role="coordinator", fallback_role="duty-officer", created_by="system", priority=70,
        incident=rungs.incident_of(tx, alert), exercise=alert.exercise,
    )  # fmt: skip
