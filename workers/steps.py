"""What each kind of step does: STEPS names a function for each. What a machine may not do becomes a task for a person.

They run inside the run's own transaction and only write rows; sending is the delivery's. What is known at once is
answered as events for the interpreter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator.accounts.principal import SYSTEM, Principal
from coordinator.alerts import service as alerts
from coordinator.alerts.models import Alert
from coordinator.alerts.versions import with_versions
from coordinator.errors import CoordinatorError, Refused
from coordinator.incidents.models import Incident
from coordinator.incidents.service import transition
from coordinator.partners.queries import duty_role
from coordinator.runs import service as runs
from coordinator.runs.arms import Begun
from coordinator.runs.engine import CANCELLED
from coordinator.runs.models import PlaybookVersion, Run, StepAttempt
from coordinator.runs.saved import new_attempt, open_name
from coordinator.tasks import reminders
from coordinator.tasks import service as tasks
from coordinator.tasks.models import Task
from coordinator.tasks.rules import COORDINATOR
from playbooks.events import Cancel, Event, HandedToPerson, WorkFinished
from workers import alert_step, duty_step, http_step, sharing_step
from workers.audiences import silent_alerts
from workers.texts import instructions

TASK_KINDS = frozenset({"task", "http-api", "assess", "obligation", "status", "decision", "approval"})


def task(tx: Session, work: Begun) -> Sequence[Event]:
    """A task for the role the step names; for a document that names none, for the duty role."""
    _give(tx, work, role=work.spec.get("role") or duty_role(tx), fields=work.spec.get("fields") or _asked_for(work))
    return ()


def assess(tx: Session, work: Begun) -> Sequence[Event]:
    """An assessment is a person's."""
    return duty_step.assess(tx, work, _give)


def obligation(tx: Session, work: Begun) -> Sequence[Event]:
    """A duty with a clock."""
    return duty_step.obligation(tx, work, _give)


def http_request(tx: Session, work: Begun) -> Sequence[Event]:
    """A request to a service on the list, or a task that shows it."""
    return http_step.begin(tx, work, _give)


def decision(tx: Session, work: Begun) -> Sequence[Event]:
    """A choice between options, by the role the step names."""
    _give(tx, work, role=work.spec["role"], kind="decision", options=work.spec["options"],
          variable=work.spec["variable"], rationale=bool(work.spec.get("rationale")))  # fmt: skip
    return ()


def approval(tx: Session, work: Begun) -> Sequence[Event]:
    """One task for each vote that is wanted. With separation nobody has two of them, and no author of it has one."""
    apart = work.spec.get("separation", True)
    not_by = _authors(tx, work) if apart else ()
    roles, rule = list(work.spec["roles"]), work.spec.get("rule", "all")
    votes = [roles[at % len(roles)] for at in range(max(len(roles), rule if isinstance(rule, int) else 0))]
    opened = []
    for at, role in enumerate(votes):
        vote = part_of(tx, work.attempt, f"vote/{at}", kind="vote", values={"role": role})
        opened.append(_give(tx, work, role=role, kind="approval", attempt=vote, not_by=not_by))
    if apart:
        reminders.keep_apart(tx, opened)
    return ()


def alert(tx: Session, work: Begun) -> Sequence[Event]:
    """Tell the audience, each what they may have of it."""
    return alert_step.begin(tx, work)


def share(tx: Session, work: Begun) -> Sequence[Event]:
    """Ask for a sharing decision on each category of information, for each recipient."""
    return sharing_step.begin(tx, work, part_of)


def wait(tx: Session, work: Begun) -> Sequence[Event]:
    """Nothing to do: what is awaited comes as an event."""
    return ()


