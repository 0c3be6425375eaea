"""Holds: what is still open and stands in the way of a status. Whoever opens work places one, and settles it with it.

Both happen under the incident's row lock, so that the status guard, which reads only holds, never misses one.
"""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.db import insert_or_ignore
from coordinator.errors import NotFound
from coordinator.incidents.models import Hold, Incident
from coordinator.incidents.rules import Blocks, OpenHold


def lock_incident(tx: Session, incident_id: int) -> Incident:
    """The incident as it is now, locked until the transaction ends. Raises NotFound."""
    query = select(Incident).where(Incident.id == incident_id).with_for_update()
    found = tx.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()
    if found is None:
        raise NotFound()
    return found


def place_hold(
    tx: Session, incident: Incident, *, kind: str, object_id: int, text: str, blocks: str
) -> None:
    """Keep the incident from being resolved or closed (`blocks`) until this is settled. `incident` is locked.

    Placed again, it stands again; its text is read by people who are refused.
    """
    values = {"text": text, "blocks": Blocks(blocks).value, "placed_at": clock.now(), "settled_at": None}
    row = insert_or_ignore(tx, Hold).values(
        incident_id=incident.id, exercise=incident.exercise, kind=kind, object_id=object_id, **values
    )
    if tx.execute(row.returning(Hold.id)).scalar_one_or_none() is None:
        tx.execute(update(Hold).where(Hold.kind == kind, Hold.object_id == object_id).values(**values))


def settle_hold(tx: Session, *, kind: str, object_id: int) -> None:
    """Take the hold away; nothing happens where there is none or it is settled already."""
    query = select(Hold.incident_id).where(Hold.kind == kind, Hold.object_id == object_id, Hold.settled_at.is_(None))
    incident_id = tx.execute(query).scalar_one_or_none()
    if incident_id is None:
        return
    lock_incident_row(tx, incident_id)
    tx.execute(update(Hold).where(
        Hold.kind == kind, Hold.object_id == object_id, Hold.settled_at.is_(None)
    ).values(settled_at=clock.now()))  # fmt: skip


def lock_incident_row(tx: Session, incident_id: int) -> None:
    """The row lock alone, without reading over what this transaction has not flushed yet."""
    tx.execute(select(Incident.id).where(Incident.id == incident_id).with_for_update())


def open_holds(tx: Session, incident_id: int) -> list[OpenHold]:
    """What is still open, oldest first."""
    query = select(Hold).where(Hold.incident_id == incident_id, Hold.settled_at.is_(None)).order_by(Hold.id)
    return [
        OpenHold(hold.kind, str(hold.object_id), hold.text, Blocks(hold.blocks)) for hold in tx.execute(query).scalars()
    ]
