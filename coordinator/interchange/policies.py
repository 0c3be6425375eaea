"""Exchange policies (FIRST IEP 2.0) as STIX and MISP state them, read strictly and statement by statement.

What cannot be read is never dropped in silence: who asks binds the whole to the originator's consent then.
Sources: FIRST IEP 2.0; its STIX extension (OASIS, draft of 2022-12-19); the MISP taxonomy iep2-policy, version 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from marshmallow import ValidationError

from coordinator import clock
from coordinator.markings import MOST_ADDRESSES, Iep, addresses_of, combine_policies
from coordinator.outside.policy import IepSchema

#: What the extension demands and what limits: without one of these it is not known what its author meant.
REQUIRED = (
    "encrypt_in_transit", "permitted_actions", "affected_party_notifications", "tlp", "attribution",
    "unmodified_resale", "start_date",
)  # fmt: skip
#: Said beside the statements; nothing turns on them.
_BESIDE = frozenset({"extension_type", "name", "description"})
_READ_AS = {"provider_attribution": "attribution", "iep_id": "id"}
_SENT_AS = {name: sent for sent, name in _READ_AS.items()}
_TAG = re.compile(r'iep2-policy:([a-z_]{1,40})="(.*)"', re.DOTALL)
_FIELDS = IepSchema().fields
#: Where the standard itself stands: the extension asks for an external reference, and a policy need not have one.
STANDARD = {"source_name": "FIRST IEP 2.0", "url": "https://www.first.org/iep/"}


def read_statements(said: Mapping[str, Any]) -> tuple[Iep | None, bool]:
    """(the policy in these statements, under the names of the JSON form or of the STIX extension; whether all that is
    said could be read)."""
    found: dict[str, Any] = {}
    whole = str(said.get("iep_version", "2.0")) in ("2.0", "2")
    for name, value in said.items():
        native = _READ_AS.get(name, name)
        if name in _BESIDE or native == "iep_version" or (native == "end_date" and value in (None, "", "null")):
            continue
        try:
            found[native] = _FIELDS[native].deserialize(value)
        except (KeyError, ValidationError):
            whole = False
    return (Iep(**found) if found else None), whole


def of_definition(definition: Mapping[str, Any], said: Mapping[str, Any]) -> tuple[Iep | None, bool]:
    """As `read_statements`, of a STIX marking definition and its extension: that one has to state all it requires."""
    addresses = [each.get("url") for each in definition.get("external_references") or () if isinstance(each, Mapping)]
    theirs = [each for each in addresses if isinstance(each, str) and each != STANDARD["url"]]
    policy, whole = read_statements({**said, **({"external_reference": " ".join(theirs)} if theirs else {})})
    return policy, whole and policy is not None and is_whole(policy)


def for_report(policy: Iep | None) -> dict[str, Any]:
    """The policy as a native report states it: {"iep": …}, or {} where it says no more than its id."""
    said = policy.to_json() if policy is not None else {}
    return {"iep": said} if set(said) - {"id"} else {}


def together(policies: list[Iep]) -> tuple[Iep | None, bool]:
    """(what all of them ask, whether all of it is kept): of very many addresses some are not."""
    return combine_policies(policies), len(addresses_of(policies)) <= MOST_ADDRESSES


def is_whole(policy: Iep) -> bool:
    """Whether it states everything that the extension requires."""
    return all(getattr(policy, name) is not None for name in REQUIRED)


def extension_of(policy: Iep) -> dict[str, Any]:
    """The statements under the names of the STIX extension, without its id, version and type."""
    return {_SENT_AS.get(name, name): value for name, value in plain(policy).items()
            if name not in ("id", "external_reference")}  # fmt: skip


def plain(policy: Iep) -> dict[str, str]:
    """What is stated, instants as RFC 3339."""
    said = {name: getattr(policy, name) for name in Iep.READERS}
    return {name: value if isinstance(value, str) else clock.rfc3339(value) for name, value in said.items() if value}


def of_tags(tags: Iterable[str]) -> tuple[Iep | None, bool]:
    """(the policy that MISP tags state, whether all of them could be read). Said in two ways, the strictest holds. A
    policy that is only referred to (iep2-reference) cannot be read: nobody here knows what it says."""
    stated: list[dict[str, str]] = [{}]
    whole = True
    for tag in dict.fromkeys(tags):
        if not tag.lower().startswith(("iep2-policy:", "iep2-reference:", "iep:")):
            continue
        one = _TAG.fullmatch(tag)
        if one is None:
            whole = False
            continue
        free = next((each for each in stated if one[1] not in each), None)
        if free is None:
            stated.append(free := {})
        free[one[1]] = one[2]
    read = [read_statements(each) for each in stated]
    policy, kept = together([policy for policy, _ in read if policy])
    return policy, whole and kept and all(said for _, said in read)


def tags_of(policy: Iep | None) -> list[str]:
    """A policy as MISP tags."""
    if policy is None:
        return []
    return ['iep2-policy:iep_version="2.0"', *(f'iep2-policy:{name}="{said}"' for name, said in plain(policy).items())]
