"""How a report comes in, in two transactions: first the raw bytes are safe, then they are read.

A process killed between the two leaves a report that says `received`: the sweeper finds it, and a worker reads it. The
same message id with the same bytes is answered the same way again, whichever process it meets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, insert, or_, select, update
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
    Stale,
    TooLarge,
    UnsupportedType,
)
from coordinator.incidents import filing, statements
from coordinator.incidents.envelope import Received, read_body
from coordinator.incidents.facts import Inbound
from coordinator.incidents.models import Incident, PartnerReference, Report, ReportBody
from coordinator.incidents.references import new_public_id, numbered
from coordinator.incidents.remarks import shown
from coordinator.partners.queries import IntakeEndpoint, own_organisation, still_the_same
from coordinator.prepared import Touched, at_once, reserved
from coordinator.store import store_of
from coordinator.timeline import Word
from coordinator.timeline.keys import destroy, new_keys, remember, seal, unseal
from coordinator.timeline.models import DataKey, Pending
from coordinator.vault import token_hash

#: A report is read by whoever kept it; after this that one is taken to have been killed.
READ_BY = timedelta(seconds=20)
#: So many at a time are handed to workers.
MOST_UNREAD = 200
#: How long what could not be read is kept, so that the sender can be helped.
KEEP_INVALID = timedelta(days=30)

_REASONS: dict[str, type[CoordinatorError]] = {
    "secrecy-marking": SecrecyMarkingFound, "invalid": Invalid, "not-parseable": NotParseable, "too-large": TooLarge,
    "type-not-taken": UnsupportedType,
}  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What the sender is told. `incident` is the reference that sender may know; `refusal` is raised by the door;
    `remarks`: how many there are to read at the status link."""

    report: str
    disposition: str
    incident: str | None
    status_token: str
    refusal: CoordinatorError | None = None
    remarks: int = 0


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
    form, voice. Raises KeyReused when the id came before with other bytes, SenderChanged.
    """
    arrival = Arrival(
        via=via, media_type=media_type, raw=raw, message_id=message_id, endpoint=endpoint,
        endpoint_key_id=endpoint_key_id, principal=principal,
    )  # fmt: skip
    return keep(tx, arrival)


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """What came, before anything looked into it: see `keep_raw`."""

    via: str
    media_type: str
    raw: bytes = field(repr=False)
    message_id: str = ""
    endpoint: IntakeEndpoint | None = None
    endpoint_key_id: int | None = None
    principal: Principal | None = None


class SenderChanged(CoordinatorError):
    """The endpoint or its key is not what it was when the signature was verified: look it up and verify again."""

    status = 401
    title = "The request could not be authenticated"


def keep(tx: Session, arrival: Arrival) -> Kept:
    """`keep_raw` for what came as one thing. Raises KeyReused, SenderChanged."""
    return keep_all(tx, [arrival])[0] or _kept_before(tx, arrival)


def keep_all(tx: Session, arrivals: Sequence[Arrival]) -> list[Kept | None]:
    """`keep_raw` for several, each table in one statement; None for each whose message id is there already.

    Raises NoRoom before anything is written when the disk has only its reserve left, SenderChanged where that is so for
    any of them.
    """
    store_of(tx).require_room()
    now = clock.now()
    used = {(each.endpoint, each.endpoint_key_id) for each in arrivals if each.endpoint and each.endpoint_key_id}
    with at_once(tx):
        holds_still = still_the_same(tx, used)
        ids_for = reserved(tx, data_keys=len(arrivals), reports=len(arrivals))
    if not holds_still():
        raise SenderChanged()
    keys, ids = ids_for.fetchall()
    rows = [
        _row(tx, arrival, report_id, key, now) for arrival, report_id, key in zip(arrivals, ids, keys, strict=True)
    ]
    with at_once(tx):
        new_keys(tx, keys)
        # In one order everywhere, so that two processes with the same messages never wait for each other.
        inserted = statements.KEEP_REPORTS.each(tx, sorted(rows, key=lambda row: row["message_id"]))
        sealed = {
            row["id"]: seal(tx, row["data_key_id"], arrival.raw, about=f"report/{row['public_id']}")
            for arrival, row in zip(arrivals, rows, strict=True)
        }
        statements.KEEP_BODIES.each(tx, [
            {"report_id": report_id, "sealed": body, "erase_after": None} for report_id, body in sealed.items()
        ])  # fmt: skip
    kept_now = set(ids) if inserted.rowcount == len(ids) else statements.kept_of(tx, ids)
    new = [(arrival, row) for arrival, row in zip(arrivals, rows, strict=True) if row["id"] in kept_now]
    if len(new) < len(rows):
        tx.execute(delete(DataKey).where(DataKey.id.in_(set(keys) - {row["data_key_id"] for _, row in new})))
    kept = {row["id"]: _at_hand(tx, arrival, row, sealed=sealed[row["id"]]) for arrival, row in new}
    return [kept.get(row["id"]) for row in rows]


def _row(tx: Session, arrival: Arrival, report_id: int, key: int, now: datetime) -> dict[str, Any]:
    endpoint, principal, public_id = arrival.endpoint, arrival.principal, new_public_id("rep")
    return {
        "id": report_id, "public_id": public_id, "received_at": now, "via": arrival.via,
        "organisation_id": endpoint.organisation_id if endpoint else _organisation_of(tx, principal),
        "endpoint_id": endpoint.id if endpoint else None, "endpoint_key_id": arrival.endpoint_key_id,
        "user_id": principal.user_id if principal else None, "message_id": _bounded(arrival.message_id),
        "raw_digest": hashlib.sha256(arrival.raw).hexdigest(), "raw_size": len(arrival.raw),
        "media_type": arrival.media_type[:120], "data_key_id": key,
        "status_hash": token_hash(status_token(tx, public_id)), "exercise": endpoint.exercise if endpoint else "",
    }  # fmt: skip


def parse(raw: bytes, media_type: str, asks: str = "") -> Received | CoordinatorError:
    """What kept bytes say, or what is wrong with them. Outside any transaction, so that nobody waits for it.

    `asks`: what the endpoint they came by holds its sender to.
    """
    try:
        return read_body(raw, media_type, now=clock.now(), asks=asks)
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
        parsed = parse(raw, inbound.media_type, inbound.stix_asks or "")
    if isinstance(parsed, Received):
        filed = [(inbound, filing.file_report(tx, inbound, parsed))]
        return answer_all(tx, filed, settle_all(tx, filed))[0]
    if isinstance(parsed, SecrecyMarkingFound):
        _refuse(tx, inbound, parsed)
    else:
        _set_aside(tx, inbound, parsed, erase_after=clock.now() + KEEP_INVALID)
    return _answer(tx, inbound.id)


def unread(tx: Session) -> list[tuple[int, str]]:
    """(id, exercise) of what was kept and not read in time, and that no worker was told of.

    A time in the future was written before the clock was set back.
    """
    now = clock.now()
    told = exists().where(Pending.kind == "report.received", Pending.object_id == Report.id)
    left = select(Report.id, Report.exercise).where(
        Report.disposition == "received", ~told,
        or_(Report.received_at <= now - READ_BY, Report.received_at > now + READ_BY),
    )  # fmt: skip
    return [(row.id, row.exercise) for row in tx.execute(left.order_by(Report.id).limit(MOST_UNREAD))]


def leave_word_of_unread(tx: Session) -> int:
    """Have a worker read each report that is `unread`; how many there were.

    Reports do not bring a row of `pending` with them: it would be written and deleted again for each that is read at
    once.
    """
    found = unread(tx)
    if found:
        timeline.pending_all(tx, [Word("report.received", each, exercise=exercise) for each, exercise in found])
    return len(found)


def report_by_status_token(tx: Session, token: str) -> dict[str, Any]:
    """What the holder of a status link may see: the disposition, and what was remarked on their own report (never a
    word of it). Raises NotFound."""
    query = select(Report.public_id, Report.disposition, Report.remarks).where(Report.status_hash == token_hash(token))
    found = tx.execute(query).one_or_none()
    if found is None:
        raise NotFound()
    return {"report": found.public_id, "disposition": found.disposition, "remarks": shown(found.remarks)}


def status_token(tx: Session, public_id: str) -> str:
    """The token of a report's status link: the same whenever it is asked for."""
    return store_of(tx).vault.token("report status", public_id)


