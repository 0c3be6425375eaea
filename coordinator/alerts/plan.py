"""The whole ladder looked at before the first send: every way to a recipient, and what the rules say of each now.

Nothing here is recorded or asked; the plan is kept with the alert when it is raised. Each way is decided again, on
record, before anything goes by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from coordinator.alerts.audience import ways_to
from coordinator.alerts.ladder import Way, foresee
from coordinator.markings import Marking
from coordinator.partners.models import Contact, Organisation
from coordinator.sharing.addressees import Addressee
from coordinator.sharing.inputs_from_world import Basis
from coordinator.sharing.models import Release
from coordinator.sharing.rules import Result
from coordinator.sharing.service import forecast

#: Texts that are the same for everybody, sent by one way and not followed up.
_WITHOUT = ("receipt", "closure", "notice")


def plan_of(
    tx: Session, release: Release, first: Addressee, *, basis: Basis | None = None
) -> list[dict[str, Any]] | None:
    """Every way in the order in which it would be tried: {contact, channel, result, reasons, after}; None where there
    is no ladder to look at.

    `after` lists when the ladder would take this way (ISO 8601 durations from now; "" is at once): none for a way that
    is refused or left over.
    """
    if release.kind in _WITHOUT or first.organisation_id is None or first.contact_id is None:
        return None
    ways = every_way(tx, release, first)
    said = {way_of(each): forecast(tx, release, each, basis=basis) for each in ways}
    permitted = [way_of(each) for each in ways if said[way_of(each)].result is Result.PERMIT]
    times: dict[Way, list[str]] = {way_of(first): [""]}
    for entry, way in zip(release.ladder, foresee(release.ladder, way_of(first), permitted), strict=True):
        if way is not None:
            times.setdefault(way, []).append(entry["after"])
    names = {each.contact_id: tx.get_one(Contact, each.contact_id).code for each in ways}
    return [
        {"contact": names[each.contact_id], "channel": each.channel_kind, "result": said[way_of(each)].result.value,
         "reasons": list(said[way_of(each)].reasons), "after": times.get(way_of(each), [])}
        for each in ways
    ]  # fmt: skip


def every_way(tx: Session, release: Release, first: Addressee) -> Sequence[Addressee]:
    """All usable ways to the party of `first`, that one first."""
    organisation = tx.get_one(Organisation, first.organisation_id)
    label = Marking.from_json(release.marking).effective
    ways = ways_to(tx, organisation, exercise=release.exercise, tlp=label)
    return [first, *(each for each in ways if way_of(each) != way_of(first))]


def way_of(addressee: Addressee) -> Way:
    return Way(addressee.contact_id, addressee.channel_id)
