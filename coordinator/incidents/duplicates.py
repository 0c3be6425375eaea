"""Marking an incident a duplicate, and undoing it: the clock of the one that stays, and what came in meanwhile.

The incident and the one that stays are locked. What is open in it (runs, tasks, alerts) lies in rooms above this one:
runs/duplicates.py stops it and gives it back, by the pending rows left here.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.incidents import changes
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.items import NewItem, marking_of, read_item, write_items
from coordinator.incidents.models import Attachment, DuplicateMark, ExternalReference, Incident, ItemVersion, Report
from coordinator.incidents.references import reference_of


def mark(tx: Session, incident: Incident, stays: Incident, *, before: str, actor: str) -> None:
    """Keep what the incident was `before`; the one that stays takes over the earlier `aware_at` (I7)."""
    incident.duplicate_of_id = stays.id
    earlier = incident.aware_at is not None and (stays.aware_at is None or incident.aware_at < stays.aware_at)
    tx.add(DuplicateMark(
        incident_id=incident.id, stays_id=stays.id, status_before=before, took_over=earlier,
        aware_before=stays.aware_at, aware_fidelity_before=stays.aware_fidelity, marked_at=clock.now(),
        marked_by=actor, exercise=incident.exercise,
    ))  # fmt: skip
    timeline.append(
        tx, "incident.duplicate-found", "Another incident was marked as a duplicate of this one.", actor=actor,
        incident=stays, values=_named(incident), about=("incident", incident.id),
    )  # fmt: skip
    if earlier:
        _set_aware(tx, stays, incident.aware_at, incident.aware_fidelity, actor=actor,
                   text="Changed: aware at, taken over from a duplicate.")  # fmt: skip
    _touch(stays)
    timeline.pending(tx, "incident.changed", stays.id, exercise=stays.exercise)


def undo(tx: Session, incident: Incident, *, actor: str, reason: str) -> None:
    """It is no duplicate: the status it had, the clock of the other one as it was, and its own reports come back."""
    marked = tx.execute(
        select(DuplicateMark).where(DuplicateMark.incident_id == incident.id).order_by(DuplicateMark.id.desc()).limit(1)
    ).scalar_one()
    stays = lock_incident(tx, marked.stays_id)
    incident.status, incident.duplicate_of_id = marked.status_before, None
    marked.undone_at, marked.undone_by = clock.now(), actor
    tx.flush()
    timeline.append(
        tx, "incident.reinstated", f"It is no duplicate: the incident is {incident.status} again.", actor=actor,
        incident=incident, values={"to": incident.status, "reason": reason, "was_duplicate_of": reference_of(stays)},
        about=("incident", incident.id),
    )  # fmt: skip
    timeline.append(
        tx, "incident.duplicate-undone", "An incident is no duplicate of this one after all.", actor=actor,
        incident=stays, values=_named(incident), about=("incident", incident.id),
    )  # fmt: skip
    _give_clock_back(tx, incident, stays, marked, actor=actor)
    _take_reports_back(tx, incident, stays, since=marked.marked_at, actor=actor)
    _touch(stays)
    timeline.pending(tx, "incident.changed", stays.id, exercise=stays.exercise)
    timeline.pending(tx, "incident.reinstated", incident.id, exercise=incident.exercise)


def _named(incident: Incident) -> dict[str, str]:
    """Its reference, for the record of the other one; a restricted incident is not named to those who may not know."""
    return {} if incident.restricted else {"incident": reference_of(incident)}


def _give_clock_back(
    tx: Session, incident: Incident, stays: Incident, marked: DuplicateMark, *, actor: str
) -> None:
    """The instant taken over goes, unless something else set it since or another duplicate says the same."""
    if not marked.took_over or stays.aware_at != incident.aware_at:
        return
    others = select(Incident.aware_at, Incident.aware_fidelity).where(
        Incident.duplicate_of_id == stays.id, Incident.aware_at.is_not(None)
    )
    known = [(at, fidelity) for at, fidelity in tx.execute(others)]
    known += [(marked.aware_before, marked.aware_fidelity_before)] if marked.aware_before else []
    at, fidelity = min(known, default=(None, ""))
    _set_aware(tx, stays, at, fidelity, actor=actor, text="Changed: aware at, which came from another incident.")


def _set_aware(
    tx: Session, stays: Incident, at: datetime | None, fidelity: str, *, actor: str, text: str
) -> None:
    before = changes.set_column(stays, "aware_at", at) | changes.set_column(stays, "aware_fidelity", fidelity)
    timeline.append(
        tx, "incident.changed", text, actor=actor, incident=stays, values=before, about=("incident", stays.id)
    )


def _take_reports_back(tx: Session, incident: Incident, stays: Incident, *, since: datetime, actor: str) -> None:
    """Reports on this incident that came while it was marked were attached to the other one: they are said here too.

    What is there stays there, since what was said is never taken away; here it stands under its own label.
    """
    ours = (
        select(Report)
        .join(ExternalReference, (ExternalReference.organisation_id == Report.organisation_id)
              & (ExternalReference.external_id == Report.external_id)
              & (ExternalReference.exercise == Report.exercise))
        .where(ExternalReference.incident_id == incident.id, Report.incident_id == stays.id,
               Report.received_at >= since)
        .order_by(Report.id)
    )  # fmt: skip
    for report in tx.execute(ours).scalars().all():
        said = select(ItemVersion).where(ItemVersion.report_id == report.id, ItemVersion.incident_id == stays.id)
        write_items(
            tx, [
                NewItem(kind=row.kind, content=read_item(tx, row), marking=marking_of(row),
                        info_category=row.info_category, originator_id=row.originator_id, source_id=row.source_id)
                for row in tx.execute(said.order_by(ItemVersion.id)).scalars()
            ],
            author=actor, incident=incident, report_id=report.id, data_key_id=incident.data_key_id,
        )  # fmt: skip
        report.incident_id = incident.id
        tx.execute(update(Attachment).where(Attachment.report_id == report.id).values(incident_id=incident.id))
        timeline.append(
            tx, "report.updated", "A report that came while this was marked a duplicate belongs here.", actor=actor,
            incident=incident, values={"report": report.public_id}, about=("report", report.id),
        )  # fmt: skip


def _touch(incident: Incident) -> None:
    incident.updated_at, incident.version = clock.now(), incident.version + 1
