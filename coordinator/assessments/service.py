"""Assessments: asked of a person, concluded by that person, and made the incident's own by one who may.

Locks are taken in one order everywhere: the incident, then the row.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.models import User
from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Right, Role, may
from coordinator.assessments import rules
from coordinator.assessments.models import Assessment
from coordinator.assessments.suggesting import METHOD, Suggestion, suggest
from coordinator.errors import Fault, Invalid, NoRight, NotFound, Refused
from coordinator.incidents import holds
from coordinator.incidents.changes import marking_of_incident
from coordinator.incidents.items import read_item, write_item
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.incidents.queries import facts, visible
from coordinator.incidents.rules import OPEN_STATUSES, Status
from coordinator.incidents.service import change_incident
from coordinator.tasks.contents import values_of
from coordinator.tasks.models import Task

ASKED, PROPOSED, ACCEPTED, GIVEN_UP, REJECTED = "asked", "proposed", "accepted", "given-up", "rejected"
#: What `suggested_by` says where rules proposed it.
RULE = "rule"


def ask(tx: Session, incident: Incident, task_id: int, *, method: str, suggested_by: str = "human") -> Assessment:
    """A person is asked for an assessment by this task. `incident` is locked by this transaction."""
    row = Assessment(
        incident_id=incident.id, task_id=task_id, method=method or "manual", suggested_by=suggested_by,
        asked_at=clock.now(), exercise=incident.exercise,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    _record(tx, row, incident, "asked", "An assessment was asked for.", actor="system")
    return row


def conclude(tx: Session, task: Task) -> Assessment | None:
    """The task is over: what its person concluded is kept, and becomes the incident's severity where they may set it.

    Nothing happens for a task that asks for no assessment, or a second time.
    """
    incident_id = tx.execute(select(Assessment.incident_id).where(Assessment.task_id == task.id)).scalar_one_or_none()
    if incident_id is None:
        return None
    incident = holds.lock_incident(tx, incident_id)
    query = select(Assessment).where(Assessment.task_id == task.id)
    row = tx.execute(query.with_for_update().execution_options(populate_existing=True)).scalar_one()
    if row.state != ASKED:
        return row
    if task.state != "done" or task.outcome != "successful":
        row.state = GIVEN_UP
        _record(tx, row, incident, GIVEN_UP, "An assessment was given up.", actor=task.done_by or "system")
        return row
    row.author, row.content_version_id = task.done_by, task.result_version_id
    row.severity = rules.severity_in(values_of(tx, task))
    person = tx.get(User, int(task.done_by.removeprefix("user:"))) if task.done_by.startswith("user:") else None
    if row.severity is not None and (person is None or not may(Role(person.role), Right.CHANGE_INCIDENT)):
        row.state = PROPOSED
        _record(tx, row, incident, PROPOSED, "A severity was proposed; somebody who may accepts it.", actor=row.author)
        return row
    _accept(tx, row, incident, Principal(person.id, person.name, person.role) if person else None)
    return row


def accept(tx: Session, assessment_id: int, *, principal: Principal) -> Assessment:
    """A person who may change the incident makes a proposed assessment its own. Raises NotFound, NoRight, Refused."""
    seen = select(Assessment.incident_id).join(Incident, Incident.id == Assessment.incident_id)
    incident_id = tx.execute(seen.where(Assessment.id == assessment_id, visible(principal))).scalar_one_or_none()
    if incident_id is None:
        raise NotFound()
    if not may(Role(principal.role), Right.CHANGE_INCIDENT):
        raise NoRight()
    incident = holds.lock_incident(tx, incident_id)
    row = tx.get_one(Assessment, assessment_id, with_for_update=True, populate_existing=True)
    if row.state == ACCEPTED and row.accepted_by == principal.actor:
        return row
    if row.state != PROPOSED:
        raise Refused(f"This assessment is {row.state} already.")
    _accept(tx, row, incident, principal)
    return row


def standing_suggestion(tx: Session, incident: Incident) -> Suggestion | None:
    """What the facts suggest and nobody answered yet; nothing where the level is that high already, or it is over."""
    if Status(incident.status) not in OPEN_STATUSES:
        return None
    found = suggest(facts(tx, incident))
    by_person = incident.severity_by.startswith("user:")
    if found is None or (by_person and incident.severity is not None and incident.severity >= found.level):
        return None
    query = select(Assessment.content_version_id).where(
        Assessment.incident_id == incident.id, Assessment.suggested_by == RULE
    )
    answered = tx.execute(query.order_by(Assessment.id.desc()).limit(1)).scalar_one_or_none()
    if answered is not None:
        said = read_item(tx, tx.get_one(ItemVersion, answered))
        if isinstance(said, dict) and said.get("mark") == found.mark:
            return None
    return found


def answer_suggestion(
    tx: Session, incident_id: int, *, principal: Principal, mark: str, level: int | None, reason: str
) -> Assessment:
    """A person makes the suggested severity the incident's, or another one, or (without `level`) turns it down.

    Another level and turning it down need the reason. `mark`: of the suggestion the person saw. Raises NoRight,
    Invalid, Refused where the facts suggest something else by now or it was answered.
    """
    if not may(Role(principal.role), Right.CHANGE_INCIDENT):
        raise NoRight()
    incident = holds.lock_incident(tx, incident_id)
    found = standing_suggestion(tx, incident)
    if found is None or found.mark != mark:
        raise Refused("This was answered already, or the facts changed since: look at the incident again.")
    if level is not None and str(level) not in rules.LEVELS:
        raise Invalid([Fault("/level", "Choose a level from 0 to 5.")])
    if level != found.level and not reason.strip():
        raise Invalid([Fault("/reason", "Say why it is not what the facts suggest.")])
    because = reason.strip() or "; ".join(each["text"] for each in found.reasons)
    values = {"suggested": str(found.level), "reason": because} | ({} if level is None else {"severity": str(level)})
    note = write_item(
        tx, kind="assessment", content={"mark": found.mark, "values": values}, marking=marking_of_incident(incident),
        info_category="impact-assessment", author=principal.actor, incident=incident,
    )  # fmt: skip
    row = Assessment(
        incident_id=incident.id, method=METHOD, suggested_by=RULE, state=REJECTED if level is None else PROPOSED,
        severity=level, author=principal.actor, asked_at=clock.now(), content_version_id=note.id,
        exercise=incident.exercise,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    if level is None:
        _record(tx, row, incident, REJECTED, "A suggested severity was turned down.", actor=principal.actor)
        return row
    _accept(tx, row, incident, principal)
    return row


def _accept(tx: Session, row: Assessment, incident: Incident, principal: Principal | None) -> None:
    row.state, row.accepted_at = ACCEPTED, clock.now()
    row.accepted_by = principal.actor if principal is not None else row.author
    tx.flush()
    _record(tx, row, incident, ACCEPTED, "An assessment was accepted.", actor=row.accepted_by)
    if row.severity is not None and row.severity != incident.severity and principal is not None:
        change_incident(
            tx, incident.id, {"severity": row.severity, "severity_reason": _reason(tx, row)}, principal=principal
        )


def _reason(tx: Session, row: Assessment) -> str:
    said: Any = {}
    if row.content_version_id is not None:
        said = read_item(tx, tx.get_one(ItemVersion, row.content_version_id))
    values = said.get("values", {}) if isinstance(said, dict) else {}
    return str(values.get(rules.REASON) or f"Assessment {row.id}")[:2000]


def _record(tx: Session, row: Assessment, incident: Incident, what: str, text: str, *, actor: str) -> None:
    timeline.append(
        tx, f"assessment.{what}", text, actor=actor, incident=incident, about=("assessment", row.id),
        values={"method": row.method, "suggested_by": row.suggested_by, "severity": row.severity, "task": row.task_id},
    )  # fmt: skip
