"""One released alert as a STIX 2.1 bundle for its one recipient.

The case is an incident (with the core extension), what was said of it a report, so that each further alert on a case is
a new version of the same incident. Ids are made from what this recipient knows anyway: its reference and the alert's
public id. Two partners told of one case hold different ids.
Sources: OASIS STIX 2.1; the incident core extension 2.0 (draft).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from coordinator.interchange.contents import Contents, Enclosed, Party
from coordinator.interchange.stix_definitions import definitions, stix_id
from coordinator.interchange.stix_observed import observed

MEDIA_TYPE = "application/stix+json;version=2.1"
INCIDENT_CORE = "extension-definition--ef765651-680c-498d-9894-99799f2fa126"
#: How a label of our reports begins: another Coordinator knows by it which of several incidents it is told of.
LABELS = "coordination-"
#: Who is who does not change with time: one version of each.
_SINCE = "2026-01-01T00:00:00.000Z"
_NOT_REFERRED_TO = ("marking-definition", "extension-definition", "language-content", "bundle")


def bundle_of(*several: Contents) -> dict[str, Any]:
    """The bundle for the recipient of all of these; each object version once."""
    objects: dict[tuple[str, str], dict[str, Any]] = {}
    for contents in several:
        for one in objects_of(contents):
            objects.setdefault((one["id"], version_of(one)), one)
    return {
        "type": "bundle", "id": stix_id("bundle", *(each.key for each in several)), "objects": list(objects.values()),
    }  # fmt: skip


def write(*several: Contents) -> bytes:
    """The bundle as a file."""
    return json.dumps(bundle_of(*several), ensure_ascii=False, indent=2, allow_nan=False).encode("utf-8", "replace")


def version_of(one: dict[str, Any]) -> str:
    """What tells two versions of an object apart; "" where it has none (STIX 2.1, common properties)."""
    return str(one.get("modified") or one.get("created") or "")


def objects_of(contents: Contents) -> list[dict[str, Any]]:
    """Markings, who is who, the case, what can be looked for, objects as they came in, and the report of it all."""
    marks = definitions(contents)
    frame: dict[str, Any] = {"object_marking_refs": [one["id"] for one in marks]}
    if contents.sender is not None:
        frame = {"created_by_ref": _identity_id(contents.sender), **frame}
    people = _identities(contents, frame)
    case = _case(contents, frame)
    seen = _observed(contents, frame)
    told = [*case, *seen, *(one for one in contents.objects if one["type"] not in _NOT_REFERRED_TO)]
    return [*marks, *people, *case, *seen, *contents.objects, _report(contents, told or people, frame)]


def stamp(instant: datetime) -> str:
    """A STIX timestamp, to the millisecond."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# ---------------------------------------------------------------- who


def _identities(contents: Contents, frame: dict[str, Any]) -> list[dict[str, Any]]:
    parties = {party.code: party for party in (contents.sender, contents.originator, contents.recipient) if party}
    return [
        {"type": "identity", "spec_version": "2.1", "id": _identity_id(party), "created": _SINCE, "modified": _SINCE,
         "name": party.name, "identity_class": "organization", "object_marking_refs": frame["object_marking_refs"][:1]}
        for party in parties.values()
    ]  # fmt: skip


def _identity_id(party: Party) -> str:
    return stix_id("identity", party.code)


# ---------------------------------------------------------------- what


def _case(contents: Contents, frame: dict[str, Any]) -> list[dict[str, Any]]:
    """The incident as this recipient knows it, and where it is."""
    if not contents.tells_of_case:
        return []
    incident = _sdo("incident", contents, frame, contents.reference, created=contents.first_at) | {
        "name": contents.title, "description": contents.body, **_language(contents),
        "extensions": {INCIDENT_CORE: {
            "extension_type": "property-extension",
            # The extension asks for both. What we found out ourselves is not part of what was released.
            "determination": "suspected",
            "investigation_status": "closed" if contents.kind == "closure" else "open",
        }},
    }  # fmt: skip
    places = [
        _sdo("location", contents, {"object_marking_refs": frame["object_marking_refs"][:1]}, country, at=_SINCE)
        | {"country": country}
        for country in contents.states_affected
    ]  # fmt: skip
    ties = [
        _sdo("relationship", contents, frame, contents.reference, place["country"], created=contents.first_at)
        | {"relationship_type": "located-at", "source_ref": incident["id"], "target_ref": place["id"]}
        for place in places
    ]  # fmt: skip
    return [incident, *places, *ties]


def _observed(contents: Contents, frame: dict[str, Any]) -> list[dict[str, Any]]:
    objects, indicators, lines = observed(contents.observables, within=contents.key)
    found = [{**one, "object_marking_refs": frame["object_marking_refs"]} for one in objects]
    found += [
        _sdo("indicator", contents, frame, contents.key, kind, pattern) | {
            "name": name, "pattern": pattern, "pattern_type": kind, "valid_from": stamp(contents.left_at),
        }
        for name, kind, pattern in indicators
    ]  # fmt: skip
    if lines:
        about = [one["id"] for one in found] or [stix_id("report", contents.key)]
        found.append(_sdo("note", contents, frame, contents.key) | {"content": "\n".join(lines), "object_refs": about})
    return found


def _report(contents: Contents, told: list[dict[str, Any]], frame: dict[str, Any]) -> dict[str, Any]:
    labels = [f"{LABELS}{contents.kind}", *(["exercise"] if contents.exercise else [])]
    said = {
        "name": f"{contents.kind_name}: {contents.title}", "description": contents.body, "labels": labels,
        "published": stamp(contents.left_at), "object_refs": list(dict.fromkeys(one["id"] for one in told)),
        **_language(contents),
    }  # fmt: skip
    named = contents.sender.name if contents.sender else "reference"
    outside = [{"source_name": named, "external_id": contents.reference}] if contents.reference else []
    if references := [*outside, *(_file(each) for each in contents.files)]:
        said["external_references"] = references
    return _sdo("report", contents, frame, contents.key) | said


def _file(file: Enclosed) -> dict[str, Any]:
    """A file that waits where the recipient signs in (STIX 2.1: hashes are those of what the URL gives)."""
    return {
        "source_name": "file of this release", "external_id": file.name, "hashes": {"SHA-256": file.sha256},
        "description": f"{file.media_type}, {file.size} bytes", **({"url": file.url} if file.url else {}),
    }  # fmt: skip


def _language(contents: Contents) -> dict[str, str]:
    return {"lang": contents.language} if contents.language else {}


def _sdo(
    kind: str, contents: Contents, frame: dict[str, Any], *names: str, created: datetime | None = None, at: str = ""
) -> dict[str, Any]:
    """The frame of an object: made when this alert left, or first made earlier, or the same for ever."""
    return {
        "type": kind, "spec_version": "2.1", "id": stix_id(kind, *names),
        "created": at or stamp(created or contents.left_at), "modified": at or stamp(contents.left_at), **frame,
    }  # fmt: skip
