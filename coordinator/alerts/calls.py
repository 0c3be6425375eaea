"""A call or a courier is a rung like any other: a task with number or place and the cleared text; its outcome is the
acknowledgement.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.models import User
from coordinator.alerts import rungs
from coordinator.alerts.acknowledge import note_answer
from coordinator.alerts.answers import COULD_NOT, offered
from coordinator.alerts.audience import AUTOMATIC
from coordinator.alerts.letters import said_in, script_for
from coordinator.alerts.models import Alert, Delivery
from coordinator.markings import Tlp
from coordinator.partners.models import Channel, Contact
from coordinator.tasks.contents import values_of
from coordinator.tasks.models import Task
from coordinator.tasks.rules import NOTE
from coordinator.tasks.service import open_task


def fields_of(kind: str) -> dict[str, Any]:
    """What whoever called fills in, for an alert of this kind."""
    return {
        "spoke_with": {"label": "Whom did you speak with, or who took the letter?", "type": "text", "required": False},
        "answer": {
            "label": "What did they say?", "type": "choice", "required": True, "options": list(offered(kind, ())),
        },
    }


def open_call(tx: Session, alert: Alert, delivery: Delivery) -> Task:
    """Open the task for a call, or for a letter to take there. The text stands in the task only up to GREEN.

    Above, it is on the alert's page.
    """
    contact, channel = tx.get_one(Contact, delivery.contact_id), tx.get_one(Channel, delivery.channel_id)
    incident = rungs.incident_of(tx, alert)
    whom, by_hand = contact.function or alert.recipient, channel.kind == "courier"
    if by_hand:
        lines = [f"Take a letter to {channel.address} ({whom}).", "It holds the text and nothing else; have it signed."]
    else:
        lines = [f"Call {channel.number} ({whom}).", "Read out the text and nothing else."]
    if said_in(tx, alert, delivery).tlp <= Tlp.GREEN:
        lines += ["", script_for(tx, alert)]
    else:
        lines.append(f"The text is on the page of alert {alert.public_id}.")
    title = f"{'Courier to' if by_hand else 'Call'} {alert.recipient}: an alert"
    task = open_task(
        tx, title=title, role="duty-officer", incident=incident, kind="voice",
        instructions="\n".join(lines), fallback_role="coordinator", priority=90, fields=fields_of(alert.kind),
        created_by="system", blocks="close" if incident is not None else "", exercise=alert.exercise,
        due_at=rungs.wanted_by(tx, alert),
    )  # fmt: skip
    delivery.task_id = task.id
    tx.flush()
    return task


def finish_call(tx: Session, task_id: int) -> None:
    """What follows when the task of a call is over: the answer is noted, or the ladder goes on. Else nothing."""
    deliveries = tx.execute(select(Delivery).where(Delivery.task_id == task_id).order_by(Delivery.id)).scalars().all()
    for delivery in deliveries:
        _finish(tx, delivery, tx.get_one(Task, task_id))


def _finish(tx: Session, delivery: Delivery, task: Task) -> None:
    alert = rungs.locked(tx, delivery.alert_id)
    if task.state == "done" and alert.kind == AUTOMATIC:
        _note_what_became(tx, alert, delivery, task)
        return
    if alert.state in rungs.SETTLED or task.state == "open":
        return
    if task.outcome != "successful":
        delivery.state, delivery.settled_at = "failed", clock.now()
        tx.flush()
        rungs.next_rung(tx, alert.id, reason="the call did not get through")
        return
    values = values_of(tx, task)
    note_answer(
        tx, alert, delivery, kind="person", answer=values.get("answer") or "acknowledged",
        by=str(values.get("spoke_with") or ""), assurance="noted-by-officer", actor=task.done_by or "system",
        note=_note_of(values),
    )  # fmt: skip


def _note_what_became(tx: Session, alert: Alert, delivery: Delivery, task: Task) -> None:
    """What somebody there said became of what their system was given; or that nobody could say."""
    values, done = values_of(tx, task), task.outcome == "successful"
    note_answer(
        tx, alert, delivery, kind="person", answer=values["answer"] if done else COULD_NOT,
        by=str(values.get("spoke_with") or "") if done else _name_of(tx, task),
        assurance="noted-by-officer", actor=task.done_by or "system",
        note=str(values.get("said" if done else NOTE) or ""),
    )  # fmt: skip


def _name_of(tx: Session, task: Task) -> str:
    actor = task.done_by or ""
    user = tx.get(User, int(actor.removeprefix("user:"))) if actor.startswith("user:") else None
    return user.name if user is not None else ""


def _note_of(values: dict[str, Any]) -> str | None:
    """The caller's note belongs to the answer only where that needs its reason."""
    return str(values.get("note") or "Said on the telephone.") if values.get("answer") == "cannot-delete" else None
