"""How a report comes in, in two transactions: first the raw bytes are safe, then they are read.

A process killed between the two leaves a report that says `received` and a pending row, so that a worker reads it. The
same message id with the same bytes is answered the same way again, whichever process it meets.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import Principal
from coordinator.errors import (
    CoordinatorError,
    Fault,
    Invalid,
    KeyReused,
    NotFound,
    NotParseable,
    SecrecyMarkingFound,
    TooLarge,
    UnsupportedType,
)
from coordinator.incidents import filing, statements
from coordinator.incidents.envelope import Received, read_body
from coordinator.incidents.facts import Inbound
from coordinator.incidents.models import Incident, PartnerReference, Report, ReportBody
from coordinator.incidents.references import new_public_id, reference_of
from coordinator.partners.queries import IntakeEndpoint, own_organisation
from coordinator.store import store_of
from coordinator.timeline.keys import destroy, new_key, remember, seal, unseal
from coordinator.timeline.models import DataKey
from coordinator.vault import token_hash

#: A report is read by whoever kept it; after this a worker looks whether that one was killed.
READ_BY = timedelta(seconds=20)
#: How long what could not be read is kept, so that the sender can be helped.
KEEP_INVALID = timedelta(days=30)

_REASONS: dict[str, type[CoordinatorError]] = {
    "secrecy-marking": SecrecyMarkingFound, "invalid": Invalid, "not-parseable": NotParseable, "too-large": TooLarge,
    "type-not-taken": UnsupportedType,
}  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What the sender is told. `incident` is the reference that sender may know; `refusal` is raised by the door."""

    report: str
    disposition: str
    incident: str | None
    status_token: str
    refusal: CoordinatorError | None = None


@dataclass(frozen=True)
class Kept:
    """`answer` is there when this message was answered before, `inbound` when it was kept just now."""

    report_id: int
    answer: Answer | None = None
    inbound: Inbound | None = None


def keep_raw(
    tx: Session,
    *,
    via: str,
    media_type: str,
    raw: bytes,
    message_id: str = "",
    endpoint: IntakeEndpoint | None = None,
    endpoint_key_id: int | None = None,
    principal: Principal | None = None,
) -> Kept:
    """Keep the bytes before anything parses them (R15): the first transaction of two, with nothing else in it.

    `message_id`: the webhook-id, or the Idempotency-Key of `principal`; empty where there is none. `via`: webhook, api,
    form, voice. Raises KeyReused when the id came before with other bytes.
    """
    message_id = _bounded(message_id)
    digest, exercise = hashlib.sha256(raw).hexdigest(), endpoint.exercise if endpoint else ""
    sender = endpoint.organisation_id if endpoint else _organisation_of(tx, principal)
    key, public_id, now = new_key(tx), new_public_id("rep"), clock.now()
    report_id = statements.keep_report(tx, {
        "public_id": public_id, "received_at": now, "via": via, "organisation_id": sender,
        "endpoint_id": endpoint.id if endpoint else None, "endpoint_key_id": endpoint_key_id,
        "user_id": principal.user_id if principal else None, "message_id": message_id, "raw_digest": digest,
        "raw_size": len(raw), "media_type": media_type[:120], "data_key_id": key,
        "status_hash": token_hash(status_token(tx, public_id)), "exercise": exercise,
    })  # fmt: skip
    if report_id is None:
        tx.execute(delete(DataKey).where(DataKey.id == key))
        return _kept_before(tx, message_id, digest, endpoint=endpoint, principal=principal)
    sealed = seal(tx, key, raw, about=f"report/{public_id}")
    tx.execute(statements.KEEP_BODY, {"report_id": report_id, "sealed": sealed, "erase_after": None})
    timeline.pending(tx, "report.received", report_id, ready_at=now + READ_BY, exercise=exercise)
    return Kept(report_id, inbound=_at_hand(
        endpoint, id=report_id, public_id=public_id, received_at=now, via=via, raw_digest=digest,
        media_type=media_type[:120], data_key_id=key, exercise=exercise, disposition="received", sealed=sealed,
        wrapped=tx.info["data_keys"][key],
    ))  # fmt: skip


