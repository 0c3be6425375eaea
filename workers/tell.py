"""Telling our own people that something waits for them: fixed notices without case content. Every function is a job."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.alerts import service as alerts
from coordinator.alerts.models import Alert
from coordinator.incidents import quarantine
from coordinator.incidents.models import Flood, Incident
from coordinator.incidents.rules import Status
from coordinator.partners.queries import duty_role
from coordinator.runs.models import Run
from coordinator.sharing.models import Release, ShareDecision, StandingClearance
from coordinator.tasks import rules
from coordinator.tasks.models import Task
from coordinator.timeline import sending_hold
from coordinator.timeline.models import Pending

COORDINATOR = "coordinator"


#: When the duty role is reminded, and when coordinators are brought in, counted from the first notice.
SOON, USUAL = (timedelta(minutes=5), timedelta(minutes=10)), (timedelta(minutes=30), timedelta(hours=1))
CLEARANCE_AGAIN = timedelta(hours=1)


def incident_opened(tx: Session, incident_id: int) -> None:
    incident = tx.get_one(Incident, incident_id)
    if alerts.tell_own(tx, key="new-incident", role=duty_role(tx), incident=incident):
        _look_again(tx, incident, USUAL)


def life_at_risk(tx: Session, incident_id: int) -> None:
    """Before any rule on release is looked at (R29)."""
    incident = tx.get_one(Incident, incident_id)
    if alerts.tell_own(tx, key="life-at-risk", role=duty_role(tx), incident=incident):
        _look_again(tx, incident, SOON)


def incident_remind(tx: Session, incident_id: int) -> None:
    """Nobody has taken the incident up yet: the duty role is told once more."""
    _tell_untouched(tx, incident_id, duty_role(tx))


def incident_fallback(tx: Session, incident_id: int) -> None:
    """Still nobody: coordinators are told as well."""
    _tell_untouched(tx, incident_id, COORDINATOR)


def _look_again(tx: Session, incident: Incident, waits: tuple[timedelta, timedelta]) -> None:
    now = clock.now()
    timeline.pending(tx, "incident.remind", incident.id, ready_at=now + waits[0], exercise=incident.exercise)
    timeline.pending(tx, "incident.fallback", incident.id, ready_at=now + waits[1], exercise=incident.exercise)


def _tell_untouched(tx: Session, incident_id: int, role: str) -> None:
    incident = tx.get_one(Incident, incident_id)
    if incident.status == Status.REPORTED:
        urgent = "life-at-risk" in incident.humanitarian_flags
        key = "life-at-risk-again" if urgent else "new-incident-again"
        alerts.tell_own(tx, key=key, role=role, incident=incident)


def report_quarantined(tx: Session, report_id: int) -> None:
    """Once an hour for each endpoint and kind of notice: a partner's fault must not become a flood of mail."""
    row = quarantine.to_tell(tx, report_id)
    if row is not None:
        key = "life-at-risk" if row.urgent else "possibly-real" if row.possibly_real else "quarantine"
        alerts.tell_own(tx, key=key, role=duty_role(tx))


def quarantine_due(tx: Session, report_id: int) -> None:
    """Nobody decided in time: whoever has it, else the duty role, and a coordinator."""
    row = quarantine.note_overdue(tx, report_id)
    if row is None:
        return
    if row.owner_id is not None:
        alerts.tell_own(tx, key="quarantine-overdue", user_id=row.owner_id)
    else:
        alerts.tell_own(tx, key="quarantine-overdue", role=duty_role(tx))
    alerts.tell_own(tx, key="quarantine-overdue", role=COORDINATOR, exclude=(row.owner_id or 0,))


def task_opened(tx: Session, task_id: int) -> None:
    flooded = tx.execute(select(Flood.id).where(Flood.task_id == task_id)).first() is not None
    _tell_of_task(tx, task_id, "flood" if flooded else "task")


def task_reminded(tx: Session, task_id: int) -> None:
    _tell_of_task(tx, task_id, "reminder")


def task_overdue(tx: Session, task_id: int) -> None:
    """Whoever has it, and a coordinator."""
    _tell_of_task(tx, task_id, "overdue", also=COORDINATOR)


