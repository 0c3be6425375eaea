"""Everything that hangs on one person, for the page before it is handed over: plain data, as far as the reader may
know.

Numbers are of everything; incidents and tasks are named only where the reader has the need to know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, false, func, select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.models import ApiToken, User
from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Right, Role, may
from coordinator.accounts.sessions import sessions_of
from coordinator.alerts.models import Alert, Delivery
from coordinator.changes.models import ProposedChange
from coordinator.incidents.models import Draft, Incident, IncidentMember, Quarantined
from coordinator.incidents.queries import title_of, visible
from coordinator.incidents.references import reference_of
from coordinator.partners.models import Contact
from coordinator.sharing.models import Approval, Release, ShareDecision
from coordinator.tasks.models import Task

#: An incident that is over keeps its owner's name.
OVER = ("closed", "rejected", "duplicate")
SHOWN = 100


@dataclass(frozen=True)
class Spent:
    """An approval that still holds. `left`: something was sent on it; `under_way`: its alert is raised and not sent."""

    approval: Approval
    left: bool
    under_way: bool


def owned(tx: Session, user_id: int, *, principal: Principal) -> dict[str, Any]:
    """{incidents, tasks (each {count, shown}), approvals, quarantined, drafts, memberships, changes, contacts,
    sessions, tokens}."""
    user, now = tx.get_one(User, user_id), clock.now()
    tokens = select(func.count()).where(ApiToken.user_id == user_id, ApiToken.revoked_at.is_(None))
    return {
        "incidents": _incidents(tx, user_id, principal), "tasks": _tasks(tx, user_id, principal),
        "approvals": sum(not one.left for one in approvals(tx, user_id)),
        "quarantined": _count(tx, Quarantined.owner_id == user_id, Quarantined.state == "waiting"),
        "drafts": _count(tx, Draft.user_id == user_id),
        "memberships": _count(tx, IncidentMember.user_id == user_id),
        "changes": _count(tx, ProposedChange.asked_by == f"user:{user_id}", ProposedChange.state == "waiting"),
        "contacts": [row.code for row in contacts_of(tx, user)],
        "sessions": len(sessions_of(tx, user_id)),
        "tokens": tx.execute(tokens.where(ApiToken.expires_at.is_(None) | (ApiToken.expires_at > now))).scalar_one(),
    }  # fmt: skip


def incidents_of(tx: Session, user_id: int) -> list[int]:
    """Ids of the incidents this person owns and that are not over, in the order in which they are locked."""
    query = select(Incident.id).where(Incident.owner_id == user_id, Incident.status.not_in(OVER)).order_by(Incident.id)
    return list(tx.execute(query).scalars())


def tasks_of(tx: Session, user_id: int) -> list[int]:
    """Ids of the open tasks given to this person, in the order in which they and their incidents are locked."""
    query = select(Task.id).where(Task.assignee_id == user_id, Task.state == "open")
    return list(tx.execute(query.order_by(Task.incident_id, Task.id)).scalars())


def approvals(tx: Session, user_id: int) -> list[Spent]:
    """What this person approved and still holds, oldest first."""
    query = (
        select(Approval, ShareDecision.release_id, ShareDecision.recipient)
        .join(ShareDecision, ShareDecision.id == Approval.decision_id)
        .join(Release, Release.id == ShareDecision.release_id)
        .where(
            Approval.user_id == user_id, Approval.answer == "approve", Approval.voided_at.is_(None),
            Approval.until > clock.now(), Release.state != "withdrawn",
        )
        .order_by(Release.incident_id, Approval.id)
    )  # fmt: skip
    return [_spent(tx, answer, release, recipient) for answer, release, recipient in tx.execute(query)]


def contacts_of(tx: Session, user: User) -> list[Contact]:
    """Points of contact that name this person."""
    query = select(Contact).where(Contact.person_email == user.email, Contact.active).order_by(Contact.code)
    return list(tx.execute(query).scalars())


def successors(tx: Session, user_id: int) -> list[User]:
    """Who could take over: active people of ours, by name."""
    query = select(User).where(
        User.state == "active", User.id != user_id, User.role.not_in((str(Role.PARTNER_USER), str(Role.ADMINISTRATOR)))
    )
    return list(tx.execute(query.order_by(User.name, User.id)).scalars())


def _spent(tx: Session, answer: Approval, release_id: int, recipient: str) -> Spent:
    query = select(Delivery.state).join(Alert, Alert.id == Delivery.alert_id)
    states = set(tx.execute(query.where(Alert.release_id == release_id, Alert.recipient == recipient)).scalars())
    return Spent(answer, left=bool(states & {"delivered", "handed-over"}), under_way=bool(states))


def _incidents(tx: Session, user_id: int, principal: Principal) -> dict[str, Any]:
    ids = incidents_of(tx, user_id)
    query = select(Incident).where(Incident.id.in_(ids), _known(principal)).order_by(Incident.id).limit(SHOWN)
    shown = [
        {"reference": reference_of(row), "title": title_of(tx, row), "status": row.status, "tlp": row.tlp}
        for row in tx.execute(query).scalars()
    ]
    return {"count": len(ids), "shown": shown}


def _tasks(tx: Session, user_id: int, principal: Principal) -> dict[str, Any]:
    ids = tasks_of(tx, user_id)
    query = select(Task).outerjoin(Incident, Incident.id == Task.incident_id).where(Task.id.in_(ids))
    seen = query.where(_known(principal)).order_by(Task.due_at, Task.id).limit(SHOWN)
    shown = [{"id": row.id, "title": row.title, "due_at": row.due_at} for row in tx.execute(seen).scalars()]
    return {"count": len(ids), "shown": shown}


def _known(principal: Principal) -> ColumnElement[bool]:
    return visible(principal) if may(Role(principal.role), Right.READ_INCIDENTS) else false()


def _count(tx: Session, *where: ColumnElement[bool]) -> int:
    return tx.execute(select(func.count()).where(*where)).scalar_one()
