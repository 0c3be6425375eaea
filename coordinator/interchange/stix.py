"""STIX 2.1 bundles, read as one report: the incident (without one, the STIX report) and what is said beside it.

What the standard demands is checked by the validator of its own committee; what it only recommends is remarked on
(`stix_checked`). What has no place in our report is kept with the bytes as they came.
Sources: OASIS STIX 2.1; the incident core extension 2.0 (draft); TLP 2.0 and its marking-definition ids.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from coordinator.errors import Fault, Invalid
from coordinator.incidents.envelope import Received
from coordinator.incidents.schema import MOST_OBSERVABLES, load_report
from coordinator.interchange import policies, stix_out
from coordinator.interchange.shortened import shortened
from coordinator.interchange.stix_checked import VERSION as VERSION
from coordinator.interchange.stix_checked import Asked, check
from coordinator.interchange.stix_markings import Marked, marking_of
from coordinator.outside.strict_json import parse_json

MEDIA_TYPE = "application/stix+json"

_MOST_OBJECTS = 1000
_LONGEST_PATTERN = 5000  # the validator's parser of patterns recurses
# As the standard writes type names, but matched in one pass: the validator's own expression can take for ever.
_TYPE = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*-?")
# As the standard writes names of properties. Its validator's schemas let through what follows a good beginning.
_NAME = re.compile(r"[a-z][a-z0-9_]{2,249}|id")
_INCIDENT_CORE = "extension-definition--ef765651-680c-498d-9894-99799f2fa126"
_ONE_COMPARISON = re.compile(r"\[\s*([a-z0-9-]+:[A-Za-z0-9_.'\-]{1,50})\s*=\s*'((?:[^'\\]|\\.)*)'\s*\]")
_NAMES = "Name each property with 3 to 250 of a to z, 0 to 9 and _, beginning with a letter."
#: Without an incident or a report, a bundle is about the first of these.
SAYS_SOMETHING = frozenset({
    "indicator", "malware", "campaign", "intrusion-set", "threat-actor", "attack-pattern", "tool", "vulnerability",
    "infrastructure", "observed-data", "sighting", "malware-analysis", "course-of-action", "grouping", "note",
    "opinion",
})  # fmt: skip
_PLAIN_OBSERVABLES = ("ipv4-addr", "ipv6-addr", "domain-name", "url", "email-addr", "mac-addr")


def read(raw: bytes, now: datetime, asks: str = "") -> Received:
    """The reader that intake uses for this media type. `asks`: what its sender is held to beside what is demanded.

    Raises NotParseable; Invalid with every fault, none of which repeats what was sent; SecrecyMarkingFound.
    A revoked incident is a recall. `external_id` is the id of the incident or report, so that a newer version of it
    is an update.
    """
    return read_asking(raw, now, Asked.of(asks.split()))


def read_asking(raw: bytes, now: datetime, asked: Asked) -> Received:
    """`read`, for who knows more exactly what is asked."""
    bundle = parse_json(raw)
    objects = _objects(bundle)
    remarks = check(bundle, objects, asked)
    subject, where = _subject(objects)
    marked = marking_of(objects)
    report, flags = _report(subject, objects, marked)
    try:
        loaded = load_report(report, now=now)
    except Invalid as refusal:
        raise type(refusal)([_pointed(fault, where) for fault in refusal.errors], refusal.detail) from None
    loaded["flags"] = [*loaded["flags"], *flags, *marked.flags]
    kind = "recall" if subject.get("revoked") is True else ""
    return Received(loaded, "stix", kind=kind, remarks=tuple(remarks))


# ---------------------------------------------------------------- is it STIX


def _objects(bundle: Any) -> list[dict[str, Any]]:
    if not isinstance(bundle, Mapping) or bundle.get("type") != "bundle":
        raise Invalid([Fault("/type", "Send a STIX 2.1 bundle: put what you have into its list of objects.")])
    objects = bundle.get("objects")
    if not isinstance(objects, list) or not objects:
        raise Invalid([Fault("/objects", "Send the objects of the bundle as a list.")])
    if len(objects) > _MOST_OBJECTS:
        raise Invalid([Fault("/objects", f"Send at most {_MOST_OBJECTS} objects in one bundle.")])
    faults = [fault for index, one in enumerate(objects) for fault in _shape_faults(one, index)]
    if not all(map(_NAME.fullmatch, bundle)):
        faults.insert(0, Fault("", _NAMES))
    if faults:
        raise Invalid(faults)
    return objects


def _shape_faults(one: Any, index: int) -> Iterator[Fault]:
    """What the validator itself could not bear, or would let through."""
    where = f"/objects/{index}"
    if not isinstance(one, Mapping):
        yield Fault(where, "Send each object as a JSON object.")
        return
    kind, pattern = one.get("type"), one.get("pattern")
    if not isinstance(kind, str) or len(kind) > 250 or not _TYPE.fullmatch(kind):
        yield Fault(f"{where}/type", "Send the type of the object as STIX 2.1 writes it.")
    if not isinstance(one.get("id"), str):
        yield Fault(f"{where}/id", "Send the id of the object.")
    if isinstance(pattern, str) and len(pattern) > _LONGEST_PATTERN:
        yield Fault(f"{where}/pattern", f"Shorten the pattern to at most {_LONGEST_PATTERN} characters.")
    if not all(map(_NAME.fullmatch, one)):
        yield Fault(where, _NAMES)


# ---------------------------------------------------------------- what it says


def _subject(objects: list[dict[str, Any]]) -> tuple[dict[str, Any], str]:
    """The one object the bundle is about, and where it stands: the incident, else the report, else the first that says
    something of its own."""
    for kind in ("incident", "report"):
        found = [(one, f"/objects/{index}") for index, one in enumerate(objects) if one["type"] == kind]
        if len({one["id"] for one, _ in found}) > 1 and (first := _told_first(objects, kind)):
            found = [pair for pair in found if pair[0]["id"] == first]
        if len({one["id"] for one, _ in found}) > 1:
            raise Invalid([Fault("/objects", f"Send one {kind} in a bundle: each {kind} is answered by itself.")])
        if found:
            return max(found, key=lambda pair: str(pair[0].get("modified", "")))
    for index, one in enumerate(objects):
        if one["type"] in SAYS_SOMETHING:
            return one, f"/objects/{index}"
    raise Invalid([Fault("/objects", "Send an incident, a report or an indicator: nothing here says what happened.")])


def _told_first(objects: list[dict[str, Any]], kind: str) -> str:
    """Where another Coordinator tells of several: the id of the one it is about, else "".

    Its report, known by its labels, names its own case before what it encloses, and refers to any report among that.
    """
    reports = [one for one in objects if one["type"] == "report" and _is_coordinators(one)]
    enclosed = {reference for one in reports for reference in one["object_refs"]}
    told = {one["id"]: one for one in reports if one["id"] not in enclosed}
    if len(told) != 1:
        return ""
    [(report_id, report)] = told.items()
    return next((each for each in (report_id, *report["object_refs"]) if each.startswith(f"{kind}--")), "")


def _is_coordinators(report: Mapping[str, Any]) -> bool:
    return any(str(label).startswith(stix_out.LABELS) for label in report.get("labels") or ())


def _report(
    subject: Mapping[str, Any], objects: list[dict[str, Any]], marked: Marked
) -> tuple[dict[str, Any], list[str]]:
    """A native report as it would have been sent, and flags on what had to be read into it."""
    title, description, flags = shortened(_title(subject, objects), _described(subject, objects))
    observables, more = _observables(objects)
    report: dict[str, Any] = {
        "title": title, "tlp": marked.tlp.value, "external_id": subject["id"], "observables": observables,
        "noticed_at": subject.get("published") or subject["created"], **_occurred(objects),
    }  # fmt: skip
    if description:
        report["description"] = description
    if marked.caveats:
        report["caveats"] = marked.caveats
    if marked.pap is not None:
        report["pap"] = marked.pap.value
    report |= policies.for_report(marked.iep)
    states = _states(subject, objects)
    if states:
        report["states_affected"] = states
    flags.append("noticed_at-taken-from-stix")
    return report, [*flags, *(["more-observables-in-the-original"] if more else [])]


def _title(subject: Mapping[str, Any], objects: list[dict[str, Any]]) -> str:
    name = str(subject.get("name") or subject["type"])
    if subject["type"] in ("incident", "report"):
        return name
    others = sum(one["type"] in SAYS_SOMETHING for one in objects) - 1
    return f"{name} ({subject['type']}{f' and {others} more objects' if others else ''})"


def _described(subject: Mapping[str, Any], objects: list[dict[str, Any]]) -> str:
    """The description, and in words what the core extension and the author's identity say."""
    core = (subject.get("extensions") or {}).get(_INCIDENT_CORE) or {}
    author = next((one for one in objects if one["id"] == subject.get("created_by_ref")), {})
    said = [
        ("STIX determination", core.get("determination")),
        ("STIX investigation status", core.get("investigation_status")),
        ("STIX criticality, 0 to 100", core.get("criticality")), ("STIX incident types", core.get("incident_types")),
        ("STIX recoverability", core.get("recoverability")), ("Author, as stated", author.get("name")),
    ]  # fmt: skip
    lines = [f"{name}: {_plain(value)}" for name, value in said if value not in (None, "", [])]
    text = subject.get("description")
    return "\n\n".join(part for part in (text if isinstance(text, str) else "", "\n".join(lines)) if part)


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _occurred(objects: list[dict[str, Any]]) -> dict[str, Any]:
    """The earliest start of an event (incident core extension), with its fidelity."""
    started = [one for one in objects if one["type"] == "event" and isinstance(one.get("start_time"), str)]
    if not started:
        return {}
    first = min(started, key=lambda one: one["start_time"])
    fidelity = first.get("start_time_fidelity")
    return {"occurred_at": first["start_time"], **({"occurred_at_fidelity": fidelity} if fidelity else {})}


