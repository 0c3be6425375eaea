"""Forms that were begun and not sent: kept here, sealed, and never in the browser."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.errors import NotFound
from coordinator.incidents.models import Draft
from coordinator.incidents.references import new_public_id
from coordinator.timeline.keys import destroy, new_key, seal, unseal


def save_draft(
    tx: Session, fields: dict[str, Any], *, principal: Principal, form: str = "report", draft: str = ""
) -> str:
    """Keep `fields` (JSON data) as a new draft or in place of `draft`; returns its id. Raises NotFound."""
    plain = json.dumps(fields, ensure_ascii=False).encode()
    if draft:
        row = _own(tx, draft, principal)
    else:
        row = Draft(user_id=principal.user_id, form=form, public_id=new_public_id("dft"), data_key_id=new_key(tx))
        tx.add(row)
    row.sealed = seal(tx, row.data_key_id, plain, about=f"draft/{row.public_id}")
    row.updated_at = clock.now()
    tx.flush()
    return row.public_id


def read_draft(tx: Session, draft: str, *, principal: Principal) -> dict[str, Any]:
    """The fields of one's own draft. Raises NotFound."""
    row = _own(tx, draft, principal)
    return json.loads(unseal(tx, row.data_key_id, row.sealed, about=f"draft/{row.public_id}"))


def drafts_of(tx: Session, *, principal: Principal, form: str = "report") -> list[dict[str, Any]]:
    """One's own drafts, newest first: {id, updated_at, title}."""
    query = select(Draft).where(Draft.user_id == principal.user_id, Draft.form == form)
    rows = tx.execute(query.order_by(Draft.updated_at.desc())).scalars().all()
    return [
        {"id": row.public_id, "updated_at": row.updated_at,
         "title": str(read_draft(tx, row.public_id, principal=principal).get("title", ""))}
        for row in rows
    ]  # fmt: skip


def drop_draft(tx: Session, draft: str, *, principal: Principal) -> None:
    """Erase one's own draft; nothing happens where it is gone already."""
    query = select(Draft).where(Draft.public_id == draft, Draft.user_id == principal.user_id)
    row = tx.execute(query).scalar_one_or_none()
    if row is not None:
        destroy(tx, row.data_key_id)
        tx.execute(delete(Draft).where(Draft.id == row.id))


def hand_over_drafts(tx: Session, user_id: int, *, to: int) -> tuple[int, int]:
    """Give somebody's drafts to somebody else: (how many, how many stay). One marked RED stays closed with the account
    and is erased with time: it is for the persons it names."""
    moved = kept = 0
    for row in tx.execute(select(Draft).where(Draft.user_id == user_id)).scalars().all():
        fields = json.loads(unseal(tx, row.data_key_id, row.sealed, about=f"draft/{row.public_id}"))
        if str(fields.get("tlp", "")).upper() == "RED":
            kept += 1
        else:
            row.user_id, moved = to, moved + 1
    tx.flush()
    return moved, kept


def _own(tx: Session, draft: str, principal: Principal) -> Draft:
    query = select(Draft).where(Draft.public_id == draft, Draft.user_id == principal.user_id)
    row = tx.execute(query).scalar_one_or_none()
    if row is None:
        raise NotFound()
    return row
