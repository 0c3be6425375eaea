"""The script of a simulation: what people and partners do, and when. Read strictly; every fault has its place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from playbooks.durations import read_duration, read_instant

DEEDS = ("succeed", "fail", "approve", "refuse", "decide", "acknowledge", "report")
SHARE_RESULTS = ("permit", "refer", "deny")
_NAMES = frozenset({"start", "variables", "facts", "directory", "shares", "events"})
_EVENT_NAMES = frozenset({"after", "at", "step", "what", "by", "values"})
MAX_EVENTS = 10_000


class BadScript(Exception):
    """The script or a document cannot be used. `faults` are (JSON pointer, sentence)."""

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{pointer}: {sentence}" for pointer, sentence in faults))
        self.faults = faults


@dataclass(slots=True)
class Deed:
    """One thing somebody does at a step. `by` is role:person for people, the contact for an acknowledgement."""

    at: datetime
    step: str
    what: str
    by: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Script:
    """A whole script; `directory` is None when none was given."""

    start: datetime
    variables: Mapping[str, Any]
    facts: Mapping[str, Any]
    directory: list[str] | None
    shares: Mapping[str, str]
    deeds: list[Deed]


def read_script(raw: Any) -> Script:
    """The script in this object. Raises BadScript with every fault."""
    faults: list[tuple[str, str]] = []
    if not isinstance(raw, Mapping):
        raise BadScript([("", "a script is a JSON object")])
    faults += [(f"/{name}", "this name is not known in a script") for name in raw if name not in _NAMES]
    start = read_instant(raw.get("start"))
    if start is None:
        faults.append(("/start", "the start is an instant with an offset, like 2026-01-15T09:00:00Z"))
    for name in ("variables", "facts", "shares"):
        if not isinstance(raw.get(name, {}), Mapping):
            faults.append((f"/{name}", "an object is expected"))
    for name in ("directory", "events"):
        if not isinstance(raw.get(name, []), list):
            faults.append((f"/{name}", "a list is expected"))
    if faults or start is None:
        raise BadScript(faults)
    faults += [(f"/shares/{step}", f"one of {', '.join(SHARE_RESULTS)} is expected")
               for step, result in raw.get("shares", {}).items() if result not in SHARE_RESULTS]
    if not all(isinstance(each, str) and each for each in raw.get("directory", [])):
        faults.append(("/directory", "a directory lists contacts by their codes"))
    if len(raw.get("events", [])) > MAX_EVENTS:
        faults.append(("/events", f"a script has at most {MAX_EVENTS} events"))
    deeds = [_read_deed(each, f"/events/{at}", start, faults) for at, each in enumerate(raw.get("events", []))]
    if faults:
        raise BadScript(faults)
    found = sorted((each for each in deeds if each is not None), key=lambda deed: deed.at)
    directory = list(raw["directory"]) if "directory" in raw else None
    return Script(start, raw.get("variables", {}), raw.get("facts", {}), directory, raw.get("shares", {}), found)


def _read_deed(raw: Any, pointer: str, start: datetime, faults: list[tuple[str, str]]) -> Deed | None:
    if not isinstance(raw, Mapping):
        faults.append((pointer, "an event is an object"))
        return None
    before = len(faults)
    faults += [(f"{pointer}/{name}", "this name is not known in an event") for name in raw if name not in _EVENT_NAMES]
    if raw.get("what") not in DEEDS:
        faults.append((f"{pointer}/what", f"one of {', '.join(DEEDS)} is expected"))
    if not isinstance(raw.get("step"), str):
        faults.append((f"{pointer}/step", "an event names its step"))
    if not isinstance(raw.get("by", ""), str):
        faults.append((f"{pointer}/by", "a text is expected"))
    if not isinstance(raw.get("values", {}), Mapping):
        faults.append((f"{pointer}/values", "an object is expected"))
    at = _read_time(raw, pointer, start, faults)
    if len(faults) > before or at is None:
        return None
    return Deed(at, raw["step"], raw["what"], raw.get("by", ""), raw.get("values", {}))


def _read_time(raw: Mapping[str, Any], pointer: str, start: datetime, faults: list[tuple[str, str]]) -> datetime | None:
    if ("after" in raw) == ("at" in raw):
        faults.append((pointer, "an event has either after or at"))
        return None
    if "at" in raw:
        at = read_instant(raw["at"])
        if at is None:
            faults.append((f"{pointer}/at", "an instant with an offset is expected"))
        return at
    try:
        return read_duration(raw["after"]).after(start)
    except (ValueError, OverflowError) as fault:
        faults.append((f"{pointer}/after", str(fault)))
        return None
