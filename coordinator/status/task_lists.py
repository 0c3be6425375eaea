"""Lists of work for people: my tasks, and releases that wait for a second person. Plain data, bounded counts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, literal, or_, select, tuple_, union_all
from sqlalchemy.orm import Session, aliased

from coordinator import clock
from coordinator.accounts import rules as rights
from coordinator.accounts.models import User
from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Role
from coordinator.incidents.models import Incident
from coordinator.incidents.queries import visible
from coordinator.incidents.references import reference_of
from coordinator.sharing.models import AWAITING_APPROVAL, Approval, Release, ShareDecision
from coordinator.status.paging import bounded, from_cursor, to_cursor
from coordinator.tasks.models import Task
from coordinator.tasks.queries import describe
from coordinator.timeline.keys import look_up

#: Counts on pages stop here: nobody reads "1,734 tasks", and counting further would cost what it tells.
MOST = 99


def my_tasks(tx: Session, *, principal: Principal, cursor: str = "", limit: int = 50) -> dict[str, Any]:
    """{"items": [task…], "next"}: open tasks of this person, or of their role and nobody yet; soonest due first."""
    limit, now = bounded(limit), clock.now()
    due, last = from_cursor(cursor, (str, type(None)), int) or ("", 0)
    found: list[Any] = []
    if due is not None:
        found = _due(tx, principal, clock.parse(due) if due else None, last, limit + 1)
        last = 0
    if len(found) <= limit:
        found += _undated(tx, principal, last, limit + 1 - len(found))
    page = found[:limit]
    look_up(tx, [row.Task.data_key_id for row in page])
    following = page[-1].Task if len(found) > limit else None
    return {
        "items": [
            {**describe(tx, row.Task, incident_reference=reference_of(row.Incident) if row.Incident else None, now=now),
             "assignee_name": row.name, "mine": row.Task.assignee_id == principal.user_id}
            for row in page
        ],
        "next": to_cursor(clock.rfc3339(following.due_at) if following.due_at else None, following.id)
        if following else None,
    }  # fmt: skip


def _due(tx: Session, principal: Principal, after: datetime | None, last: int, limit: int) -> list[Any]:
    order = (Task.due_at, Task.id)
    where: list[Any] = [Task.due_at.is_not(None)]
    if after is not None:
        where.append(tuple_(Task.due_at, Task.id) > tuple_(literal(after), literal(last)))
    return _merged(tx, principal, where, order, limit)


def _undated(tx: Session, principal: Principal, last: int, limit: int) -> list[Any]:
    return _merged(tx, principal, [Task.due_at.is_(None), Task.id > last], (Task.id,), limit) if limit > 0 else []


def _merged(tx: Session, principal: Principal, where: list[Any], order: Any, limit: int) -> list[Any]:
    """A few rows of each way a task can be mine, each from its own index, then together in order."""
    parts = [
        _open(principal, mine).where(*where).order_by(*order).limit(limit).subquery()
        for mine in _mine(principal)
    ]
    ids = union_all(*(select(part.c.id) for part in parts)).subquery()
    person = aliased(User)
    query = (
        select(Task, Incident, person.name)
        .outerjoin(Incident, Incident.id == Task.incident_id)
        .outerjoin(person, person.id == Task.assignee_id)
        .where(Task.id.in_(select(ids.c.id)))
        .order_by(*order)
        .limit(limit)
    )
    return list(tx.execute(query))


def _mine(principal: Principal) -> tuple[ColumnElement[bool], ...]:
    unassigned = Task.assignee_id.is_(None)
    return (
        Task.assignee_id == principal.user_id,
        and_(unassigned, Task.role == principal.role),
        and_(unassigned, Task.fallback_role == principal.role, Task.role != principal.role),
    )


def _open(principal: Principal, mine: ColumnElement[bool]) -> Select[Any]:
    joined = select(Task.id).outerjoin(Incident, Incident.id == Task.incident_id)
    return joined.where(Task.state == "open", mine, or_(Task.incident_id.is_(None), visible(principal)))


def counts(tx: Session, *, principal: Principal) -> dict[str, int]:
    """{"tasks": how many are mine, "overdue": how many of them are late}; each stops at MOST + 1."""
    now = clock.now()

    def counted(*where: Any) -> Any:
        parts = [
            select(_open(principal, mine).where(*where).limit(MOST + 1).subquery().c.id)
            for mine in _mine(principal)
        ]
        return select(func.count()).select_from(union_all(*parts).subquery()).scalar_subquery()

    row = tx.execute(select(counted(), counted(Task.due_at <= now))).one()
    return {"tasks": int(row[0]), "overdue": int(row[1])}


# ---------------------------------------------------------------- clearances


def clearances(tx: Session, *, principal: Principal, cursor: str = "", limit: int = 50) -> dict[str, Any]:
    """Referred decisions that wait for a second person, oldest first: {"items", "next"}.

    `may_answer` says whether this person may, `why_not` why not: own request, or the role does not reach.
    """
    limit = bounded(limit)
    last = (from_cursor(cursor, int) or (0,))[0]
    query = _waiting(tx, principal).where(ShareDecision.id > last).order_by(ShareDecision.id).limit(limit + 1)
    rows = list(tx.execute(query))
    return {
        "items": [_clearance(row, principal) for row in rows[:limit]],
        "next": to_cursor(rows[limit - 1].ShareDecision.id) if len(rows) > limit else None,
    }


def clearances_next(
    tx: Session, *, principal: Principal, exercise: str = "", limit: int = 5
) -> list[dict[str, Any]]:
    """The ones that wait longest, for the board: {id, release, recipient, effective_tlp, incident, asked_at, reply_by,
    valid_until, restricted}. The same for everybody who may know of the same incidents."""
    query = _waiting(tx, principal).where(Release.exercise == exercise, Release.incident_id.is_not(None))
    return [
        {"id": row.ShareDecision.id, "release": row.Release.id, "recipient": row.ShareDecision.recipient,
         "effective_tlp": row.ShareDecision.effective_tlp, "incident": reference_of(row.Incident),
         "asked_at": row.Release.created_at, "reply_by": row.Release.reply_by,
         "valid_until": row.ShareDecision.valid_until, "restricted": row.Incident.restricted}
        for row in tx.execute(query.order_by(ShareDecision.id).limit(limit))
    ]  # fmt: skip


def clearances_count(tx: Session, *, principal: Principal) -> int:
    """How many of them this person could answer, as far as the first MOST + 1 show."""
    rows = tx.execute(_waiting(tx, principal).order_by(ShareDecision.id).limit(MOST + 1))
    return sum(1 for row in rows if _clearance(row, principal)["may_answer"])


def _waiting(tx: Session, principal: Principal) -> Select[ShareDecision, Release, Incident]:
    """The newest decision for each recipient of a waiting release, where it is a referral nobody has answered."""
    newer, answered = aliased(ShareDecision), aliased(Approval)
    # Read before: asked in one statement, a million decisions would be looked through for the few that wait.
    few = list(tx.execute(select(Release.id).where(Release.state == AWAITING_APPROVAL)).scalars())
    return (
        select(ShareDecision, Release, Incident)
        .join(Release, Release.id == ShareDecision.release_id)
        .outerjoin(Incident, Incident.id == Release.incident_id)
        .where(
            ShareDecision.release_id.in_(few),
            ShareDecision.result == "refer",
            ~exists().where(newer.release_id == ShareDecision.release_id, newer.recipient == ShareDecision.recipient,
                            newer.id > ShareDecision.id),
            ~exists().where(answered.decision_id == ShareDecision.id),
            or_(Release.incident_id.is_(None), visible(principal)),
        )
    )  # fmt: skip


def _clearance(row: Any, principal: Principal) -> dict[str, Any]:
    decision, release, incident = row
    reaches = rights.may_approve(Role(principal.role), decision.reasons, decision.effective_tlp, release.info_category)
    own = decision.requested_by == principal.actor
    return {
        "id": decision.id, "release": release.id, "kind": release.kind, "recipient": decision.recipient,
        "reasons": decision.reasons, "effective_tlp": decision.effective_tlp, "purpose": release.purpose,
        "info_category": release.info_category, "requested_by": decision.requested_by,
        "asked_at": release.created_at, "reply_by": release.reply_by, "valid_until": decision.valid_until,
        "incident": reference_of(incident) if incident else None,
        "roles": sorted(str(role) for role in rights.approvers(
            decision.reasons, decision.effective_tlp, release.info_category)),
        "may_answer": reaches and not own, "why_not": "own" if own else "" if reaches else "role",
    }  # fmt: skip
