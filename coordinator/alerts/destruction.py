"""What was given under an agreement is destroyed when that agreement is over, where it says so (destruction_on): those
who had it from us are asked, and what they gave us is destroyed here. Two tasks, each due on the day itself."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator.agreements import queries
from coordinator.agreements.calendar import BEFORE_END, destroyed_by
from coordinator.agreements.models import Agreement
from coordinator.agreements.rules import givers_of, recipients_of, supersessions
from coordinator.alerts.left import has_left
from coordinator.alerts.models import Alert
from coordinator.incidents.models import ItemVersion
from coordinator.partners.models import Organisation
from coordinator.sharing.models import ShareDecision
from coordinator.tasks.models import Task
from coordinator.tasks.service import open_task

#: So long before the day the tasks are opened.
BEFORE = timedelta(days=BEFORE_END[1])
_CERTIFICATE = {"certificate": {"label": "The certificate: its reference, and where it is", "type": "text",
                                "required": True}}  # fmt: skip


def deadlines(tx: Session, keys: set[str], now: datetime) -> dict[str, datetime]:
    """Agreement's key -> when what was given under it is to be destroyed, as its newest version has it; only those that
    have such a day."""
    rows = tx.execute(select(Agreement.key, Agreement.terms).where(Agreement.current)).all() if keys else []
    after = supersessions([row.terms for row in rows], now)
    found = {row.key: destroyed_by(row.terms, superseded_at=after.get(row.key)) for row in rows if row.key in keys}
    return {key: at for key, at in found.items() if at is not None}


def look(tx: Session, agreement_id: int, *, now: datetime) -> None:
    """The agreement was amended or comes near its end: open the tasks once, from 30 days before, or at once where it
    was terminated. Nothing is asked where nothing was given."""
    row = tx.get_one(Agreement, agreement_id)
    at = deadlines(tx, {row.key}, now).get(row.key) if row.current else None
    if at is None or (now < at - BEFORE and not row.terms.get("terminated_on")):
        return
    own, terms = queries.own_code(tx), row.terms
    clause = (terms.get("clause_refs") or {}).get("destruction_on", "")
    under = f"Agreement {row.key}, version {row.version}{', ' + clause if clause else ''}."
    takers = sorted(recipients_of(terms, own) - {"OWN"})
    if takers and _has_left_under(tx, row.key):
        _once(tx, at, terms, f"Agreement {row.key}: have what we gave under it destroyed", (
            f"{under} {', '.join(takers)} destroy what they had from us by {at:%Y-%m-%d}. The ledger, narrowed to this "
            "agreement, says who has what: ask for it back there, and note what each answers."
        ))  # fmt: skip
    gave = sorted(givers_of(terms, own))
    if gave and _hold_of(tx, gave):
        _once(tx, at, terms, f"Agreement {row.key}: destroy what was given to us under it", (
            f"{under} What came from {', '.join(gave)} is destroyed here by {at:%Y-%m-%d}, copies and what was printed "
            "too; what another law obliges us to keep is named to them. Say here what was done."
        ))  # fmt: skip


def _once(tx: Session, at: datetime, terms: dict[str, Any], title: str, instructions: str) -> None:
    same = select(Task.id).where(Task.title == title, Task.due_at == at)
    if tx.execute(same.limit(1)).first() is not None:
        return
    proof = " A certificate is owed." if terms.get("destruction_certificate") else ""
    open_task(
        tx, title=title, role="coordinator", fallback_role="agreement-manager", created_by="system", due_at=at,
        priority=70, instructions=instructions + proof, fields=_CERTIFICATE if proof else None,
    )  # fmt: skip


def _has_left_under(tx: Session, key: str) -> bool:
    query = select(Alert.id).join(ShareDecision, ShareDecision.id == Alert.decision_id)
    return tx.execute(query.where(ShareDecision.agreement == key, has_left()).limit(1)).first() is not None


def _hold_of(tx: Session, codes: list[str]) -> bool:
    query = select(ItemVersion.id).join(Organisation, Organisation.id == ItemVersion.originator_id)
    return tx.execute(query.where(Organisation.code.in_(codes)).limit(1)).first() is not None
