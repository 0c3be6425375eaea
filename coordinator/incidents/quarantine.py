"""What people do with reports that were set aside: take one, let it out, attach it, refuse it, say that it is real.

Each is done once, on record, by somebody who may know of the report. What leaves quarantine is filed as if it had just
been read, with the time at which it came in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import Principal
from coordinator.errors import Fault, Invalid, NotFound, Refused
from coordinator.incidents import attachments, filing, flood, queries, statements
from coordinator.incidents.envelope import Received, read_body
from coordinator.incidents.facts import Inbound
from coordinator.incidents.filing import Filed
from coordinator.incidents.models import Flood, Incident, Quarantined, Report, ReportBody
from coordinator.incidents.quarantine_queries import may_see
from coordinator.incidents.references import new_public_id
from coordinator.partners.models import Endpoint
from coordinator.store import store_of
from coordinator.timeline.keys import new_key, remember, seal, unseal
from coordinator.timeline.models import Entry
from coordinator.vault import token_hash

#: Notices about one endpoint are this far apart, however many of its reports are set aside.
TOLD_AGAIN = timedelta(hours=1)
LONGEST_REASON = 2000


@dataclass(frozen=True)
class _Case:
    """A report in quarantine, locked."""

    row: Quarantined
    report: Report


def take(tx: Session, public_id: str, *, principal: Principal) -> None:
    """Whoever asks has it from now on. Raises NotFound, Refused where it was decided."""
    case = _locked(tx, public_id, principal)
    if case.row.owner_id != principal.user_id:
        case.row.owner_id = principal.user_id
        _record(tx, "quarantine.taken", "Somebody took a report in quarantine.", case, principal, {})


def hand_over(tx: Session, user_id: int, *, to: int | None, actor: str) -> int:
    """Give what a leaving person has taken in hand, and nobody decided, to somebody else, or to nobody; how many."""
    query = select(Quarantined).where(Quarantined.owner_id == user_id, Quarantined.state == "waiting")
    rows = tx.execute(query.order_by(Quarantined.report_id).with_for_update()).scalars().all()
    for row in rows:
        row.owner_id = to
        timeline.append(
            tx, "quarantine.handed-over", "A report in quarantine changed hands.", actor=actor,
            about=("report", row.report_id), values={"from": user_id, "to": to}, exercise=row.exercise,
        )  # fmt: skip
    tx.flush()
    return len(rows)


def release(tx: Session, public_id: str, *, principal: Principal, reason: str = "") -> Filed:
    """Let it out: it opens an incident, attaches to the one it names, or is found to be a duplicate.

    Raises NotFound, Refused. What came as an exercise that does not stand is let out by `this_is_real` only.
    """
    case = _locked(tx, public_id, principal)
    if case.row.possibly_real:
        raise Refused("It came as an exercise that does not stand: say that it is real, or refuse it.")
    inbound, received = _read(tx, case.report.id)
    return _filed(tx, case, inbound, received, principal=principal, reason=reason, state="released")


def attach(tx: Session, public_id: str, reference: str, *, principal: Principal, reason: str = "") -> Filed:
    """Attach it to this incident as a further report. Raises NotFound, Refused, Invalid where there is no such one."""
    case = _locked(tx, public_id, principal)
    try:
        incident = queries.get_visible(tx, reference, principal=principal)
    except NotFound:
        raise Invalid([Fault("/incident", "There is no incident with this reference that you may know of.")]) from None
    if incident.exercise != case.report.exercise:
        raise Refused("An exercise and a real case never mix.")
    inbound, received = _read(tx, case.report.id)
    return _filed(
        tx, case, inbound, _real(received, keep=case.report.exercise), principal=principal, reason=reason,
        state="attached", to=incident.id,
    )  # fmt: skip


def this_is_real(tx: Session, public_id: str, *, principal: Principal, reason: str = "") -> Filed:
    """File as a real case what came as an exercise: the name of the exercise is dropped, the time it came in is kept.

    A report that came to an endpoint of an exercise is kept a second time, outside of it. Raises NotFound, Refused.
    """
    case = _locked(tx, public_id, principal)
    if not case.row.possibly_real:
        raise Refused("It did not come as an exercise: release it.")
    inbound, received = _read(tx, case.report.id)
    received = _real(received)
    if not case.report.exercise:
        return _filed(tx, case, inbound, received, principal=principal, reason=reason, state="refiled")
    copy = _kept_again(tx, case.report, inbound, principal)
    filed = filing.file_report(tx, copy, received, released=True)
    _settle(tx, tx.get_one(Report, copy.id), filed)
    attachments.copy_stored(tx, case.report.id, to=copy.id, actor=principal.actor)
    case.report.disposition, case.report.reason = "refiled", ""
    incident = tx.get(Incident, filed.incident_id) if filed.incident_id else None
    timeline.append(
        tx, "report.refiled", "A report that came as an exercise was filed as real.", actor=principal.actor,
        incident=incident, values={"report": copy.public_id, "came_as": public_id, "why": _reason(reason)},
        about=("report", copy.id),
    )  # fmt: skip
    _decide(tx, case, "refiled", principal)
    return filed


def refuse(tx: Session, public_id: str, *, principal: Principal, reason: str) -> None:
    """Nothing follows from it; the bytes stay. Raises NotFound, Refused, Invalid without a reason."""
    case = _locked(tx, public_id, principal)
    why = _needed(reason)
    case.report.disposition = "rejected"
    _record(tx, "report.rejected", "A report in quarantine was refused.", case, principal, {"why": why})
    _decide(tx, case, "refused", principal)


def refuse_flood(tx: Session, flood_id: int, *, principal: Principal, reason: str) -> int:
    """Refuse everything of a flood that still waits and that this person may see; how many that were.

    Raises NotFound, Invalid without a reason.
    """
    found = tx.execute(select(Flood).where(Flood.id == flood_id).with_for_update()).scalar_one_or_none()
    if found is None:
        raise NotFound()
    why = _needed(reason)
    mine = may_see(principal, Quarantined.flood_id == flood_id, Quarantined.state == "waiting")
    rows = tx.execute(mine.with_only_columns(Report.id, Report.public_id).order_by(Report.id).with_for_update()).all()
    ids = [row.id for row in rows]
    for start in range(0, len(ids), 500):
        part = ids[start : start + 500]
        tx.execute(update(Report).where(Report.id.in_(part)).values(disposition="rejected"))
        tx.execute(update(Quarantined).where(Quarantined.report_id.in_(part)).values(
            state="refused", decided_at=clock.now(), decided_by=principal.actor))  # fmt: skip
    if rows:
        timeline.append(
            tx, "flood.refused", "What still waited of a flood was refused.", actor=principal.actor,
            values={"why": why, "reports": [row.public_id for row in rows]}, about=("flood", flood_id),
            exercise=found.exercise,
        )  # fmt: skip
    flood.end_if_handled(tx, flood_id, actor=principal.actor)
    return len(rows)


def note_read(tx: Session, public_id: str, *, principal: Principal) -> None:
    """Put on record that this person opened it, once a quarter of an hour. Raises NotFound."""
    found = tx.execute(may_see(principal, Report.public_id == public_id)).one_or_none()
    if found is None:
        raise NotFound()
    seen = select(Entry.id).where(
        Entry.kind == "quarantine.read", Entry.actor == principal.actor, Entry.object_type == "report",
        Entry.object_id == found.Report.id, Entry.at > clock.now() - queries.READ_AGAIN,
    )  # fmt: skip
    if tx.execute(seen.limit(1)).first() is None:
        case = _Case(found.Quarantined, found.Report)
        _record(tx, "quarantine.read", "Somebody opened a report in quarantine.", case, principal, {})


# ---------------------------------------------------------------- who is told


def to_tell(tx: Session, report_id: int) -> Quarantined | None:
    """The row if our people are to be told of it now: it waits, and nothing like it was told within the hour."""
    row = tx.get(Quarantined, report_id, with_for_update=True)
    if row is None or row.state != "waiting" or row.told_at is not None:
        return None
    lately = select(Quarantined.report_id).where(
        Quarantined.endpoint_id == row.endpoint_id, Quarantined.told_at > clock.now() - TOLD_AGAIN,
        Quarantined.urgent == row.urgent, Quarantined.possibly_real == row.possibly_real,
    )  # fmt: skip
    if row.endpoint_id is not None and tx.execute(lately.limit(1)).first() is not None:
        return None
    row.told_at = clock.now()
    return row


def note_overdue(tx: Session, report_id: int) -> Quarantined | None:
    """The row if it still waits after its due time and nobody was told of that yet; it is on record then."""
    row = tx.get(Quarantined, report_id, with_for_update=True)
    if row is None or row.state != "waiting" or row.overdue_told_at is not None or row.due_at > clock.now():
        return None
    row.overdue_told_at = clock.now()
    timeline.append(tx, "quarantine.overdue", "A report in quarantine was not decided in time.", actor="system",
                    about=("report", report_id), exercise=row.exercise)  # fmt: skip
    return row


# ---------------------------------------------------------------- inside


def _locked(tx: Session, public_id: str, principal: Principal) -> _Case:
    found = tx.execute(
        may_see(principal, Report.public_id == public_id).with_for_update(of=[Quarantined, Report])
    ).one_or_none()
    if found is None:
        raise NotFound()
    if found.Quarantined.state != "waiting":
        raise Refused("It was decided already.")
    return _Case(found.Quarantined, found.Report)


def _read(tx: Session, report_id: int) -> tuple[Inbound, Received]:
    """The report with its sender, and what it says, read again from the bytes that were kept."""
    row = tx.execute(statements.LOAD_REPORT, {"report_id": report_id}).one()
    remember(tx, row.data_key_id, row.wrapped)
    inbound = Inbound(**dict(row._mapping) | {"restricted": bool(row.restricted), "sealed": row.sealed or b""})
    raw = unseal(tx, inbound.data_key_id, inbound.sealed, about=f"report/{inbound.public_id}")
    return inbound, read_body(raw, inbound.media_type, now=clock.now())


def _real(received: Received, *, keep: str = "") -> Received:
    """What was said, without the name of an exercise other than `keep`."""
    report = {name: value for name, value in received.report.items() if name != "exercise" or value == keep}
    dropped = "exercise" in received.report and "exercise" not in report
    flags = [*report.get("flags", []), *(["exercise-dropped"] if dropped else [])]
    return replace(received, report=report | {"flags": flags})


def _filed(
    tx: Session, case: _Case, inbound: Inbound, received: Received, *, principal: Principal, reason: str, state: str,
    to: int | None = None,
) -> Filed:  # fmt: skip
    filed = filing.file_report(tx, inbound, received, released=True, to=to)
    _settle(tx, case.report, filed)
    tx.flush()
    incident = tx.get(Incident, filed.incident_id) if filed.incident_id else None
    if incident is not None:
        attachments.adopt(tx, case.report.id, incident, actor=principal.actor)
    values = {"report": case.report.public_id, "was": case.row.reason, "why": _reason(reason)}
    text = {"released": "A report was let out of quarantine.", "attached": "A report in quarantine was attached here.",
            "refiled": "A report that came as an exercise was filed as real."}[state]  # fmt: skip
    timeline.append(tx, f"report.{state}", text, actor=principal.actor, incident=incident, values=values,
                    about=("report", case.report.id), exercise=case.report.exercise)  # fmt: skip
    _decide(tx, case, state, principal)
    return filed


def _kept_again(tx: Session, report: Report, inbound: Inbound, principal: Principal) -> Inbound:
    """The same bytes as a report outside of the exercise, at a real endpoint of the sender's where there is one."""
    raw = unseal(tx, inbound.data_key_id, inbound.sealed, about=f"report/{inbound.public_id}")
    query = select(Endpoint).where(
        Endpoint.organisation_id == report.organisation_id, Endpoint.direction == "in", Endpoint.exercise == "",
        Endpoint.state == "active",
    )  # fmt: skip
    endpoint = tx.execute(query.order_by(Endpoint.id).limit(1)).scalar_one_or_none()
    key, public_id = new_key(tx), new_public_id("rep")
    status = store_of(tx).vault.token("report status", public_id)
    copy = Report(
        public_id=public_id, received_at=report.received_at, via=report.via, organisation_id=report.organisation_id,
        endpoint_id=endpoint.id if endpoint else None, endpoint_key_id=report.endpoint_key_id,
        message_id=f"refiled/{report.public_id}", raw_digest=report.raw_digest, raw_size=report.raw_size,
        media_type=report.media_type, data_key_id=key, status_hash=token_hash(status), exercise="",
    )  # fmt: skip
    tx.add(copy)
    tx.flush()
    sealed = seal(tx, key, raw, about=f"report/{public_id}")
    tx.execute(insert(ReportBody).values(report_id=copy.id, sealed=sealed, erase_after=None))
    return replace(
        inbound, id=copy.id, public_id=public_id, data_key_id=key, sealed=sealed, exercise="",
        endpoint_id=copy.endpoint_id, endpoint=endpoint.slug if endpoint else None,
        restricted=bool(endpoint and endpoint.restricted) or inbound.restricted,
        user_id=None if endpoint else principal.user_id,
    )  # fmt: skip


