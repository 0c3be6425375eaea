"""The one-time link that enrols an account goes to the account's own mailbox: whoever asks for it does not see it.

Like the links of alerts it is derived, and stands in no row: the letter is written with it at each attempt to send.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import timeline
from coordinator.accounts import service as accounts
from coordinator.accounts import staff
from coordinator.alerts.models import Delivery
from coordinator.alerts.own import tell_own
from coordinator.alerts.rungs import sign_in_token
from coordinator.alerts.wording import INVITED

#: A mail may be read in the morning.
MAILED_LIFE = timedelta(hours=24)


def invite(tx: Session, user_id: int, *, actor: str) -> str:
    """Send the link to the account's own address, and "" comes back. Where no mail can be sent: the link's token, to be
    shown once, and that it was is on record. Raises NotFound, Refused (staff.check_may_enrol)."""
    staff.check_may_enrol(tx, user_id)
    raised = tell_own(tx, key=INVITED, user_id=user_id)
    tx.flush()
    query = select(Delivery).where(Delivery.alert_id.in_([alert.id for alert in raised])).order_by(Delivery.id).limit(1)
    delivery = tx.execute(query).scalar_one_or_none()
    if delivery is None:
        token = staff.make_link(tx, user_id, actor=actor)
        timeline.append(
            tx, "link.shown", "A one-time link was shown to the one who made it: no mail could be sent to its owner.",
            actor=actor, about=("user", user_id),
        )  # fmt: skip
        return token
    accounts.create_link(tx, user_id, actor=actor, life=MAILED_LIFE, token=sign_in_token(tx, delivery))
    return ""
