"""What is due by time, and the sweeper: deadlines of tasks, checkpoints, expiries, rows that are stuck.

`task_due` and `read_report_again` are jobs (relay.py), the rest is the periodic work of app.PERIODIC.
"""

from __future__ import annotations

import json
import logging
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.models import SignInLink, UserSession
from coordinator.agreements import timers
from coordinator.agreements.calendar import reminders as agreement_dates
from coordinator.agreements.models import Agreement
from coordinator.agreements.rules import may_end
from coordinator.alerts import consents, deletion_days, destruction, published, reviews
from coordinator.alerts.models import Delivery
from coordinator.alerts.sending import LEASE
from coordinator.changes import service as changes
from coordinator.incidents import erasing, intake
from coordinator.incidents.models import Draft, Flood, Report
from coordinator.obligations import agreed
from coordinator.obligations import service as obligations
from coordinator.partners.models import Endpoint
from coordinator.partners.queries import duty_role
from coordinator.runs.models import Timer
from coordinator.runs.pausing import pause_sharing
from coordinator.sharing import standing
from coordinator.store import Store
from coordinator.tasks import reminders
from coordinator.tasks.models import Task
from coordinator.tasks.service import cancel_task, open_task
from coordinator.timeline import sending_hold, verify
from coordinator.timeline.models import Heartbeat, Pending
from coordinator.upkeep.operations import LEFT
from workers.app import SWEEPER
from workers.heartbeat import beat as write_beat

FLOOD_DUE = timedelta(hours=1)
FLOOD_WORDS = (
    "More new incidents than usual come from the endpoint {endpoint}. What came over the limit is kept and was "
    "answered; nothing follows from it by itself. Open the flood: open single reports as incidents, or refuse the "
    "rest. If the partner's system is compromised, revoke its key now."
)
SIGNER_WORDS = (
    "“{title}”: whoever cleared it has left, is suspended or has another role. Until two persons have cleared the "
    "same text again, a request to call our desk waits for a release authority. You find it under Clearances, Texts "
    "cleared beforehand."
)
ROWS = "rows"
STUCK = timedelta(minutes=5)
FUTURE = timedelta(seconds=60)
LONGEST_WAIT = timedelta(minutes=6)  # more than a failed job ever waits (jobs.LONGEST_PAUSE)
SILENT = timedelta(hours=1)  # heartbeats of processes that are gone for good
KEPT_LINKS = timedelta(days=30)
KEPT_DRAFTS = timedelta(days=30)

log = logging.getLogger("coordinator.sweeper")


# ---------------------------------------------------------------- jobs


def task_due(tx: Session, task_id: int) -> None:
    """A rung of a task's ladder or its deadline is reached."""
    reminders.look_at_times(tx, task_id)


def change_expires(tx: Session, change_id: int) -> None:
    """Nobody answered a change that waits for a second person."""
    changes.expire(tx, change_id)


def consent_due(tx: Session, request_id: int) -> None:
    """The time in which an originator was to answer is over."""
    consents.answer_due(tx, request_id)


WITHDRAWN = "A consent that it rests on was withdrawn."


def consent_withdrawn(tx: Session, consent_id: int) -> None:
    """What rests on the consent stops, and what left under it is looked at."""
    pause_sharing(tx, reviews.after_withdrawal(tx, consent_id), reason=WITHDRAWN)
    published.look_again(tx)


def consent_ends(tx: Session, consent_id: int) -> None:
    """Its time is over: what rests on it stops. What left under it left as it was foreseen."""
    pause_sharing(tx, reviews.after_end(tx, consent_id), reason="A consent that it rests on has ended.")
    published.look_again(tx)


def agreement_amended(tx: Session, agreement_id: int) -> None:
    """Suspended, ended or otherwise new, now or at a date that is reached: what waits is put to the rules again."""
    reviews.after_agreement(tx, agreement_id)
    destruction.look(tx, agreement_id, now=clock.now())


def bound_anew(tx: Session, incident_id: int) -> None:
    """The incident was changed: its label or a caveat may have been raised after something left."""
    reviews.after_raise(tx, incident_id)
    published.look_again(tx, incident_id=incident_id)


def personal_data_due(tx: Session, incident_id: int) -> None:
    """A day by which personal data is to be deleted comes near."""
    deletion_days.look(tx, incident_id, now=clock.now())


