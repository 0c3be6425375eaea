"""Reading quarantine: what waits, why, since when and for whom; and the floods in it. Plain data."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, true
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.models import User
from coordinator.accounts.principal import Principal
from coordinator.errors import CoordinatorError, NotFound
from coordinator.incidents.envelope import read_body
from coordinator.incidents.models import Flood, Quarantined, Report, ReportBody
from coordinator.incidents.queries import sees_restricted
from coordinator.partners.models import Endpoint, Organisation
from coordinator.timeline.keys import Erased, unseal

#: Counts stop here: nobody reads an exact large number.
MOST = 99


def may_see(principal: Principal, *where: ColumnElement[bool]) -> Select[Quarantined, Report]:
    """(Quarantined, Report) of what this person may know of: RED, and what comes to a restricted endpoint, is for those
    who see restricted incidents, as it would be outside of quarantine."""
    query = select(Quarantined, Report).join(Report, Report.id == Quarantined.report_id)
    return query.where(_known_to(principal), *where)


def _known_to(principal: Principal) -> ColumnElement[bool]:
    if sees_restricted(principal):
        return true()
    closed = select(Endpoint.id).where(Endpoint.restricted)
    open_door = or_(Quarantined.endpoint_id.is_(None), Quarantined.endpoint_id.not_in(closed))
    return and_(func.coalesce(Report.tlp, "RED") != "RED", open_door)


def waiting(
    tx: Session,
    *,
    principal: Principal,
    flood_id: int | None = None,
    after: tuple[datetime, int] | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """What waits, soonest due first, as `described`: of one flood, or everything that belongs to none.

    `after`: (due_at, id) of the last one seen.
    """
    place = Quarantined.flood_id == flood_id if flood_id is not None else Quarantined.flood_id.is_(None)
    query = may_see(principal, Quarantined.state == "waiting", place)
    if after is not None:
        at, last = after
        query = query.where(or_(Quarantined.due_at > at, and_(Quarantined.due_at == at, Quarantined.report_id > last)))
    rows = tx.execute(query.order_by(Quarantined.due_at, Quarantined.report_id).limit(limit)).all()
    return [_described(tx, row.Quarantined, row.Report) for row in rows]


def one(tx: Session, public_id: str, *, principal: Principal) -> dict[str, Any]:
    """One report in quarantine with what it says (`said`), also after it was decided. Raises NotFound."""
    found = tx.execute(may_see(principal, Report.public_id == public_id)).one_or_none()
    if found is None:
        raise NotFound()
    said = _said(tx, found.Report)
    return _described(tx, found.Quarantined, found.Report, said) | {"said": said}


def counts(tx: Session, *, principal: Principal) -> dict[str, int]:
    """{"waiting", "overdue", "possibly_real", "floods"}, each up to MOST + 1; a flood counts as one thing."""
    alone = may_see(principal, Quarantined.state == "waiting", Quarantined.flood_id.is_(None))

    def count(*where: Any) -> Any:
        rows = alone.where(*where).with_only_columns(Quarantined.report_id).limit(MOST + 1).subquery()
        return select(func.count()).select_from(rows).scalar_subquery()

    lasting = select(Flood.id).where(Flood.over_at.is_(None)).limit(MOST + 1).subquery()
    row = tx.execute(select(
        count(), count(Quarantined.due_at <= clock.now()), count(Quarantined.possibly_real),
        select(func.count()).select_from(lasting).scalar_subquery(),
    )).one()  # fmt: skip
    return {"waiting": row[0], "overdue": row[1], "possibly_real": row[2], "floods": row[3]}


def floods(tx: Session, *, lasting: bool = True) -> list[dict[str, Any]]:
    """Floods that last, or the newest fifty: {id, endpoint, from, began_at, over_at, waiting, urgent, task}."""
    query = select(Flood).order_by(Flood.id.desc())
    query = query.where(Flood.over_at.is_(None)) if lasting else query.limit(50)
    return [_flood(tx, row) for row in tx.execute(query).scalars()]


def flood(tx: Session, flood_id: int) -> dict[str, Any]:
    """Raises NotFound."""
    row = tx.get(Flood, flood_id)
    if row is None:
        raise NotFound()
    return _flood(tx, row)


def flood_of_task(tx: Session, task_id: int) -> int | None:
    """The flood that a task is about."""
    return tx.execute(select(Flood.id).where(Flood.task_id == task_id)).scalar_one_or_none()


def _flood(tx: Session, row: Flood) -> dict[str, Any]:
    of = select(Endpoint.slug, Organisation.code).join(Organisation, Organisation.id == Endpoint.organisation_id)
    slug, code = tx.execute(of.where(Endpoint.id == row.endpoint_id)).one()
    mine = (Quarantined.flood_id == row.id, Quarantined.state == "waiting")
    waits = tx.execute(select(func.count()).select_from(Quarantined).where(*mine)).scalar_one()
    urgent = tx.execute(select(func.count()).select_from(Quarantined).where(*mine, Quarantined.urgent)).scalar_one()
    return {
        "id": row.id, "endpoint": slug, "endpoint_id": row.endpoint_id, "from": code, "began_at": row.began_at,
        "over_at": row.over_at, "waiting": waits, "urgent": urgent, "task": row.task_id, "exercise": row.exercise,
    }  # fmt: skip


def _described(
    tx: Session, row: Quarantined, report: Report, said: dict[str, Any] | None = None
) -> dict[str, Any]:
    said = _said(tx, report) if said is None else said
    owner = tx.get(User, row.owner_id) if row.owner_id else None
    sender = tx.get(Organisation, report.organisation_id) if report.organisation_id else None
    endpoint = tx.get(Endpoint, report.endpoint_id) if report.endpoint_id else None
    return {
        "report": report.public_id, "number": report.id, "received_at": report.received_at, "via": report.via,
        "from": sender.code if sender else None, "endpoint": endpoint.slug if endpoint else None,
        "key": report.endpoint_key_id, "reason": row.reason, "state": row.state, "urgent": row.urgent,
        "possibly_real": row.possibly_real, "since": row.since, "due_at": row.due_at, "flood": row.flood_id,
        "owner": row.owner_id, "owner_name": owner.name if owner else None, "title": said.get("title"),
        "tlp": report.tlp, "says_exercise": said.get("exercise", ""), "exercise": report.exercise,
        "decided_at": row.decided_at, "decided_by": row.decided_by or None, "incident_id": report.incident_id,
        "external_id": report.external_id,
    }  # fmt: skip


def _said(tx: Session, report: Report) -> dict[str, Any]:
    """What the kept bytes say; {} where they were erased or no longer fit."""
    sealed = tx.execute(select(ReportBody.sealed).where(ReportBody.report_id == report.id)).scalar_one_or_none()
    try:
        raw = unseal(tx, report.data_key_id, sealed or b"", about=f"report/{report.public_id}")
        return read_body(raw, report.media_type, now=clock.now()).report
    except (Erased, CoordinatorError):
        return {}
