"""What the values of a run's variables came from, and what is therefore written on them.

The interpreter carries names of sources from variable to variable (playbooks/machine.py). Here a name is resolved: an
item version (`item:<id>`: a person's answer, a service's), or the incident. A value is never less than the incident's,
whatever its source says; what has no source is the document's own text and marked as the document is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator.incidents.items import marking_of
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.markings import Iep, Malformed, Marking, Tlp, combine, parse_tlp
from coordinator.sharing.inputs_from_world import as_the_incident
from playbooks.document import Playbook

_ITEM = "item:"


class Bound(NamedTuple):
    """What a text with values in it is bound by: its marking, and the parts that others gave us (asked about one by
    one, since their originators' rules bind the whole)."""

    marking: Marking
    parts: tuple[ItemVersion, ...]


def of_item(version_id: int | None) -> tuple[str, ...]:
    """The sources of values that an item version holds."""
    return (f"{_ITEM}{version_id}",) if version_id is not None else ()


def binding(tx: Session, sources: Iterable[str], *, incident: Incident | None, playbook: Playbook) -> Bound:
    """The strictest of what the values came from, the incident and the document; the incident's community stays."""
    versions = _versions(tx, sources)
    base = as_the_incident(incident)[0] if incident is not None else Marking()
    found = [playbook_marking(playbook.raw), *(marking_of(each) for each in versions)]
    whole = combine([base, *(replace(each, community=base.community) for each in found)])
    return Bound(whole, tuple(each for each in versions if each.originator_id is not None))


def marking_of_value(
    tx: Session, sources: Iterable[str], *, incident: Incident | None, playbook: Playbook
) -> Marking:
    """What is written on one value: the document's own marking where it has no source."""
    sources = list(sources)
    if not sources:
        return playbook_marking(playbook.raw)
    return binding(tx, sources, incident=incident, playbook=playbook).marking


def playbook_marking(document: Mapping[str, Any]) -> Marking:
    """What a document says of itself (CACAO 2.0, `markings`): the strictest of its labels and policies. One without any
    is ours to tell; what it bears and is not understood leaves its texts unmarked, so that a person is asked."""
    defined = document.get("data_marking_definitions") or {}
    found = [_marking(defined.get(name) or {}) for name in document.get("markings") or ()]
    return combine([Marking(tlp=Tlp.CLEAR), *found])


def _marking(raw: Mapping[str, Any]) -> Marking:
    try:
        if raw.get("type") == "marking-tlp":
            return Marking(tlp=parse_tlp(raw.get("tlpv2_level")))
        if raw.get("type") == "marking-iep":
            said = {name: raw[name] for name in Iep.READERS if name in raw}
            policy = Iep.from_json(said | ({"tlp": _word(said["tlp"])} if "tlp" in said else {}))
            return Marking(tlp=Tlp.CLEAR, iep=policy)
    except Malformed:
        pass
    return Marking()


def _word(label: Any) -> str:
    """A label as a policy statement writes it (FIRST IEP 2.0)."""
    word = str(label).lower().removeprefix("tlp:")
    return {"clear": "white", "amber+strict": "red"}.get(word, word)


def _versions(tx: Session, sources: Iterable[str]) -> list[ItemVersion]:
    ids = [int(each.removeprefix(_ITEM)) for each in sources if each.startswith(_ITEM)]
    query = select(ItemVersion).where(ItemVersion.id.in_(ids)).order_by(ItemVersion.id)
    return list(tx.execute(query).scalars()) if ids else []
