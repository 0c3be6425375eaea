"""Waiting changes for pages and calls: plain data, without a secret in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Role
from coordinator.changes import rules, service
from coordinator.changes.models import ProposedChange
from coordinator.changes.rules import Kind
from coordinator.errors import NotFound

MOST = 200


def waiting(tx: Session, *, principal: Principal) -> list[dict[str, Any]]:
    """What waits and this person may see (their own too), oldest first."""
    query = _seen(principal).where(ProposedChange.state == "waiting").order_by(ProposedChange.id).limit(MOST)
    return [described(tx, row, principal=principal) for row in tx.execute(query).scalars()]


def answered(tx: Session, *, principal: Principal) -> list[dict[str, Any]]:
    """The newest that are over and this person may see."""
    query = _seen(principal).where(ProposedChange.state != "waiting").order_by(ProposedChange.id.desc()).limit(20)
    return [described(tx, row, principal=principal) for row in tx.execute(query).scalars()]


def waiting_count(tx: Session, *, principal: Principal) -> int:
    """How many wait that somebody else asked for and this person's role may answer."""
    kinds = [str(kind) for kind in Kind if Role(principal.role) in rules.confirming_roles(kind)]
    query = select(func.count()).where(
        ProposedChange.state == "waiting", ProposedChange.kind.in_(kinds), ProposedChange.asked_by != principal.actor
    )
    return tx.execute(query).scalar_one()


def one(tx: Session, change_id: int, *, principal: Principal) -> dict[str, Any]:
    """Raises NotFound, also where this person may not see changes of its kind and did not ask for it."""
    row = tx.execute(_seen(principal).where(ProposedChange.id == change_id)).scalar_one_or_none()
    if row is None:
        raise NotFound()
    return described(tx, row, principal=principal)


def described(tx: Session, row: ProposedChange, *, principal: Principal) -> dict[str, Any]:
    """{id, kind, subject, state, asked_by, asked_at, expires_at, reason, source, differences[{field, old, new}],
    answered_by, answered_at, answer, own, why_not, telling}. `why_not`: why this person may not answer, or ""."""
    said = service.opened(tx, row)
    differ = rules.differences(said["old"], said["new"])
    return {
        "id": row.id, "kind": row.kind, "subject": row.subject, "state": row.state, "asked_by": row.asked_by,
        "asked_at": row.asked_at, "expires_at": row.expires_at, "reason": said["reason"], "source": row.source,
        "adds": said["old"] is None, "own": row.asked_by == principal.actor,
        "differences": list(_lines(differ.items())),
        "answered_by": row.answered_by, "answered_at": row.answered_at, "answer": row.answer,
        "why_not": service.why_not(tx, row, principal), "told": len(row.notices),
    }  # fmt: skip


def _lines(pairs: Iterable[tuple[str, tuple[Any, Any]]]) -> Iterable[dict[str, str]]:
    for name, (old, new) in pairs:
        yield {"field": name, "old": rules.in_words(old), "new": rules.in_words(new)}


def _seen(principal: Principal) -> Any:
    kinds = [str(kind) for kind in Kind if rules.may_see(kind, Role(principal.role))]
    return select(ProposedChange).where(
        ProposedChange.kind.in_(kinds) | (ProposedChange.asked_by == principal.actor)
    )
