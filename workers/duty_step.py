"""The steps about duties and assessments. A duty is begun and looked at by the run itself; that it was met, and what an
assessment concludes, only a person says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.models import User
from coordinator.accounts.principal import SYSTEM, Principal
from coordinator.assessments import rules as assessment_rules
from coordinator.assessments import service as assessments
from coordinator.errors import CoordinatorError, Refused
from coordinator.obligations import rules, service
from coordinator.obligations.models import Obligation
from coordinator.obligations.register import current_rule
from coordinator.obligations.rules import State
from coordinator.runs.arms import Begun
from coordinator.runs.models import StepAttempt
from coordinator.runs.saved import keep_values, values_of
from coordinator.tasks.contents import values_of as task_values
from coordinator.tasks.models import Task
from playbooks.events import Event, HandedToPerson, WorkFinished

LEGAL = "legal-adviser"
SUBMITTED, EVIDENCE = "submitted_at", "evidence"
_FIELDS = {
    SUBMITTED: {"label": "When was it submitted? (UTC, like 2026-11-22T17:53:00Z)", "type": "instant",
                "required": True},
    EVIDENCE: {"label": "What shows it: a receipt, a reference, a person", "type": "text", "required": True},
}


def obligation(tx: Session, work: Begun, give: Callable[..., int]) -> Sequence[Event]:
    """Begin a duty, have its submission recorded, or look at how it stands. A rule that the table does not hold is a
    person's to follow."""
    if work.incident is None:
        raise Refused("This run belongs to no incident.")
    do, rule = work.spec["do"], str(work.spec.get("rule") or "")
    known = service.of_rule(tx, work.incident.id, rule)
    if known is None and do == "check":
        return [WorkFinished(work.key, "successful", {"state": "none", "overdue": "false"}, by=SYSTEM)]
    if known is None and current_rule(tx, rule) is None:
        give(tx, work, role=LEGAL, fallback_role="coordinator",
             more=f"Duty: {do} {rule}. The clock rules hold none of this name: a person follows it.")  # fmt: skip
        return [HandedToPerson(work.key)]
    row = known or service.start(tx, work.incident, rule, actor=SYSTEM)
    if do == "meet" and row.state in rules.OPEN:
        keep_values(tx, work.attempt, {"obligation": row.id})
        give(tx, work, role=LEGAL, fallback_role="coordinator", fields=_FIELDS, due_at=row.target_at,
             more=f"Duty: {rule}. Submit it, then say here when, and what shows it.")  # fmt: skip
        return [HandedToPerson(work.key)]
    return [finished(work.key, row)]


def finished(key: str, row: Obligation) -> WorkFinished:
    """How the duty stands, for the variables that `out` names: state, due_at, overdue, late."""
    now = clock.now()
    said = rules.standing(row.state, due_at=row.due_at, target_at=row.target_at, basis_at=row.basis_at,
                          met_at=row.met_at, now=now)  # fmt: skip
    values: dict[str, Any] = {"state": said, "overdue": str(said == rules.OVERDUE).lower(),
                              "late": str(said == "met-late").lower()}
    if row.target_at is not None:
        values["due_at"] = clock.rfc3339(row.target_at)
    return WorkFinished(key, "successful", values, by=row.settled_by or SYSTEM)


def meeting(tx: Session, attempt: StepAttempt, task: Task) -> WorkFinished:
    """The task of a `meet` step is done: the duty is met by what its person says, or the step has failed."""
    values, person = task_values(tx, task), _person(tx, task.done_by)
    row = tx.get_one(Obligation, values_of(tx, attempt)["obligation"])
    if row.state == State.MET:
        return finished(attempt.key, row)
    try:
        if person is None:
            raise Refused("Only a person says that a duty was met.")
        at = clock.parse(str(values.get(SUBMITTED, "")).strip())
        with tx.begin_nested():
            row = service.meet(tx, row.id, principal=person, at=at, evidence=str(values.get(EVIDENCE, "")))
    except (ValueError, CoordinatorError) as refused:
        why = refused.detail if isinstance(refused, CoordinatorError) else "The instant could not be read."
        return WorkFinished(attempt.key, "failed", reason=f"The duty is not met: {why}", by=task.done_by)
    return finished(attempt.key, row)


def assess(tx: Session, work: Begun, give: Callable[..., int]) -> Sequence[Event]:
    """Ask a person for an assessment: a form with each value the step puts out, and the reason."""
    out = (work.spec.get("extension") or {}).get("out") or {}
    method = str(work.spec.get("method") or "")
    fields = assessment_rules.form_of(out) if out else None
    task_id = give(tx, work, role=work.spec["role"], fields=fields, more=f"Method: {method or 'free'}.")
    if work.incident is not None:
        assessments.ask(tx, work.incident, task_id, method=method)
    return [HandedToPerson(work.key)]


def _person(tx: Session, actor: str) -> Principal | None:
    user = tx.get(User, int(actor.removeprefix("user:"))) if actor.startswith("user:") else None
    return Principal(user.id, user.name, user.role) if user is not None else None
