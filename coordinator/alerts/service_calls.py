"""What a playbook asked of a partner's service left with it: a line of the ledger like any other.

There is nothing to deliver and nobody to answer: the request itself was the delivery, under the permit it names. What
follows later (an update, a correction, a recall) is never sent to a system by itself: a person speaks to one there.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.alerts.answers import GONE
from coordinator.alerts.audience import AUTOMATIC
from coordinator.alerts.left import still_out
from coordinator.alerts.models import Alert, Delivery, DeliveryAttempt
from coordinator.incidents.models import Incident
from coordinator.incidents.references import new_public_id, reference_of
from coordinator.partners.queries import organisation_by_code
from coordinator.sharing.models import Release, ShareDecision
from coordinator.tasks.models import Task
from coordinator.tasks.service import open_task
from coordinator.vault import token_hash

#: What whoever asks about a recall fills in.
BECAME = {
    "spoke_with": {"label": "Whom did you speak with there?", "type": "text", "required": True},
    "answer": {"label": "What became of it?", "type": "choice", "required": True, "options": list(GONE)},
    "said": {"label": "What did they say? Where it stays there: why?", "type": "text", "required": True},
}
#: `outcome` of an attempt (DeliveryAttempt) → how its delivery and its alert stand.
_STANDS = {"delivered": "delivered", "retry": "handed-over", "refused": "failed"}


def begin(tx: Session, decision_id: int, *, now: datetime) -> bool:
    """The request is about to leave on this permit, which the database looks at; from now on it may have left
    (`has_left`). False where a person withdrew it: then it does not go."""
    delivery = _delivery(tx, tx.get_one(ShareDecision, decision_id))
    if tx.get_one(Alert, delivery.alert_id).state == "withdrawn":
        return False
    delivery.lease_until = delivery.lease_until or now
    tx.flush()
    return True


def kept_back(tx: Session, decision_id: int) -> None:
    """Nothing left by the attempt that was begun."""
    _delivery(tx, tx.get_one(ShareDecision, decision_id)).lease_until = None
    tx.flush()


def note(tx: Session, decision_id: int, *, outcome: str, detail: str) -> None:
    """One attempt that may have been read. `outcome`: delivered, retry or refused; `decision_id`: its permit of now."""
    decision = tx.get_one(ShareDecision, decision_id)
    delivery = _delivery(tx, decision)
    delivery.attempts += 1
    delivery.decision_id = decision.id
    tx.add(DeliveryAttempt(
        delivery_id=delivery.id, number=delivery.attempts, decision_id=decision.id, at=clock.now(), outcome=outcome,
        detail=detail, exercise=decision.exercise,
    ))  # fmt: skip
    alert = tx.get_one(Alert, delivery.alert_id)
    delivery.state, delivery.settled_at, delivery.lease_until = _STANDS[outcome], clock.now(), None
    if alert.state != "withdrawn":
        alert.state = delivery.state
    tx.flush()


def holders(tx: Session, incident_id: int) -> list[str]:
    """Codes of the organisations whose services were given something of an incident by a request, and hold it still."""
    query = select(Alert.recipient).where(
        Alert.incident_id == incident_id, Alert.kind == AUTOMATIC, still_out()
    )
    return sorted(set(tx.execute(query).scalars()))


def ask_a_person(
    tx: Session, incident: Incident, codes: Iterable[str], *, title: str, why: str,
    fields: Mapping[str, Any] | None = None,
) -> dict[str, int]:  # fmt: skip
    """A task for each of these organisations, whose services hold something of the incident; one that is open already
    is enough. `title`: what is to be done, with {code}; `fields`: what is asked. Returns the tasks' ids by code."""
    found = {}
    for code in codes:
        wanted = title.format(code=code)
        known = select(Task.id).where(Task.incident_id == incident.id, Task.title == wanted, Task.state == "open")
        found[code] = tx.execute(known.limit(1)).scalar_one_or_none() or open_task(
            tx, title=wanted, role="coordinator", fallback_role="duty-officer", incident=incident, priority=70,
            assignee_id=incident.owner_id, created_by="system", blocks="close", fields=fields,
            instructions=f"{reference_of(incident)}: a system of {code} was given something of this incident by a "
                         f"request of a playbook. Nothing goes to a system by itself: speak to somebody there. {why}",
        ).id  # fmt: skip
    return found


def ask_what_became(tx: Session, incident: Incident, alerts: Sequence[Alert], *, title: str, why: str) -> None:
    """A person asks what became of what these requests gave; what they were told is the answer to the recall."""
    tasks = ask_a_person(
        tx, incident, sorted({each.recipient for each in alerts}), title=title, why=why, fields=BECAME
    )
    for each in alerts:
        for delivery in tx.execute(select(Delivery).where(Delivery.alert_id == each.id)).scalars():
            delivery.task_id = tasks[each.recipient]
    tx.flush()


def _delivery(tx: Session, decision: ShareDecision) -> Delivery:
    query = select(Delivery).join(Alert, Alert.id == Delivery.alert_id).where(
        Alert.release_id == decision.release_id, Alert.recipient == decision.recipient
    )  # fmt: skip
    known = tx.execute(query.order_by(Delivery.rung).limit(1)).scalar_one_or_none()
    return known or _first(tx, decision)


def _first(tx: Session, decision: ShareDecision) -> Delivery:
    now, release = clock.now(), tx.get_one(Release, decision.release_id)
    organisation = organisation_by_code(tx, decision.recipient)
    alert = Alert(
        release_id=release.id, incident_id=release.incident_id, kind=release.kind, recipient=decision.recipient,
        organisation_id=organisation.id if organisation is not None else None, decision_id=decision.id,
        content_digest=release.content_digest, public_id=new_public_id("alr"), state="failed", created_at=now,
        exercise=release.exercise,
    )  # fmt: skip
    tx.add(alert)
    tx.flush()
    delivery = Delivery(
        alert_id=alert.id, rung=0, kind="webhook", webhook_id=new_public_id("msg"), state="failed",
        decision_id=decision.id, ack_hash=token_hash(secrets.token_urlsafe(24)), ack_expires_at=now, created_at=now,
        exercise=release.exercise,
    )  # fmt: skip
    tx.add(delivery)
    tx.flush()
    return delivery
