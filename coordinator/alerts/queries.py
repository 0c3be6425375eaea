"""What the officer with a telephone and the frame of every page need to see: plain data."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from coordinator.alerts.letters import script_for
from coordinator.alerts.models import Alert, Delivery
from coordinator.errors import NotFound


def call_script(tx: Session, alert_id: int) -> str:
    """The cleared text to be read out, label first and last. Raises NotFound."""
    alert = tx.get(Alert, alert_id)
    if alert is None:
        raise NotFound()
    return script_for(tx, alert)


def waiting_to_be_sent(tx: Session) -> int:
    """How many deliveries are not out yet, to partners and to our own people."""
    return tx.execute(select(func.count()).where(Delivery.state == "queued")).scalar_one()
