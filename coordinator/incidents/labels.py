"""How what is in an incident is labelled: what each originator says, what we raised ourselves, and the next version of
something under another label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from coordinator.errors import NotFound
from coordinator.incidents import changes
from coordinator.incidents.items import marking_of, read_item, write_item
from coordinator.incidents.label_models import LabelWord, LabelWordItem
from coordinator.incidents.label_rules import Standing, relabelled
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.incidents.queries import originator_claimed
from coordinator.markings import Tlp, parse_tlp

#: The incident itself, among the things that bear a label.
WHOLE = ""
#: What the evidence of a word is sealed about.
ABOUT = "label word"
#: Words that hold.
STANDS = ("effective", "raised")
#: What we wrote to be sent: its label is that of what it was made from.
TEXTS = ("alert-title", "alert-body", "alert-field")


@dataclass(frozen=True)
class Labelled:
    """One thing that bears a label. `since`: when its first version came in. `kind` is "" for the incident itself."""

    item: str
    kind: str
    since: datetime
    standing: Standing
    newest: ItemVersion | None = None


def labelled(tx: Session, incident: Incident) -> list[Labelled]:
    """The incident, then everything said in it, each with how its label stands; texts written to be sent are left out.
    """
    first, newest = _versions(tx, incident)
    said = _last_words(tx, incident)
    found = []
    for item, version in newest.items():
        whose = {each for each in (version.originator_id, version.source_id) if each is not None}
        came_as = marking_of(first[item]).effective
        found.append(Labelled(item, version.kind, first[item].created_at, Standing(
            now=marking_of(version).effective,
            said={each: said.get((item, each), came_as) for each in whose},
        ), version))  # fmt: skip
    return [_whole(incident, first, found, said), *found]


def of_item(tx: Session, incident: Incident, item: str) -> Labelled:
    """One of them. Raises NotFound."""
    found = next((each for each in labelled(tx, incident) if each.item == item), None)
    if found is None:
        raise NotFound()
    return found


def newer_word(tx: Session, item: str, incident_id: int, originator_id: int, *, than: datetime) -> bool:
    """Whether this originator said something of this label later."""
    query = _words(incident_id).where(
        LabelWordItem.item == item, LabelWord.from_id == originator_id, LabelWord.said_at > than
    )
    return tx.execute(query.limit(1)).first() is not None


def write_label(tx: Session, incident: Incident, one: Labelled, label: Tlp, *, author: str) -> None:
    """The same words as a further version under this label, or the incident under it. Whether it may be is asked
    before. Raises Refused where an exchange policy says more."""
    if one.newest is None:
        changes.bind(tx, incident, relabelled(changes.marking_of_incident(incident), label))
        return
    version = one.newest
    write_item(
        tx, kind=version.kind, content=read_item(tx, version), marking=relabelled(marking_of(version), label),
        info_category=version.info_category, author=author, incident=incident, item=version.item,
        report_id=version.report_id, by_originator=True,
    )  # fmt: skip


def _whole(
    incident: Incident, first: Mapping[str, ItemVersion], found: list[Labelled],
    said: Mapping[tuple[str, int], Tlp],
) -> Labelled:  # fmt: skip
    """The incident: an originator gave it the strictest label of what it told us here, unless it said another since;
    and it is never below anything that somebody else said in it."""
    claimed = incident.source_id if originator_claimed(incident) else None
    now = changes.marking_of_incident(incident).effective
    theirs = dict[int, Tlp]()
    for each in {each for each in (incident.originator_id, claimed) if each is not None}:
        came_as = [marking_of(one).effective for one in first.values() if each in (one.originator_id, one.source_id)]
        theirs[each] = said.get((WHOLE, each), max(came_as, default=now))
    held = max((one.standing.now for one in found if one.standing.said), default=Tlp.CLEAR)
    return Labelled(WHOLE, "", incident.created_at, Standing(now=now, said=theirs, held=min(held, now)))


def _versions(tx: Session, incident: Incident) -> tuple[dict[str, ItemVersion], dict[str, ItemVersion]]:
    """item -> its first version, item -> its newest, in the order they came."""
    ends = (
        select(func.min(ItemVersion.id).label("first"), func.max(ItemVersion.id).label("last"))
        .where(ItemVersion.incident_id == incident.id, ItemVersion.kind.not_in(TEXTS))
        .group_by(ItemVersion.item)
        .subquery()
    )
    query = select(ItemVersion).join(ends, or_(ItemVersion.id == ends.c.first, ItemVersion.id == ends.c.last))
    first, newest = dict[str, ItemVersion](), dict[str, ItemVersion]()
    for row in tx.execute(query.order_by(ItemVersion.id)).scalars():
        first.setdefault(row.item, row)
        newest[row.item] = row
    return first, newest


def _words(incident_id: int) -> Any:
    return (
        select(LabelWordItem.item, LabelWord.from_id, LabelWord.tlp)
        .join(LabelWord, LabelWord.id == LabelWordItem.word_id)
        .where(LabelWord.incident_id == incident_id, LabelWord.state.in_(STANDS), LabelWord.from_id.is_not(None))
    )


def _last_words(tx: Session, incident: Incident) -> dict[tuple[str, int], Tlp]:
    rows = tx.execute(_words(incident.id).order_by(LabelWord.said_at, LabelWord.id))
    return {(row.item, row.from_id): parse_tlp(row.tlp) for row in rows}


def note_raise(
    tx: Session, incident: Incident, item: str, originator_id: int, label: Tlp, *, sealed: bytes, at: datetime, by: str
) -> None:
    """An originator asked for a stricter label: its word holds at once, and ours is not the one to take it back."""
    word = LabelWord(
        incident_id=incident.id, from_id=originator_id, tlp=label.value, channel="", said_at=at, sealed=sealed,
        data_key_id=incident.data_key_id, asked_by=by, asked_at=at, state="raised", exercise=incident.exercise,
    )  # fmt: skip
    tx.add(word)
    tx.flush()
    tx.add(LabelWordItem(word_id=word.id, item=item, exercise=incident.exercise))
    tx.flush()
