"""Pending rows become jobs: what follows from what, and the loop that hands it to Celery.

A relay claims rows that are due, leases them, and publishes one message each. What was published and not done when its
lease runs out is published again, so a lost message, an emptied broker or a killed worker costs a few seconds, never
the work. Any number of relays may run. A row whose kind has several subscribers becomes one row a job, each with a fate
of its own.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from celery import Celery
from sqlalchemy import Select, delete, func, insert, or_, select, update
from sqlalchemy.orm import Session

from coordinator import clock, live
from coordinator.store import Store
from coordinator.timeline import sending_hold
from coordinator.timeline.models import Pending
from workers import jobs, timekeeper
from workers.app import ALERTS, EXERCISE, JOB, MAIN, QUEUES
from workers.jobs import Job


def _job(name: str, handler: str, *, queue: str = MAIN, outside: bool = False) -> Job:
    return Job(name, handler, queue, outside)


READ_REPORT = _job("read-report", "workers.due:read_report_again")
SEND_RECEIPT = _job("send-receipt", "workers.deliver:send_receipt", queue=ALERTS)
START_INTERNAL = _job("start-internal-runs", "workers.advance:incident_opened")
START_EXTERNAL = _job("start-external-runs", "workers.advance:incident_active")
STATUS_CHANGED = _job("runs-status-changed", "workers.advance:status_changed")
INCIDENT_OVER = _job("runs-incident-over", "workers.advance:incident_over")
DUPLICATE = _job("duplicate-settled", "workers.advance:duplicate_settled")
FACTS_CHANGED = _job("runs-facts-changed", "workers.advance:facts_changed")
REPORT_UPDATED = _job("runs-report-updated", "workers.advance:report_updated")
TASK_FINISHED = _job("runs-task-finished", "workers.advance:task_finished")
ALERT_ANSWERED = _job("runs-alert-answered", "workers.advance:alert_answered")
ALERT_FAILED = _job("runs-alert-failed", "workers.advance:alert_failed")
CLEARANCE_ANSWERED = _job("runs-clearance-answered", "workers.advance:clearance_answered")
RUN_ADVANCE = _job("run-advance", "workers.advance:run_advance")
RUN_ENDED = _job("run-ended", "workers.advance:run_ended")
TIMER = _job("timer", "workers.advance:timer_due")
TASK_DUE = _job("task-due", "workers.due:task_due")
ALERT_RUNG = _job("alert-rung", "workers.deliver:next_rung", queue=ALERTS)
ACKNOWLEDGE = _job("acknowledge", "workers.deliver:acknowledge", queue=ALERTS, outside=True)
DELIVER = _job("deliver", "workers.deliver:deliver", queue=ALERTS, outside=True)
RAISE_APPROVED = _job("raise-approved", "workers.deliver:raise_approved", queue=ALERTS)
CLOSURE = _job("send-closure", "workers.deliver:send_closure", queue=ALERTS)

TELL_INCIDENT = _job("tell-incident", "workers.tell:incident_opened", queue=ALERTS)
TELL_TASK = _job("tell-task", "workers.tell:task_opened", queue=ALERTS)
INCIDENT_REMIND = _job("tell-incident-again", "workers.tell:incident_remind", queue=ALERTS)
INCIDENT_FALLBACK = _job("tell-incident-fallback", "workers.tell:incident_fallback", queue=ALERTS)
CLEARANCE_REMIND = _job("tell-clearance-again", "workers.tell:clearance_remind", queue=ALERTS)
TELL_CLEARANCE = _job("tell-clearance", "workers.tell:clearance_wanted", queue=ALERTS)
TELL_STANDING = _job("tell-standing-clearance", "workers.tell:standing_proposed", queue=ALERTS)
TELL_QUARANTINE = _job("tell-quarantine", "workers.tell:report_quarantined", queue=ALERTS)
TELL_QUARANTINE_DUE = _job("tell-quarantine-due", "workers.tell:quarantine_due", queue=ALERTS)
FLOOD_BEGAN = _job("flood-began", "workers.due:flood_began")
FLOOD_OVER = _job("flood-over", "workers.due:flood_over")
TELL_ALERT_FAILED = _job("tell-alert-failed", "workers.tell:alert_failed", queue=ALERTS)
TELL_LIFE = _job("tell-life-at-risk", "workers.tell:life_at_risk", queue=ALERTS)
TELL_REMINDED = _job("tell-task-reminded", "workers.tell:task_reminded", queue=ALERTS)
TELL_OVERDUE = _job("tell-task-overdue", "workers.tell:task_overdue", queue=ALERTS)
TELL_ESCALATED = _job("tell-task-escalated", "workers.tell:task_escalated", queue=ALERTS)
FINISH_CALL = _job("finish-call", "workers.deliver:finish_call", queue=ALERTS)
TELL_DEAD = _job("tell-dead-job", "workers.tell:job_dead", queue=ALERTS)
TELL_RESET = _job("tell-factor-reset", "workers.tell:factor_reset", queue=ALERTS)
TELL_LINK = _job("tell-link-made", "workers.tell:link_made", queue=ALERTS)
SIGNER_CHANGED = _job("signer-changed", "workers.due:signer_changed")
AGREEMENT_DUE = _job("agreement-due", "workers.due:agreement_due")
PERSONAL_DATA_DUE = _job("personal-data-due", "workers.due:personal_data_due")
CONSENT_DUE = _job("consent-due", "workers.due:consent_due")
CONSENT_WITHDRAWN = _job("consent-withdrawn", "workers.due:consent_withdrawn")
CONSENT_ENDS = _job("consent-ends", "workers.due:consent_ends")
AGREEMENT_AMENDED = _job("agreement-amended", "workers.due:agreement_amended")
BOUND_ANEW = _job("look-at-what-left", "workers.due:bound_anew")
REVIEW_DECIDED = _job("review-decided", "workers.due:review_decided")
CHANGE_EXPIRES = _job("change-expires", "workers.due:change_expires")
TELL_CLOCK = _job("tell-clock", "workers.tell:clock_doubted", queue=ALERTS)
OBLIGATIONS_RECKON = _job("obligations-reckon", "workers.due:facts_reckoned")
AGREED_DUTIES = _job("agreed-duties", "workers.due:agreed_duties")
ASKED_AGAIN = _job("asked-again", "workers.due:asked_again")
OBLIGATION_DUE = _job("obligation-due", "workers.due:obligation_due", queue=ALERTS)
OBLIGATION_SETTLED = _job("runs-obligation-settled", "workers.advance:obligation_settled")
HTTP_SEND = _job("http-send", "workers.call_service:send", queue=ALERTS, outside=True)
HTTP_ANSWERED = _job("runs-http-answered", "workers.advance:http_answered")
CLEAN_FILE = _job("clean-file", "workers.clean:clean_file", outside=True)
TELL_RUN = _job("tell-run-attention", "workers.tell:run_needs_attention", queue=ALERTS)

#: What follows from what: the one place to look. A kind that is not here is a mistake and said so loudly.
SUBSCRIBERS: Mapping[str, tuple[Job, ...]] = {
    "report.received": (READ_REPORT,),
    "report.accepted": (SEND_RECEIPT,),
    "report.updated": (REPORT_UPDATED, ASKED_AGAIN),
    "alert.arrived": (ACKNOWLEDGE,),
    "report.quarantined": (TELL_QUARANTINE,),
    "quarantine.due": (TELL_QUARANTINE_DUE,),
    "flood.began": (FLOOD_BEGAN,),
    "flood.over": (FLOOD_OVER,),
    "incident.opened": (START_INTERNAL, TELL_INCIDENT, AGREED_DUTIES),
    "incident.life-at-risk": (TELL_LIFE,),
    "incident.remind": (INCIDENT_REMIND,),
    "incident.fallback": (INCIDENT_FALLBACK,),
    "decision.remind": (CLEARANCE_REMIND,),
    "incident.reported": (STATUS_CHANGED,),
    "incident.triage": (STATUS_CHANGED,),
    "incident.active": (START_EXTERNAL, STATUS_CHANGED),
    "incident.monitoring": (STATUS_CHANGED,),
    "incident.resolved": (STATUS_CHANGED,),
    "incident.closed": (CLOSURE, STATUS_CHANGED),
    "incident.rejected": (INCIDENT_OVER,),
    "incident.duplicate": (DUPLICATE,),
    "incident.reinstated": (DUPLICATE, STATUS_CHANGED),
    "incident.changed": (FACTS_CHANGED, OBLIGATIONS_RECKON, BOUND_ANEW),
    "note.added": (),  # nobody is told: open pages ask by themselves
    "task.opened": (TELL_TASK,),
    "task.completed": (TASK_FINISHED, FINISH_CALL, REVIEW_DECIDED),
    "task.cancelled": (TASK_FINISHED, FINISH_CALL),
    "task.reminded": (TELL_REMINDED,),
    "task.overdue": (TELL_OVERDUE,),
    "task.escalated": (TELL_ESCALATED,),
    "task.due": (TASK_DUE,),
    "standing.proposed": (TELL_STANDING,),
    "signer.changed": (SIGNER_CHANGED,),
    "decision.referred": (TELL_CLEARANCE,),
    "decision.approved": (RAISE_APPROVED, CLEARANCE_ANSWERED),
    "decision.refused": (CLEARANCE_ANSWERED,),
    "delivery.due": (DELIVER,),
    "alert.rung": (ALERT_RUNG,),
    "alert.acknowledged": (ALERT_ANSWERED,),
    "alert.failed": (ALERT_FAILED, TELL_ALERT_FAILED),
    "http.due": (HTTP_SEND,),
    "file.clean": (CLEAN_FILE,),
    "http.answered": (HTTP_ANSWERED,),
    "obligation.due": (OBLIGATION_DUE,),
    "obligation.settled": (OBLIGATION_SETTLED,),
    "run.advance": (RUN_ADVANCE,),
    "run.ended": (RUN_ENDED,),
    "run.needs-attention": (TELL_RUN,),
    "run.notice": (TELL_RUN,),
    "agreement.end": (AGREEMENT_DUE,),
    "agreement.review": (AGREEMENT_DUE,),
    "agreement.objection": (AGREEMENT_DUE,),
    "personal-data.due": (PERSONAL_DATA_DUE,),
    "consent.due": (CONSENT_DUE,),
    "consent.withdrawn": (CONSENT_WITHDRAWN,),
    "consent.ends": (CONSENT_ENDS,),
    "agreement.amended": (AGREEMENT_AMENDED,),
    "agreement.turns": (AGREEMENT_AMENDED,),
    "change.expires": (CHANGE_EXPIRES,),
    "user.factor-reset": (TELL_RESET,),
    "link.made": (TELL_LINK,),
    "timer": (TIMER,),
    "sending.doubted": (TELL_CLOCK,),
    jobs.DEAD: (TELL_DEAD,),
}

#: Every job by its name, for the worker that finds the name in a row.
JOBS: Mapping[str, Job] = {job.name: job for followers in SUBSCRIBERS.values() for job in followers}

LEASE = timedelta(seconds=10)  # a worker that was killed costs so long; a row still queued then is only sent twice
BATCH = 48
WINDOW = 48  # messages waiting in a queue before the relay holds back, so that leases do not run out in the queue
EXERCISE_AT_ONCE = 2  # jobs of exercises in hand at any time: slow ones leave the other threads to what is real
LOOK_SECONDS = 0.1
REST_SECONDS = 0.5  # after the broker refused
#: A relay that made no whole look for this long (seconds) watches no clock.
ASLEEP = 20.0

log = logging.getLogger("coordinator.relay")


@dataclass(frozen=True)
class Claimed:
    """A row leased to this relay until `lease`."""

    pending_id: int
    job: Job
    lease: datetime
    exercise: str = ""

    @property
    def queue(self) -> str:
        return EXERCISE if self.exercise else self.job.queue


def claim(
    store: Store, subscribers: Mapping[str, Sequence[Job]] = SUBSCRIBERS, *, full: Sequence[str] = ()
) -> list[Claimed]:
    """Lease the rows that are due and expand those not yet expanded. `full`: queues to leave alone.

    Oldest first; what belongs to an exercise only where real work leaves room, and a few at a time.
    """
    by_name = {job.name: job for followers in subscribers.values() for job in followers}
    now = clock.now()
    with store.read() as tx:  # most looks find nothing: do not take the write lock for them
        due = _due(subscribers, by_name, now=now, full=full, on_hold=sending_hold.kinds(tx))
        if tx.execute(due.limit(1)).first() is None:
            return []
    with store.unit_of_work() as tx:
        ids = _ids(tx, due, now)
        lease = now + LEASE
        rows = tx.execute(
            update(Pending).where(Pending.id.in_(ids)).values(lease_until=lease).returning(Pending)
        ).scalars().all()  # fmt: skip
        claimed: list[Claimed] = []
        for row in sorted(rows, key=lambda row: (row.exercise != "", row.ready_at, row.id)):
            if row.job in by_name:
                claimed.append(Claimed(row.id, by_name[row.job], lease, row.exercise))
            else:
                claimed += _expand(tx, row, subscribers.get(row.kind) if not row.job else None, lease)
        tx.info["nudges"].discard(live.RELAY)
    return claimed


def _ids(tx: Session, due: Select[int], now: datetime) -> list[int]:
    """The rows to take, locked: real ones, then as many of exercises as may be in hand besides those that are."""
    ids = list(tx.execute(due.where(Pending.exercise == "").with_for_update(skip_locked=True)).scalars())
    room = min(BATCH - len(ids), EXERCISE_AT_ONCE)
    if room <= 0:
        return ids
    query = due.where(Pending.exercise != "").limit(room).with_for_update(skip_locked=True)
    more = list(tx.execute(query).scalars())
    if more:
        in_hand = select(func.count()).select_from(Pending).where(Pending.exercise != "", Pending.lease_until > now)
        more = more[: max(EXERCISE_AT_ONCE - tx.execute(in_hand).scalar_one(), 0)]
    return ids + more


def _due(
    subscribers: Mapping[str, Sequence[Job]], by_name: Mapping[str, Job], *, now: datetime, full: Sequence[str],
    on_hold: Collection[str],
) -> Select[int]:  # fmt: skip
    """The ids of rows to take now. On hold, what talks to the outside stays; while the clock is doubted, timers do."""
    stopped = not {sending_hold.EMERGENCY, sending_hold.RESTORE}.isdisjoint(on_hold)

    def stays(job: Job) -> bool:
        return job.queue in full or (stopped and job.outside)

    jobs_left = [name for name, job in by_name.items() if stays(job)]
    kinds_left = [kind for kind, followers in subscribers.items() if followers and all(map(stays, followers))]
    due = select(Pending.id).where(
        Pending.dead.is_(False),
        Pending.ready_at <= now,
        or_(Pending.lease_until.is_(None), Pending.lease_until <= now, Pending.lease_until > now + jobs.LONGEST_LEASE),
        Pending.job.not_in(jobs_left),
        or_(Pending.job != "", Pending.kind.not_in(kinds_left)),
    )
    if EXERCISE in full:
        due = due.where(Pending.exercise == "")
    if sending_hold.CLOCK in on_hold:
        due = due.where(or_(Pending.ready_at <= Pending.created_at, Pending.attempts > 0))
    return due.order_by(Pending.ready_at, Pending.id).limit(BATCH)


def _expand(tx: Session, row: Pending, followers: Sequence[Job] | None, lease: datetime) -> list[Claimed]:
    """One row a job: the first takes the row itself. A kind or job that nobody knows is dead at once."""
    if followers is None:
        row.last_fault = "UnknownKind"
        jobs.bury(tx, row)
        return []
    if not followers:
        tx.execute(delete(Pending).where(Pending.id == row.id))
        return []
    row.job = followers[0].name
    claimed = [Claimed(row.id, followers[0], lease, row.exercise)]
    for job in followers[1:]:
        twin = insert(Pending).values(
            kind=row.kind, object_id=row.object_id, job=job.name, exercise=row.exercise, created_at=row.created_at,
            ready_at=row.ready_at, lease_until=lease, attempts=0, last_fault="", dead=False,
        )  # fmt: skip
        claimed.append(Claimed(tx.execute(twin.returning(Pending.id)).scalar_one(), job, lease, row.exercise))
    return claimed


def give_back(store: Store, claimed: Sequence[Claimed]) -> None:
    """End the leases of what could not be published, so that the next look finds it."""
    with store.unit_of_work() as tx:
        for each in claimed:
            tx.execute(
                update(Pending)
                .where(Pending.id == each.pending_id, Pending.lease_until == each.lease)
                .values(lease_until=None)
            )


class Relay:
    """The loop. `stop()` is safe in a signal handler and from any thread."""

    def __init__(
        self, store: Store, celery: Celery, subscribers: Mapping[str, Sequence[Job]] = SUBSCRIBERS
    ) -> None:
        self._store = store
        self._celery = celery
        self._subscribers = subscribers
        self._redis = live.connect(store.settings.redis_url)
        self._producer: Any = None
        self._stop = threading.Event()
        self._looked = clock.steady()

    def watching(self) -> bool:
        """Whether timers are being looked at: not while the broker or the database is away, or the loop hangs."""
        return clock.steady() - self._looked < ASLEEP

    def stop(self) -> None:
        self._stop.set()

    def run(self) -> None:
        """Until `stop`. Faults of the database or the broker are waited out."""
        while not self._stop.is_set():
            try:
                busy = self.turn()
            except Exception as fault:
                log.warning("relay: %s", jobs.where(fault))
                self._stop.wait(REST_SECONDS)
                continue
            if not busy and not self._stop.is_set():
                self._store.live.wait_for_wake(LOOK_SECONDS)

    def turn(self) -> bool:
        """One look: claim, publish. True if there may be more to do at once."""
        if timekeeper.jumped():
            timekeeper.watch(self._store)  # before any timer is taken for due
        full = self._full_queues()
        self._looked = clock.steady()
        claimed = claim(self._store, self._subscribers, full=full)
        if not claimed:
            return False
        sent = 0
        try:
            producer = self._connected()
            for each in claimed:
                self._celery.send_task(
                    JOB, args=(each.pending_id, clock.rfc3339(each.lease), each.job.name), queue=each.queue,
                    producer=producer, retry=False, ignore_result=True,
                )  # fmt: skip
                sent += 1
        except Exception as fault:
            log.warning("relay: the broker took %s of %s: %s", sent, len(claimed), jobs.where(fault))
            self._hang_up()
            give_back(self._store, claimed[sent:])
            self._stop.wait(REST_SECONDS)
            return False
        return len(claimed) >= BATCH and len(full) < len(QUEUES)

    def _connected(self) -> Any:
        """Our own way to the broker, opened anew after it failed: Celery's pools stay closed once they were forced."""
        if self._producer is None:
            self._producer = self._celery.amqp.Producer(self._celery.connection_for_write())
        return self._producer

    def _hang_up(self) -> None:
        producer, self._producer = self._producer, None
        with contextlib.suppress(Exception):
            producer.connection.close()

    def _full_queues(self) -> list[str]:
        """Queues that hold enough for now. Raises when the broker is away: then nothing is claimed."""
        pipe = self._redis.pipeline(transaction=False)
        for queue in QUEUES:
            pipe.llen(queue)
        return [queue for queue, waiting in zip(QUEUES, pipe.execute(), strict=True) if waiting >= WINDOW]