def _at_hand(tx: Session, arrival: Arrival, row: dict[str, Any], *, sealed: bytes) -> Kept:
    """With what `_load` would read, for a report of a partner's system that was kept by this very request."""
    endpoint = arrival.endpoint
    if endpoint is None:
        return Kept(row["id"])
    same = ("id", "public_id", "received_at", "via", "raw_digest", "media_type", "data_key_id", "exercise")
    return Kept(row["id"], inbound=Inbound(
        organisation_id=endpoint.organisation_id, organisation=endpoint.organisation_code,
        active=endpoint.organisation_active, endpoint_id=endpoint.id, endpoint=endpoint.slug,
        restricted=endpoint.restricted, stix_asks=endpoint.stix_asks, user_id=None,
        is_own=endpoint.organisation_is_own, source=None, disposition="received", sealed=sealed,
        wrapped=tx.info["data_keys"][row["data_key_id"]], **{name: row[name] for name in same},
    ))  # fmt: skip


def _bounded(message_id: str) -> str:
    """An id that fits: ours where there is none, its digest where it is longer than the column."""
    if not message_id:
        return new_public_id("msg")
    return message_id if len(message_id) <= 180 else f"sha256:{hashlib.sha256(message_id.encode()).hexdigest()}"


def _organisation_of(tx: Session, principal: Principal | None) -> int:
    return principal.organisation_id if principal and principal.organisation_id else own_organisation(tx).id


