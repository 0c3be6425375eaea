"""The timers of the register: a row for each instant still to come at which somebody is reminded, or something that
waits is put to the rules again. `make_missing` adds those that an older version of this software did not leave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.agreements.calendar import reminders, turns
from coordinator.agreements.models import Agreement, Consent
from coordinator.prepared import take_turns
from coordinator.timeline.models import Pending

CONSENT, TURNS = "consent.ends", "agreement.turns"
_KINDS = (CONSENT, TURNS, "agreement.end", "agreement.review", "agreement.objection")


def of_terms(terms: Mapping[str, Any], now: datetime) -> Iterator[tuple[str, datetime]]:
    """(kind, instant) of every timer that an agreement with these terms has from now on."""
    for reminder in reminders(terms):
        if reminder.at > now:
            yield f"agreement.{reminder.what}", reminder.at
    for at in turns(terms):
        if at > now:
            yield TURNS, at


def make_missing(tx: Session) -> int:
    """Leave every timer that current agreements and standing consents have and that is not there; how many. Said again,
    or by two processes at once, it adds none."""
    take_turns(tx, ["agreement timers"])
    now = clock.now()
    wanted = set(_wanted(tx, now))
    there = select(Pending.kind, Pending.object_id, Pending.ready_at).where(Pending.kind.in_(_KINDS))
    missing = wanted - {(row.kind, row.object_id, row.ready_at) for row in tx.execute(there)}
    for kind, object_id, at in sorted(missing):
        timeline.pending(tx, kind, object_id, ready_at=at)
    return len(missing)


def _wanted(tx: Session, now: datetime) -> Iterator[tuple[str, int, datetime]]:
    for agreement in tx.execute(select(Agreement).where(Agreement.current)).scalars():
        for kind, at in of_terms(agreement.terms, now):
            yield kind, agreement.id, at
    query = select(Consent.id, Consent.valid_until).where(
        Consent.valid_until > now, Consent.withdrawn_at.is_(None), Consent.answer == "granted"
    )
    for consent_id, until in tx.execute(query):
        if until is not None:
            yield CONSENT, consent_id, until
