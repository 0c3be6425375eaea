"""Texts cleared beforehand, as plain data: for the pages and the API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Role
from coordinator.sharing import standing
from coordinator.sharing.models import StandingClearance
from coordinator.status import people

MOST = 200


def standing_clearances(tx: Session, *, principal: Principal) -> list[dict[str, Any]]:
    """Newest first. `state`: waiting, in-force, resting, expired, revoked; `may_confirm`: whether this person may."""
    query = select(StandingClearance).order_by(StandingClearance.id.desc()).limit(MOST)
    return described(tx, list(tx.execute(query).scalars()), principal=principal)


def described(tx: Session, rows: list[StandingClearance], *, principal: Principal) -> list[dict[str, Any]]:
    now = clock.now()
    held = standing.still_signed(tx, rows)
    ids = {one for row in rows for one in (row.proposed_by, row.confirmed_by, row.revoked_by) if one is not None}
    names = people.names(tx, {f"user:{one}" for one in ids})
    return [
        {
            "id": row.id, "state": state_of(row, now, signed=row.id in held), "title": row.title, "body": row.body,
            "language": row.language, "digest": row.content_digest, "until": row.until,
            "proposed": _act(names, row.proposed_by, row.proposed_at, row.proposed_role),
            "confirmed": _act(names, row.confirmed_by, row.confirmed_at, row.confirmed_role),
            "revoked": _act(names, row.revoked_by, row.revoked_at) | {"reason": row.revoke_reason}
            if row.revoked_at else None,
            "may_confirm": _may_confirm(row, principal, now),
        }
        for row in rows
    ]  # fmt: skip


def state_of(row: StandingClearance, now: datetime, *, signed: bool = True) -> str:
    """`signed`: both of its persons may still clear; else it rests until it is cleared anew."""
    if row.revoked_at is not None:
        return "revoked"
    if now >= row.until:
        return "expired"
    if row.confirmed_at is None:
        return "waiting"
    return "in-force" if signed else "resting"


def _may_confirm(row: StandingClearance, principal: Principal, now: datetime) -> bool:
    authority = Role.RELEASE_AUTHORITY in (row.proposed_role, principal.role)
    return state_of(row, now) == "waiting" and row.proposed_by != principal.user_id and authority


def _act(names: dict[str, str], user_id: int | None, at: datetime | None, role: str = "") -> dict[str, Any]:
    """Who and when; empty where it has not happened."""
    if user_id is None or at is None:
        return {}
    return {"by": f"user:{user_id}", "name": names[f"user:{user_id}"], "at": at, **({"role": role} if role else {})}
