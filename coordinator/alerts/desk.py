"""What every use case of the release desk begins and ends with: the release is held, and what was done is on record."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from coordinator import timeline
from coordinator.accounts.principal import Principal
from coordinator.errors import NotFound
from coordinator.incidents.holds import lock_incident_row
from coordinator.incidents.models import Incident
from coordinator.incidents.queries import check_visible
from coordinator.sharing.models import Release


def held(tx: Session, release_id: int, principal: Principal) -> Release:
    """The release, locked, its incident first. Raises NotFound where this person may not know of the incident."""
    release = tx.get(Release, release_id)
    if release is None or release.incident_id is None:
        raise NotFound()
    check_visible(tx, release.incident_id, principal=principal)
    lock_incident_row(tx, release.incident_id)
    return tx.get_one(Release, release_id, with_for_update=True, populate_existing=True)


def record(
    tx: Session, release: Release, kind: str, text: str, actor: str, values: dict[str, Any]
) -> None:
    """A line in the record of the incident about this release."""
    timeline.append(
        tx, kind, text, actor=actor, incident=tx.get(Incident, release.incident_id), values=values,
        about=("release", release.id), exercise=release.exercise,
    )  # fmt: skip
