"""Putting a report into quarantine: why, until when somebody must have looked, and who is told that it waits."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import insert
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.incidents import flood, rules
from coordinator.incidents.envelope import Received
from coordinator.incidents.facts import Inbound
from coordinator.incidents.models import Quarantined

#: The exercise is another than the endpoint's; none of that name runs; it runs without this sender.
EXERCISE_MISMATCH, EXERCISE_UNKNOWN, EXERCISE_NOT_ENROLLED = (
    "exercise-mismatch", "exercise-unknown", "exercise-not-enrolled",
)  # fmt: skip
#: What came as an exercise, or to one, without being that for sure, may be meant for real.
POSSIBLY_REAL = (EXERCISE_MISMATCH, EXERCISE_UNKNOWN, EXERCISE_NOT_ENROLLED)
#: Within this a person must have decided: where people may be in danger or an exercise hides a real case, and else.
SOON, LATER = timedelta(minutes=30), timedelta(hours=4)


def set_aside(tx: Session, inbound: Inbound, received: Received, reason: str) -> str:
    """Keep the report for a person to look at, and answer the reason. Of a flood our people are told once."""
    now, urgent = clock.now(), rules.life_at_risk(received.report.get("humanitarian_flags", []))
    flooding, possibly_real = reason == flood.REASON, reason in POSSIBLY_REAL
    due_at = now + (SOON if urgent or possibly_real else LATER)
    flood_id = None
    if flooding and inbound.endpoint_id is not None:
        flood_id = flood.join(tx, inbound.endpoint_id, exercise=inbound.exercise)
    tx.execute(insert(Quarantined).values(
        report_id=inbound.id, reason=reason, flood_id=flood_id, endpoint_id=inbound.endpoint_id, urgent=urgent,
        possibly_real=possibly_real, since=now, due_at=due_at, exercise=inbound.exercise,
    ))  # fmt: skip
    timeline.append(
        tx, "report.quarantined", "A report was set aside: a person must look at it.", actor=inbound.actor,
        values={"report": inbound.public_id, "reason": reason}, about=("report", inbound.id), exercise=inbound.exercise,
    )  # fmt: skip
    if urgent or not flooding:
        timeline.pending(tx, "report.quarantined", inbound.id, exercise=inbound.exercise)
    if not flooding:
        timeline.pending(tx, "quarantine.due", inbound.id, ready_at=due_at, exercise=inbound.exercise)
    return reason
