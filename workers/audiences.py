"""Whom an alert step means: its audience, or those of an earlier step who answered, stayed silent or were refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator.alerts.models import Alert
from coordinator.alerts.versions import with_versions
from coordinator.runs.arms import Begun
from coordinator.runs.models import StepAttempt
from coordinator.sharing.models import ShareDecision

SETTLED = ("acknowledged", "withdrawn")


def audience_of(tx: Session, work: Begun) -> Mapping[str, Any]:
    """The audience as alerts/audience.py reads it: `from_step` is turned into the organisations it means."""
    audience = work.spec["audience"]
    if not audience.get("from_step"):
        return audience
    codes = earlier_recipients(tx, work.run.id, audience["from_step"], audience.get("where", ""))
    return {"organisations": sorted(codes)}


def earlier_recipients(tx: Session, run_id: int, step: str, where: str) -> set[str]:
    """Recipients of what a step of this run told: acknowledged, not-acknowledged, refused; "" is all who were told."""
    query = select(StepAttempt.release_id).where(
        StepAttempt.run_id == run_id, StepAttempt.step == step, StepAttempt.release_id.is_not(None)
    )
    release_ids = with_versions(tx, (each for each in tx.execute(query).scalars() if each is not None))
    found = tx.execute(select(Alert.recipient, Alert.state).where(Alert.release_id.in_(release_ids))).all()
    acknowledged = {row.recipient for row in found if row.state == "acknowledged"}
    told = {row.recipient for row in found}
    if where == "acknowledged":
        return acknowledged
    if where == "not-acknowledged":
        return told - acknowledged
    decided = tx.execute(
        select(ShareDecision.recipient).where(ShareDecision.release_id.in_(release_ids), ShareDecision.result == "deny")
    ).scalars()
    return set(decided) - told if where == "refused" else told


def silent_alerts(tx: Session, attempt: StepAttempt) -> list[Alert]:
    """The alerts of an alert step that nobody answered yet."""
    if attempt.release_id is None:
        return []
    told = with_versions(tx, [attempt.release_id])
    query = select(Alert).where(Alert.release_id.in_(told), Alert.state.not_in(SETTLED))
    return list(tx.execute(query.order_by(Alert.id)).scalars())
