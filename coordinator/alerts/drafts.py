"""The release desk: a text is drafted from items, put to the rules for every partner, and only then submitted.

A draft is a release that nobody was asked about yet. Its text and parts are fixed when it is drafted, as those of any
release: to change a word is to draft anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import Principal
from coordinator.alerts.reach import who_could_receive
from coordinator.alerts.telling import THREADED, Told, asked_of, decide_and_raise, said_before
from coordinator.errors import Fault, Invalid, NotFound, Refused
from coordinator.incidents.holds import lock_incident_row
from coordinator.incidents.items import read_item
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.incidents.queries import check_visible
from coordinator.markings import Marking
from coordinator.sharing.inputs_from_world import digest_of, text_of
from coordinator.sharing.models import Release
from coordinator.sharing.service import LONGEST_BODY, TextChanged, prepare_release

DRAFT = "draft"
#: Kinds that a person drafts.
KINDS = ("initial", *THREADED)


def draft(
    tx: Session,
    *,
    incident: Incident,
    principal: Principal,
    kind: str,
    title: str,
    body: str,
    purpose: str,
    info_category: str,
    items: Sequence[int] = (),
    marking: Marking | None = None,
    of_incident: bool = False,
    reply_by: datetime | None = None,
    language: str = "en",
    ack: str | None = None,
    enclosed: Sequence[int] = (),
) -> Release:
    """Write a draft of a release on this incident. `items`: the item versions it is made from; without a text of its
    own (`body` empty) it is what they say, one after the other. `enclosed`: those among `items` whose indicators go
    along, in the forms that can carry them. `marking`, `of_incident`: as `prepare_release`.

    Raises Invalid, SecrecyMarkingFound, and NotFound where an item is none of this incident.
    """
    parts = [_part(tx, incident, each) for each in items]
    if not set(enclosed) <= set(items):
        raise Invalid([Fault("/enclosed", "Enclose items that the release is made from: name them under items too.")])
    asked = asked_of(kind, ack)
    release = prepare_release(
        tx, kind=kind, title=title.strip(), body=body.strip() or _said(tx, parts), purpose=purpose,
        info_category=info_category, requested_by=principal.actor, incident=incident, marking=marking, items=parts,
        reply_by=reply_by, language=language, in_reply_to=said_before(tx, incident, kind), ack=asked.ack,
        ladder=asked.ladder, of_incident=of_incident, enclosed=enclosed,
    )  # fmt: skip
    release.state = DRAFT
    tx.flush()
    _record(tx, release, "release.drafted", "A release was drafted.", principal, {
        "kind": kind, "purpose": purpose, "parts": [f"{part.item}@{part.version}" for part in parts],
        "content_digest": release.content_digest,
    })  # fmt: skip
    return release


def submit(tx: Session, release_id: int, *, codes: Iterable[str], principal: Principal) -> Told:
    """Ask for the release of a draft to these organisations: decided for each on record, sent where it is permitted.

    Only whoever drafted it: the second person must not be the one who asked (I15). Raises NotFound, Invalid
    (/recipients), Refused (somebody else's, or no draft any more), TextChanged.
    """
    release = _held(tx, release_id, principal)
    if release.state != DRAFT:
        raise Refused("This was submitted or withdrawn already: look at what became of it.")
    if release.requested_by != principal.actor:
        raise Refused("Somebody else drafted this: ask them to submit it, or draft your own.")
    wanted = list(dict.fromkeys(codes))
    if not wanted:
        raise Invalid([Fault("/recipients", "Choose at least one recipient.")])
    title, body = text_of(tx, release)
    if digest_of(tx, release, title=title, body=body) != release.content_digest:
        raise TextChanged()
    found = {each.organisation.code: each for each in who_could_receive(tx, release, now=clock.now(), codes=wanted)}
    addressees = [found[code].addressee for code in wanted if code in found]
    if len(addressees) != len(wanted) or None in addressees:
        raise Invalid([Fault("/recipients", "Choose among the partners shown: one of these cannot be reached.")])
    release.state = "evaluated"
    tx.flush()
    _record(tx, release, "release.submitted", "A release was submitted.", principal, {"recipients": wanted})
    return decide_and_raise(tx, release, [each for each in addressees if each is not None])


def discard(tx: Session, release_id: int, *, principal: Principal) -> Release:
    """A draft is not wanted any more. Raises NotFound, Refused."""
    release = _held(tx, release_id, principal)
    if release.state != DRAFT:
        raise Refused("This is no draft any more: what waits or was sent is withdrawn for itself.")
    release.state = "withdrawn"
    tx.flush()
    _record(tx, release, "release.withdrawn", "A draft of a release was discarded.", principal, {})
    return release


def _part(tx: Session, incident: Incident, version_id: int) -> ItemVersion:
    version = tx.get(ItemVersion, version_id)
    if version is None or version.incident_id != incident.id:
        raise NotFound()
    return version


def _said(tx: Session, parts: Sequence[ItemVersion]) -> str:
    """What the parts say, built by inclusion: the texts of those chosen, nothing else of the incident."""
    texts = [said for part in parts if isinstance(said := read_item(tx, part), str)]
    return "\n\n".join(texts)[:LONGEST_BODY]


def _held(tx: Session, release_id: int, principal: Principal) -> Release:
    """The release, locked, its incident first. Raises NotFound where this person may not know of the incident."""
    release = tx.get(Release, release_id)
    if release is None or release.incident_id is None:
        raise NotFound()
    check_visible(tx, release.incident_id, principal=principal)
    lock_incident_row(tx, release.incident_id)
    return tx.get_one(Release, release_id, with_for_update=True, populate_existing=True)


def _record(
    tx: Session, release: Release, kind: str, text: str, principal: Principal, values: dict[str, Any]
) -> None:
    timeline.append(
        tx, kind, text, actor=principal.actor, incident=tx.get(Incident, release.incident_id), values=values,
        about=("release", release.id), exercise=release.exercise,
    )  # fmt: skip
