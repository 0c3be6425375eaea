"""MISP events, read as one report. A distribution may narrow what a tag says and never widens it.

Sources: MISP core format (draft 20), the MISP taxonomies tlp, PAP, iep2-policy, rsit and exercise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from coordinator import vocabulary
from coordinator.errors import Fault, Invalid, SecrecyMarkingFound
from coordinator.incidents.envelope import Received
from coordinator.incidents.schema import MOST_OBSERVABLES, load_report
from coordinator.interchange import policies
from coordinator.interchange.misp_out import CLIENTS_GROUP, OWN_GROUP
from coordinator.interchange.shortened import shortened
from coordinator.markings import (
    IEP_TLP,
    UNMARKED_AS,
    Iep,
    Pap,
    Tlp,
    UnknownLabel,
    find_secrecy,
    parse_pap,
    parse_tlp,
)
from coordinator.outside.strict_json import parse_json

MEDIA_TYPE = "application/vnd.misp+json"

_MOST_TAGS = 2000
_OWN_ORGANISATION, _SHARING_GROUP = 0, 4
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:|'-]{0,63}")
_RSIT = re.compile(r'rsit:([a-z-]+)(?:="([a-z0-9-]+)")?')
_EXERCISE = re.compile(r'exercise:([a-z0-9-]+)(?:="([A-Za-z0-9 _.-]+)")?')
# They hold prose or whole files, nothing that is looked for.
_NOT_OBSERVED = frozenset(
    {"attachment", "malware-sample", "comment", "text", "other", "datetime", "boolean", "counter"}
)
_THREAT_LEVELS = {"1": "high", "2": "medium", "3": "low"}
_ANALYSIS = {"0": "initial", "1": "ongoing", "2": "complete"}


def read(raw: bytes, now: datetime, _asks: str = "") -> Received:
    """The reader that intake uses for this media type.

    Takes `{"Event": {…}}`, a list or an answer of the search with one event, or an event by itself. `external_id` is
    its uuid, so that the event sent again is an update. Raises NotParseable; Invalid, which repeats nothing that was
    sent; SecrecyMarkingFound.
    """
    event, where = _event(parse_json(raw))
    tags = _tags(event, where)
    report, flags = _report(event, tags, where, now)
    try:
        loaded = load_report(report, now=now)
    except Invalid as refusal:
        raise type(refusal)([_pointed(fault, where) for fault in refusal.errors], refusal.detail) from None
    loaded["flags"] = [*loaded["flags"], *flags]
    return Received(loaded, "misp")


def _event(document: Any) -> tuple[Mapping[str, Any], str]:
    where, event = "", document
    if isinstance(event, Mapping) and isinstance(event.get("response"), list | Mapping):
        where, event = "/response", event["response"]
    if isinstance(event, list):
        if len(event) != 1:
            raise Invalid([Fault(where, "Send one event: each event is answered by itself.")])
        where, event = f"{where}/0", event[0]
    if isinstance(event, Mapping) and "Event" in event:
        where, event = f"{where}/Event", event["Event"]
    if not isinstance(event, Mapping) or not isinstance(event.get("info"), str):
        raise Invalid([Fault(f"{where}/info", _instead(event))])
    return event, where


def _instead(found: Any) -> str:
    """What to send instead of what was sent for an event. Nothing of it is repeated."""
    if not isinstance(found, Mapping):
        return "Send a MISP event; its info says what happened."
    if found.get("type") == "bundle":
        return "This is STIX: send it as application/stix+json."
    if found and all(isinstance(one, Mapping) and isinstance(one.get("info"), str) for one in found.values()):
        return "This lists the events of a feed: send the events themselves, one by one."
    if "Object" in found or "Attribute" in found or "GalaxyCluster" in found or {"type", "value"} <= set(found):
        return "Send the event that this is a part of; its info says what happened."
    return "Send a MISP event; its info says what happened."


def _report(
    event: Mapping[str, Any], tags: list[str], where: str, now: datetime
) -> tuple[dict[str, Any], list[str]]:
    label, caveats, flags, policy = _marking(event, tags)
    title, description, cut = shortened(event["info"], _described(event))
    observables, more = _observables(event)
    report: dict[str, Any] = {
        "title": title, "tlp": label.value, "observables": observables, **_noticed(event, where, now),
        **_classified(tags), **({"description": description} if description else {}),
        **({"caveats": caveats} if caveats else {}), **policies.for_report(policy),
    }  # fmt: skip
    pap = [level for level in (_parsed(parse_pap, tag, "pap:") for tag in tags) if isinstance(level, Pap)]
    if pap:
        report["pap"] = max(pap).value
    if isinstance(event.get("uuid"), str) and _UUID.fullmatch(event["uuid"]):
        report["external_id"] = event["uuid"].lower()
    exercise = next((found for tag in tags if (found := _EXERCISE.fullmatch(tag))), None)
    if exercise:
        report["exercise"] = re.sub(r"[^a-z0-9]+", "-", (exercise[2] or exercise[1]).lower()).strip("-")
    undated = ["noticed_at-taken-from-arrival"] if _undated(event) else []
    return report, [*cut, *flags, *undated, *(["more-observables-in-the-original"] if more else [])]


# ---------------------------------------------------------------- marking


def _marking(event: Mapping[str, Any], tags: list[str]) -> tuple[Tlp, dict[str, Any], list[str], Iep | None]:
    """The strictest of all labels in the event, on it and on its parts; without any it is unmarked. Of exchange
    policies the strictest of each statement, and where one cannot be read the originator's consent is needed."""
    labels: list[Tlp] = []
    caveats: dict[str, Any] = {}
    flags: list[str] = []
    policy, whole = policies.of_tags(tags)
    labels += [IEP_TLP[policy.tlp]] if policy is not None and policy.tlp else []
    if not whole:
        caveats["orcon"] = True
        flags.append("unknown-marking")
    for tag in tags:
        if tag.lower() in ("tlp:ex:chr", "tlp:ex:chatham-house-rule"):
            caveats["no_attribution"] = True  # says not to name the source; it is no label
        elif tag.lower().startswith("tlp:"):
            label = _parsed(parse_tlp, tag, "tlp:")
            labels.append(label or UNMARKED_AS)
            flags += [] if label else ["unknown-marking"]
    if not labels:
        labels, flags = [UNMARKED_AS], [*flags, "unmarked-parts"]
    distribution = _number(event.get("distribution"))
    if distribution == _OWN_ORGANISATION:
        labels.append(Tlp.AMBER_STRICT)
        flags.append("distribution-own-organisation")
    elif distribution == _SHARING_GROUP and _group(event) not in (OWN_GROUP, CLIENTS_GROUP):
        caveats["orcon"] = True  # its members are known to the sender only
        flags.append("distribution-sharing-group")
    return max(labels), caveats, list(dict.fromkeys(flags)), policy


