"""CloudEvents 1.0 in structured JSON: native reports and alerts of other coordinators in, our own alerts out.

An alert of another coordinator is read as a report: title, body -> description, reference -> external_id, the rest by
the same names. Faults point into the document that was sent, not into the report it is read as.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from coordinator.errors import Fault, Invalid, SecrecyMarkingFound
from coordinator.incidents.envelope import Received
from coordinator.incidents.schema import OBSERVED, ReportSchema, load_report, refuse_secrecy
from coordinator.markings import find_secrecy
from coordinator.outside.faults import Shape, load, pointer_part
from coordinator.outside.fields import Choice, Instant, Listed, Part, Text, Token, Whole
from coordinator.outside.strict_json import parse_json

MEDIA_TYPE = "application/cloudevents+json"
ALERT_PREFIX = "coordination.alert."
PING_TYPE = "coordination.check.ping"

_OURS = "coordination."
_ATTRIBUTES = ("id", "source", "specversion", "type", "time", "subject", "dataschema", "datacontenttype")
_MOST_EXTENSIONS = 50


class Kind(StrEnum):
    """What an event is to us: a native report, one of the alerts of another coordinator, or a check."""

    REPORT = "report"
    INITIAL = "initial"
    UPDATE = "update"
    CORRECTION = "correction"
    CLOSURE = "closure"
    RECALL = "recall"
    RECEIPT = "receipt"
    PING = "ping"


FOLLOW_UPS = frozenset({Kind.UPDATE, Kind.CORRECTION, Kind.CLOSURE, Kind.RECALL})
_ALERT_TYPES = {f"{ALERT_PREFIX}{kind}": kind for kind in Kind if kind not in (Kind.REPORT, Kind.PING)}
_TYPES = _ALERT_TYPES | {PING_TYPE: Kind.PING}


@dataclass(frozen=True, kw_only=True)
class Event:
    """An event that was taken. `report` is what `load_report` gives; of a check or a receipt, what it says of that.

    `facts` is what an alert says besides: alert, kind, in_reply_to, purpose, handling, acknowledge_url,
    acknowledge_api, checkpoint.
    """

    id: str
    source: str
    type: str
    time: datetime | None
    kind: Kind
    report: dict[str, Any]
    facts: dict[str, Any] = field(default_factory=dict)


class EnvelopeSchema(Shape):
    """The context attributes (CloudEvents 1.0, 3.1); extensions are allowed and looked at beside it."""

    id = Text(256, required=True)
    source = Text(1000, required=True)
    specversion = Choice(("1.0",), sentence="Send specversion 1.0.", required=True)
    type = Text(256, required=True)
    time = Instant()
    subject = Text(1000)
    dataschema = Text(2000)
    datacontenttype = Token(r"[A-Za-z]+/(?:[A-Za-z0-9.+_-]+\+)?json(?: *;.*)?", "Send the data as JSON.", longest=100)


class AlertFileSchema(Shape):
    """A file that waits with the sender for a person of ours to take it."""

    name = Text(255)
    media_type = Text(120)
    size = Whole(0, 2**53 - 1)
    sha256 = Text(64)
    url = Text(2000)


class AlertFactsSchema(Shape):
    """What an alert holds beside the report that it is read as."""

    alert = Text(80)
    kind = Text(40)
    in_reply_to = Text(80)
    purpose = Text(80)
    handling = Listed(Text(200), most=100)
    acknowledge_url = Text(2000)
    acknowledge_api = Text(2000)
    checkpoint = Text(200)
    files = Listed(Part(AlertFileSchema), most=100)


class FrameSchema(ReportSchema):
    """The fields of a report, none of them required."""

    def _instants(self, data: Any, original: Any, **_: Any) -> None:
        """Nothing has to have been noticed."""


_ENVELOPE, _FACTS, _FRAME = EnvelopeSchema(), AlertFactsSchema(), FrameSchema(partial=True)
_FACT_NAMES = frozenset(_FACTS.fields)
_READ_AS = {"body": "description", "reference": "external_id"}
_SENT_AS = {native: sent for sent, native in _READ_AS.items()}
_NATIVE_ONLY = frozenset(_SENT_AS)


# ---------------------------------------------------------------- in


def load_event(document: Any, *, now: datetime | None = None) -> Event:
    """The event in a parsed document.

    Raises Invalid with every fault, or SecrecyMarkingFound where `dataclassification` or the report bear a marking
    above unclassified. Any other `dataclassification` is refused as well: whoever cannot act on it has to.
    An alert that does not say when it was noticed is taken as noticed at the envelope's time, and flagged so.
    """
    if not isinstance(document, Mapping):
        raise Invalid([Fault("", "Send a CloudEvents envelope as one JSON object.")])
    _refuse_classified(document)
    faults = _extension_faults(document)
    known = {name: document[name] for name in _ATTRIBUTES if name in document}
    envelope = _collect(faults, lambda: load(_ENVELOPE, known)) or {}
    kind = _kind(document.get("type"), faults)
    data = _data(document, kind, faults)
    report, facts = _content(data, kind, known.get("time"), faults=faults, now=now)
    if faults:
        raise Invalid(faults)
    return Event(
        id=envelope["id"], source=envelope["source"], type=envelope["type"], time=envelope.get("time"),
        kind=kind, report=report, facts=facts,
    )  # fmt: skip


def _collect(faults: list[Fault], read: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    """What `read` gives; its faults are added to the others. A secrecy marking goes its own way at once."""
    try:
        return read()
    except SecrecyMarkingFound:
        raise
    except Invalid as refusal:
        faults.extend(refusal.errors)
        return None


def _refuse_classified(document: Mapping[str, Any]) -> None:
    value = document.get("dataclassification")
    if isinstance(value, str) and find_secrecy(f"Classification: {value[:200]}"):
        detail = "Take this to a system for classified information: it was not kept."
        raise SecrecyMarkingFound([Fault("/dataclassification", detail)])


def _extension_faults(document: Mapping[str, Any]) -> list[Fault]:
    names = [name for name in document if name not in _ATTRIBUTES and name not in ("data", "data_base64")]
    if len(names) > _MOST_EXTENSIONS:
        return [Fault("", f"Send at most {_MOST_EXTENSIONS} extension attributes.")]
    faults = [
        Fault(f"/{pointer_part(name)}", "Send extension attributes as text, whole numbers, true or false.")
        for name in sorted(names)
        if not isinstance(document[name], (str, int, bool, type(None)))
    ]
    if document.get("dataclassification") is not None:
        sentence = "Leave dataclassification out: data that needs it cannot be handled here. Use tlp and caveats."
        faults.append(Fault("/dataclassification", sentence))
    return faults


def _data(document: Mapping[str, Any], kind: Kind, faults: list[Fault]) -> dict[str, Any] | None:
    data = document.get("data")
    if data is None and "data_base64" not in document and kind is Kind.PING:
        return {}
    if isinstance(data, dict) and "data_base64" not in document:
        return data
    where = "/data_base64" if "data_base64" in document else "/data"
    faults.append(Fault(where, "Send the report as a JSON object in data."))
    return None


def _kind(name: Any, faults: list[Fault]) -> Kind:
    """Types of our own family are closed; under any other type the data is a native report."""
    if not isinstance(name, str):
        return Kind.REPORT
    if name.startswith(_OURS) and name not in _TYPES and name != f"{_OURS}report":
        faults.append(Fault("/type", f"Send one of {', '.join(_TYPES)}, or another type with a native report."))
    return _TYPES.get(name, Kind.INITIAL if name.startswith(ALERT_PREFIX) else Kind.REPORT)


def _content(
    data: dict[str, Any] | None, kind: Kind, sent_at: Any, *, faults: list[Fault], now: datetime | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The report and the facts; what is wrong goes to `faults`, and then what is given back is not used."""
    if data is None:
        return {}, {}
    if kind is Kind.REPORT:
        return _collect(faults, lambda: _pointed(lambda: load_report(data, now=now), {})) or {}, {}
    faults += _alert_faults(data, kind)
    said = {name: value for name, value in data.items() if name in _FACT_NAMES}
    facts = _collect(faults, lambda: load(_FACTS, said, pointer="/data")) or {}
    report = _as_report(data)
    if kind in (Kind.PING, Kind.RECEIPT):
        return _collect(faults, lambda: _pointed(lambda: _frame(report), _SENT_AS)) or {}, facts
    if sent_at and not any(report.get(name) for name in OBSERVED):
        report["noticed_at"] = sent_at
    loaded = _collect(faults, lambda: _pointed(lambda: load_report(report, now=now), _SENT_AS)) or {}
    if "noticed_at" in loaded and not data.get("noticed_at"):
        loaded["flags"] = [*loaded["flags"], "noticed_at-taken-from-envelope"]
    return loaded, facts


