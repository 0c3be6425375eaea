"""The one marking of a STIX bundle: at least as strict as every marking in it.

What nobody marked counts as unmarked, and an unmarked part is held like AMBER+STRICT (TLP 2.0 defines no default).
A marking we cannot read binds as if it asked for the originator's consent.
Sources: STIX 2.1, 7.2 (data markings); TLP 2.0 as extension definition; FIRST IEP 2.0 as extension definition (draft).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from coordinator.errors import Fault, SecrecyMarkingFound
from coordinator.markings import IEP_TLP, UNMARKED_AS, Tlp, UnknownLabel, find_secrecy, parse_tlp, tlp_of_stix_id

_TLP2 = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"
_IEP2 = "extension-definition--762e2e97-ee51-43e5-a9ea-165fbb862c4a"
#: They say how other objects hang together or who somebody is; their content is not information of its own.
_FRAME = frozenset({"marking-definition", "extension-definition", "relationship", "identity", "location", "bundle"})


@dataclass
class Marked:
    """`caveats` are those of a native report. `flags`: what had to be assumed."""

    tlp: Tlp
    caveats: dict[str, Any] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)


def marking_of(objects: list[dict[str, Any]]) -> Marked:
    """The marking of what these objects say together. `objects` are valid STIX 2.1.

    Raises SecrecyMarkingFound where a statement among the markings is one (R11).
    """
    _refuse_classified(objects)
    defined = {one["id"]: one for one in objects if one["type"] == "marking-definition"}
    labels: list[Tlp] = []
    caveats: dict[str, Any] = {}
    flags: set[str] = set()
    for one in objects:
        if one["type"] == "marking-definition":
            continue
        own = [_meaning(reference, defined, caveats, flags) for reference in _references(one)]
        said = [label for label in own if label is not None]
        labels += said
        if not said and one["type"] not in _FRAME:
            labels.append(UNMARKED_AS)
            flags.add("unmarked-parts")
    return Marked(max(labels, default=UNMARKED_AS), caveats, sorted(flags))


def _refuse_classified(objects: list[dict[str, Any]]) -> None:
    for index, one in enumerate(objects):
        said = (one.get("definition") or {}).get("statement") if one["type"] == "marking-definition" else None
        if isinstance(said, str) and (find_secrecy(said[:1000]) or find_secrecy(f"Classification: {said[:200]}")):
            detail = "Take this to a system for classified information: it bears a secrecy marking and was not kept."
            raise SecrecyMarkingFound([Fault(f"/objects/{index}/definition", detail)])


def _references(one: Mapping[str, Any]) -> Iterator[str]:
    """Its markings, and those of its parts: an object with granular markings counts as its strictest part."""
    yield from one.get("object_marking_refs") or ()
    for part in one.get("granular_markings") or ():
        if part.get("marking_ref"):
            yield part["marking_ref"]


def _meaning(
    reference: str, defined: Mapping[str, Mapping[str, Any]], caveats: dict[str, Any], flags: set[str]
) -> Tlp | None:
    """The label a marking stands for, if it is one; what else it asks goes to `caveats` and `flags`."""
    label = tlp_of_stix_id(reference)
    if label is not None:
        return label
    definition = defined.get(reference)
    extensions = (definition or {}).get("extensions") or {}
    if definition is None:
        return _unread(caveats, flags)
    if _TLP2 in extensions or definition.get("definition_type") == "tlp":
        # Right in its words but under an id that is not the standard's: such copies circulate. The words count.
        word = extensions.get(_TLP2, {}).get("tlp_2_0") or (definition.get("definition") or {}).get("tlp")
        try:
            return parse_tlp(word)
        except UnknownLabel:
            return _unread(caveats, flags)
    if _IEP2 in extensions:
        return _policy(extensions[_IEP2], caveats, flags)
    if definition.get("definition_type") == "statement":
        flags.add("statement-marking")
        return None
    return _unread(caveats, flags)


def _policy(policy: Mapping[str, Any], caveats: dict[str, Any], flags: set[str]) -> Tlp | None:
    """An IEP: its label counts like a label. Its further statements have no place in a report, so that the
    originator is asked before anything goes on."""
    caveats["orcon"] = True
    flags.add("policy-marking")
    if policy.get("provider_attribution") == "must-not" or policy.get("attribution") == "must-not":
        caveats["no_attribution"] = True
    return IEP_TLP.get(str(policy.get("tlp", "")).lower())


def _unread(caveats: dict[str, Any], flags: set[str]) -> Tlp:
    caveats["orcon"] = True
    flags.add("unknown-marking")
    return UNMARKED_AS