def _group(event: Mapping[str, Any]) -> str:
    group = event.get("SharingGroup")
    return str(group.get("uuid")) if isinstance(group, Mapping) else ""


def _parsed(parse: Any, tag: str, prefix: str) -> Any:
    if not tag.lower().startswith(prefix):
        return None
    try:
        return parse(tag)
    except UnknownLabel:
        return None


def _tags(event: Mapping[str, Any], where: str) -> list[str]:
    """The names of all tags, on the event and on its attributes and objects. Raises SecrecyMarkingFound (R11)."""
    names = [name for holder in (event, *_attributes(event)) for name in _tags_on(holder)]
    if len(names) > _MOST_TAGS:
        raise Invalid([Fault(f"{where}/Tag", f"Send at most {_MOST_TAGS} tags.")])
    for name in dict.fromkeys(names):
        said, value = re.sub(r'[:="_-]+', " ", name)[:200].strip(), name.rpartition("=")[2].strip('"')[:200]
        if find_secrecy(said) or ("classif" in name.lower() and find_secrecy(f"Classification: {value}")):
            detail = "Take this to a system for classified information: it bears a secrecy marking and was not kept."
            raise SecrecyMarkingFound([Fault(f"{where}/Tag", detail)])
    return names


def _tags_on(holder: Mapping[str, Any]) -> Iterator[str]:
    for tag in _list(holder, "Tag"):
        if isinstance(tag.get("name"), str):
            yield tag["name"].strip()


