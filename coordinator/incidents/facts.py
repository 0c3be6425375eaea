"""A report's facts as rows: the columns of a new incident, the item versions each report brings. No queries here."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from coordinator import clock
from coordinator.incidents import rules, words
from coordinator.incidents.envelope import Received
from coordinator.incidents.items import NewItem, marking_of_report, written
from coordinator.markings import Tlp, parse_tlp


@dataclass(frozen=True, kw_only=True)
class Inbound:
    """A kept report with its sender, as the second transaction locked it. `organisation` is the sender's code."""

    id: int
    public_id: str
    received_at: datetime
    via: str
    organisation_id: int
    organisation: str
    active: bool
    is_own: bool | None
    endpoint_id: int | None
    endpoint: str | None
    restricted: bool
    stix_asks: str | None
    source: str | None
    user_id: int | None
    raw_digest: str
    media_type: str
    data_key_id: int
    exercise: str
    disposition: str
    sealed: bytes = field(repr=False)
    wrapped: bytes | None = field(default=None, repr=False)

    @property
    def actor(self) -> str:
        return f"endpoint:{self.endpoint}" if self.endpoint else f"user:{self.user_id}"


def incident_values(
    inbound: Inbound, report: dict[str, Any], originator: int | None, now: datetime
) -> dict[str, Any]:
    """The columns of an incident opened from `report` at `now`, the same for all. A restricted one keeps title and text
    sealed only."""
    flags = report.get("humanitarian_flags", [])
    marking = marking_of_report(report)
    label = rules.opening_tlp(marking.effective, flags)
    restricted = rules.opens_restricted(label, inbound.restricted)
    suggested = rules.suggest_severity(report.get("severity"), flags)
    values = {
        "title": "" if restricted else report["title"], "search_text": "" if restricted else _searchable(report),
        "classification": report.get("classification", "undetermined"), "tlp": label.value,
        "marking": written(marking), "severity": suggested.level if suggested else None,
        "severity_by": "rule" if suggested and suggested.raised_by else "reporter" if suggested else "",
        "severity_reason": f"Floor of: {', '.join(suggested.raised_by)}" if suggested and suggested.raised_by else "",
        "originator_id": originator, "source_id": inbound.organisation_id, "sectors": report.get("sectors", []),
        "states_affected": report.get("states_affected", []), "humanitarian_flags": flags,
        "suspected_malicious": report.get("suspected_malicious", "unknown"),
        "cross_border": report.get("cross_border", "unknown"), "restricted": restricted,
        "language": report.get("language", "en"), "data_key_id": inbound.data_key_id, "created_at": now,
        "updated_at": now, "exercise": inbound.exercise, "status": rules.Status.REPORTED.value,
    }  # fmt: skip
    for name in rules.REPORT_INSTANTS:
        values[name] = report.get(name)
        values[name.replace("_at", "_fidelity")] = report.get(f"{name}_fidelity", "second") if name in report else ""
    if "aware_at" not in report:
        values |= {"aware_at": inbound.received_at, "aware_fidelity": "second"}
    return values


def _searchable(report: dict[str, Any]) -> str:
    """What search may find in the open: the body of AMBER and stricter stays sealed."""
    open_text = report.get("description", "") if parse_tlp(report["tlp"]) <= Tlp.GREEN else ""
    return words.searchable(report["title"], report.get("external_id", ""), open_text)


def items_of(inbound: Inbound, received: Received, originator: int | None) -> list[NewItem]:
    """Title, summary and all facts of one report, each marked as the report is and bound to who said it."""
    report = received.report
    marking = marking_of_report(report)
    told_by = None if inbound.is_own or originator == inbound.organisation_id else inbound.organisation_id
    facts = {name: _plain(value) for name, value in report.items() if name not in ("title", "description")}
    facts |= {"alert": received.alert | {"kind": received.kind}} if received.alert else {}
    category = "technical-indicators" if report.get("observables") else "incident-notification"
    said: list[tuple[str, Any, str]] = [("title", report["title"], "incident-notification")]
    if "description" in report:
        said.append(("summary", report["description"], "incident-notification"))
    said.append(("details", facts, category))
    return [
        NewItem(kind=kind, content=content, marking=marking, info_category=category, originator_id=originator,
                source_id=told_by)
        for kind, content, category in said
    ]  # fmt: skip


def _plain(value: Any) -> Any:
    """Instants as text, all the way down, so that the facts are JSON."""
    if isinstance(value, datetime):
        return clock.rfc3339(value)
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