def status(tx: Session, work: Begun) -> Sequence[Event]:
    """Move the incident where its guards are content; else a person is asked to."""
    wanted = work.spec["to"]
    if work.incident is None:
        raise Refused("This run belongs to no incident.")
    if work.incident.status == wanted:
        return [WorkFinished(work.key, "successful", by=SYSTEM)]
    try:
        with tx.begin_nested():
            transition(tx, work.incident.id, wanted, principal=_ENGINE, reason="A playbook step asks for it.")
    except CoordinatorError as refused:
        asked = f"Set the incident's status to {wanted}. The run could not: {refused.detail or refused.title}"
        _give(tx, work, role="coordinator", fallback_role="duty-officer", more=asked)
        return [HandedToPerson(work.key)]
    return [WorkFinished(work.key, "successful", by=SYSTEM)]


def playbook(tx: Session, work: Begun) -> Sequence[Event]:
    """A child run of another playbook, in the version this run was pinned to."""
    query = select(PlaybookVersion.id).where(PlaybookVersion.playbook_id == work.spec["playbook_id"])
    if work.spec.get("version"):
        query = query.where(PlaybookVersion.version == work.spec["version"])
    else:
        query = query.where(PlaybookVersion.state == "active")
    version_id = tx.execute(query.order_by(PlaybookVersion.version.desc()).limit(1)).scalar_one_or_none()
    if version_id is None:
        raise Refused("The playbook that this step calls is not in the catalogue.")
    runs.start_run(
        tx, version_id, incident=work.incident, variables=work.spec.get("variables"), started_by=work.run.started_by,
        sources=work.spec.get("variable_sources"),
        callers=work.spec.get("callers", ()), once_key=f"attempt:{work.attempt.id}", exercise=work.run.exercise,
        explanation=["Another playbook calls it."], arms=ARMS,
    )  # fmt: skip
    return ()


#: Step kind -> what is done. A kind that is not here is a task for a person (semantics of unknown commands).
STEPS: dict[str, Callable[[Session, Begun], Sequence[Event]]] = {
    "task": task, "http-api": http_request, "assess": assess, "obligation": obligation, "decision": decision,
    "approval": approval, "alert": alert, "share": share, "wait": wait, "status": status, "playbook": playbook,
}  # fmt: skip


def _tell_unanswered(tx: Session, attempt: StepAttempt, role: str) -> None:
    run = tx.get_one(Run, attempt.run_id)
    for task_id in tasks_of(tx, attempt):
        reminders.remind(tx, task_id)
    alerts.tell_own(tx, key="overdue", role=role, exercise=run.exercise,
                    incident=tx.get(Incident, run.incident_id) if run.incident_id is not None else None)  # fmt: skip


class Arms:
    """What the engine of runs asks of us (coordinator/runs/arms.py)."""

    def begin(self, tx: Session, work: Begun) -> Sequence[Event]:
        return STEPS.get(work.attempt.kind, task)(tx, work)

    def remind(self, tx: Session, attempt: StepAttempt) -> None:
        for task_id in tasks_of(tx, attempt):
            reminders.remind(tx, task_id)
        for silent in silent_alerts(tx, attempt):
            alerts.remind(tx, silent.id)

    def escalate(self, tx: Session, attempt: StepAttempt, *, to_role: str, to: str) -> None:
        if attempt.kind == "approval":  # another role may hear of it, and never approves instead
            _tell_unanswered(tx, attempt, to_role or COORDINATOR)
            return
        for task_id in tasks_of(tx, attempt):
            reminders.escalate(tx, task_id, to_role=to_role or COORDINATOR)
        for silent in silent_alerts(tx, attempt):
            if to:
                alerts.next_rung(tx, silent.id, to=to, reason="no answer in time")
            if to_role:
                alerts.tell_own(tx, key="unanswered", role=to_role, incident=_incident_of(tx, silent))

    def call_off(self, tx: Session, attempt: StepAttempt, *, reason: str) -> None:
        for task_id in tasks_of(tx, attempt):
            tasks.cancel_task(tx, task_id, reason=reason, actor=SYSTEM)
        if attempt.kind == "http-api":
            http_step.call_off(tx, attempt.id)
        if attempt.state == CANCELLED:
            for release_id in releases_of(tx, attempt):
                alerts.call_off(tx, release_id, reason=reason)
        if attempt.kind == "playbook":
            child = tx.execute(select(Run).where(Run.once_key == f"attempt:{attempt.id}")).scalar_one_or_none()
            if child is not None and child.ended_at is None:
                runs.advance(tx, child.id, [Cancel(reason)], arms=self)

    def due_changed(self, tx: Session, attempt: StepAttempt, due_at: datetime | None) -> None:
        for task_id in tasks_of(tx, attempt):
            reminders.change_due(tx, task_id, due_at, actor=SYSTEM, reason="The facts it counts from were corrected.")


