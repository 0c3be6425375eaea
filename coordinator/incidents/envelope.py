"""The body of a report by its media type: native JSON, or CloudEvents 1.0 around a native report or an alert of another
coordinator. Pure: bytes in, a native report out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from marshmallow import EXCLUDE

from coordinator.clock import rfc3339
from coordinator.errors import Fault, Invalid, UnsupportedType
from coordinator.incidents.schema import load_report, refuse_secrecy
from coordinator.markings import UnknownLabel, parse_tlp
from coordinator.outside import terms
from coordinator.outside.faults import Shape, load
from coordinator.outside.fields import Choice, Instant, Listed, Text
from coordinator.outside.strict_json import parse_json

NATIVE = "application/json"
CLOUDEVENTS = "application/cloudevents+json"
ALERT_TYPE = "coordination.alert."
ALERT_KINDS = ("initial", "update", "correction", "closure", "recall", "receipt")
PING_TYPE = "coordination.check.ping"


@dataclass(frozen=True)
class Received:
    """What a body said. `report` is as `load_report` gives it (empty for a ping).

    `source`: the CloudEvents source. `kind`: of the other coordinator's alert, or `ping`, or "". `alert`: what it said
    besides the report: alert, in_reply_to, purpose, handling, acknowledge_url, acknowledge_api, checkpoint.
    """

    report: dict[str, Any]
    format: str = "native"
    source: str = ""
    kind: str = ""
    alert: dict[str, Any] = field(default_factory=dict)


class EnvelopeSchema(Shape):
    """CloudEvents 1.0 in structured mode. Extensions are let through, but `dataclassification` must be understood."""

    class Meta:
        unknown = EXCLUDE

    specversion = Choice(["1.0"], required=True, sentence="Send CloudEvents 1.0.")
    id = Text(256, required=True)
    source = Text(500, required=True)
    type = Text(200, required=True)
    time = Instant()
    dataclassification = Text(200)


class AlertSchema(Shape):
    """What another coordinator puts in `data` (contract: outbound). A newer one may say more: that is left out."""

    class Meta:
        unknown = EXCLUDE

    alert = Text(200, required=True)
    reference = Text(200, required=True)
    kind = Choice(ALERT_KINDS)
    in_reply_to = Text(200)
    title = Text(120, required=True)
    body = Text(10_000, lines=True)
    tlp = terms.tlp(required=True)
    pap = terms.pap()
    purpose = Text(80)
    handling = Listed(Text(80), most=100)
    originator = terms.OrganisationCode()
    noticed_at = Instant()
    states_affected = Listed(terms.country(), most=300)
    reply_by = Instant()
    acknowledge_url = Text(500)
    acknowledge_api = Text(500)
    exercise = terms.identifier()
    language = terms.Language()
    checkpoint = Text(200)


_ENVELOPE, _ALERT = EnvelopeSchema(), AlertSchema()
_BESIDES = ("alert", "in_reply_to", "purpose", "handling", "acknowledge_url", "acknowledge_api", "checkpoint")
_SAME = ("title", "tlp", "pap", "originator", "states_affected", "exercise", "language")


def read_body(raw: bytes, media_type: str, *, now: datetime) -> Received:
    """The report in `raw`. Raises NotParseable, Invalid with every fault, SecrecyMarkingFound, UnsupportedType."""
    read = READERS.get(media_type)
    if read is None:
        raise UnsupportedType()
    return read(raw, now)


def _native(raw: bytes, now: datetime) -> Received:
    return Received(load_report(parse_json(raw), now=now))


def _cloudevent(raw: bytes, now: datetime) -> Received:
    event = parse_json(raw)
    data = event.get("data") if isinstance(event, dict) else None
    _refuse_secret_alert(data)
    envelope = load(_ENVELOPE, event)
    kind = envelope["type"]
    if kind == PING_TYPE:
        return Received({}, "cloudevents", envelope["source"], "ping")
    if not isinstance(data, dict):
        raise Invalid([Fault("/data", "Put the report here as a JSON object.")])
    data = _as_classified(envelope, data)
    if kind.startswith(ALERT_TYPE):
        return _alert(envelope, data, kind.removeprefix(ALERT_TYPE), now)
    try:
        return Received(load_report(data, now=now), "cloudevents", envelope["source"])
    except Invalid as error:
        raise _moved(error) from None


def _alert(envelope: Mapping[str, Any], data: Mapping[str, Any], kind: str, now: datetime) -> Received:
    if kind not in ALERT_KINDS:
        raise Invalid([Fault("/type", f"Alerts are of the kinds {', '.join(ALERT_KINDS)}.")])
    said = load(_ALERT, data, pointer="/data")
    if said.get("kind", kind) != kind:
        raise Invalid([Fault("/data/kind", "This differs from the type of the envelope: make them the same.")])
    native: dict[str, Any] = {name: said[name] for name in _SAME if name in said}
    native |= {"external_id": said["reference"], "noticed_at": rfc3339(said.get("noticed_at") or _time(envelope, now))}
    if "body" in said:
        native["description"] = said["body"]
    if "reply_by" in said:
        native["reply_by"] = rfc3339(said["reply_by"])
    if "O-NO-ATTRIBUTION" in said.get("handling", ()):
        native["caveats"] = {"no_attribution": True}
    try:
        report = load_report(native, now=now)
    except Invalid as error:
        raise _moved(error) from None
    besides = {name: said[name] for name in _BESIDES if name in said}
    return Received(report, "alert", envelope["source"], kind, besides)


def _time(envelope: Mapping[str, Any], now: datetime) -> datetime:
    return envelope.get("time") or now


def _refuse_secret_alert(data: Any) -> None:
    """An alert's text is in `body`: it is looked at before any fault is told (R11)."""
    try:
        refuse_secrecy(data)
        if isinstance(data, dict):
            refuse_secrecy({"description": data.get("body")})
    except Invalid as error:
        raise _moved(error) from None


def _as_classified(envelope: Mapping[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """`data` with the stricter of its own label and the envelope's. A label that cannot be understood is refused."""
    stated = envelope.get("dataclassification")
    if stated is None:
        return data
    try:
        outer = parse_tlp(stated)
    except UnknownLabel:
        raise Invalid([Fault("/dataclassification", "This is no TLP 2.0 label: send one or leave it out.")]) from None
    try:
        inner = parse_tlp(data.get("tlp"))  # type: ignore[arg-type]
    except (UnknownLabel, AttributeError, TypeError):
        return data  # the schema says what is wrong with it
    return data | {"tlp": max(inner, outer).value}


def _moved(error: Invalid) -> Invalid:
    """The same faults with pointers into the envelope's `data`."""
    return type(error)([Fault(f"/data{fault.pointer}", fault.detail) for fault in error.errors], error.detail)


#: Media type -> reader. Interchange adds STIX and MISP here when the processes start.
READERS: dict[str, Callable[[bytes, datetime], Received]] = {NATIVE: _native, CLOUDEVENTS: _cloudevent}
