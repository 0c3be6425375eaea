"""Runs that stop because what they shared may not go on."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import timeline
from coordinator.alerts.versions import drafts_of
from coordinator.incidents.holds import lock_incident
from coordinator.runs.models import Run, StepAttempt
from coordinator.runs.saved import keep_wishes, wishes_of

_OVER = ("completed", "failed", "cancelled", "paused")


def pause_sharing(tx: Session, release_ids: Collection[int], *, reason: str) -> list[int]:
    """Ask every run that shares one of these releases to pause; a worker does it, a person lets it go on."""
    shared = {*release_ids, *drafts_of(tx, release_ids).values()}
    query = (
        select(Run.id)
        .join(StepAttempt, StepAttempt.run_id == Run.id)
        .where(StepAttempt.release_id.in_(shared), Run.state.not_in(_OVER))
    )
    found = sorted(set(tx.execute(query).scalars()))
    for run_id in found:
        incident_id = tx.execute(select(Run.incident_id).where(Run.id == run_id)).scalar_one()
        incident = lock_incident(tx, incident_id) if incident_id is not None else None
        run = tx.get_one(Run, run_id, with_for_update=True, populate_existing=True)
        wish = {"do": "pause", "token": "", "reason": reason, "values": {}, "by": "system"}
        keep_wishes(tx, run, [*wishes_of(tx, run), wish])
        timeline.append(
            tx, "run.pause-asked", "A run pauses: what it shares may not go on.", actor="system", incident=incident,
            values={"reason": reason}, about=("run", run.id), exercise=run.exercise,
        )  # fmt: skip
        timeline.pending(tx, "run.advance", run.id, exercise=run.exercise)
    return found