ARMS = Arms()


class _Engine(Principal):
    """The run itself as the one who acts."""

    @property
    def actor(self) -> str:
        return SYSTEM


_ENGINE = _Engine(0, "the run", "coordinator")


def tasks_of(tx: Session, attempt: StepAttempt) -> list[int]:
    """The tasks that do this piece of work: its own, or those of its votes."""
    return [part.task_id for part in _parts(tx, attempt) if part.task_id is not None]


def releases_of(tx: Session, attempt: StepAttempt) -> list[int]:
    """What this piece of work asked to release: its own, or one for each category it shares, with their versions."""
    return with_versions(tx, (part.release_id for part in _parts(tx, attempt) if part.release_id is not None))


def _parts(tx: Session, attempt: StepAttempt) -> Sequence[StepAttempt]:
    query = select(StepAttempt).where(
        StepAttempt.run_id == attempt.run_id,
        (StepAttempt.key == attempt.key) | StepAttempt.key.startswith(f"{attempt.key}/", autoescape=True),
    )
    return tx.execute(query.order_by(StepAttempt.id)).scalars().all()


def part_of(
    tx: Session, attempt: StepAttempt, name: str, *, kind: str, values: dict[str, Any]
) -> StepAttempt:
    """A row for one part of a piece of work that needs several tasks or releases. Its key starts with the whole's."""
    return new_attempt(
        tx.get_one(Run, attempt.run_id), key=f"{attempt.key}/{name}", step=attempt.step, kind=kind, name=attempt.name,
        values=values, begun_at=attempt.begun_at, tx=tx,
    )


def _give(
    tx: Session, work: Begun, *, role: str, kind: str = "task", more: str = "", fallback_role: str = "",
    attempt: StepAttempt | None = None, fields: dict[str, Any] | None = None, due_at: datetime | None = None,
    **rest: Any,
) -> int:  # fmt: skip
    """Open the task of a piece of work and point to it; returns its id."""
    spec = work.spec
    title = open_name(work.playbook, work.attempt.step)
    whole = spec["title"] if spec["title"] != title else ""
    text = "\n\n".join(part for part in (whole, instructions(spec), more) if part)
    made = tasks.open_task(
        tx, title=title, role=role, incident=work.incident, instructions=text, kind=kind, fields=fields,
        fallback_role=fallback_role or spec.get("fallback_role") or "", due_at=due_at or work.due_at,
        blocks="close" if spec.get("required") and work.incident is not None else "",
        checklist=spec.get("checklist") or (), created_by=SYSTEM, exercise=work.run.exercise, **rest,
    )  # fmt: skip
    (attempt or work.attempt).task_id = made.id
    tx.flush()
    return made.id


def _authors(tx: Session, work: Begun) -> tuple[str, ...]:
    """Who did the steps of this run that wrote or proposed what is to be approved."""
    steps = work.playbook.written_by(work.attempt.step)
    query = (
        select(Task.done_by)
        .join(StepAttempt, StepAttempt.task_id == Task.id)
        .where(StepAttempt.run_id == work.run.id, StepAttempt.step.in_(steps), Task.state == "done")
    )
    return tuple(sorted({actor for actor in tx.execute(query).scalars() if actor})) if steps else ()


def _asked_for(work: Begun) -> dict[str, Any]:
    """For a step of a foreign document: its out_args, so that a person can give them."""
    names = work.spec.get("out_args", ())
    return {name: {"label": name.strip("_").replace("_", " "), "type": "text"} for name in names}


def _incident_of(tx: Session, found: Alert) -> Incident | None:
    return tx.get(Incident, found.incident_id) if found.incident_id is not None else None
