"""Correcting what was said: a new text, decided as such, to everybody who was given the old one. Each has to answer it.

What still waits of the old text is withdrawn, so that nobody is told the wrong thing after the right one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.alerts import rungs, service_calls, telling
from coordinator.alerts.audience import AUTOMATIC
from coordinator.alerts.changes import take_back
from coordinator.alerts.left import has_left
from coordinator.alerts.models import Alert
from coordinator.alerts.recalls import KINDS, alerts_of_items
from coordinator.errors import NotFound, Refused
from coordinator.incidents.models import Incident
from coordinator.incidents.references import reference_of
from coordinator.sharing.models import Release, ReleaseItem
from coordinator.tasks.service import open_task


@dataclass(frozen=True)
class Corrected:
    """What is corrected: its alerts, oldest first, and the newest text among them, with the item versions it was made
    from."""

    alerts: tuple[Alert, ...]
    release: Release
    parts: tuple[int, ...]

    @property
    def recipients(self) -> list[str]:
        return sorted({each.recipient for each in self.alerts if each.kind != AUTOMATIC})

    @property
    def systems(self) -> list[str]:
        """Whose services were given it by a request."""
        return sorted({each.recipient for each in self.alerts if each.kind == AUTOMATIC})


def corrected(tx: Session, incident: Incident, what: str) -> Corrected:
    """`what`: the number of an alert of this incident, for everybody who was given its text; or the key of an item,
    for everybody who was given a text with any version of it. Raises NotFound, and Refused where nobody was."""
    number = int(what) if what.isdecimal() and len(what) < 19 else None
    if number is not None:
        one = tx.get(Alert, number)
        if one is None or one.incident_id != incident.id:
            raise NotFound()
        wanted = Alert.release_id == one.release_id
    else:
        wanted = Alert.id.in_(alerts_of_items([what]))
    query = select(Alert).where(
        wanted, Alert.incident_id == incident.id, Alert.kind.in_(KINDS), Alert.user_id.is_(None),
        Alert.state != "withdrawn",
    )  # fmt: skip
    alerts = tuple(tx.execute(query.order_by(Alert.id)).scalars())
    if not alerts:
        raise Refused("There is nothing to correct: nobody was given a text of the case by it.")
    release = tx.get_one(Release, max(each.release_id for each in alerts))
    made_from = select(ReleaseItem.item_version_id).where(ReleaseItem.release_id == release.id)
    return Corrected(alerts, release, tuple(tx.execute(made_from.order_by(ReleaseItem.id)).scalars()))


def correct(
    tx: Session, incident: Incident, what: str, *, requested_by: str, ack: str | None = None, **said: Any
) -> telling.Told:
    """Tell everybody who was given it the right text; a person there acknowledges it, unless `ack` says otherwise.
    `said`: the text and the rest as `telling.tell` takes them, without an audience.

    Whoever cannot be told becomes a task. Raises as `corrected` and `tell`.
    """
    old = corrected(tx, incident, what)
    told = telling.tell(
        tx, incident=incident, kind="correction", requested_by=requested_by, in_reply_to=old.release,
        audience={"organisations": old.recipients}, ack="person" if ack is None else ack, **said,
    )  # fmt: skip
    _withdraw_waiting(tx, old, actor=requested_by)
    service_calls.ask_a_person(
        tx, incident, old.systems, title="Tell {code} that what its system was given was corrected",
        why="The correction did not go there.",
    )
    for code in sorted({*(each.code for each in told.unreachable), *(each.recipient for each in told.denied)}):
        open_task(
            tx, title=f"Tell {code} by another way that what it has was corrected", role="coordinator",
            incident=incident, assignee_id=incident.owner_id, fallback_role="duty-officer", created_by="system",
            instructions=f"{reference_of(incident)}: the correction cannot be sent there; its decision says why.",
            blocks="close", priority=70,
        )  # fmt: skip
    return told


def _withdraw_waiting(tx: Session, old: Corrected, *, actor: str) -> None:
    ids = [each.id for each in old.alerts]
    left = set(tx.execute(select(Alert.id).where(Alert.id.in_(ids), has_left())).scalars())
    for number in sorted(set(ids) - left):
        take_back(tx, rungs.locked(tx, number), actor=actor, reason="It was corrected before it left.", now=clock.now())


def corrections_of(tx: Session, rows: list[Alert]) -> dict[int, Alert]:
    """By alert: the newest correction that follows it to the same recipient."""
    query = select(Alert).where(
        Alert.incident_id.in_({row.incident_id for row in rows if row.incident_id is not None}),
        Alert.kind == "correction", Alert.in_reply_to_id.in_([row.id for row in rows]),
    )  # fmt: skip
    return {row.in_reply_to_id: row for row in tx.execute(query.order_by(Alert.id)).scalars() if row.in_reply_to_id}
