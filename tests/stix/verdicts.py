"""Our importer beside the verdicts of the standard's own validator, object type by object type.

The validator's published cases are judged with everything switched on: recommendations count as faults, and some cases
switch on what no standard asks. We hold partners to what STIX 2.1 demands (MUST). So each case on which the two
differ has to be explained by the clause that only recommends, or by the switch; what is not explained is a fault.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from coordinator.errors import Invalid, NotParseable
from coordinator.interchange import stix
from coordinator.outside.strict_json import parse_json

NOW = datetime(2026, 11, 22, 3, 10, tzinfo=UTC)
#: Whose objects are read into a report. All others are kept whole and go out again as they came.
IMPORTED = frozenset({
    "bundle", "incident", "report", "indicator", "identity", "event", "location", "relationship",
    "marking-definition", "file", "ipv4-addr", "ipv6-addr", "domain-name", "url", "email-addr", "mac-addr",
})  # fmt: skip

#: What the validator calls a fault and STIX 2.1 a recommendation: its code -> the clause.
_RECOMMENDED = {
    **dict.fromkeys(("101", "102"), "11: how names of custom properties, types and extensions begin"),
    "401": "11: custom content without an extension definition is deprecated, not forbidden",
    "103": "2.9: the version of the UUID in an id",
    "111": "2.14: how values outside an open vocabulary are written",
    "121": "2.11: how names of kill chains and phases are written",
    "142": "2.3: lower case in keys of dictionaries",
    "143": "4.12: how the product of a malware analysis is written",
    **dict.fromkeys(("149", "243"), "6.7, 6.13: values outside a vocabulary of Windows"),
    "201": "7.2: the kind of a marking definition",
    "202": "5, Appendix B: relationships beyond the suggested ones",
    "203": "3.6: two versions with one modification time; the newest in the bundle counts here",
    **{str(code): "2.14, 10: a value outside an open vocabulary" for code in range(211, 230)},
    "241": "2.7: a hash algorithm outside the open vocabulary",
    **dict.fromkeys(("272", "273"), "6.12: names not registered with IANA"),
    "276": "6.7: keys of a PDF's document information",
    "301": "6.12: both ports of network traffic",
    "302": "2.5: a hash beside the URL of an external reference",
    "306": "7.3: naming the properties of an extension",
}  # fmt: skip
#: What no clause asks: a switch of the validator, and how its sentence begins or ends.
_SWITCHED = (
    ("strict_properties", re.compile(r"is not one of those defined in the specification"),
     "none: 3.2 and 7.3 allow further properties (switch strict_properties)"),
    ("strict_types", re.compile(r"not one of those defined|is not a valid stix observable type"),
     "none: 7.3 and 11.2 allow further types (switch strict_types)"),
    ("schema_dir", re.compile(r"does not match|is not of type|is a required property"),
     "none: a schema of the tester's own (switch schema_dir)"),
    ("interop", re.compile(r"is a required property"), "none: interoperability test profile (switch interop)"),
)  # fmt: skip
_CUSTOM_IN_PATTERN = re.compile(r"Pattern failed to validate: Custom Observable Object type .* should start with")
_AS_2_0 = "3.2, 8: judged as STIX 2.0, whose bundle has a spec_version and whose objects have none"
_CODE = re.compile(r"\{(\d{3})\}")


@dataclass(frozen=True)
class Verdict:
    """One case: its object type, whether the validator and we take it, and why they may differ ("" where nothing
    explains it)."""

    name: str
    type: str
    valid: bool
    taken: bool
    clause: str = ""

    @property
    def agrees(self) -> bool:
        return self.valid == self.taken


def verdict_of(case: Mapping[str, Any]) -> Verdict:
    """Of {test, input (an object, or JSON as text), valid, errors, options}. Raises whatever the importer should
    not have raised."""
    document = _document(case["input"])
    kind = str(document.get("type"))
    taken = _is_taken(_bundle(document))
    found = Verdict(str(case["test"]), kind, bool(case["valid"]), taken)
    if found.agrees:
        return found
    return Verdict(found.name, kind, found.valid, taken, _clause(case, document, taken=taken))


def table(verdicts: Iterable[Verdict]) -> list[str]:
    """Lines for people: imported types first, each with cases, agreeing and differing; then the clauses."""
    listed = list(verdicts)
    lines = []
    for heading, types in (("imported", IMPORTED), ("kept whole", {each.type for each in listed} - IMPORTED)):
        rows = [each for each in listed if each.type in types]
        lines.append(f"{heading}: {len(rows)} cases, {sum(each.agrees for each in rows)} agree")
        for kind, count in sorted(Counter(each.type for each in rows).items()):
            same = sum(each.agrees for each in rows if each.type == kind)
            lines.append(f"  {kind}: {count} cases, {same} agree, {count - same} differ")
        for clause, count in Counter(each.clause for each in rows if not each.agrees).most_common():
            lines.append(f"  {count} differ by {clause or 'NOTHING THAT EXPLAINS IT'}")
    return lines


def unexplained(verdicts: Iterable[Verdict]) -> list[Verdict]:
    return [each for each in verdicts if not each.agrees and not each.clause]


# ---------------------------------------------------------------- what is asked


def _document(given: Any) -> dict[str, Any]:
    document = parse_json(given.encode()) if isinstance(given, str) else given
    return document if isinstance(document, dict) else {"type": type(document).__name__}


def _bundle(document: dict[str, Any]) -> bytes:
    """The case in a bundle that says something: a sound indicator stands beside it, after it."""
    beside = {
        "type": "indicator", "spec_version": "2.1", "id": "indicator--00000000-0000-4000-8000-000000000001",
        "created": "2026-11-21T22:00:00.000Z", "modified": "2026-11-21T22:00:00.000Z", "pattern_type": "stix",
        "pattern": "[ipv4-addr:value = '192.0.2.7']", "valid_from": "2026-11-21T22:00:00Z",
    }  # fmt: skip
    if document.get("type") != "bundle":
        document = {"type": "bundle", "id": "bundle--00000000-0000-4000-8000-000000000002", "objects": [document]}
    objects = document.get("objects")
    if isinstance(objects, list) and objects:
        document = document | {"objects": [*objects, beside]}
    return json.dumps(document).encode()


def _is_taken(raw: bytes) -> bool:
    try:
        stix.read(raw, NOW)
    except (Invalid, NotParseable):
        return False
    return True


# ---------------------------------------------------------------- why they differ


def _clause(case: Mapping[str, Any], document: Mapping[str, Any], *, taken: bool) -> str:
    if not taken:
        return _AS_2_0 if _is_2_0(document) else ""
    clauses = [_of_error(str(error), case.get("options") or {}) for error in case["errors"]]
    if document.get("type") == "bundle" and case["errors"] and "'spec_version' is a required" in case["errors"][0]:
        return _AS_2_0
    return "; ".join(dict.fromkeys(clauses)) if clauses and all(clauses) else ""


def _of_error(error: str, options: Mapping[str, Any]) -> str:
    code = _CODE.search(error)
    if code:
        return _RECOMMENDED.get(code[1], "")
    if _CUSTOM_IN_PATTERN.search(error):
        return _RECOMMENDED["101"]
    return next((why for switch, said, why in _SWITCHED if options.get(switch) and said.search(error)), "")


def _is_2_0(document: Mapping[str, Any]) -> bool:
    objects = [one for one in document.get("objects") or () if isinstance(one, Mapping)]
    return "spec_version" in document and not any("spec_version" in one for one in objects)
