"""Somebody leaves: everything that hangs on them goes to another person in one transaction, and the account is closed.

Incidents change owners, tasks go to the successor or back to their roles, approvals on which nothing was sent are taken
back, waiting changes are withdrawn, contacts that name the person are marked for somebody to look at.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts import staff
from coordinator.accounts.models import User
from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Right, Role, may
from coordinator.changes.service import withdraw_all
from coordinator.errors import Fault, Invalid, NotFound, Refused
from coordinator.handover import queries
from coordinator.incidents import quarantine
from coordinator.incidents.drafts import hand_over_drafts
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.models import Incident, IncidentMember
from coordinator.incidents.references import reference_of
from coordinator.markings import Tlp, parse_tlp
from coordinator.partners.queries import duty_role
from coordinator.partners.service import mark_suspect
from coordinator.sharing.approvals import void
from coordinator.tasks.service import hand_over_task, open_task

LONGEST_NOTE = 2000


@dataclass(frozen=True)
class HandedOver:
    """How much of each. `without_owner`: RED incidents the successor may not know of; the duty role has a task each."""

    incidents: int
    without_owner: int
    tasks: int
    approvals: int
    drafts: int


def hand_over(tx: Session, user_id: int, *, to: int, note: str, principal: Principal) -> HandedOver:
    """Give everything of one person to another and close the account: all or nothing.

    Raises NotFound, Invalid (the successor, the note), Refused (oneself, a closed account, the last administrator).
    """
    if user_id == principal.user_id:
        raise Refused("You cannot close your own account: ask somebody else.")
    leaving = tx.get(User, user_id)
    if leaving is None:
        raise NotFound()
    successor, note = _successor(tx, leaving, to), _note(note)
    staff.deactivate(tx, user_id, actor=principal.actor, note=note)
    given = [_hand_over_incident(tx, each, leaving=leaving, to=successor, note=note, actor=principal.actor)
             for each in queries.incidents_of(tx, user_id)]  # fmt: skip
    tasks = [hand_over_task(tx, each, leaving=user_id, to=successor.id, actor=principal.actor)
             for each in queries.tasks_of(tx, user_id)]  # fmt: skip
    takes = successor.id if may(Role(successor.role), Right.HANDLE_QUARANTINE) else None
    quarantined = quarantine.hand_over(tx, user_id, to=takes, actor=principal.actor)
    unspent = [one for one in queries.approvals(tx, user_id) if not one.left]
    for one in unspent:
        void(tx, one.approval, actor=principal.actor, under_way=one.under_way)
    moved, kept = hand_over_drafts(tx, user_id, to=successor.id)
    tx.execute(delete(IncidentMember).where(IncidentMember.user_id == user_id))
    withdraw_all(tx, f"user:{user_id}", actor=principal.actor)
    _look_after_contacts(tx, leaving, actor=principal.actor)
    done = HandedOver(len(given), given.count(False), sum(tasks), len(unspent), moved)
    timeline.append(
        tx, "user.handed-over", "Everything of a person who leaves was handed over.", actor=principal.actor,
        about=("user", user_id),
        values={"to": successor.id, "note": note, "incidents": done.incidents, "without_owner": done.without_owner,
                "tasks": done.tasks, "approvals_voided": done.approvals, "drafts": moved, "drafts_kept": kept,
                "quarantined": quarantined},
    )  # fmt: skip
    return done


def _hand_over_incident(tx: Session, incident_id: int, *, leaving: User, to: User, note: str, actor: str) -> bool:
    """False where it is RED and the successor may not know of it: then it has no owner, and the duty role a task."""
    incident = lock_incident(tx, incident_id)
    may_know = parse_tlp(incident.tlp) < Tlp.RED or _knows(tx, incident, to)
    incident.owner_id = to.id if may_know else None
    incident.updated_at, incident.version = clock.now(), incident.version + 1
    timeline.append(
        tx, "incident.handed-over", "The incident has another owner." if may_know else "The incident has no owner.",
        actor=actor, incident=incident, values={"from": leaving.id, "to": incident.owner_id, "note": note},
    )  # fmt: skip
    if not may_know:
        open_task(
            tx, title=f"{reference_of(incident)} has no owner: its owner left, and the successor is not named in it",
            role=duty_role(tx), incident=incident, created_by=actor, priority=80, exercise=incident.exercise,
        )  # fmt: skip
    return may_know


def _knows(tx: Session, incident: Incident, user: User) -> bool:
    """Whether this person may know of a RED incident already: handing it over names nobody anew."""
    member = select(IncidentMember.user_id).where(
        IncidentMember.incident_id == incident.id, IncidentMember.user_id == user.id
    )
    return may(Role(user.role), Right.SEE_RESTRICTED) or tx.execute(member).first() is not None


def _look_after_contacts(tx: Session, leaving: User, *, actor: str) -> None:
    for contact in queries.contacts_of(tx, leaving):
        mark_suspect(tx, contact.id, actor=actor, reason="the person named there has left")
        open_task(
            tx, title=f"The contact {contact.code} names somebody who left: name another person", role="coordinator",
            fallback_role=duty_role(tx), created_by=actor, exercise=contact.exercise,
        )  # fmt: skip


def _successor(tx: Session, leaving: User, to: int) -> User:
    if to not in {user.id for user in queries.successors(tx, leaving.id)}:
        raise Invalid([Fault("/to", "Choose an active colleague who takes over.")])
    return tx.get_one(User, to)


def _note(text: str) -> str:
    if not text.strip() or len(text) > LONGEST_NOTE:
        raise Invalid([Fault("/note", f"Say what the successor has to know, in at most {LONGEST_NOTE} characters.")])
    return text.strip()