def parse(raw: bytes, media_type: str) -> Received | CoordinatorError:
    """What kept bytes say, or what is wrong with them. Outside any transaction, so that nobody waits for it."""
    try:
        return read_body(raw, media_type, now=clock.now())
    except (Invalid, NotParseable, TooLarge, UnsupportedType) as error:
        return error


def read_report(
    tx: Session,
    report_id: int,
    parsed: Received | CoordinatorError | None = None,
    *,
    inbound: Inbound | None = None,
) -> Answer:
    """File a kept report: the second transaction. Done once, whoever calls it how often.

    `parsed`: what `parse` made of the very bytes that were kept; absent, they are unsealed and parsed here. `inbound`:
    what `keep_raw` gave in this very request, which spares the look at the row. What is wrong with a report is recorded
    and stands in `Answer.refusal`: commit, then raise that. Raises NotFound.
    """
    inbound = _load(tx, report_id) if inbound is None else _lock(tx, inbound)
    if inbound.disposition != "received":
        return _answer(tx, inbound.id)
    if parsed is None:
        raw = unseal(tx, inbound.data_key_id, inbound.sealed, about=f"report/{inbound.public_id}")
        parsed = parse(raw, inbound.media_type)
    if isinstance(parsed, Received):
        return _answered(tx, inbound, filing.file_report(tx, inbound, parsed))
    if isinstance(parsed, SecrecyMarkingFound):
        _refuse(tx, inbound, parsed)
    else:
        _set_aside(tx, inbound, parsed, erase_after=clock.now() + KEEP_INVALID)
    return _answer(tx, inbound.id)


def report_by_status_token(tx: Session, token: str) -> dict[str, Any]:
    """What the holder of a status link may see: the disposition and nothing else. Raises NotFound."""
    query = select(Report.public_id, Report.disposition).where(Report.status_hash == token_hash(token))
    found = tx.execute(query).one_or_none()
    if found is None:
        raise NotFound()
    return {"report": found.public_id, "disposition": found.disposition}


def status_token(tx: Session, public_id: str) -> str:
    """The token of a report's status link: the same whenever it is asked for."""
    return store_of(tx).vault.token("report status", public_id)


def _at_hand(endpoint: IntakeEndpoint | None, **kept: Any) -> Inbound | None:
    """What `_load` would read, for a report of a partner's system that was kept by this very request."""
    if endpoint is None:
        return None
    return Inbound(
        organisation_id=endpoint.organisation_id, organisation=endpoint.organisation_code,
        active=endpoint.organisation_active, endpoint_id=endpoint.id, endpoint=endpoint.slug,
        restricted=endpoint.restricted, user_id=None, is_own=None, source=None, **kept,
    )  # fmt: skip


def _bounded(message_id: str) -> str:
    """An id that fits: ours where there is none, its digest where it is longer than the column."""
    if not message_id:
        return new_public_id("msg")
    return message_id if len(message_id) <= 180 else f"sha256:{hashlib.sha256(message_id.encode()).hexdigest()}"


def _organisation_of(tx: Session, principal: Principal | None) -> int:
    return principal.organisation_id if principal and principal.organisation_id else own_organisation(tx).id


def _kept_before(
    tx: Session, message_id: str, digest: str, *, endpoint: IntakeEndpoint | None, principal: Principal | None
) -> Kept:
    user_id = principal.user_id if principal else None
    mine = Report.endpoint_id == endpoint.id if endpoint else Report.user_id == user_id
    query = select(Report.id, Report.raw_digest, Report.disposition).where(mine, Report.message_id == message_id)
    found = tx.execute(query).one()
    if found.raw_digest != digest:
        raise KeyReused([Fault("", "Use a new message id for new content.")])
    return Kept(found.id, None if found.disposition == "received" else _answer(tx, found.id))


def _load(tx: Session, report_id: int) -> Inbound:
    """The report with its body and sender, locked for this transaction; its data key comes along in the same query."""
    row = tx.execute(statements.LOAD_REPORT, {"report_id": report_id}).one_or_none()
    if row is None:
        raise NotFound()
    remember(tx, row.data_key_id, row.wrapped)
    return Inbound(**dict(row._mapping) | {"restricted": bool(row.restricted), "sealed": row.sealed or b""})