def _frame(report: dict[str, Any]) -> dict[str, Any]:
    """A check or a receipt tells of no incident: of a report's fields none is required."""
    refuse_secrecy(report)
    return load(_FRAME, report) | {"flags": []}


def _alert_faults(data: Mapping[str, Any], kind: Kind) -> list[Fault]:
    faults = [
        Fault(f"/data/{name}", f"An alert says this in {_SENT_AS[name]}: send it there.")
        for name in sorted(_NATIVE_ONLY & set(data))
    ]
    if kind is not Kind.PING and data.get("kind") not in (None, "", kind):
        faults.append(Fault("/data/kind", "Send the kind that the type names."))
    return faults


def _as_report(data: Mapping[str, Any]) -> dict[str, Any]:
    left_out = _FACT_NAMES | _NATIVE_ONLY
    report = {_READ_AS.get(name, name): value for name, value in data.items() if name not in left_out}
    handling = data.get("handling")
    if isinstance(handling, list) and "O-NO-ATTRIBUTION" in handling:
        report.setdefault("caveats", {"no_attribution": True})
    return report


def _pointed(read: Callable[[], dict[str, Any]], sent_as: Mapping[str, str]) -> dict[str, Any]:
    """What `read` gives, with faults that point into the event."""
    try:
        return read()
    except Invalid as refusal:
        raise type(refusal)([_in_data(fault, sent_as) for fault in refusal.errors], refusal.detail) from None


