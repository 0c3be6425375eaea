"""Steps of type http-api: a request to a service on the list, by itself; everything else stays a person's task.

In a run of an incident a request that holds a variable's value tells its reader something of the incident. It goes only
where the rules permit what the incident is to that service's organisation, and they are asked again at each attempt.
The request is sent at least once, always under the same Idempotency-Key.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.errors import CoordinatorError
from coordinator.incidents import queries as incidents
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.items import write_item
from coordinator.incidents.models import Incident
from coordinator.markings import Marking
from coordinator.partners import http_hosts
from coordinator.partners.models import HttpHost, Organisation
from coordinator.partners.queries import duty_role, own_organisation
from coordinator.runs import sources
from coordinator.runs.arms import Begun
from coordinator.runs.models import HttpCall, Run, StepAttempt
from coordinator.runs.saved import spec_of
from coordinator.sharing.addressees import Addressee
from coordinator.sharing.inputs_from_world import as_the_incident
from coordinator.sharing.models import ShareDecision
from coordinator.sharing.rules import Result
from coordinator.sharing.service import (
    LONGEST_BODY,
    LONGEST_TITLE,
    decide_share,
    forecast,
    prepare_release,
    settle_release,
)
from coordinator.timeline.keys import new_key, seal, unseal
from playbooks.events import Event, HandedToPerson, WorkFinished

LONGEST_VALUE = 250
PURPOSE, CATEGORY = "incident-response", "incident-notification"
REQUEST, ANSWER = "http request", "http answer"
WAITING, DONE, FAILED, CALLED_OFF, LATE = "waiting", "done", "failed", "called-off", "late"
_START_LINE = re.compile(r"([A-Z]{3,7}) (\S+)(?: HTTP/[0-9.]{1,3})?")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,60}")
#: What a playbook may not set: the connection's own headers, and whatever carries a credential.
_OURS = frozenset({
    "authorization", "proxy-authorization", "cookie", "host", "connection", "content-length", "transfer-encoding",
    "te", "upgrade", "expect", "idempotency-key", "user-agent",
})  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A request as the document asks for it, with its values filled in."""

    method: str
    url: str
    headers: dict[str, str]
    content: str


class ForAPerson(Exception):
    """Why this request is not made by itself; the sentence is shown to whoever gets the task."""


def begin(tx: Session, work: Begun, give: Callable[..., int]) -> Sequence[Event]:
    """Write the request down, to be sent once this is committed; or give the step to a person and say why."""
    try:
        wanted = read(work.spec)
        host = http_hosts.host_for(tx, wanted.url, exercise=work.run.exercise)
        if host is None:
            raise ForAPerson("This service is not on the list of those that playbooks may call.")
        if wanted.method not in host.methods:
            raise ForAPerson(f"The method {wanted.method} is not allowed for this service.")
        decision = _decision(tx, work, host, wanted)
    except ForAPerson as reason:
        names = work.spec.get("out_args", ())
        fields = {name: {"label": name.strip("_").replace("_", " "), "type": "text"} for name in names}
        give(tx, work, role=duty_role(tx), fields=fields, more=f"Not done by itself: {reason}")
        return [HandedToPerson(work.key)]
    call_id = _write_down(tx, work, host, wanted, decision.id if decision is not None else None)
    if decision is not None and decision.result == Result.REFER:
        return [HandedToPerson(work.key)]  # it goes when it is cleared (cleared)
    timeline.pending(tx, "http.due", call_id, exercise=work.run.exercise)
    return ()


def read(spec: Mapping[str, Any]) -> Wanted:
    """The one request of a step. Raises ForAPerson for what is not plainly one."""
    found = _START_LINE.fullmatch(str(spec.get("command") or "").strip())
    if found is None:
        raise ForAPerson("The request does not begin with a method and an address.")
    headers = {}
    for name, value in (spec.get("headers") or {}).items():
        text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        if not _HEADER.fullmatch(name) or name.lower() in _OURS or not text.isprintable() or not text.isascii():
            raise ForAPerson("It sets a header that a playbook may not set.")
        headers[name] = text
    return Wanted(method=found[1], url=_address(spec, found[2]), headers=headers, content=_content(spec))