def _lock(tx: Session, inbound: Inbound) -> Inbound:
    """What was at hand, locked, with the disposition as it is now: another process may have read the report since."""
    remember(tx, inbound.data_key_id, inbound.wrapped)
    now = tx.execute(statements.LOCK_REPORT, {"report_id": inbound.id}).scalar_one()
    return inbound if now == inbound.disposition else replace(inbound, disposition=now)


def _answered(tx: Session, inbound: Inbound, filed: filing.Filed) -> Answer:
    tx.execute(statements.SETTLE_REPORT, {
        "report_id": inbound.id, "new_disposition": filed.disposition, "new_reason": filed.reason,
        "new_format": filed.format, "new_tlp": filed.tlp, "new_external_id": filed.external_id,
        "new_flags": filed.flags or None, "new_incident_id": filed.incident_id,
    })  # fmt: skip
    _read_now(tx, inbound)
    return Answer(inbound.public_id, filed.disposition, filed.reference, status_token(tx, inbound.public_id))


def _refuse(tx: Session, inbound: Inbound, error: SecrecyMarkingFound) -> None:
    """Of classified material only the digest stays; the body goes and its key with it (R11)."""
    tx.execute(delete(ReportBody).where(ReportBody.report_id == inbound.id))
    destroy(tx, inbound.data_key_id)
    _record_refusal(tx, inbound, error, disposition="refused")


def _set_aside(tx: Session, inbound: Inbound, error: CoordinatorError, *, erase_after: datetime) -> None:
    """Bodies are never changed, so the date of erasure comes with a fresh row."""
    tx.execute(delete(ReportBody).where(ReportBody.report_id == inbound.id))
    tx.execute(insert(ReportBody).values(report_id=inbound.id, sealed=inbound.sealed, erase_after=erase_after))
    _record_refusal(tx, inbound, error, disposition="invalid")


def _record_refusal(tx: Session, inbound: Inbound, error: CoordinatorError, *, disposition: str) -> None:
    reason = next(name for name, kind in _REASONS.items() if type(error) is kind)
    faults = [{"pointer": fault.pointer, "detail": fault.detail} for fault in getattr(error, "errors", ())]
    tx.execute(update(Report).where(Report.id == inbound.id).values(
        disposition=disposition, reason=reason, faults=faults or [{"pointer": "", "detail": error.detail}],
    ))  # fmt: skip
    _read_now(tx, inbound)
    timeline.append(
        tx, f"report.{disposition}", "A report was refused; the sender was told why.", actor=inbound.actor,
        values={"report": inbound.public_id, "reason": reason, "digest": inbound.raw_digest},
        about=("report", inbound.id), exercise=inbound.exercise,
    )  # fmt: skip


def _read_now(tx: Session, inbound: Inbound) -> None:
    tx.execute(statements.NOT_PENDING, {"report_id": inbound.id})


def _answer(tx: Session, report_id: int) -> Answer:
    """The answer to a report that was read before, made again from its row."""
    query = (
        select(Report, Incident.id, Incident.created_at, PartnerReference.reference)
        .outerjoin(Incident, Incident.id == Report.incident_id)
        .outerjoin(PartnerReference, (PartnerReference.incident_id == Report.incident_id)
                   & (PartnerReference.organisation_id == Report.organisation_id))
        .where(Report.id == report_id)
    )  # fmt: skip
    report, incident_id, created_at, theirs = tx.execute(query).one()
    ours = reference_of(_Named(incident_id, created_at)) if incident_id else None
    return Answer(
        report.public_id, report.disposition, ours if report.endpoint_id is None else theirs,
        status_token(tx, report.public_id), _refusal_of(report),
    )  # fmt: skip


@dataclass(frozen=True)
class _Named:
    id: int
    created_at: datetime


def _refusal_of(report: Report) -> CoordinatorError | None:
    kind = _REASONS.get(report.reason) if report.disposition in ("invalid", "refused") else None
    if kind is None:
        return None
    faults = [Fault(fault["pointer"], fault["detail"]) for fault in report.faults or []]
    return kind(faults) if issubclass(kind, Invalid) else kind(faults[0].detail if faults else "")
