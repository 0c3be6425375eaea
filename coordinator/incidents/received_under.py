"""What came in under one key since a time, and doubts about who wrote it: for when a key was in wrong hands."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import Principal
from coordinator.errors import Fault, Invalid, NotFound
from coordinator.incidents.models import Incident, Report
from coordinator.incidents.queries import sees_restricted, visible
from coordinator.incidents.references import reference_of
from coordinator.partners.models import EndpointKey

LONGEST_REASON = 2000


def monday(now: datetime) -> datetime:
    """The beginning of this week (ISO 8601: Monday), UTC."""
    day = now - timedelta(days=now.weekday())
    return day.replace(hour=0, minute=0, second=0, microsecond=0)


def received_under(
    tx: Session, key_id: int, *, principal: Principal, since: datetime, after: int = 0, limit: int | None = 50
) -> list[dict[str, Any]]:
    """Reports that this key verified since then, oldest first, as far as this person may know of them; no content.

    `after`: `number` of the last one seen. Raises NotFound for a key that never was.
    """
    query = _found(tx, key_id, principal=principal, since=since).where(Report.id > after).order_by(Report.id)
    return [_described(row.Report, row.Incident) for row in tx.execute(query.limit(limit))]


def export(tx: Session, key_id: int, *, principal: Principal, since: datetime) -> list[dict[str, Any]]:
    """All of `received_under` for a file. That it was taken out goes on record. Raises NotFound."""
    rows = received_under(tx, key_id, principal=principal, since=since, limit=None)
    timeline.append(
        tx, "reports.exported", "The list of what came in under a key was taken out.", actor=principal.actor,
        values={"since": clock.rfc3339(since), "reports": len(rows)}, about=("endpoint_key", key_id),
    )  # fmt: skip
    return rows


def doubt(tx: Session, public_id: str, *, principal: Principal, reason: str, doubted: bool = True) -> None:
    """Say on record that the sender of this report is in doubt, or no longer. Raises NotFound, Invalid."""
    why = _needed(reason)
    query = _known(principal).where(Report.public_id == public_id).with_for_update(of=Report)
    row = tx.execute(query).one_or_none()
    if row is None:
        raise NotFound()
    _doubt(tx, row.Report, row.Incident, principal=principal, why=why, doubted=doubted)


def doubt_all(tx: Session, key_id: int, *, principal: Principal, since: datetime, reason: str) -> int:
    """`doubt` for everything that this key verified since then; how many reports are newly in doubt."""
    why = _needed(reason)
    query = _found(tx, key_id, principal=principal, since=since).where(Report.doubted_at.is_(None))
    rows = tx.execute(query.order_by(Report.id).with_for_update(of=Report)).all()
    for row in rows:
        _doubt(tx, row.Report, row.Incident, principal=principal, why=why, doubted=True)
    return len(rows)


def _doubt(
    tx: Session, report: Report, incident: Incident | None, *, principal: Principal, why: str, doubted: bool
) -> None:
    if (report.doubted_at is not None) == doubted:
        return
    report.doubted_at, report.doubted_by = (clock.now(), principal.actor) if doubted else (None, "")
    kind = "report.doubted" if doubted else "report.trusted"
    text = "It is in doubt who wrote this report." if doubted else "The doubt about a report's sender is lifted."
    timeline.append(tx, kind, text, actor=principal.actor, incident=incident, about=("report", report.id),
                    values={"report": report.public_id, "why": why}, exercise=report.exercise)  # fmt: skip


def _found(
    tx: Session, key_id: int, *, principal: Principal, since: datetime
) -> Select[Report, Incident]:
    key = tx.get(EndpointKey, key_id)
    if key is None:
        raise NotFound()
    return _known(principal).where(
        Report.endpoint_id == key.endpoint_id, Report.received_at >= since, Report.endpoint_key_id == key_id
    )


def _known(principal: Principal) -> Select[Report, Incident]:
    """Need-to-know of a report is that of its incident; where it has none, RED is for those who see restricted ones."""
    query = select(Report, Incident).outerjoin(Incident, Incident.id == Report.incident_id)
    if sees_restricted(principal):
        return query
    alone = Report.incident_id.is_(None) & or_(Report.tlp.is_(None), Report.tlp != "RED")
    return query.where(or_(alone, Report.incident_id.is_not(None) & visible(principal)))


def _described(report: Report, incident: Incident | None) -> dict[str, Any]:
    return {
        "report": report.public_id, "number": report.id, "received_at": report.received_at,
        "message_id": report.message_id, "digest": report.raw_digest, "disposition": report.disposition,
        "reason": report.reason, "tlp": report.tlp, "incident": reference_of(incident) if incident else None,
        "external_id": report.external_id, "in_doubt": report.doubted_at is not None, "doubted_at": report.doubted_at,
        "doubted_by": report.doubted_by or None, "exercise": report.exercise,
    }  # fmt: skip


def _needed(reason: str) -> str:
    why = reason.strip()[:LONGEST_REASON]
    if not why:
        raise Invalid([Fault("/reason", "Say why.")])
    return why