# ---------------------------------------------------------------- content


def _described(event: Mapping[str, Any]) -> str:
    author = event.get("Orgc") if isinstance(event.get("Orgc"), Mapping) else {}
    said = [
        ("MISP threat level", _THREAT_LEVELS.get(str(event.get("threat_level_id")))),
        ("MISP analysis", _ANALYSIS.get(str(event.get("analysis")))),
        ("Author, as stated", (author or {}).get("name")),
    ]
    lines = [f"{name}: {value}" for name, value in said if isinstance(value, str) and value]
    notes = [str(one["content"]) for one in _list(event, "EventReport") if isinstance(one.get("content"), str)]
    return "\n\n".join([*notes, "\n".join(lines)]).strip()


def _undated(event: Mapping[str, Any]) -> bool:
    """An event that its client left to the server to date; it is taken then as of the day on which it comes."""
    return event.get("date") in (None, "") and event.get("timestamp") in (None, "")


def _noticed(event: Mapping[str, Any], where: str, now: datetime) -> dict[str, str]:
    """The day of the event; without one, when it was last changed; without both, the day on which it came."""
    day, changed = event.get("date"), _number(event.get("timestamp"))
    if _undated(event):
        day = now.date().isoformat()
    if isinstance(day, str) and _DATE.fullmatch(day):
        return {"noticed_at": f"{day}T00:00:00Z", "noticed_at_fidelity": "day"}
    if changed is not None and 0 < changed < 7_000_000_000:
        return {"noticed_at": datetime.fromtimestamp(changed, UTC).isoformat()}
    raise Invalid([Fault(f"{where}/date", "Send the date of the event, like 2026-11-22.")])


def _classified(tags: list[str]) -> dict[str, str]:
    for tag in tags:
        found = _RSIT.fullmatch(tag.lower())
        code = "/".join(part for part in found.groups() if part) if found else ""
        if code in vocabulary.INCIDENT_TYPES:
            return {"classification": code}
    return {}


def _observables(event: Mapping[str, Any]) -> tuple[list[dict[str, str]], bool]:
    """What can be looked for, each once; and whether there is more than a report takes."""
    found = dict.fromkeys(
        (one["type"], one["value"]) for one in _attributes(event)
        if isinstance(one.get("type"), str) and isinstance(one.get("value"), str)
        and one["type"] not in _NOT_OBSERVED and one.get("deleted") not in (True, 1, "1")
    )  # fmt: skip
    fitting = [
        (kind, value) for kind, value in found
        if _TYPE.fullmatch(kind) and len(value) <= 2000 and value.isprintable() and value.strip()
    ]  # fmt: skip
    taken = fitting[:MOST_OBSERVABLES]
    return [{"type": kind, "value": value} for kind, value in taken], len(taken) < len(found)


def _attributes(event: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from _list(event, "Attribute")
    for one in _list(event, "Object"):
        yield from _list(one, "Attribute")


def _list(holder: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = holder.get(name)
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _number(value: Any) -> int | None:
    """MISP writes numbers as text or as numbers."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value) else None


def _pointed(fault: Fault, where: str) -> Fault:
    """What our own rules refuse of the report, at the part of the event it came from."""
    told = {"title": "info", "noticed_at": "date", "exercise": "Tag"}.get(
        fault.pointer.split("/")[1] if fault.pointer else ""
    )
    return Fault(f"{where}/{told}" if told else where or "", fault.detail)