def _settle(tx: Session, report: Report, filed: Filed) -> None:
    report.disposition, report.reason, report.incident_id = filed.disposition, filed.reason, filed.incident_id
    report.format, report.tlp, report.external_id = filed.format, filed.tlp, filed.external_id
    report.flags, report.remarks = filed.flags or None, filed.remarks


def _decide(tx: Session, case: _Case, state: str, principal: Principal) -> None:
    case.row.state, case.row.decided_at, case.row.decided_by = state, clock.now(), principal.actor
    tx.flush()
    if case.row.flood_id is not None:
        flood.end_if_handled(tx, case.row.flood_id, actor=principal.actor)


def _record(
    tx: Session, kind: str, text: str, case: _Case, principal: Principal, values: dict[str, Any]
) -> None:
    timeline.append(tx, kind, text, actor=principal.actor, values={"report": case.report.public_id} | values,
                    about=("report", case.report.id), exercise=case.report.exercise)  # fmt: skip


def _reason(text: str) -> str:
    return text.strip()[:LONGEST_REASON]


def _needed(text: str) -> str:
    if not _reason(text):
        raise Invalid([Fault("/reason", "Say why.")])
    return _reason(text)


#: What a door can ask for by name, where no more than a reason is needed.
ACTS: dict[str, Callable[..., Any]] = {"release": release, "real": this_is_real, "refuse": refuse}
