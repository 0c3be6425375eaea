"""Moving runs: what each entry means for them, as events for the interpreter. Every function is a job (relay.py)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.principal import SYSTEM
from coordinator.alerts import lowering
from coordinator.alerts.audience import AUTOMATIC
from coordinator.alerts.models import Acknowledgement, Alert
from coordinator.alerts.versions import drafts_of
from coordinator.assessments import service as assessments
from coordinator.incidents import queries as incidents
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.models import Incident, Report
from coordinator.obligations.models import Obligation
from coordinator.runs import duplicates, matching, sources
from coordinator.runs import service as runs
from coordinator.runs.engine import LONG_WAIT
from coordinator.runs.models import Run, StepAttempt, Timer
from coordinator.runs.saved import load_state, scope_of, spec_of, values_of
from coordinator.sharing.models import ShareDecision
from coordinator.tasks import rules as task_rules
from coordinator.tasks.contents import values_of as task_values
from coordinator.tasks.models import Task
from coordinator.timeline.models import Entry, Pending
from playbooks.events import Answered, Event, FactsChanged, Happened, TimerFired, Voted, WorkFinished
from playbooks.state import ENDED
from workers import duty_step, http_step, sharing_step
from workers.jobs import Later
from workers.steps import ARMS

_PLAIN = frozenset({task_rules.NOTE, task_rules.RATIONALE, task_rules.REASON})


# ---------------------------------------------------------------- incidents


def incident_opened(tx: Session, incident_id: int) -> None:
    """Playbooks that tell nobody outside may start at once. For a duplicate they wait until it is none."""
    incident = lock_incident(tx, incident_id)
    if incident.status == "duplicate":
        return
    matching.start_matching(tx, incident, internal=True, started_by=SYSTEM, arms=ARMS)


def incident_active(tx: Session, incident_id: int) -> None:
    """A person accepted triage: what waited for it goes on, and the playbook that the facts choose is started. When an
    incident becomes active again, playbooks are only offered."""
    incident = lock_incident(tx, incident_id)
    if incident.status == "duplicate":
        return
    for run_id in _running(tx, incident_id):
        runs.release_held(tx, run_id, arms=ARMS)
    accepted = select(func.count(), func.max(Entry.id)).where(
        Entry.incident_id == incident_id, Entry.kind == "incident.active"
    )
    times, last = tx.execute(accepted).one()
    if times > 1:
        matching.offer_new_matches(tx, incident)
        return
    actor = tx.execute(select(Entry.actor).where(Entry.id == last)).scalar_one_or_none()
    matching.start_matching(tx, incident, internal=False, started_by=actor or SYSTEM, arms=ARMS)


def status_changed(tx: Session, incident_id: int) -> None:
    """For steps that wait for a status."""
    status = tx.execute(select(Incident.status).where(Incident.id == incident_id)).scalar_one()
    _tell_runs(tx, incident_id, [Happened("status", {"status": status})])


def incident_over(tx: Session, incident_id: int) -> None:
    """Rejected: its runs end, with their tasks, on record."""
    incident = lock_incident(tx, incident_id)
    if incident.status == "rejected":
        runs.cancel_all(tx, incident_id, reason=f"The incident is {incident.status}.", arms=ARMS)


def duplicate_settled(tx: Session, incident_id: int) -> None:
    """Marked as a duplicate, or no longer: what is open stands still, or goes on."""
    duplicates.settle(tx, incident_id, arms=ARMS)


def facts_changed(tx: Session, incident_id: int) -> None:
    """Deadlines are reckoned anew, and playbooks that match now are offered once triage is accepted.

    Where the job of the accepted triage is still to come it looks at these facts itself, and starts what they choose.
    """
    incident = lock_incident(tx, incident_id)
    _tell_runs(tx, incident_id, [FactsChanged(incidents.facts(tx, incident))])
    if incident.status in ("active", "monitoring") and not _start_is_pending(tx, incident_id):
        matching.offer_new_matches(tx, incident)


def _start_is_pending(tx: Session, incident_id: int) -> bool:
    query = select(Pending.id).where(
        Pending.kind == "incident.active", Pending.object_id == incident_id, Pending.dead.is_(False),
        Pending.job.in_(("", "start-external-runs")),
    )  # fmt: skip
    return tx.execute(query.limit(1)).first() is not None


def report_updated(tx: Session, report_id: int) -> None:
    """For steps that wait for news; and a person is asked where its label is looser than what it told us before."""
    lowering.offer(tx, report_id)
    report = tx.get_one(Report, report_id)
    if report.incident_id is not None:
        _tell_runs(tx, report.incident_id, [Happened("report-update", {"report": report.public_id, "via": report.via})])


# ---------------------------------------------------------------- tasks


def task_finished(tx: Session, task_id: int) -> None:
    """A task is done or called off: the step it stands for goes on, or the playbook it chose is started."""
    task = tx.get_one(Task, task_id)
    attempt = tx.execute(select(StepAttempt).where(StepAttempt.task_id == task_id)).scalar_one_or_none()
    assessments.conclude(tx, task)
    if attempt is not None:
        if task.state == "done" or attempt.state == "begun":
            runs.advance(tx, attempt.run_id, [_result(tx, attempt, task)], arms=ARMS, actor=task.done_by or SYSTEM)
    elif task.created_by == matching.CHOOSER and task.state == "done" and task.incident_id is not None:
        matching.start_chosen(tx, task, lock_incident(tx, task.incident_id), arms=ARMS)


def obligation_settled(tx: Session, obligation_id: int) -> None:
    """A duty was met or set aside on its own page: steps that wait for its submission go on."""
    duty = tx.get_one(Obligation, obligation_id)
    query = (
        select(StepAttempt)
        .join(Run, Run.id == StepAttempt.run_id)
        .where(Run.incident_id == duty.incident_id, StepAttempt.kind == "obligation", StepAttempt.state == "begun")
    )
    for attempt in tx.execute(query.order_by(StepAttempt.id)).scalars().all():
        if values_of(tx, attempt).get("obligation") == duty.id:
            runs.advance(tx, attempt.run_id, [duty_step.finished(attempt.key, duty)], arms=ARMS, actor=duty.settled_by)


def http_answered(tx: Session, call_id: int) -> None:
    """A request that a step made by itself is over."""
    found = http_step.result(tx, call_id)
    if found is not None:
        runs.advance(tx, found[0], [found[1]], arms=ARMS)


def _result(tx: Session, attempt: StepAttempt, task: Task) -> Event:
    values = task_values(tx, task)
    if task.state != "done":
        return WorkFinished(_whole(attempt.key), "failed", reason="The task was called off.", by=task.done_by)
    if attempt.kind == "vote":
        approve = values.get(task_rules.ANSWER) == task_rules.APPROVE
        return Voted(_whole(attempt.key), str(values_of(tx, attempt)["role"]), task.done_by, approve,
                     values.get(task_rules.REASON, ""))  # fmt: skip
    if attempt.kind == "obligation" and "obligation" in values_of(tx, attempt) and task.outcome == "successful":
        return duty_step.meeting(tx, attempt, task)
    kept: dict[str, Any] = {name: value for name, value in values.items() if name not in _PLAIN}
    if attempt.kind == "decision":
        kept = {"option": values.get(spec_of(tx, attempt)["variable"])}
    reason = "A person said that it could not be done." if task.outcome == "failed" else ""
    from_ = sources.of_item(task.result_version_id)
    return WorkFinished(attempt.key, task.outcome, kept, reason=reason, by=task.done_by, sources=from_)


def _whole(key: str) -> str:
    """The key of the work that a part belongs to."""
    return key.split("/", 1)[0]


# ---------------------------------------------------------------- alerts and clearances


def alert_answered(tx: Session, alert_id: int) -> None:
    """A partner answered: the alert step counts it; steps that wait for a reply or an acknowledgement hear of it."""
    alert = tx.get_one(Alert, alert_id)
    query = select(Acknowledgement).where(Acknowledgement.alert_id == alert_id).order_by(Acknowledgement.id)
    answers = list(tx.execute(query).scalars())
    attempt = _attempt_of(tx, alert.release_id) if alert.kind != AUTOMATIC else None  # none waits for it
    if attempt is not None:
        events = [Answered(attempt.key, alert.recipient, each.answer, each.kind) for each in answers]
        runs.advance(tx, attempt.run_id, events, arms=ARMS)
    if alert.incident_id is not None and answers:
        said = {"recipient": alert.recipient, "answer": answers[-1].answer, "by": answers[-1].kind}
        replied = answers[-1].answer == "question" or answers[-1].note_version_id is not None
        happened: list[Event] = [Happened("acknowledgement", said)]
        happened += [Happened("partner-reply", said)] if replied else []
        _tell_runs(tx, alert.incident_id, happened)


def alert_failed(tx: Session, alert_id: int) -> None:
    """No way to this recipient is left."""
    alert = tx.get_one(Alert, alert_id)
    attempt = _attempt_of(tx, alert.release_id)
    if attempt is not None:
        event = Answered(attempt.key, alert.recipient, "failed", "system")
        runs.advance(tx, attempt.run_id, [event], arms=ARMS)


def clearance_answered(tx: Session, decision_id: int) -> None:
    """A referred release was cleared or refused."""
    decision = tx.get_one(ShareDecision, decision_id)
    attempt = _attempt_of(tx, decision.release_id)
    if attempt is None:
        return
    if attempt.kind == "http-api":
        results = sharing_step.newest_results(tx, [decision.release_id], decision.recipient)
        http_step.cleared(tx, attempt, results)
    elif attempt.kind == sharing_step.PART:
        whole = select(StepAttempt).where(
            StepAttempt.run_id == attempt.run_id, StepAttempt.key == _whole(attempt.key)
        )
        result = sharing_step.result_of(tx, tx.execute(whole).scalar_one())
        if result.values["result"] != "refer":
            runs.advance(tx, attempt.run_id, [result], arms=ARMS)
    elif sharing_step.newest_results(tx, [decision.release_id], decision.recipient) == ["deny"]:
        runs.advance(tx, attempt.run_id, [Answered(attempt.key, decision.recipient, "refused", "system")], arms=ARMS)


def _attempt_of(tx: Session, release_id: int) -> StepAttempt | None:
    whole = drafts_of(tx, [release_id]).get(release_id, release_id)  # a version belongs to the step of its draft
    return tx.execute(select(StepAttempt).where(StepAttempt.release_id == whole)).scalar_one_or_none()


# ---------------------------------------------------------------- the runs themselves


def run_advance(tx: Session, run_id: int) -> None:
    """What persons asked of a run, its start among it."""
    runs.do_what_was_asked(tx, run_id, arms=ARMS)


def run_ended(tx: Session, run_id: int) -> None:
    """A run that another one called gives its variables back."""
    run = tx.get_one(Run, run_id)
    prefix, _, attempt_id = run.once_key.partition(":")
    if prefix != "attempt":
        return
    attempt = tx.get_one(StepAttempt, int(attempt_id))
    outcome = "successful" if run.state == "completed" else "failed"
    scope = scope_of(tx, run)
    values, known = dict(scope.get("variables", {})), scope.get("sources", {})
    given = sorted({each for name in spec_of(tx, attempt).get("out_args", ()) for each in known.get(name, ())})
    reason = "" if outcome == "successful" else f"It is {run.state}."
    event = WorkFinished(attempt.key, outcome, values, reason=reason, sources=tuple(given))
    runs.advance(tx, attempt.run_id, [event], arms=ARMS)


def timer_due(tx: Session, timer_id: int) -> None:
    """A timer of a run came due; one that was moved waits on, one that fired or was cancelled does nothing."""
    run_id = tx.execute(select(Timer.run_id).where(Timer.id == timer_id)).scalar_one_or_none()
    if run_id is None:
        return
    engine = runs.locked(tx, run_id, arms=ARMS)
    timer = tx.get_one(Timer, timer_id, populate_existing=True)
    if timer.fired_at is not None or timer.cancelled_at is not None:
        return
    if timer.due_at > clock.now():
        raise Later(timer.due_at)
    if timer.purpose == LONG_WAIT:
        engine.long_wait(timer)
        return
    timer.fired_at = clock.now()
    engine.take(load_state(tx, engine.run), [TimerFired(timer.key)])


def _running(tx: Session, incident_id: int) -> list[int]:
    query = select(Run.id).where(Run.incident_id == incident_id, Run.state.not_in(ENDED)).order_by(Run.id)
    return list(tx.execute(query).scalars())


def _tell_runs(tx: Session, incident_id: int, events: Iterable[Event]) -> None:
    events = list(events)
    for run_id in _running(tx, incident_id):
        runs.advance(tx, run_id, events, arms=ARMS)
