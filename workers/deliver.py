"""Bringing alerts to their recipients: take in hand and ask the rules again, send with no transaction open, note it.

Killed between the send and the note of it, the delivery is sent again under the same message id: the receiver sees the
same id twice, and nothing is lost.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.alerts import acknowledge_back
from coordinator.alerts import service as alerts
from coordinator.alerts.sending import MailParcel, Outcome, Parcel, WebhookParcel, claim, may_go, renew, settle
from coordinator.sharing.models import Release, ShareDecision
from coordinator.store import Store
from workers.channels import email, webhook
from workers.jobs import Later, where

RENEW_SECONDS = 6.0  # three signs of life in a lease (sending.LEASE)

log = logging.getLogger("coordinator.deliver")


def deliver(store: Store, delivery_id: int) -> None:
    """One attempt of one delivery. Safe to repeat at any point. Raises Later where it is not due or in other hands."""
    with store.unit_of_work() as tx:
        parcel = claim(tx, delivery_id, now=clock.now())
    if isinstance(parcel, datetime):
        raise Later(parcel)
    if parcel is None:
        return
    with _held(store, parcel):
        outcome = send(store, parcel)
    with store.unit_of_work() as tx:
        settle(tx, parcel, outcome, now=clock.now(), jitter=random.random())


class Stopped(Exception):
    """Something changed since this was taken in hand: it does not go on what was decided then."""


class NotAnswered(Exception):
    """The other coordinator could not take our system's answer now: the row waits and tries again."""


def acknowledge(store: Store, report_id: int) -> None:
    """Tell another coordinator that its alert arrived. Safe to repeat: the same answer again gets the same result."""
    with store.unit_of_work() as tx:
        answer = acknowledge_back.answer_to(tx, report_id)
    if answer is None:
        return
    status = webhook.answer(store.settings, answer.url, allow_private=answer.allow_private, body=answer.body)
    if status is not None and (status == 429 or status >= 500):
        raise NotAnswered()
    with store.unit_of_work() as tx:
        acknowledge_back.note_answered(tx, report_id, f"answered {status}" if status else "address not allowed")


@contextmanager
def _held(store: Store, parcel: Parcel) -> Iterator[None]:
    """Keep the delivery ours while sending it takes long, so that only a worker that is gone loses it."""
    over = threading.Event()

    def keep() -> None:
        while not over.wait(RENEW_SECONDS):
            try:
                with store.unit_of_work() as tx:
                    renew(tx, parcel, now=clock.now())
            except Exception as fault:  # the database is away: another worker may send it again, under the same id
                log.warning("the lease of delivery %s: %s", parcel.delivery_id, where(fault))

    keeper = threading.Thread(target=keep, name="lease", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()


def send(store: Store, parcel: Parcel) -> Outcome:
    """Send by the parcel's channel; whatever goes wrong there is an outcome, never an error.

    Whoever had to wait for a mail server, or was stopped for a while, looks once more before the bytes go.
    """

    def look() -> None:
        with store.read() as tx:
            if not may_go(tx, parcel, now=clock.now()):
                raise Stopped()

    try:
        if isinstance(parcel, WebhookParcel):
            return webhook.send(store.settings, parcel, last_look=look)
        assert isinstance(parcel, MailParcel)
        return email.send(store.settings, parcel, last_look=look)
    except Stopped:
        return Outcome("stopped")
    except Exception as fault:  # an attempt that failed in an unforeseen way is still an attempt, and is repeated
        return Outcome("retry", f"failed: {type(fault).__name__}")


def send_receipt(tx: Session, report_id: int) -> None:
    alerts.send_receipt(tx, report_id)


def send_closure(tx: Session, incident_id: int) -> None:
    alerts.send_closure(tx, incident_id)


def raise_approved(tx: Session, decision_id: int) -> None:
    decision = tx.get(ShareDecision, decision_id)
    release = tx.get_one(Release, decision.release_id) if decision is not None else None
    if release is not None and release.kind != "automatic":  # a request of a playbook is sent by its step
        alerts.raise_approved(tx, decision_id)


def next_rung(tx: Session, alert_id: int) -> None:
    """The timer of an alert's ladder."""
    alerts.climb(tx, alert_id)


def finish_call(tx: Session, task_id: int) -> None:
    """A task is over: if it was a call, its outcome is the answer to the alert."""
    alerts.finish_call(tx, task_id)