def review_decided(tx: Session, task_id: int) -> None:
    """A person decided what becomes of what left."""
    reviews.decided(tx, task_id)


def agreement_due(tx: Session, agreement_id: int) -> None:
    """A date of an agreement comes near: whoever keeps the register gets a task. Once a version and date, and not for a
    version that was amended or an agreement that has ended."""
    row, now = tx.get_one(Agreement, agreement_id), clock.now()
    destruction.look(tx, agreement_id, now=now)
    near = [one for one in agreement_dates(row.terms) if one.at <= now < one.of]
    if not row.current or not near or not may_end(row.terms, now):
        return
    next_one = min(near, key=lambda one: one.of)
    title = f"Agreement {row.key}: {_COMES[next_one.what]} {next_one.of:%Y-%m-%d}"
    query = select(Task.id).where(Task.title == title, Task.state == "open")
    if tx.execute(query.limit(1)).first() is None:
        open_task(tx, title=title, role="agreement-manager", fallback_role="legal-adviser", created_by="system",
                  due_at=next_one.of)  # fmt: skip


_COMES = {"end": "ends on", "review": "is to be reviewed by", "objection": "the last day to object to its renewal is"}


def facts_reckoned(tx: Session, incident_id: int) -> None:
    """Facts of an incident changed: its duties are reckoned anew."""
    obligations.reckon_again(tx, incident_id)
    agreed.begin(tx, incident_id)


def agreed_duties(tx: Session, incident_id: int) -> None:
    """An incident was opened or taken up: what agreements ask for on it begins."""
    agreed.begin(tx, incident_id)


def asked_again(tx: Session, report_id: int) -> None:
    """A further report came in: it may ask for an answer."""
    incident_id = tx.execute(select(Report.incident_id).where(Report.id == report_id)).scalar_one_or_none()
    if incident_id is not None:
        agreed.begin(tx, incident_id)


def obligation_due(tx: Session, obligation_id: int) -> None:
    """A warning of a duty came due."""
    obligations.look(tx, obligation_id)


def read_report_again(tx: Session, report_id: int) -> None:
    """A report whose raw bytes are safe but which was not read: the process that took it was killed in between."""
    from coordinator import interchange

    interchange.install()
    disposition = tx.execute(select(Report.disposition).where(Report.id == report_id)).scalar_one_or_none()
    if disposition == "received":
        intake.read_report(tx, report_id)


def flood_began(tx: Session, flood_id: int) -> None:
    """One task for all of a flood, and with it one notice to the duty role."""
    flood = tx.get_one(Flood, flood_id, with_for_update=True)
    if flood.over_at is not None:
        return
    endpoint = tx.get_one(Endpoint, flood.endpoint_id)
    flood.task_id = open_task(
        tx, title="Many reports at once from one endpoint: look through them", role=duty_role(tx),
        fallback_role="coordinator", created_by="system", due_at=clock.now() + FLOOD_DUE, priority=90,
        instructions=FLOOD_WORDS.format(endpoint=endpoint.slug), exercise=flood.exercise,
    ).id  # fmt: skip


def flood_over(tx: Session, flood_id: int) -> None:
    """Everything of it was handled: its task has nothing left to ask."""
    flood = tx.get_one(Flood, flood_id)
    if flood.task_id is not None:
        cancel_task(tx, flood.task_id, reason="Every report of the flood was handled.", actor="system")


def signer_changed(tx: Session, user_id: int) -> None:
    """What somebody cleared beforehand, and may not clear any more, rests: a task asks for it to be cleared anew."""
    for row in standing.resting(tx, user_id, now=clock.now()):
        open_task(
            tx, title="A text cleared beforehand rests: one of those who cleared it may not any more",
            role="release-authority", fallback_role="coordinator", created_by="system", priority=70,
            instructions=SIGNER_WORDS.format(title=row.title),
        )  # fmt: skip


# ---------------------------------------------------------------- periodic work


def beat(store: Store) -> None:
    """The sweeper's sign of life: pages say since when clocks are not watched."""
    write_beat(store, name=SWEEPER, kind=SWEEPER, detail={"pid": os.getpid()})


