"""Tasks, decisions that wait for a second person, and answers to alerts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Blueprint, Response
from marshmallow import Schema, fields
from sqlalchemy.orm import Session

from coordinator.accounts.rules import Right, Role, may
from coordinator.alerts import service as alerts
from coordinator.alerts.acknowledge import KINDS
from coordinator.alerts.answers import EVERY
from coordinator.api import shapes
from coordinator.api.access import needs, open_to, principal, signed_in, store
from coordinator.api.bodies import answer, json_body, page_limit, text_argument
from coordinator.api.described import PAGED, describes
from coordinator.errors import NoRight, NotFound, Refused
from coordinator.incidents import queries
from coordinator.outside.faults import Shape, load
from coordinator.outside.fields import Choice, Instant, Text
from coordinator.sharing import approvals
from coordinator.sharing.models import ShareDecision
from coordinator.status import outgoing, task_lists
from coordinator.tasks import queries as task_queries
from coordinator.tasks import schema as task_schema
from coordinator.tasks import service as tasks

routes = Blueprint("work", __name__)


class PersonSchema(Schema):
    id = shapes.number(none=True)  # null for a partner's person: our numbers would tell how many accounts there are
    name = shapes.text()
    role = shapes.text()


LARGEST_ID = 2**53 - 1


class ApprovalSchema(Shape):
    """`POST /decisions/{id}/approve`. Absent: 72 hours."""

    until = Instant()


class RefusalSchema(Shape):
    """`POST /decisions/{id}/refuse`."""

    reason = Text(2000, lines=True, required=True)


class AcknowledgementSchema(Shape):
    """`POST /acknowledgements/{token}`: who answers, and what."""

    kind = Choice(KINDS, required=True)
    by = Text(200, required=True)
    answer = Choice(EVERY, required=True)
    note = Text(4000, lines=True)


class ClearanceSchema(Schema):
    """A decision that waits for a second person."""

    id = shapes.number()
    recipient = shapes.text()
    reasons = fields.List(fields.String(), required=True)
    effective_tlp = shapes.text()
    incident = shapes.text(none=True)
    may_answer = fields.Boolean(required=True)


ClearanceListSchema = shapes.many(ClearanceSchema)

_APPROVAL, _REFUSAL, _ACKNOWLEDGEMENT = ApprovalSchema(), RefusalSchema(), AcknowledgementSchema()


@routes.get("/me")
@signed_in
@describes(answer=PersonSchema)
def me() -> Response:
    """Who this token speaks for."""
    one, ours = principal(), not may(Role(principal().role), Right.SEE_PARTNER_VIEW)
    return answer({
        "id": one.user_id if ours else None, "name": one.name, "role": one.role,
        "organisation": one.organisation_id if ours else None, "scopes": sorted(one.scopes or ()),
    })  # fmt: skip


@routes.get("/tasks")
@needs(Right.READ_INCIDENTS)
@describes(answer=shapes.TaskListSchema, query=PAGED)
def my_tasks() -> Response:
    """Open tasks of this person, or of their role and nobody yet; soonest due first."""
    with store().read() as tx:
        return answer(task_lists.my_tasks(
            tx, principal=principal(), cursor=text_argument("cursor", longest=400), limit=page_limit()
        ))  # fmt: skip


@routes.get("/tasks/<int:number>")
@needs(Right.READ_INCIDENTS)
@describes(answer=shapes.TaskSchema)
def one_task(number: int) -> Response:
    """One task."""
    with store().read() as tx:
        return answer(task_queries.task_view(tx, _fits(number), principal=principal()))


@routes.post("/tasks/<int:number>/complete")
@needs(Right.COMPLETE_TASK)
@describes(body=task_schema.CompleteSchema, answer=shapes.TaskSchema)
def complete(number: int) -> Response:
    """Finish a task; what waits for it goes on."""
    wanted = task_schema.load_completion(json_body())
    with store().unit_of_work() as tx:
        tasks.complete_task(
            tx, _fits(number), principal=principal(), outcome=wanted["outcome"], result=wanted.get("result") or {},
            tlp=wanted.get("tlp") or "",
        )
        tx.flush()
        return answer(task_queries.task_view(tx, number, principal=principal()))


@routes.post("/tasks/<int:number>/assign")
@needs(Right.COMPLETE_TASK)
@describes(bare=True, body=task_schema.AssignSchema, answer=shapes.TaskSchema)
def assign(number: int) -> Response:
    """Give a task to one person, or back to its role."""
    wanted = task_schema.load_assignment(json_body(optional=True))
    with store().unit_of_work() as tx:
        tasks.assign_task(tx, _fits(number), assignee_id=wanted.get("assignee"), principal=principal(),
                          reason=wanted.get("reason") or "")  # fmt: skip
        tx.flush()
        return answer(task_queries.task_view(tx, number, principal=principal()))


@routes.get("/decisions")
@needs(Right.READ_INCIDENTS)
@describes(answer=ClearanceListSchema, query=PAGED)
def clearances() -> Response:
    """Decisions that wait for a second person, oldest first."""
    with store().read() as tx:
        return answer(task_lists.clearances(
            tx, principal=principal(), cursor=text_argument("cursor", longest=400), limit=page_limit()
        ))  # fmt: skip


@routes.get("/decisions/<int:number>")
@needs(Right.READ_INCIDENTS)
@describes(answer=shapes.DecisionSchema)
def one_decision(number: int) -> Response:
    """One decision with its reasons."""
    with store().read() as tx:
        _seen(tx, number)
        return answer(outgoing.decision(tx, number, principal=principal()))


@routes.post("/decisions/<int:number>/approve")
@needs(Right.DECIDE)
@describes(bare=True, body=ApprovalSchema, answer=shapes.DecisionSchema)
def approve(number: int) -> Response:
    """Approve as the second person; answers the new decision, which may still wait or refuse."""
    wanted = load(_APPROVAL, json_body(optional=True))
    with _on_record(number), store().unit_of_work() as tx:
        _seen(tx, number)
        made = approvals.approve(tx, number, principal=principal(), until=wanted.get("until"))
        tx.flush()
        return answer(outgoing.decision(tx, made.id, principal=principal()))


@routes.post("/decisions/<int:number>/refuse")
@needs(Right.DECIDE)
@describes(body=RefusalSchema, answer=shapes.DecisionSchema)
def refuse(number: int) -> Response:
    """Refuse as the second person."""
    wanted = load(_REFUSAL, json_body())
    with _on_record(number), store().unit_of_work() as tx:
        _seen(tx, number)
        made = approvals.refuse(tx, number, principal=principal(), reason=wanted["reason"])
        tx.flush()
        return answer(outgoing.decision(tx, made.id, principal=principal()))


@routes.post("/acknowledgements/<token>")
@open_to("the link's unguessable token was sent to the contact; it opens this one alert and nothing else")
@describes(body=AcknowledgementSchema, answer=shapes.AnswerSchema, more=(410,))
def acknowledge(token: str) -> Response:
    """Answer an alert; the same answer again gets the same result."""
    wanted = load(_ACKNOWLEDGEMENT, json_body())
    with store().unit_of_work() as tx:
        result = alerts.acknowledge(
            tx, token=token, kind=wanted["kind"], by=wanted["by"], answer=wanted["answer"], note=wanted.get("note"),
            assurance="link", worded=False,
        )  # fmt: skip
        return answer({
            "alert": result.alert, "reference": result.reference, "answer": result.answer, "kind": result.kind,
            "assurance": result.assurance, "at": result.at,
        })  # fmt: skip


@contextmanager
def _on_record(number: int) -> Iterator[None]:
    """An answer that is refused stays on record as tried."""
    try:
        yield
    except (Refused, NoRight) as refusal:
        with store().unit_of_work() as tx:
            approvals.note_refused(tx, number, principal=principal(), refusal=refusal)
        raise


def _fits(number: int) -> int:
    if not 0 < number <= LARGEST_ID:
        raise NotFound()
    return number


def _seen(tx: Session, number: int) -> None:
    """Need-to-know of a decision is that of its incident. Raises NotFound."""
    decision = tx.get(ShareDecision, _fits(number))
    if decision is None:
        raise NotFound()
    if decision.incident_id is not None:
        queries.check_visible(tx, decision.incident_id, principal=principal())
