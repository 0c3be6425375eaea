"""What the answer page and the officer with a telephone need to see: plain data."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.models import User
from coordinator.accounts.principal import Principal
from coordinator.alerts.letters import said_in, script_for
from coordinator.alerts.models import Acknowledgement, Alert, Delivery
from coordinator.alerts.wording import KINDS, Said
from coordinator.errors import Gone, NotFound
from coordinator.markings import Tlp
from coordinator.partners.models import Contact
from coordinator.vault import token_hash


def answer_page(tx: Session, token: str, *, reader: Principal | None = None) -> dict[str, Any]:
    """What the page behind an acknowledgement link shows: label, pap, kind, reference, sender, exercise, language,
    reply_by, asks_answer, title and body (None where this reader may not see them here), answers [{answer, kind, at}].

    Up to GREEN the holder of the link sees the text; above only one who signed in from the recipient's organisation,
    and of RED only the person it was named for. Raises NotFound (no such link) and Gone (withdrawn or expired).
    """
    delivery, alert = _by_token(tx, token)
    said = said_in(tx, alert, delivery)
    shown = said.tlp <= Tlp.GREEN or _may_read(tx, alert, delivery, said, reader)
    return {
        "label": said.tlp.label, "colour": said.tlp.colour, "pap": said.pap, "kind": alert.kind,
        "kind_name": KINDS[alert.kind], "reference": alert.partner_reference, "sender": said.sender,
        "exercise": alert.exercise, "reply_by": alert.reply_by, "asks_answer": said.asks_answer,
        "handling": list(said.handling), "purpose": said.purpose, "title": said.title if shown else None,
        "body": said.body if shown else None, "state": alert.state, "answers": _answers(tx, alert, delivery),
    }  # fmt: skip


def call_script(tx: Session, alert_id: int) -> str:
    """The cleared text to be read out, label first and last. Raises NotFound."""
    alert = tx.get(Alert, alert_id)
    if alert is None:
        raise NotFound()
    return script_for(tx, alert)


def _by_token(tx: Session, token: str) -> tuple[Delivery, Alert]:
    delivery = tx.execute(select(Delivery).where(Delivery.ack_hash == token_hash(token))).scalar_one_or_none()
    if delivery is None:
        raise NotFound()
    alert = tx.get_one(Alert, delivery.alert_id)
    if alert.state == "withdrawn":
        raise Gone("This alert was withdrawn.")
    if clock.now() >= delivery.ack_expires_at:
        raise Gone("This link has expired.")
    return delivery, alert


def _may_read(tx: Session, alert: Alert, delivery: Delivery, said: Said, reader: Principal | None) -> bool:
    if reader is None or reader.organisation_id is None or reader.organisation_id != alert.organisation_id:
        return False
    if said.tlp < Tlp.RED:
        return True
    contact = tx.get(Contact, delivery.contact_id) if delivery.contact_id else None
    user = tx.get(User, reader.user_id)
    return contact is not None and user is not None and user.email.casefold() == contact.person_email.casefold()


def _answers(tx: Session, alert: Alert, delivery: Delivery) -> list[dict[str, Any]]:
    """The answers given by this very link: nobody sees what another contact said."""
    query = select(Acknowledgement).where(
        Acknowledgement.alert_id == alert.id, Acknowledgement.delivery_id == delivery.id
    )
    rows = tx.execute(query.order_by(Acknowledgement.id)).scalars()
    return [{"answer": row.answer, "kind": row.kind, "by": row.by, "at": row.at} for row in rows]


def waiting_to_be_sent(tx: Session) -> int:
    """How many deliveries are not out yet, to partners and to our own people."""
    return tx.execute(select(func.count()).where(Delivery.state == "queued")).scalar_one()