def _address(spec: Mapping[str, Any], path: str) -> str:
    if not path.startswith("/"):
        return path
    named: list[Any] = [each for each in spec.get("targets") or () if isinstance(each, Mapping)] or [spec.get("agent")]
    if len(named) != 1 or not isinstance(named[0], Mapping):
        raise ForAPerson("It names no single target.")
    address = named[0].get("address") or {}
    urls = address.get("url") or [f"https://{name}" for name in address.get("dname") or ()]
    if len(urls) != 1 or not http_hosts.origin_of(str(urls[0])):
        raise ForAPerson("Its target has no single address.")
    port = str(named[0].get("port") or "")
    origin = http_hosts.origin_of(str(urls[0]))
    return (origin.rsplit(":", 1)[0] + f":{port}" if port.isdecimal() else origin) + path


def _content(spec: Mapping[str, Any]) -> str:
    if spec.get("content_b64"):
        try:
            return base64.b64decode(str(spec["content_b64"]), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise ForAPerson("What it sends is no text.") from None
    content = spec.get("content")
    return content if isinstance(content, str) else json.dumps(content) if content else ""


def _decision(tx: Session, work: Begun, host: HttpHost, wanted: Wanted) -> ShareDecision | None:
    """The permit this request rests on, or a decision that waits for a person's clearance; None where it holds nothing
    of an incident. Raises ForAPerson where the rules refuse it."""
    incident, from_ = work.incident, work.spec.get("sources", ())
    if not work.spec.get("uses") or (incident is None and not from_):
        return None
    bound = sources.binding(tx, from_, incident=incident, playbook=work.playbook)
    parts = incidents.told_of(tx, incident).values() if incident is not None else ()
    said = f"{wanted.method} {wanted.url}\n\n{wanted.content}".strip()
    if len(said) > LONGEST_BODY:
        raise ForAPerson("It holds more of the incident than may be told at once.")
    try:
        with tx.begin_nested() as attempt:
            release = prepare_release(
                tx, kind="automatic", title=f"Request of a playbook to {host.code}"[:LONGEST_TITLE], body=said,
                purpose=PURPOSE, info_category=CATEGORY, requested_by=work.run.started_by, incident=incident,
                marking=bound.marking, items=[*parts, *bound.parts], of_incident=incident is not None,
                exercise=work.run.exercise,
            )  # fmt: skip
            found = forecast(tx, release, _to(tx, host))
            if found.result is Result.DENY:
                attempt.rollback()
            else:
                decision = decide_share(tx, release, _to(tx, host))
                settle_release(tx, release)
                work.attempt.release_id = release.id
                return decision
    except CoordinatorError as refused:
        raise ForAPerson(refused.detail or refused.title) from None
    raise ForAPerson(f"The sharing rules do not permit it ({', '.join(found.reasons)}): do not send this either.")


def _to(tx: Session, host: HttpHost) -> Addressee:
    organisation = tx.get_one(Organisation, host.organisation_id)
    return Addressee(
        recipient=organisation.code, organisation_id=organisation.id, channel_kind="webhook", exercise=host.exercise,
        encrypted=host.origin.startswith("https://"), communities=tuple(organisation.communities),
        client_of_own=organisation.client_of_own,
    )  # fmt: skip


def _write_down(tx: Session, work: Begun, host: HttpHost, wanted: Wanted, decision_id: int | None) -> int:
    key = work.incident.data_key_id if work.incident is not None else new_key(tx)
    plain = json.dumps({"method": wanted.method, "url": wanted.url, "headers": wanted.headers,
                        "content": wanted.content}).encode()  # fmt: skip
    row = HttpCall(
        attempt_id=work.attempt.id, host_id=host.id, decision_id=decision_id, data_key_id=key,
        idempotency_key=str(uuid.uuid4()), request_sealed=seal(tx, key, plain, about=REQUEST),
        begun_at=clock.now(), exercise=work.run.exercise,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    timeline.append(tx, "http.asked", "A playbook asks a service on the list.", actor="system", incident=work.incident,
                    values={"host": host.code, "method": wanted.method, "decision": decision_id, "call": row.id},
                    about=("run", work.run.id), exercise=work.run.exercise)  # fmt: skip
    return row.id


def result(tx: Session, call_id: int) -> tuple[int, WorkFinished] | None:
    """(run, event) of a call that is over; None while it waits or was called off before anything came of it."""
    row = tx.get_one(HttpCall, call_id)
    attempt = tx.get_one(StepAttempt, row.attempt_id)
    if row.state not in (DONE, FAILED, LATE):
        return None
    outcome = "successful" if row.state == DONE or (row.state == LATE and (row.status or 500) < 300) else "failed"
    values = _values(tx, row, spec_of(tx, attempt).get("out_args", ()))
    from_ = _keep(tx, row, attempt.run_id, values) if row.state == DONE and values else ()
    reason = "" if outcome == "successful" else f"The service: {row.outcome}."
    return attempt.run_id, WorkFinished(attempt.key, outcome, values, reason=reason, by="system", sources=from_)


def _keep(tx: Session, row: HttpCall, run_id: int, values: Mapping[str, str]) -> tuple[str, ...]:
    """What a service answered, as an item of its organisation's under the incident's marking: whoever is told of it
    later is told of theirs."""
    incident_id = tx.get_one(Run, run_id).incident_id
    incident = tx.get_one(Incident, incident_id) if incident_id is not None else None
    organisation = tx.get_one(HttpHost, row.host_id).organisation_id
    version = write_item(
        tx, kind="http-answer", content={"call": row.id, "values": dict(values)}, info_category=CATEGORY,
        marking=as_the_incident(incident)[0] if incident is not None else Marking(), author="system",
        incident=incident, exercise=row.exercise, data_key_id=row.data_key_id,
        originator_id=organisation if organisation != own_organisation(tx).id else None,
    )  # fmt: skip
    return sources.of_item(version.id)


def _values(tx: Session, row: HttpCall, names: Sequence[str]) -> dict[str, str]:
    """For the step's out_args: `__status__` is the status; another name is the field of that name in a JSON answer, if
    it is short. The whole answer stays sealed."""
    found: dict[str, Any] = {}
    if row.answer_sealed is not None:
        try:
            said = json.loads(unseal(tx, row.data_key_id, row.answer_sealed, about=ANSWER))
        except (ValueError, RecursionError):
            said = None
        found = said if isinstance(said, dict) else {}
    values = {}
    for name in names:
        key = name.strip("_")
        value = row.status if key == "status" else found.get(key)
        if isinstance(value, bool):
            value = str(value).lower()
        if isinstance(value, str | int | float) and len(str(value)) <= LONGEST_VALUE:
            values[name] = str(value)
    return values


def call_off(tx: Session, attempt_id: int) -> None:
    """The step is over without it: what was not sent is not sent, what is under way is kept as late."""
    query = select(HttpCall).where(HttpCall.attempt_id == attempt_id).with_for_update()
    row = tx.execute(query).scalar_one_or_none()
    if row is not None and row.state == WAITING:
        row.state = CALLED_OFF


def cleared(tx: Session, attempt: StepAttempt, results: Sequence[str]) -> None:
    """The clearance a request waited for was answered: it goes, decided on once more, or its step has failed.
    `results`: what holds now for its recipient."""
    query = select(HttpCall.id).where(HttpCall.attempt_id == attempt.id)
    call_id = tx.execute(query).scalar_one_or_none()
    if call_id is None:
        return
    row, incident = locked(tx, call_id)
    if row.state == WAITING and results == ["permit"]:
        timeline.pending(tx, "http.due", row.id, exercise=row.exercise)
    elif row.state == WAITING and results == ["deny"]:
        end(tx, row, incident, FAILED, "its clearance was refused")


def end(tx: Session, row: HttpCall, incident: Incident | None, state: str, said: str) -> None:
    """The call is over; its step hears of it."""
    row.state, row.outcome, row.ended_at = state, said, clock.now()
    timeline.append(tx, "http.answered", f"A request of a playbook: {said}.", actor="system", incident=incident,
                    values={"call": row.id, "state": state, "attempts": row.fence, "status": row.status},
                    about=("http_call", row.id), exercise=row.exercise)  # fmt: skip
    timeline.pending(tx, "http.answered", row.id, exercise=row.exercise)


def locked(tx: Session, call_id: int) -> tuple[HttpCall, Incident | None]:
    """The call and its incident, locked in this order."""
    query = (
        select(Run.incident_id)
        .join(StepAttempt, StepAttempt.run_id == Run.id)
        .join(HttpCall, HttpCall.attempt_id == StepAttempt.id)
        .where(HttpCall.id == call_id)
    )
    incident_id = tx.execute(query).scalar_one()
    incident = lock_incident(tx, incident_id) if incident_id is not None else None
    return tx.get_one(HttpCall, call_id, with_for_update=True, populate_existing=True), incident
