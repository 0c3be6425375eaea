"""The one marking of a STIX bundle: at least as strict as every marking in it.

What nobody marked counts as unmarked, and an unmarked part is held like AMBER+STRICT (TLP 2.0 defines no default).
A marking we cannot read binds as if it asked for the originator's consent.
Sources: STIX 2.1, 7.2 (data markings); TLP 2.0 as extension definition; FIRST IEP 2.0 as extension definition (draft).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from coordinator.errors import Fault, SecrecyMarkingFound
from coordinator.interchange import policies
from coordinator.markings import (
    IEP_TLP,
    UNMARKED_AS,
    Iep,
    Marking,
    Pap,
    Tlp,
    UnknownLabel,
    find_secrecy,
    parse_pap,
    parse_tlp,
    tlp_of_stix_id,
)
from coordinator.sharing.policy_line import read_policy_line

TLP2 = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"
IEP2 = "extension-definition--762e2e97-ee51-43e5-a9ea-165fbb862c4a"
#: They say how other objects hang together or who somebody is; their content is not information of its own.
_FRAME = frozenset({"marking-definition", "extension-definition", "relationship", "identity", "location", "bundle"})
_CAVEATS = {"ORIGINATOR CONTROLLED": "orcon", "NO ATTRIBUTION": "no_attribution"}
_CODE = re.compile(r"[A-Z0-9](?:[A-Z0-9-]{0,30}[A-Z0-9])?")
_EMBARGO = re.compile(r"EMBARGO UNTIL (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z)")


@dataclass
class Marked:
    """`caveats` are those of a native report. `flags`: what had to be assumed. `pap` and `iep` where
    markings state them."""

    tlp: Tlp
    caveats: dict[str, Any] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)
    pap: Pap | None = None
    iep: Iep | None = None

    def says(self, marking: Marking) -> bool:
        """Whether whoever reads these objects alone is bound as `marking` binds, its label aside."""
        lists, until = self.caveats.get("rel_to"), marking.embargo_until
        embargo = str(self.caveats.get("embargo_until") or "")
        return (
            (marking.pap is None or (self.pap is not None and self.pap >= marking.pap))
            and (not marking.orcon or bool(self.caveats.get("orcon")))
            and (marking.rel_to is None or (lists is not None and set(lists) <= marking.rel_to))
            and not marking.not_rel_to
            and (until is None or (bool(embargo) and datetime.fromisoformat(embargo) >= until))
            and marking.iep in (None, self.iep)
        )  # fmt: skip


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
        own = [_meaning(reference, defined, caveats, flags) for reference in _references(one)]
        said = [label for label in own if label is not None]
        labels += said
        if not said and one["type"] not in _FRAME:
            labels.append(UNMARKED_AS)
            flags.add("unmarked-parts")
    pap, stated = caveats.pop("pap", None), caveats.pop("iep", [])
    policy, kept = policies.together(stated)
    if not kept:
        caveats["orcon"] = True
    return Marked(max(labels, default=UNMARKED_AS), caveats, sorted(flags), pap, policy)


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
    if TLP2 in extensions or definition.get("definition_type") == "tlp":
        # Right in its words but under an id that is not the standard's: such copies circulate. The words count.
        word = extensions.get(TLP2, {}).get("tlp_2_0") or (definition.get("definition") or {}).get("tlp")
        try:
            return parse_tlp(word)
        except UnknownLabel:
            return _unread(caveats, flags)
    if IEP2 in extensions:
        return _policy(definition, extensions[IEP2], caveats, flags)
    if definition.get("definition_type") == "statement":
        flags.add("statement-marking")
        _statement(str((definition.get("definition") or {}).get("statement", "")), caveats)
        return None
    return _unread(caveats, flags)


def _policy(
    definition: Mapping[str, Any], said: Mapping[str, Any], caveats: dict[str, Any], flags: set[str]
) -> Tlp | None:
    """An IEP: its label counts like a label. Where it does not state all it has to, or something that cannot be read,
    the originator is asked before anything goes on."""
    policy, whole = policies.of_definition(definition, said)
    flags.add("policy-marking")
    if not whole:
        caveats["orcon"] = True
    if policy is None:
        return None
    caveats.setdefault("iep", []).append(policy)
    return IEP_TLP[policy.tlp] if policy.tlp else None


def _statement(words: str, caveats: dict[str, Any]) -> None:
    """The caveats that our own exports write as statements, word for word. Each only adds a limit."""
    if words in _CAVEATS:
        caveats[_CAVEATS[words]] = True
    elif (said := read_policy_line(words)) is not None:
        policy, whole = policies.read_statements(said)
        caveats.setdefault("iep", []).extend([policy] if policy else [])
        if not whole:
            caveats["orcon"] = True
    elif words.startswith("PAP:"):
        with suppress(UnknownLabel):
            caveats["pap"] = max(parse_pap(words), caveats.get("pap", Pap.CLEAR))
    elif words == "NOT RELEASABLE TO OTHERS":
        caveats["rel_to"] = []
    elif words.startswith("REL TO ") and all(map(_CODE.fullmatch, codes := words[7:].split(", "))):
        caveats["rel_to"] = sorted(set(codes) & set(caveats.get("rel_to", codes)))
    elif found := _EMBARGO.fullmatch(words):
        caveats["embargo_until"] = max(found[1], caveats.get("embargo_until", ""))


def _unread(caveats: dict[str, Any], flags: set[str]) -> Tlp:
    caveats["orcon"] = True
    flags.add("unknown-marking")
    return UNMARKED_AS