def task_escalated(tx: Session, task_id: int) -> None:
    """The role brought in last."""
    task = tx.get_one(Task, task_id)
    brought_in = [rung["to_role"] for rung in task.ladder if rung.get("done") and rung.get("to_role")]
    role = brought_in[-1] if brought_in else task.fallback_role
    if task.state == rules.State.OPEN and role:
        alerts.tell_own(tx, key="overdue", role=role, incident=_incident(tx, task.incident_id), exercise=task.exercise)


def clearance_wanted(tx: Session, decision_id: int) -> None:
    if alerts.tell_approvers(tx, decision_id):
        exercise = tx.get_one(ShareDecision, decision_id).exercise
        timeline.pending(tx, "decision.remind", decision_id, ready_at=clock.now() + CLEARANCE_AGAIN, exercise=exercise)


def clearance_remind(tx: Session, decision_id: int) -> None:
    """Nobody has answered it: those who may are told once more, and the duty role, so that somebody asks them."""
    if not alerts.still_waits(tx, decision_id):
        return
    alerts.tell_approvers(tx, decision_id)
    decision = tx.get_one(ShareDecision, decision_id)
    alerts.tell_own(tx, key="clearance-waits", role=duty_role(tx), incident=_incident(tx, decision.incident_id),
                    exercise=decision.exercise)  # fmt: skip


def standing_proposed(tx: Session, clearance_id: int) -> None:
    """Those who may give the second word, not the one who gave the first."""
    row = tx.get_one(StandingClearance, clearance_id)
    if row.confirmed_at is None and row.revoked_at is None:
        alerts.tell_own(tx, key="standing", role="release-authority", exclude=(row.proposed_by,))


def alert_failed(tx: Session, alert_id: int) -> None:
    alert = tx.get_one(Alert, alert_id)
    if alert.user_id is not None:
        _tell_others(tx, alert)
        return
    alerts.tell_own(tx, key="dead-letter", role=COORDINATOR, incident=_incident(tx, alert.incident_id),
                    exercise=alert.exercise)  # fmt: skip


def _tell_others(tx: Session, alert: Alert) -> None:
    """A notice to one of us did not arrive: others of the duty role hear of it, or coordinators where there are none.
    Of that notice itself no other tells, so that a mailbox that is gone makes no circle."""
    key = "notice-failed"
    if tx.get_one(Release, alert.release_id).facts.get(alerts.NOTICE) == key or alert.user_id is None:
        return
    for role in (duty_role(tx), COORDINATOR):
        told = alerts.tell_own(
            tx, key=key, role=role, incident=_incident(tx, alert.incident_id), exclude={alert.user_id},
            exercise=alert.exercise,
        )  # fmt: skip
        if told:
            return


def job_dead(tx: Session, pending_id: int) -> None:
    row = tx.get(Pending, pending_id)
    if row is not None and row.dead:
        alerts.tell_own(tx, key="job-dead", role=duty_role(tx), exercise=row.exercise)


def factor_reset(tx: Session, user_id: int) -> None:
    alerts.tell_own(tx, key="factor-reset", user_id=user_id)


def link_made(tx: Session, user_id: int) -> None:
    """A link opens the account for whoever holds it: its owner hears of it."""
    alerts.tell_own(tx, key="link-made", user_id=user_id)


def clock_doubted(tx: Session, hold_id: int) -> None:
    """These notices go out although sending to others waits."""
    if any(hold.id == hold_id for hold in sending_hold.open_holds(tx)):
        alerts.tell_own(tx, key="clock", role=duty_role(tx))


def run_needs_attention(tx: Session, run_id: int) -> None:
    run = tx.get_one(Run, run_id)
    alerts.tell_own(tx, key="run-stopped", role=COORDINATOR, incident=_incident(tx, run.incident_id),
                    exercise=run.exercise)  # fmt: skip


def _tell_of_task(tx: Session, task_id: int, key: str, *, also: str = "") -> None:
    task = tx.get_one(Task, task_id)
    if task.state != rules.State.OPEN:
        return
    incident = _incident(tx, task.incident_id)
    if task.assignee_id is not None:
        alerts.tell_own(tx, key=key, user_id=task.assignee_id, incident=incident, exercise=task.exercise)
    else:
        alerts.tell_own(tx, key=key, role=task.role, incident=incident, exercise=task.exercise)
    if also and also != task.role:
        alerts.tell_own(tx, key=key, role=also, incident=incident, exercise=task.exercise)


def _incident(tx: Session, incident_id: int | None) -> Incident | None:
    return tx.get(Incident, incident_id) if incident_id is not None else None