def _in_data(fault: Fault, sent_as: Mapping[str, str]) -> Fault:
    first, *rest = fault.pointer.split("/")[1:] or [""]
    parts = [sent_as.get(first, first), *rest] if first else []
    return Fault("/".join(["/data", *parts]), fault.detail)


def read(raw: bytes, now: datetime, _asks: str = "") -> Received:
    """The reader that intake uses for this media type. Raises NotParseable too."""
    event = load_event(parse_json(raw), now=now)
    kind = "" if event.kind is Kind.REPORT else event.kind.value
    return Received(event.report, "alert" if event.kind in _ALERT_TYPES.values() else "cloudevents", event.source,
                    kind, event.facts)


# ---------------------------------------------------------------- out


def envelope(type: str, source: str, *, id: str, time: datetime, data: Mapping[str, Any]) -> dict[str, Any]:
    """Our own event: `id` is the webhook-id, the same on every attempt, `source` our BASE_URL, `time` aware.

    In `data`, datetimes become RFC 3339 text in UTC and what is None is left out.
    """
    return {
        "specversion": "1.0",
        "id": id,
        "source": source,
        "type": type,
        "time": _rfc3339(time),
        "datacontenttype": "application/json",
        "data": {name: _plain(value) for name, value in data.items() if value is not None},
    }


def write(event: Mapping[str, Any]) -> bytes:
    """The bytes that are signed and sent."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")


def _plain(value: Any) -> Any:
    return _rfc3339(value) if isinstance(value, datetime) else value


def _rfc3339(instant: datetime) -> str:
    if instant.tzinfo is None:
        raise ValueError("instants carry an offset")
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
