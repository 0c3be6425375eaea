"""Markings as STIX 2.1 marking definitions: TLP 2.0 by its true ids, PAP and caveats as statements, IEP where stated.

A statement is content-addressed, so that the same words are the same object everywhere. What these statements say is
read again at import (stix_markings), so that nothing of it is lost between two coordinators.
Sources: TLP 2.0 extension definition of OASIS; STIX 2.1, 7.2.1.3 (statement markings); FIRST IEP 2.0 extension (draft).
"""

from __future__ import annotations

import uuid
from typing import Any

from coordinator.alerts.wording import EXERCISE
from coordinator.interchange import policies
from coordinator.interchange.contents import Contents
from coordinator.interchange.stix_markings import IEP2, TLP2
from coordinator.markings import Iep, Tlp

#: The root of every id made here. Names under it are made from what the recipient knows anyway.
OURS = uuid.UUID("b5a1c7e4-7d0a-4e0b-9d51-3f6c2a94f0de")
_STATEMENTS_SINCE = "2026-01-01T00:00:00.000Z"


def stix_id(kind: str, *names: str) -> str:
    """A stable id (UUID version 5) of this type for what bears these names."""
    return f"{kind}--{uuid.uuid5(OURS, '/'.join((kind, *names)))}"


def definitions(contents: Contents) -> list[dict[str, Any]]:
    """Every marking definition that binds what is given, the TLP label first."""
    found = [tlp_definition(contents.tlp)]
    if contents.exercise:
        found.append(statement(EXERCISE))
    if contents.marking.pap:
        found.append(statement(contents.marking.pap.label))
    found += [statement(line) for line in contents.handling]
    told = contents.marking.policy_told
    if told is not None and (policy := _policy(told)):
        found.append(policy)
    return [*found, statement(_terms(contents))]


def tlp_definition(label: Tlp) -> dict[str, Any]:
    """The one definition of this label, as OASIS published it."""
    return {
        "type": "marking-definition", "spec_version": "2.1", "id": label.stix_id,
        "created": "2022-10-01T00:00:00.000Z", "name": label.label,
        "extensions": {TLP2: {"extension_type": "property-extension", "tlp_2_0": label.value.lower()}},
    }  # fmt: skip


def statement(words: str) -> dict[str, Any]:
    """A statement marking with these words."""
    return {
        "type": "marking-definition", "spec_version": "2.1", "id": stix_id("marking-definition", words),
        "created": _STATEMENTS_SINCE, "definition_type": "statement", "definition": {"statement": words},
    }  # fmt: skip


def _terms(contents: Contents) -> str:
    """For whom it is and what binds them, in words for whoever opens the file."""
    reference = f", reference {contents.reference}" if contents.reference else ""
    return "\n".join([f"Released to {contents.recipient.name}{reference}.", *contents.binding])


def _policy(iep: Iep) -> dict[str, Any] | None:
    """The policy under its extension; None where it does not state all that this requires. Its line among the
    statements says the same words then."""
    if not policies.is_whole(iep):
        return None
    said: dict[str, Any] = policies.extension_of(iep)
    number = iep.id or str(uuid.uuid5(OURS, repr(sorted(said.items()))))
    own = str(uuid.uuid5(OURS, repr((number, iep.external_reference, sorted(said.items())))))
    told = [{"source_name": "policy", "url": each} for each in iep.addresses]
    return {
        "type": "marking-definition", "spec_version": "2.1", "id": f"marking-definition--{own}",
        "created": _STATEMENTS_SINCE, "name": "IEP 2.0, as stated by the originator",
        "external_references": [policies.STANDARD, *told],
        "extensions": {IEP2: {"extension_type": "property-extension", "iep_id": number, "iep_version": 2.0,
                              "description": "As stated by the originator.", **said}},
    }  # fmt: skip
