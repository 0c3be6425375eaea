"""The parts of a draft as item versions: the words written for it, facts of the incident, items, each marked as what
it is. What leaves is composed from them; a part itself never leaves."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.incidents.items import read_item, write_item
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.incidents.sources import chosen_from_others
from coordinator.markings import Marking, combine
from coordinator.sharing import parts as names
from coordinator.sharing.files import ATTACHMENT
from coordinator.sharing.inputs_from_world import as_the_incident
from coordinator.sharing.models import Release, ReleaseItem
from coordinator.sharing.service import LONGEST_BODY

#: A part written for a text, or a fact put in words.
KIND = "alert-field"
#: Among the facts of a draft: its words are our own, not what the incident is.
OWN_WORDS = "own_words"


@dataclass(frozen=True)
class Piece:
    """One part of a draft by the name it is included under: `versions` bind it, those in `said` are its words."""

    name: str
    versions: tuple[ItemVersion, ...] = ()
    said: tuple[str, ...] = ()
    category: str = ""
    kind: str = ""


@dataclass
class Made:
    """The parts of a draft while it is written: item versions with the name each goes under."""

    fields: dict[int, str] = field(default_factory=dict)
    versions: list[ItemVersion] = field(default_factory=list)

    def add(self, version: ItemVersion, name: str) -> None:
        if version.id not in self.fields:
            self.versions.append(version)
            self.fields[version.id] = name


def write(
    tx: Session, incident: Incident, *, title: str, body: str, asks: str, facts: Collection[str],
    items: Sequence[ItemVersion], enclosed: Sequence[ItemVersion], marking: Marking | None, of_incident: bool,
    info_category: str, author: str,
) -> Made:  # fmt: skip
    """Write the parts of a draft down. `body` empty: the items speak for themselves, each included or left out by its
    key; else the text was made from them. `enclosed`: items whose indicators go along and nothing else, and files, each
    included or left out by its key."""
    made = Made()
    theirs, originator_id, source_id = as_the_incident(incident)
    of_items = [Marking.from_json(each.marking) for each in items]
    bound = [theirs] if of_incident else []
    words = combine([*bound, *([marking] if marking else []), *of_items]) if of_items or bound or marking else theirs
    whose = {"originator_id": originator_id, "source_id": source_id} if of_incident else {}

    def part(name: str, content: str, said: Marking, **more: Any) -> None:
        made.add(write_item(
            tx, kind=KIND, content=content, marking=said, author=author, incident=incident,
            info_category=names.CATEGORY.get(name, info_category), **more,
        ), name)  # fmt: skip

    part(names.TITLE, title, words, **whose)
    if body:
        part(names.DESCRIPTION, body, words, **whose)
    for version in items:
        made.add(version, names.DESCRIPTION if body else names.ITEM)
    add_facts(tx, made, incident, facts, info_category=info_category, author=author)
    if asks:
        part(names.ASKS, asks, words, **whose)
    for version in enclosed:
        made.add(version, names.ITEM if version.kind == ATTACHMENT else names.OBSERVABLES)
    return made


def add_facts(
    tx: Session, made: Made, incident: Incident, wanted: Collection[str], *, info_category: str, author: str
) -> None:
    """Write these facts of the incident down (parts.FACTS), each a part: bound as the incident, and as whoever said it
    where a person chose what a source says."""
    theirs, originator_id, source_id = as_the_incident(incident)
    for name, said in _facts(incident, wanted):
        others = chosen_from_others(tx, incident, [name])
        labels = combine([theirs, *(Marking.from_json(each.marking) for each in others)])
        made.add(write_item(
            tx, kind=KIND, content=said, marking=labels, author=author, incident=incident,
            info_category=names.CATEGORY.get(name, info_category), originator_id=originator_id, source_id=source_id,
        ), name)  # fmt: skip
        for version in others:
            made.add(version, name)


def text_of_parts(tx: Session, versions: Sequence[ItemVersion], fields: Mapping[int, str]) -> str:
    """The text these parts make, in their order, the facts together: nothing of the incident but them."""
    described, facts, asks, place = list[str](), dict[str, str](), "", 0
    for version in versions:
        name, said = fields.get(version.id, ""), _words(tx, version, fields.get(version.id, ""))
        if not said or name == names.TITLE:
            continue
        if name in names.FACTS:
            place = place if facts else len(described)
            facts[name] = said
        elif name == names.ASKS:
            asks = said
        else:
            described.append(said)
    lines = [facts[name] for name in names.FACTS if name in facts]
    return names.composed(described[:place], lines, asks, described[place:])[:LONGEST_BODY]


def pieces_of(tx: Session, base: Release) -> list[Piece]:
    """What a version of this draft may be given or not, in the order of the text."""
    rows = parts_of(tx, base)
    found: dict[str, list[ItemVersion]] = {}
    for row, version in rows:
        found.setdefault(name_of(row, version), []).append(version)
    kinds = {version.item: version.kind for row, version in rows if row.field == names.ITEM}
    order = [names.TITLE, names.DESCRIPTION, *kinds, *names.FACTS, names.ASKS]
    said = [_piece(tx, name, found[name], kinds.get(name, "")) for name in order if name in found]
    along = tuple(version for row, version in rows if row.enclosed and version.kind != ATTACHMENT)
    if along:
        said.append(Piece(names.OBSERVABLES, along, (), along[0].info_category))
    return [*said, *_riding(base, found), Piece(names.ORIGINATOR)]


def name_of(row: ReleaseItem, version: ItemVersion) -> str:
    """The name under which a part is included or left out: its field, or the key of an item that speaks for itself."""
    return version.item if row.field == names.ITEM else row.field or names.DESCRIPTION


def parts_of(tx: Session, release: Release) -> list[tuple[ReleaseItem, ItemVersion]]:
    """The parts of a release with how each is in it, in the order in which they were chosen."""
    query = select(ReleaseItem, ItemVersion).join(ItemVersion, ItemVersion.id == ReleaseItem.item_version_id)
    rows = tx.execute(query.where(ReleaseItem.release_id == release.id).order_by(ReleaseItem.id))
    return [(row.ReleaseItem, row.ItemVersion) for row in rows]


def _riding(base: Release, found: Mapping[str, Any]) -> Iterator[Piece]:
    """Facts that are in the envelope and nowhere in the text."""
    if base.facts.get("states_affected") and "states_affected" not in found:
        yield Piece("states_affected")
    if base.facts.get("noticed_at") != clock.rfc3339(base.created_at) and "noticed_at" not in found:
        yield Piece("noticed_at")


def _piece(tx: Session, name: str, versions: Sequence[ItemVersion], kind: str) -> Piece:
    said = tuple(words for each in versions if (words := _words(tx, each, names.ITEM if kind else name)))
    return Piece(name, tuple(versions), said, versions[0].info_category, kind)


def _words(tx: Session, version: ItemVersion, name: str) -> str:
    if version.kind != KIND and name != names.ITEM:
        return ""
    said = read_item(tx, version)
    return said if isinstance(said, str) else ""


def _facts(incident: Incident, wanted: Collection[str]) -> Iterator[tuple[str, str]]:
    for name in names.FACTS:
        if name in wanted:
            fidelity = getattr(incident, name.replace("_at", "_fidelity")) if name in names.INSTANTS else ""
            said = names.line(name, getattr(incident, name), fidelity)
            if said:
                yield name, said