def _states(subject: Mapping[str, Any], objects: list[dict[str, Any]]) -> list[str]:
    """Countries of the locations that a relationship ties to the subject."""
    tied = {one.get("target_ref") for one in objects if one["type"] == "relationship"
            and one.get("source_ref") == subject["id"]}  # fmt: skip
    places = [one for one in objects if one["type"] == "location" and one["id"] in tied]
    return sorted({str(one["country"]).upper() for one in places if one.get("country")})


def _observables(objects: list[dict[str, Any]]) -> tuple[list[dict[str, str]], bool]:
    """What can be looked for, each once; and whether there is more than a report takes."""
    found = dict.fromkeys(pair for one in objects for pair in _observed(one))
    fitting = [(kind, value) for kind, value in found if len(value) <= 2000 and value.isprintable() and value.strip()]
    taken = fitting[:MOST_OBSERVABLES]
    return [{"type": kind, "value": value} for kind, value in taken], len(taken) < len(found)


def _observed(one: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    kind = one["type"]
    if kind == "indicator":
        pattern = str(one.get("pattern", ""))
        language = one.get("pattern_type", "stix")  # STIX 2.0 knows no other
        single = _ONE_COMPARISON.fullmatch(pattern) if language == "stix" else None
        if single:
            yield single[1], re.sub(r"\\(.)", r"\1", single[2])
        else:
            yield f"pattern:{_word(language)}", pattern
    elif kind in _PLAIN_OBSERVABLES and isinstance(one.get("value"), str):
        yield kind, one["value"]
    elif kind == "file":
        hashes = one.get("hashes")
        for name, value in (hashes if isinstance(hashes, Mapping) else {}).items():
            yield f"file:hashes.{_word(name)}", str(value)


def _word(value: Any) -> str:
    """As a type of an observable may be written."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", str(value))[:40]


def _pointed(fault: Fault, where: str) -> Fault:
    """What our own rules refuse of the report, at the object it came from."""
    told = {"title": "name", "description": "description"}.get(fault.pointer.split("/")[1] if fault.pointer else "")
    return Fault(f"{where}/{told}" if told else where, fault.detail)
