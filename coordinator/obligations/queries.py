"""Duties and their rules as plain data. Need-to-know of a duty is that of its incident."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.models import User
from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Role
from coordinator.errors import NotFound
from coordinator.incidents.items import read_item
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.incidents.queries import visible
from coordinator.incidents.references import reference_of
from coordinator.obligations import rules
from coordinator.obligations.calendars import calendar_of, holidays
from coordinator.obligations.models import Obligation, ObligationRule
from coordinator.timeline.keys import Erased
from coordinator.timeline.models import Entry
from coordinator.timeline.queries import ERASED, described

MOST = 100


def of_incident(tx: Session, incident_id: int) -> list[dict[str, Any]]:
    """The duties of an incident: open ones first, soonest due first."""
    query = (
        select(Obligation, ObligationRule)
        .join(ObligationRule, ObligationRule.id == Obligation.rule_version_id)
        .where(Obligation.incident_id == incident_id)
        .order_by(Obligation.state.not_in(rules.OPEN), Obligation.target_at.is_(None), Obligation.target_at,
                  Obligation.id)
        .limit(MOST)
    )  # fmt: skip
    now, table = clock.now(), holidays(tx)
    return [as_told(row.Obligation, row.ObligationRule, now=now, table=table) for row in tx.execute(query)]


def one(tx: Session, obligation_id: int, *, principal: Principal) -> dict[str, Any]:
    """A duty with its rule, what was said when it was settled, and its history. Raises NotFound."""
    query = (
        select(Obligation, ObligationRule, Incident)
        .join(ObligationRule, ObligationRule.id == Obligation.rule_version_id)
        .join(Incident, Incident.id == Obligation.incident_id)
        .where(Obligation.id == obligation_id, visible(principal))
    )
    found = tx.execute(query).one_or_none()
    if found is None:
        raise NotFound()
    row, rule, incident = found
    entries = select(Entry).where(
        Entry.incident_id == incident.id, Entry.object_type == "obligation", Entry.object_id == row.id
    )
    history = described(tx, tx.execute(entries.order_by(Entry.id).limit(MOST)).scalars())
    return as_told(row, rule, now=clock.now(), table=holidays(tx)) | {
        "incident": reference_of(incident), "tlp": incident.tlp, "terms": rule.terms, "said": _said(tx, row),
        "settled_by": row.settled_by, "settled_at": row.settled_at, "history": history,
        "needs": [name for name in rules.bases(rule.terms["clocks"])], "exercise": row.exercise,
    }  # fmt: skip


def next_due(tx: Session, incident_ids: Collection[int]) -> dict[int, datetime]:
    """When the next running duty of each incident is due."""
    query = (
        select(Obligation.incident_id, func.min(Obligation.target_at))
        .where(Obligation.incident_id.in_(incident_ids), Obligation.state == rules.State.RUNNING)
        .group_by(Obligation.incident_id)
    )
    return {row[0]: row[1] for row in tx.execute(query) if row[1] is not None}


def due_next(tx: Session, *, principal: Principal, exercise: str = "", limit: int = 8) -> list[dict[str, Any]]:
    """The duties due soonest on any incident this person may know of; one short range of an index."""
    query = _running(principal).where(Incident.exercise == exercise).limit(limit)
    return [_line(row) for row in tx.execute(query)]


def mine(tx: Session, *, principal: Principal, limit: int = 20) -> list[dict[str, Any]]:
    """The running duties somebody has an eye on: those of incidents they own; for a legal adviser all they may see."""
    query = _running(principal)
    if principal.role != str(Role.LEGAL_ADVISER):
        query = query.where(Incident.owner_id == principal.user_id)
    return [_line(row) for row in tx.execute(query.limit(limit))]


def _running(principal: Principal) -> Select[Obligation, ObligationRule, Incident]:
    return (
        select(Obligation, ObligationRule, Incident)
        .join(ObligationRule, ObligationRule.id == Obligation.rule_version_id)
        .join(Incident, Incident.id == Obligation.incident_id)
        .where(Obligation.state == rules.State.RUNNING, Obligation.target_at.is_not(None), visible(principal))
        .order_by(Obligation.target_at, Obligation.id)
    )


def _line(row: Any) -> dict[str, Any]:
    duty, rule, incident = row
    return {
        "id": duty.id, "kind": "duty", "title": rule.terms["instrument"], "rule": duty.rule, "due_at": duty.target_at,
        "soft": duty.due_at is None, "binding": rule.signed_by is not None, "incident": reference_of(incident),
        "restricted": incident.restricted, "exercise": incident.exercise, "href": f"/duties/{duty.id}",
        "role": str(Role.LEGAL_ADVISER), "assignee_name": None,
    }  # fmt: skip


def rules_of(tx: Session) -> list[dict[str, Any]]:
    """The newest version of each rule, by name, with who signed it."""
    query = (
        select(ObligationRule, User.name)
        .outerjoin(User, User.id == ObligationRule.signed_by)
        .where(ObligationRule.current)
        .order_by(ObligationRule.rule)
    )
    table = holidays(tx)
    return [
        {"id": row.id, "rule": row.rule, "version": row.version, "advisory": row.signed_by is None,
         "calendar": found.as_told() if (found := calendar_of(row.terms, table)) else None,
         "recorded_at": row.recorded_at, "recorded_by": row.recorded_by, "signed_by": name,
         "signed_at": row.signed_at, "note": row.signed_note, **{name: row.terms.get(name) for name in _SHOWN}}
        for row, name in tx.execute(query)
    ]  # fmt: skip


_SHOWN = ("jurisdiction", "instrument", "who", "to", "trigger", "clocks", "kind", "content", "status", "confidence")


def as_told(
    row: Obligation, rule: ObligationRule, *, now: datetime, table: Mapping[str, frozenset[date]]
) -> dict[str, Any]:
    """A duty in the field names of the contract. `calendar`: what is known of the holidays, where it counts by them."""
    calendar = calendar_of(rule.terms, table)
    return {
        "calendar": calendar.as_told() if calendar else None,
        "id": row.id, "rule": row.rule, "version": rule.version, "instrument": rule.terms["instrument"],
        "recipient_role": rule.terms["to"], "kind": rule.terms["kind"], "binding": rule.signed_by is not None,
        "in_force": rule.terms["status"], "confidence": rule.terms["confidence"], "state": row.state,
        "status": rules.standing(row.state, due_at=row.due_at, target_at=row.target_at, basis_at=row.basis_at,
                                 met_at=row.met_at, now=now),
        "basis": row.basis or rules.bases(rule.terms["clocks"])[0], "started_at": row.started_at,
        "basis_at": row.basis_at, "due_at": row.due_at, "target_at": row.target_at,
        "soft": row.state != rules.State.ARMED and row.due_at is None, "later_at": row.later_at, "met_at": row.met_at,
    }  # fmt: skip


def _said(tx: Session, row: Obligation) -> str:
    if row.note_version_id is None:
        return ""
    try:
        said = read_item(tx, tx.get_one(ItemVersion, row.note_version_id))
    except Erased:
        return ERASED
    return str(said.get("said", "")) if isinstance(said, dict) else str(said)
