"""What became of an incident, in a form that can be compared: the same story gives the same outcome."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import case, func, select, true
from sqlalchemy.orm import Session

from coordinator.accounts.models import User
from coordinator.alerts.models import Acknowledgement, Alert, Delivery
from coordinator.incidents.models import Hold, Incident, Report
from coordinator.runs.models import PlaybookVersion, Run, RunToken, StepState
from coordinator.sharing.models import Release, ShareDecision
from coordinator.tasks.models import Task
from coordinator.timeline.models import Entry, Pending

#: How often these happen depends on who was killed when; everything else happens as often as in an undisturbed story.
#: (Alerts and decisions are counted as rows.)
UNCOUNTED = {"alert.attempted", "alert.raised", "decision.made", "incident.read", "decision.answer-refused"}
#: Rows that wait for an hour that is still to come.
WAITING = ("timer", "task.due", "alert.rung", "incident.remind", "incident.fallback", "decision.remind",
           "agreement.end", "agreement.turns", "change.expires", "consent.due", "consent.ends", "obligation.due")


@dataclass(frozen=True)
class Outcome:
    """Counts, so that the order in which parallel things happened does not matter."""

    status: str
    reports: Counter[Any]
    runs: Counter[Any]
    steps: Counter[Any]
    tokens: Counter[Any]
    tasks: Counter[Any]
    alerts: Counter[Any]
    deliveries: Counter[Any]
    decisions: Counter[Any]
    answers: Counter[Any]
    holds: Counter[Any]
    entries: Counter[Any]

    def differences(self, other: Outcome) -> list[str]:
        """What is different here from `other`, one sentence each."""
        found = []
        for each in fields(self):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            if mine == theirs:
                continue
            if isinstance(mine, Counter):
                found.append(f"{each.name}: more {dict(mine - theirs)}, less {dict(theirs - mine)}")
            else:
                found.append(f"{each.name}: {mine} instead of {theirs}")
        return found


def outcome_of(tx: Session, incident_id: int, *, notices: bool = True) -> Outcome:
    """Everything that is there of one incident.

    Without `notices` to our own people: nobody is told of a task that was done before they could be told.
    """
    incident = tx.get_one(Incident, incident_id)

    def count(query: Any) -> Counter[Any]:
        return Counter(tuple(row) for row in tx.execute(query))

    run_ids = select(Run.id).where(Run.incident_id == incident_id)
    told = (Alert.incident_id == incident_id) & (true() if notices else Alert.kind != "notice")
    alert_ids = select(Alert.id).where(told)
    # An answer may be faster than the sender's note that it was delivered.
    answered = (Delivery.state == "cancelled") & (Alert.state == "acknowledged")
    ended = case((answered, "delivered"), else_=Delivery.state)
    recipient = func.coalesce(User.role, Alert.recipient)
    entries = count(select(Entry.kind).where(Entry.incident_id == incident_id))
    return Outcome(
        status=incident.status,
        reports=count(select(Report.disposition).where(Report.incident_id == incident_id)),
        runs=count(select(PlaybookVersion.name, Run.state).join(Run).where(Run.incident_id == incident_id)),
        steps=count(select(StepState.step, StepState.state, StepState.passes).where(StepState.run_id.in_(run_ids))),
        tokens=count(select(Run.state, func.count()).join(RunToken, RunToken.run_id == Run.id)
                     .where(Run.incident_id == incident_id).group_by(Run.id, Run.state)),
        tasks=count(select(Task.title, Task.role, Task.state, Task.outcome).where(Task.incident_id == incident_id)),
        alerts=count(select(Alert.kind, recipient, Alert.state).outerjoin(User, User.id == Alert.user_id)
                     .where(told)),
        deliveries=count(select(Delivery.kind, Delivery.rung, ended).join(Alert, Alert.id == Delivery.alert_id)
                         .where(told)),
        decisions=count(select(Release.kind, ShareDecision.recipient, ShareDecision.result)
                        .join(Release, Release.id == ShareDecision.release_id)
                        .where(ShareDecision.incident_id == incident_id, Release.kind != "notice")),
        answers=count(select(Acknowledgement.kind, Acknowledgement.answer)
                      .where(Acknowledgement.alert_id.in_(alert_ids))),
        holds=count(select(Hold.kind, Hold.settled_at.is_(None)).where(Hold.incident_id == incident_id)),
        entries=Counter({kind: number for kind, number in entries.items() if kind[0] not in UNCOUNTED}),
    )  # fmt: skip


def unsettled(tx: Session) -> Counter[Any]:
    """Pending rows that are not timers of an hour to come, by kind and job."""
    rows = tx.execute(select(Pending.kind, Pending.job, Pending.dead).where(Pending.kind.not_in(WAITING)))
    return Counter(tuple(row) for row in rows)
