"""Our importer beside the verdicts of the standard's own validator, object type by object type.

The validator's published cases bear the switches they were judged with. Each is asked twice here: with those switches,
as a receiver would set them for a partner, where both verdicts have to be the same; and as we ask where nothing is set,
where only a MUST refuses. What the validator refuses and we then take has to be remarked on, or to rest on a switch.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from stix2validator.v21.enums import CHECK_CODES

from coordinator.errors import Invalid, NotParseable
from coordinator.incidents.envelope import Remark
from coordinator.interchange import stix
from coordinator.interchange.stix_checked import Asked
from coordinator.outside.strict_json import parse_json

NOW = datetime(2026, 11, 22, 3, 10, tzinfo=UTC)
#: Whose objects are read into a report. All others are kept whole and go out again as they came.
IMPORTED = frozenset({
    "bundle", "incident", "report", "indicator", "identity", "event", "location", "relationship",
    "marking-definition", "file", "ipv4-addr", "ipv6-addr", "domain-name", "url", "email-addr", "mac-addr",
})  # fmt: skip

_NUMBERS = {name: number for number, name in CHECK_CODES.items()}
_SWITCHES = {"strict_types": "types", "strict_properties": "properties", "enforce_refs": "references"}
_AS_2_0 = "asked for as STIX 2.0 by a switch that the case does not bear; we take 2.1 and say so before reading"
_NO_SCHEMA = "a schema of the tester's own that is not here: name its folder with --schemas"


@dataclass(frozen=True)
class Verdict:
    """One case: its type, the validator's verdict, ours with its switches (`held`) and ours where nothing is set
    (`taken`), with the numbers of the remarks. `note`: why the case cannot be asked as it was."""

    name: str
    type: str
    valid: bool
    held: bool
    taken: bool
    remarks: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()
    note: str = ""

    @property
    def agrees(self) -> bool:
        return self.held == self.valid

    @property
    def fault(self) -> str:
        """What is wrong with our two verdicts, or ""."""
        if not self.agrees and not self.note:
            return f"asked with its switches, valid {self.valid} and taken {self.held}"
        if self.valid and not self.taken:
            return "refused though the validator takes it"
        if not self.valid and self.taken and not (self.remarks or self.switches or self.note):
            return "taken without a remark though the validator refuses it"
        return ""


def verdict_of(case: Mapping[str, Any], *, schemas: str | None = None) -> Verdict:
    """Of {test, input (an object, or JSON as text), valid, errors, options}. `schemas`: the tester's own, a folder.

    Raises whatever the importer should not have raised.
    """
    document, options = _document(case["input"]), case.get("options") or {}
    raw = _bundle(document, profiled=bool(options.get("interop")))
    lenient = _read(raw, Asked())
    held, note = _read(raw, Asked.of(words(options), schemas=schemas if options.get("schema_dir") else None)), ""
    if _is_asked_as_2_0(document, case):
        held, note = None, _AS_2_0  # the media type says the version: it is refused before anything is read
    elif options.get("schema_dir") and schemas is None:
        note = _NO_SCHEMA
    switches = [name for name in (*_SWITCHES, "interop", "schema_dir") if options.get(name)]
    # Where extensions are not asked for, the validator asks how custom names begin.
    switches += ["without-401"] if "extensions-use" in options.get("disabled", ()) else []
    return Verdict(
        str(case["test"]), str(document.get("type")), bool(case["valid"]), held is not None, lenient is not None,
        tuple(sorted({remark.check for remark in lenient or ()})), tuple(switches), note,
    )  # fmt: skip


def words(options: Mapping[str, Any]) -> list[str]:
    """The validator's switches in the words of an endpoint's setting. Without `strict` most refuse nothing there."""
    said = ["interoperability"] if options.get("interop") else []
    if not options.get("strict"):
        return said
    said += ["recommended", *(word for switch, word in _SWITCHES.items() if options.get(switch))]
    for way, names in (("without", options.get("disabled")), ("only", options.get("enabled"))):
        said += [f"{way}-{_NUMBERS[name]}" for name in names or ()]
    return said


def table(verdicts: Iterable[Verdict]) -> list[str]:
    """Lines for people: imported types first, each with cases and how many agree; then what we take and remark on."""
    listed = list(verdicts)
    lines = []
    for heading, types in (("imported", IMPORTED), ("kept whole", {each.type for each in listed} - IMPORTED)):
        rows = [each for each in listed if each.type in types]
        same = sum(each.valid == each.taken for each in rows)
        lines.append(f"{heading}: {len(rows)} cases, {sum(each.agrees for each in rows)} agree with their own "
                     f"switches, {same} where nothing is set")  # fmt: skip
        for kind, count in sorted(Counter(each.type for each in rows).items()):
            own = [each for each in rows if each.type == kind]
            lines.append(f"  {kind}: {count} cases, {sum(each.agrees for each in own)} agree, "
                         f"{sum(each.valid == each.taken for each in own)} where nothing is set")  # fmt: skip
        lines += [f"  {each.name}: {each.note}" for each in rows if each.note]
        more = [each for each in rows if each.taken and not each.valid]
        lines.append(f"  taken where nothing is set though refused there: {len(more)}, with remarks "
                     f"{sum(bool(each.remarks) for each in more)}; by check:")  # fmt: skip
        counted = Counter(check for each in more for check in each.remarks or each.switches or (each.note,))
        lines.append("  " + ", ".join(f"{check} {count}" for check, count in counted.most_common()))
    return lines


# ---------------------------------------------------------------- what is asked


def _document(given: Any) -> dict[str, Any]:
    document = parse_json(given.encode()) if isinstance(given, str) else given
    return document if isinstance(document, dict) else {"type": type(document).__name__}


def _bundle(document: dict[str, Any], *, profiled: bool) -> bytes:
    """The case in a bundle that says something: where it does not, a sound campaign stands beside it, after it.

    `profiled`: who made an object that came by itself stands beside it too, as the interoperability profile asks.
    """
    if document.get("type") != "bundle":
        maker = [_maker(document["created_by_ref"])] if profiled and "created_by_ref" in document else []
        document = {"type": "bundle", "id": "bundle--00000000-0000-4000-8000-000000000002",
                    "objects": [document, *maker]}  # fmt: skip
    objects = document.get("objects")
    if isinstance(objects, list) and objects and not any(_says_something(one) for one in objects):
        document = document | {"objects": [*objects, _beside(document)]}
    return json.dumps(document).encode()


def _says_something(one: Any) -> bool:
    return isinstance(one, Mapping) and one.get("type") in {"incident", "report", *stix.SAYS_SOMETHING}


def _maker(name: str) -> dict[str, Any]:
    times = {"created": "2026-11-21T22:00:00.000Z", "modified": "2026-11-21T22:00:00.000Z"}
    return {"type": "identity", "spec_version": "2.1", "id": name, "name": "Whoever made it", "created_by_ref": name,
            "identity_class": "organization", **times}  # fmt: skip


def _beside(bundle: Mapping[str, Any]) -> dict[str, Any]:
    sound = {
        "type": "campaign", "id": "campaign--00000000-0000-4000-8000-000000000001", "name": "Beside the case",
        "created": "2026-11-21T22:00:00.000Z", "modified": "2026-11-21T22:00:00.000Z",
    }  # fmt: skip
    return sound if bundle.get("spec_version") == "2.0" else sound | {"spec_version": "2.1"}


def _read(raw: bytes, asked: Asked) -> tuple[Remark, ...] | None:
    try:
        return stix.read_asking(raw, NOW, asked).remarks
    except (Invalid, NotParseable):
        return None


def _is_asked_as_2_0(document: Mapping[str, Any], case: Mapping[str, Any]) -> bool:
    """Only the schema of STIX 2.0 asks a bundle for a version."""
    asks = any("'spec_version' is a required" in str(error) for error in case["errors"])
    return document.get("type") == "bundle" and "spec_version" not in document and asks
