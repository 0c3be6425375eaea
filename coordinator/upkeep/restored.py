"""What a person looks through before a hold is lifted: what waits to go out or to happen, and who and what counts.

After a restore this is how it stood at the backup; what was done since then is not known here and may differ.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, aliased

from coordinator import clock
from coordinator.accounts.models import User
from coordinator.accounts.principal import Principal
from coordinator.agreements.models import Agreement, Consent
from coordinator.alerts.models import Alert, Delivery
from coordinator.incidents.models import Incident
from coordinator.incidents.queries import visible
from coordinator.incidents.references import reference_of
from coordinator.partners.models import Organisation
from coordinator.runs.models import Run, Timer
from coordinator.tasks.models import Task
from coordinator.timeline.models import Epoch

#: Rows of each list that are shown; the whole number is said beside it.
MOST = 100


def newest_epoch(tx: Session) -> Epoch | None:
    """The restore that this record stands on, if there was one."""
    return tx.execute(select(Epoch).order_by(Epoch.number.desc()).limit(1)).scalar_one_or_none()


def what_stands(tx: Session, *, principal: Principal) -> dict[str, dict[str, Any]]:
    """`sends`, `timers`, `consents`, `agreements`, `users`: each {count, rows}; rows as plain data, oldest first.

    Sends and timers of incidents that `principal` may not know of are counted and not listed.
    """
    found = {"sends": _sends(tx, principal), "timers": _timers(tx, principal), "consents": _consents(tx),
             "agreements": _agreements(tx), "users": _users(tx)}  # fmt: skip
    return {name: {"count": count, "rows": rows} for name, (count, rows) in found.items()}


def _count(tx: Session, column: Any, *which: Any) -> int:
    return tx.execute(select(func.count(column)).where(*which)).scalar_one()


def _sends(tx: Session, principal: Principal) -> tuple[int, list[dict[str, Any]]]:
    waiting = Delivery.state == "queued"
    query = (
        select(Delivery, Alert, Incident)
        .join(Alert, Alert.id == Delivery.alert_id)
        .outerjoin(Incident, Incident.id == Alert.incident_id)
        .where(waiting, or_(Alert.incident_id.is_(None), visible(principal)))
        .order_by(Delivery.id).limit(MOST)
    )  # fmt: skip
    rows = [
        {"alert": alert.id, "kind": alert.kind, "recipient": alert.recipient or "", "way": delivery.kind,
         "since": delivery.created_at, "own": alert.user_id is not None, "webhook_id": delivery.webhook_id,
         "incident": reference_of(incident) if incident else ""}
        for delivery, alert, incident in tx.execute(query)
    ]  # fmt: skip
    return _count(tx, Delivery.id, waiting), rows


def _timers(tx: Session, principal: Principal) -> tuple[int, list[dict[str, Any]]]:
    running = (Timer.fired_at.is_(None), Timer.cancelled_at.is_(None))
    due = (Task.state == "open", Task.due_at.is_not(None))
    timers = (
        select(Timer.due_at, Timer.purpose, Incident)
        .join(Run, Run.id == Timer.run_id).outerjoin(Incident, Incident.id == Run.incident_id)
        .where(*running, or_(Run.incident_id.is_(None), visible(principal))).order_by(Timer.due_at).limit(MOST)
    )  # fmt: skip
    tasks = (
        select(Task.due_at, Task.role, Incident)
        .outerjoin(Incident, Incident.id == Task.incident_id)
        .where(*due, or_(Task.incident_id.is_(None), visible(principal))).order_by(Task.due_at).limit(MOST)
    )  # fmt: skip
    found = [(at, f"playbook: {purpose}", incident) for at, purpose, incident in tx.execute(timers)]
    found += [(at, f"task of {role}", incident) for at, role, incident in tx.execute(tasks) if at is not None]
    rows = [{"due_at": at, "what": what, "incident": reference_of(incident) if incident else ""}
            for at, what, incident in sorted(found, key=lambda each: each[0])[:MOST]]  # fmt: skip
    count = _count(tx, Timer.id, *running) + _count(tx, Task.id, *due)
    return count, rows


def _consents(tx: Session) -> tuple[int, list[dict[str, Any]]]:
    now, giver, receiver = clock.now(), aliased(Organisation), aliased(Organisation)
    valid = (Consent.withdrawn_at.is_(None), or_(Consent.valid_until.is_(None), Consent.valid_until > now))
    query = (
        select(giver.code.label("giver"), receiver.code.label("receiver"), Consent.purpose, Consent.item,
               Consent.valid_until, Consent.granted_at)
        .join(giver, giver.id == Consent.from_id).join(receiver, receiver.id == Consent.to_id)
        .where(*valid).order_by(Consent.id).limit(MOST)
    )  # fmt: skip
    return _count(tx, Consent.id, *valid), [dict(row._mapping) for row in tx.execute(query)]


def _agreements(tx: Session) -> tuple[int, list[dict[str, Any]]]:
    query = select(Agreement).where(Agreement.current).order_by(Agreement.key).limit(MOST)
    rows = [
        {"key": row.key, "version": row.version, "title": str(row.terms.get("title", "")), "recorded": row.created_at}
        for row in tx.execute(query).scalars()
    ]
    return _count(tx, Agreement.id, Agreement.current), rows


def _users(tx: Session) -> tuple[int, list[dict[str, Any]]]:
    active = User.state == "active"
    query = select(User.name, User.email, User.role).where(active).order_by(User.name).limit(MOST)
    return _count(tx, User.id, active), [dict(row._mapping) for row in tx.execute(query)]