def _kept_before(tx: Session, arrival: Arrival) -> Kept:
    mine = Report.user_id == (arrival.principal.user_id if arrival.principal else None)
    if arrival.endpoint is not None:
        mine = Report.endpoint_id == arrival.endpoint.id
    query = select(Report.id, Report.raw_digest, Report.disposition)
    found = tx.execute(query.where(mine, Report.message_id == _bounded(arrival.message_id))).one()
    if found.raw_digest != hashlib.sha256(arrival.raw).hexdigest():
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


def settle_all(tx: Session, filed: Sequence[tuple[Inbound, filing.Filed]]) -> Touched:
    """Settle the rows of reports that were filed; `answer_all` looks how many that were."""
    return statements.SETTLE_REPORTS.each(tx, [
        {"report_id": inbound.id, "new_disposition": one.disposition, "new_reason": one.reason,
         "new_format": one.format, "new_tlp": one.tlp, "new_external_id": one.external_id,
         "new_flags": one.flags or None, "new_remarks": one.remarks, "new_incident_id": one.incident_id}
        for inbound, one in filed
    ])  # fmt: skip


def answer_all(tx: Session, filed: Sequence[tuple[Inbound, filing.Filed]], settled: Touched) -> list[Answer]:
    """What the senders of reports that were settled are told. Raises Stale where somebody else has read one meanwhile:
    nothing of this transaction may stay then."""
    if settled.rowcount != len(filed):
        raise Stale()
    return [
        Answer(inbound.public_id, one.disposition, one.reference, status_token(tx, inbound.public_id),
               remarks=(one.remarks or {}).get("count", 0))
        for inbound, one in filed
    ]  # fmt: skip


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
    timeline.append(
        tx, f"report.{disposition}", "A report was refused; the sender was told why.", actor=inbound.actor,
        values={"report": inbound.public_id, "reason": reason, "digest": inbound.raw_digest},
        about=("report", inbound.id), exercise=inbound.exercise,
    )  # fmt: skip


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
    ours = numbered(incident_id, created_at) if incident_id else None
    return Answer(
        report.public_id, report.disposition, ours if report.endpoint_id is None else theirs,
        status_token(tx, report.public_id), _refusal_of(report),
        (report.remarks or {}).get("count", 0),
    )  # fmt: skip


def _refusal_of(report: Report) -> CoordinatorError | None:
    kind = _REASONS.get(report.reason) if report.disposition in ("invalid", "refused") else None
    if kind is None:
        return None
    faults = [Fault(fault["pointer"], fault["detail"]) for fault in report.faults or []]
    return kind(faults) if issubclass(kind, Invalid) else kind(faults[0].detail if faults else "")
