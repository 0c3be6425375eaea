"""One incident with everything on it, as plain data in the contract's field names: for its page and for the API.

Each part is a function of its own and bounded; a page asks for what it shows. Need-to-know is asked before, by
`incidents.queries.get_visible`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from coordinator.accounts.principal import Principal
from coordinator.assessments import queries as assessments
from coordinator.errors import NotFound
from coordinator.incidents import queries as incidents
from coordinator.incidents.attachments import document_of
from coordinator.incidents.items import read_item
from coordinator.incidents.models import (
    Attachment,
    Incident,
    IncidentLink,
    ItemVersion,
    Report,
)
from coordinator.incidents.references import reference_of
from coordinator.incidents.remarks import shown
from coordinator.markings import Marking
from coordinator.obligations import queries as duties
from coordinator.partners.models import Endpoint, Organisation
from coordinator.sharing.composed import handling
from coordinator.status import people, run_view
from coordinator.status.board import READINGS
from coordinator.status.outgoing import alerts, decisions
from coordinator.tasks.queries import incident_tasks
from coordinator.timeline import queries as record
from coordinator.timeline.keys import Erased
from coordinator.timeline.models import Entry

#: Rows of one kind shown on the page; the rest is behind a link.
MOST = 100
ENTRIES = 25
#: Kinds of items that are shown as said on the incident.
SPOKEN = ("title", "summary", "note", "partner-reply", "details", "task-result")


def incident_page(tx: Session, incident: Incident, *, principal: Principal) -> dict[str, Any]:
    """Everything of the page: the incident in full and its tasks, alerts, decisions, runs, items, files, links."""
    return {
        "incident": incidents.described_in_full(tx, incident) | {"id": incident.id},
        "tasks": incident_tasks(tx, incident.id, principal=principal),
        "alerts": alerts(tx, incident.id),
        "decisions": decisions(tx, incident.id, principal=principal),
        "runs": run_view.runs(tx, incident.id),
        "duties": duties.of_incident(tx, incident.id),
        "assessments": assessments.of_incident(tx, incident.id),
        "items": items(tx, incident.id),
        "attachments": attachments(tx, incident.id),
        "reports": reports(tx, incident.id),
        "links": links(tx, incident, principal=principal),
        "timeline": timeline(tx, incident.id, limit=ENTRIES),
    }


def version(tx: Session, incident_id: int) -> int:
    """Grows with everything that happens to the incident; reading it does not count. One look at an index."""
    query = select(Entry.id).where(Entry.incident_id == incident_id, Entry.kind.not_in(READINGS))
    return tx.execute(query.order_by(Entry.id.desc()).limit(1)).scalar() or 0


def timeline(
    tx: Session, incident_id: int, *, before: int = 0, limit: int = ENTRIES, until: datetime | None = None,
    readings: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """{"items": newest first, "next": id to ask on with}; who merely looked is left out unless asked for."""
    found: list[dict[str, Any]] = []
    last = before
    while len(found) <= limit:
        page = record.entries(tx, incident_id=incident_id, after=last, limit=limit + 1, until=until, newest_first=True)
        found += [entry for entry in page if readings or entry["kind"] not in READINGS]
        if len(page) <= limit:
            break
        last = page[-1]["id"]
    shown = found[:limit]
    return {
        "items": people.of_entries(tx, shown),
        "next": shown[-1]["id"] if len(found) > limit else None,
    }


def items(
    tx: Session, incident_id: int, *, until: datetime | None = None, limit: int = MOST,
    kinds: Sequence[str] = SPOKEN,
) -> list[dict[str, Any]]:  # fmt: skip
    """What was said, oldest first: each in its newest version (`until`: as of then), with marking and whose it is."""
    newest = select(ItemVersion.item, func.max(ItemVersion.version).label("version")).where(
        ItemVersion.incident_id == incident_id, ItemVersion.kind.in_(kinds)
    )
    if until is not None:
        newest = newest.where(ItemVersion.created_at <= until)
    last = newest.group_by(ItemVersion.item).subquery()
    originator, source = aliased(Organisation), aliased(Organisation)
    query = (
        select(ItemVersion, originator.code.label("originator"), source.code.label("source"))
        .join(last, (last.c.item == ItemVersion.item) & (last.c.version == ItemVersion.version))
        .outerjoin(originator, originator.id == ItemVersion.originator_id)
        .outerjoin(source, source.id == ItemVersion.source_id)
        .order_by(ItemVersion.id.desc())
        .limit(limit)
    )
    rows = list(tx.execute(query))[::-1]
    names = people.names(tx, {row.ItemVersion.author for row in rows})
    return [_item(tx, row, names) for row in rows]


def _item(tx: Session, row: Any, names: dict[str, str]) -> dict[str, Any]:
    version = row.ItemVersion
    return {
        "id": version.id, "item": version.item, "version": version.version, "kind": version.kind, "tlp": version.tlp,
        "marking": version.marking, "bound": bound_by(version.marking), "originator": row.originator,
        "source": row.source,
        "info_category": version.info_category, "author": version.author, "by": names[version.author],
        "at": version.created_at, "report": version.report_id, "content": read(tx, version),
    }  # fmt: skip


def bound_by(marking: dict[str, Any]) -> list[str]:
    """What binds it beside its label, in words: PAP, caveats and exchange policy, the basis of personal data."""
    said = Marking.from_json(marking)
    pap = [f"PAP:{said.pap.value}"] if said.pap is not None else []
    basis = [f"LEGAL BASIS: {said.pd_basis}"] if said.pd_basis else []
    return [*pap, *handling(said), *basis]


def read(tx: Session, version: ItemVersion) -> Any:
    """What an item version says; where its key was destroyed, that."""
    try:
        return read_item(tx, version)
    except Erased:
        return record.ERASED


def attachments(tx: Session, incident_id: int, *, limit: int = MOST) -> list[dict[str, Any]]:
    """Files announced or stored; what is announced and missing is "awaited", and has no `item` yet."""
    query = (
        select(Attachment, ItemVersion.tlp, ItemVersion.item, Report.tlp.label("report_tlp"))
        .outerjoin(ItemVersion, ItemVersion.id == Attachment.item_version_id)
        .join(Report, Report.id == Attachment.report_id)
        .where(Attachment.incident_id == incident_id)
        .order_by(Attachment.id)
        .limit(limit)
    )
    return [
        {"id": row.id, "name": row.name, "media_type": row.media_type, "sniffed_type": row.sniffed_type,
         "sha256": row.sha256, "size": row.size, "state": row.state, "stored_at": row.stored_at,
         "tlp": tlp or report_tlp, "item": item, "document": document_of(tx, row)}
        for row, tlp, item, report_tlp in tx.execute(query).all()
    ]  # fmt: skip


def reports(tx: Session, incident_id: int, *, limit: int = MOST) -> list[dict[str, Any]]:
    """The reports that led here, oldest first."""
    query = (
        select(Report, Organisation.code, Endpoint.slug)
        .outerjoin(Organisation, Organisation.id == Report.organisation_id)
        .outerjoin(Endpoint, Endpoint.id == Report.endpoint_id)
        .where(Report.incident_id == incident_id)
        .order_by(Report.id)
        .limit(limit)
    )
    return [
        {"id": row.public_id, "received_at": row.received_at, "via": row.via, "from": code, "endpoint": slug,
         "disposition": row.disposition, "external_id": row.external_id, "tlp": row.tlp, "digest": row.raw_digest,
         "flags": row.flags or [], "remarks": shown(row.remarks), "key": row.endpoint_key_id,
         "in_doubt": row.doubted_at is not None}
        for row, code, slug in tx.execute(query)
    ]  # fmt: skip


def links(tx: Session, incident: Incident, *, principal: Principal) -> list[dict[str, Any]]:
    """Other incidents this one is tied to, both ways, as far as this person may know of them."""
    other = aliased(Incident)
    pairs = [
        (select(IncidentLink.kind, IncidentLink.other_id).where(IncidentLink.incident_id == incident.id), ""),
        (select(IncidentLink.kind, IncidentLink.incident_id).where(IncidentLink.other_id == incident.id), "back"),
    ]
    found = [(kind, other_id, way) for query, way in pairs for kind, other_id in tx.execute(query.limit(MOST))]
    found += [("duplicate", row, "back") for row in tx.execute(
        select(other.id).where(other.duplicate_of_id == incident.id).limit(MOST)).scalars()]  # fmt: skip
    if incident.duplicate_of_id:
        found.append(("duplicate", incident.duplicate_of_id, ""))
    wanted = {other_id for _, other_id, _ in found}
    rows = tx.execute(select(Incident).where(Incident.id.in_(wanted), incidents.visible(principal))).scalars()
    seen = {row.id: row for row in rows}
    return [
        {"kind": kind, "way": way, "reference": reference_of(seen[other_id]), "status": seen[other_id].status,
         "title": incidents.title_of(tx, seen[other_id])}
        for kind, other_id, way in dict.fromkeys(found)
        if other_id in seen
    ]  # fmt: skip


def receipt(tx: Session, report: str, *, user_id: int) -> dict[str, Any]:
    """What became of a report one filed oneself: {report, disposition, reference, tlp, received_at, files}.

    Raises NotFound for anybody else's.
    """
    query = (
        select(Report, Incident)
        .outerjoin(Incident, Incident.id == Report.incident_id)
        .where(Report.public_id == report, Report.user_id == user_id)
    )
    found = tx.execute(query).one_or_none()
    if found is None:
        raise NotFound()
    files = select(Attachment).where(Attachment.report_id == found.Report.id).order_by(Attachment.id)
    return {
        "report": report, "disposition": found.Report.disposition, "received_at": found.Report.received_at,
        "reference": reference_of(found.Incident) if found.Incident else None, "tlp": found.Report.tlp,
        "restricted": bool(found.Incident and found.Incident.restricted), "digest": found.Report.raw_digest,
        "files": [{"name": row.name, "sha256": row.sha256, "state": row.state, "size": row.size}
                  for row in tx.execute(files).scalars()],
    }  # fmt: skip
