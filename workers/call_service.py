"""Sending what a step asks of a service: take it in hand and ask the rules again, send with no transaction open, note.

Killed between the send and the note of it, the request is sent again under the same Idempotency-Key.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.alerts import service_calls
from coordinator.errors import NotFound
from coordinator.partners import http_hosts
from coordinator.partners.models import HttpHost
from coordinator.runs.models import HttpAttempt, HttpCall
from coordinator.sharing.rules import Result
from coordinator.sharing.service import TextChanged, redecide
from coordinator.store import Store
from coordinator.timeline.keys import Erased, seal, unseal
from workers.channels import http_api
from workers.http_step import ANSWER, CALLED_OFF, DONE, FAILED, LATE, REQUEST, WAITING, end, locked
from workers.jobs import Later, pause_after

ATTEMPTS = 8
LEASE = timedelta(seconds=30)  # longer than one attempt may take


@dataclass(frozen=True, kw_only=True)
class _Held:
    call_id: int
    fence: int
    request: http_api.Request
    decision_id: int | None = None
    unsure: bool = False  # another worker had it in hand and never said what came of it


def send(store: Store, call_id: int) -> None:
    """One attempt. Safe to repeat at any point. Raises Later where another worker has it."""
    with store.unit_of_work() as tx:
        held = _claim(tx, call_id)
    if isinstance(held, datetime):
        raise Later(held)
    if held is None:
        return
    answer = http_api.call(store.settings, held.request)
    with store.unit_of_work() as tx:
        _settle(tx, held, answer)


def _claim(tx: Session, call_id: int) -> _Held | datetime | None:
    """Take the call in hand and ask the rules again; None where nothing is to be sent."""
    row, incident = locked(tx, call_id)
    now = clock.now()
    if row.state != WAITING:
        return None
    if row.lease_until is not None and row.lease_until > now:
        return row.lease_until
    host = tx.get_one(HttpHost, row.host_id)
    asked = json.loads(unseal(tx, row.data_key_id, row.request_sealed, about=REQUEST))
    listed = host.state == "active" and http_hosts.origin_of(asked["url"]) == host.origin
    if not listed or asked["method"] not in host.methods:
        end(tx, row, incident, FAILED, "it is not on the list any more")
        return None
    said = _decided_now(tx, row, now)
    if said is Result.DENY:
        end(tx, row, incident, FAILED, "the sharing rules do not permit it any more")
    if said is not Result.PERMIT:
        return None  # where they refer it, it waits for whoever clears it (cleared)
    if row.decision_id is not None and not service_calls.begin(tx, row.decision_id, now=now):
        end(tx, row, incident, FAILED, "a person withdrew it")
        return None
    unsure = row.lease_until is not None
    row.fence, row.lease_until = row.fence + 1, now + LEASE
    headers = {**asked["headers"], **http_hosts.credential_of(tx, host), "Idempotency-Key": row.idempotency_key}
    request = http_api.Request(
        method=asked["method"], url=asked["url"], headers=headers, body=asked["content"].encode(),
        allow_private=host.allow_private,
    )  # fmt: skip
    return _Held(call_id=row.id, fence=row.fence, request=request, decision_id=row.decision_id, unsure=unsure)


def _decided_now(tx: Session, row: HttpCall, now: datetime) -> Result:
    """What the rules say of this request now, on record; its permit is the newest."""
    if row.decision_id is None:
        return Result.PERMIT
    try:
        decision = redecide(tx, row.decision_id, now=now)
    except (TextChanged, NotFound, Erased):
        return Result.DENY
    row.decision_id = decision.id
    return Result(decision.result)


def _settle(tx: Session, held: _Held, answer: http_api.Answer) -> None:
    row, incident = locked(tx, held.call_id)
    if row.fence != held.fence:
        return  # another worker has sent it meanwhile, under the same key
    now = clock.now()
    tx.add(HttpAttempt(call_id=row.id, number=row.fence, at=now, outcome=answer.said, status=answer.status,
                       exercise=row.exercise))  # fmt: skip
    row.lease_until, row.status, row.outcome = None, answer.status, answer.said
    if row.decision_id is not None and answer.left:
        outcome = "delivered" if answer.outcome == "done" else answer.outcome
        service_calls.note(tx, held.decision_id or row.decision_id, outcome=outcome, detail=answer.said)
    elif row.decision_id is not None and not held.unsure:
        service_calls.kept_back(tx, held.decision_id or row.decision_id)
    if answer.body:
        row.answer_sealed = seal(tx, row.data_key_id, answer.body, about=ANSWER)
    if row.state == CALLED_OFF:
        end(tx, row, incident, LATE, answer.said)
    elif answer.outcome == "done":
        end(tx, row, incident, DONE, answer.said)
    elif answer.outcome == "refused" or row.fence >= ATTEMPTS:
        end(tx, row, incident, FAILED, answer.said)
    else:
        wait = timedelta(seconds=min(answer.retry_after, 3600)) if answer.retry_after else pause_after(row.fence + 1)
        timeline.pending(tx, "http.due", row.id, ready_at=now + wait, exercise=row.exercise)