def find_unread(store: Store) -> None:
    """Reports whose bytes are safe but which nobody has read: the process that took them was killed in between."""
    with store.read() as tx:
        if not intake.unread(tx):
            return
    with store.unit_of_work() as tx:
        found = intake.leave_word_of_unread(tx)
    if found:
        log.warning("%s reports were kept and not read", found)


def find_stuck(store: Store) -> None:
    """Count what waits too long, for doctor and metrics, and give timers that lost their row a new one."""
    now = clock.now()
    with store.unit_of_work() as tx:
        waiting = select(func.count(), func.min(Pending.ready_at)).where(
            Pending.dead.is_(False), Pending.ready_at < now - STUCK
        )
        stuck, oldest = tx.execute(waiting).one()
        dead = tx.execute(select(func.count()).where(Pending.dead.is_(True))).scalar_one()
        mended = _mend_timers(tx, now) + _mend_future(tx, now)
    detail: dict[str, Any] = {"stuck": stuck, "dead": dead, "mended": mended}
    detail["oldest_ready_at"] = clock.rfc3339(oldest) if oldest else None
    write_beat(store, name=ROWS, kind=ROWS, detail=detail)
    if stuck:
        log.warning("%s pending rows have been ready for more than five minutes", stuck)


def _mend_timers(tx: Session, now: datetime) -> int:
    wakes = exists().where(Pending.kind == "timer", Pending.object_id == Timer.id)
    lost = select(Timer).where(
        Timer.due_at < now - STUCK, Timer.fired_at.is_(None), Timer.cancelled_at.is_(None), ~wakes
    )
    timers = list(tx.execute(lost.limit(100)).scalars())
    for timer in timers:
        timeline.pending(tx, "timer", timer.id, exercise=timer.exercise)
    return len(timers)


def mend_register(store: Store) -> None:
    """Agreements and consents recorded before there were such timers get theirs: at a start, and each hour."""
    with store.unit_of_work() as tx:
        made = timers.make_missing(tx)
    if made:
        log.warning("%s timers of agreements and consents were missing and are there now", made)


def _mend_future(tx: Session, now: datetime) -> int:
    """Rows written before the clock was set back: what was ready then is ready now, and no lease outlives its holder.

    Deadlines keep their instant.
    """
    later = now + FUTURE
    at_once = (Pending.created_at > later, Pending.ready_at <= Pending.created_at)
    mended: Any = tx.execute(update(Pending).where(*at_once).values(created_at=now, ready_at=now))
    tx.execute(update(Pending).where(Pending.attempts > 0, Pending.ready_at > now + LONGEST_WAIT).values(ready_at=now))
    tx.execute(update(Delivery).where(Delivery.lease_until > later).values(lease_until=now + LEASE))
    return int(mended.rowcount)


def checkpoint(store: Store) -> None:
    """Sign the state of the record; the newest checkpoint leaves the database for the sink file, if one is set."""
    with store.unit_of_work() as tx:
        row = verify.checkpoint(tx)
        document = verify.document_of(row) if row is not None else None
        if sending_hold.RESTORE in sending_hold.kinds(tx):
            document = None  # what left before the restore proves what is missing: nobody writes over it now
    if document is not None and store.settings.checkpoint_sink:
        write_sink(Path(store.settings.checkpoint_sink), document)
        write_beat(store, name=LEFT, kind=LEFT, detail={"number": document["number"]})


def write_sink(sink: Path, document: dict[str, Any]) -> None:
    """Replace the file as a whole: `record verify --against` reads it as it is."""
    new = sink.with_name(f"{sink.name}.{os.getpid()}.new")
    new.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    new.replace(sink)


def expire(store: Store) -> None:
    """Take away what has had its time: links, sessions, drafts, bodies of invalid reports, heartbeats of the gone."""
    now = clock.now()
    with store.unit_of_work() as tx:
        tx.execute(delete(SignInLink).where(SignInLink.expires_at < now - KEPT_LINKS))
        tx.execute(delete(UserSession).where(UserSession.expires_at < now - KEPT_LINKS))
        tx.execute(delete(Draft).where(Draft.updated_at < now - KEPT_DRAFTS))
        erasing.erase_refused(tx, now=now)
        gone = ("web", "worker", "relay")
        tx.execute(delete(Heartbeat).where(Heartbeat.kind.in_(gone), Heartbeat.at < now - SILENT))
