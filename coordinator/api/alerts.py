"""What an officer may still do with an alert that was raised."""

from __future__ import annotations

from flask import Blueprint, Response
from marshmallow import Schema, fields
from sqlalchemy.orm import Session

from coordinator.accounts.rules import Right
from coordinator.alerts import recalls, wrong
from coordinator.alerts import service as alerts
from coordinator.alerts.models import Alert, Delivery
from coordinator.api import shapes
from coordinator.api.access import needs, principal, store
from coordinator.api.bodies import answer, json_body
from coordinator.api.described import describes
from coordinator.errors import NotFound
from coordinator.incidents import queries
from coordinator.outside.faults import Shape, load
from coordinator.outside.fields import Flag, Text
from coordinator.status import outgoing

routes = Blueprint("alerts", __name__)


class WithdrawalSchema(Shape):
    """`POST …/alerts/{number}/withdraw`."""

    reason = Text(2000, lines=True, required=True)


class RecallSchema(Shape):
    """`POST …/alerts/{number}/recall`."""

    reason = Text(2000, lines=True, required=True)
    this_recipient_only = Flag(metadata={"description": "Left out: from everybody who had this text."})


class ItemRecallSchema(Shape):
    """`POST /items/{item}/recall`."""

    reason = Text(2000, lines=True, required=True)


class WrongReleaseSchema(Shape):
    """`POST …/alerts/{number}/wrong-release`."""

    reason = Text(2000, lines=True, required=True)
    recall = Flag(metadata={"description": "Ask it back at once; left out: yes."})


class RecallDoneSchema(Schema):
    recalls = fields.List(fields.Integer(), required=True)


class BounceSchema(Shape):
    """`POST …/deliveries/{delivery}/bounced`: what the message that came back says, without content of the case."""

    note = Text(200)


_WITHDRAWAL, _BOUNCE = WithdrawalSchema(), BounceSchema()
_RECALL, _ITEM_RECALL, _WRONG = RecallSchema(), ItemRecallSchema(), WrongReleaseSchema()


@routes.post("/incidents/<reference>/alerts/<int:number>/withdraw")
@needs(Right.REQUEST_RELEASE)
@describes(body=WithdrawalSchema, answer=shapes.AlertSchema)
def withdraw(reference: str, number: int) -> Response:
    """Take an alert back: tries stop, its links say only that it was withdrawn."""
    wanted = load(_WITHDRAWAL, json_body())
    with store().unit_of_work() as tx:
        alert = _alert(tx, reference, number)
        alerts.withdraw(tx, alert.id, principal=principal(), reason=wanted["reason"])
        return _shown(tx, alert)


@routes.post("/incidents/<reference>/alerts/<int:number>/recall")
@needs(Right.REQUEST_RELEASE)
@describes(body=RecallSchema, answer=shapes.AlertSchema)
def recall(reference: str, number: int) -> Response:
    """Ask it back: who had it is asked to delete it, and stays open until the answer."""
    wanted = load(_RECALL, json_body())
    with store().unit_of_work() as tx:
        alert = _alert(tx, reference, number)
        recalls.recall_alert(
            tx, alert.id, principal=principal(), reason=wanted["reason"], only=bool(wanted.get("this_recipient_only"))
        )
        return _shown(tx, alert)


@routes.post("/incidents/<reference>/alerts/<int:number>/wrong-release")
@needs(Right.REQUEST_RELEASE)
@describes(body=WrongReleaseSchema, answer=shapes.IncidentSchema, status=201)
def wrong_release(reference: str, number: int) -> Response:
    """It should not have gone there: answers the incident that was opened for it, and asks for it back."""
    wanted = load(_WRONG, json_body())
    with store().unit_of_work() as tx:
        alert = _alert(tx, reference, number)
        opened = wrong.mark_wrong(
            tx, alert.id, principal=principal(), reason=wanted["reason"], recall=wanted.get("recall") is not False
        )
        return answer(queries.described(tx, opened), status=201)


@routes.post("/items/<item>/recall")
@needs(Right.REQUEST_RELEASE)
@describes(body=ItemRecallSchema, answer=RecallDoneSchema, status=201)
def recall_item(item: str) -> Response:
    """Ask every text back that a version of this item went into."""
    wanted = load(_ITEM_RECALL, json_body())
    with store().unit_of_work() as tx:
        made = recalls.recall_item(tx, item[:40], principal=principal(), reason=wanted["reason"])
        return answer({"recalls": [row.id for row in made]}, status=201)


@routes.post("/incidents/<reference>/alerts/<int:number>/deliveries/<int:delivery>/again")
@needs(Right.REQUEST_RELEASE)
@describes(answer=shapes.AlertSchema)
def again(reference: str, number: int, delivery: int) -> Response:
    """Send again what failed or was held back, under the same message id; the rules are asked again."""
    with store().unit_of_work() as tx:
        alert = _alert(tx, reference, number)
        alerts.redeliver(tx, _delivery(tx, alert, delivery), principal=principal())
        return _shown(tx, alert)


@routes.post("/incidents/<reference>/alerts/<int:number>/deliveries/<int:delivery>/bounced")
@needs(Right.REQUEST_RELEASE)
@describes(bare=True, body=BounceSchema, answer=shapes.AlertSchema)
def bounced(reference: str, number: int, delivery: int) -> Response:
    """A mail that was handed over came back: the next way is tried, a task asks for the right address."""
    wanted = load(_BOUNCE, json_body(optional=True))
    with store().unit_of_work() as tx:
        alert = _alert(tx, reference, number)
        alerts.record_bounce(tx, _delivery(tx, alert, delivery), principal=principal(), note=wanted.get("note") or "")
        return _shown(tx, alert)


def _alert(tx: Session, reference: str, number: int) -> Alert:
    incident = queries.get_visible(tx, reference, principal=principal())
    row = tx.get(Alert, number) if number <= 2**53 else None
    if row is None or row.incident_id != incident.id or row.user_id is not None:
        raise NotFound()
    return row


def _delivery(tx: Session, alert: Alert, number: int) -> int:
    row = tx.get(Delivery, number) if number <= 2**53 else None
    if row is None or row.alert_id != alert.id:
        raise NotFound()
    return row.id


def _shown(tx: Session, alert: Alert) -> Response:
    tx.flush()
    return answer(outgoing.described_alerts(tx, [alert])[0])
