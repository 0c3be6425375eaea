"""What a text is composed from, by name: the same names a report uses (contract, native report). Pure.

A version for a recipient is built from the parts it is given, in this order, and never cut out of a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from coordinator import clock
from coordinator.vocabulary import COUNTRIES, HUMANITARIAN_FLAGS, INCIDENT_TYPES, SECTORS, SEVERITIES

TITLE, DESCRIPTION, ASKS = "title", "description", "asks"
#: Not a text of their own: indicators that go along, and that the source is named.
OBSERVABLES, ORIGINATOR = "observables", "originator"
#: An item of the incident that stands in the text with its own words; included by the key of the item.
ITEM = "item"
#: Facts of the incident that may be said, each on a line of its own. The instants with how surely they are known.
INSTANTS = ("occurred_at", "detected_at", "noticed_at")
FACTS = ("status", "classification", "severity", "sectors", "states_affected", *INSTANTS, "suspected_malicious",
         "cross_border", "humanitarian_flags", "outlook")  # fmt: skip
#: What kind of information a part is, where it is not what the whole is: the agreements ask for it.
CATEGORY = {"severity": "impact-assessment", ASKS: "request"}
NAMES = {
    TITLE: "Title", DESCRIPTION: "Text", "status": "Status", "classification": "Type of incident",
    "severity": "Severity", "sectors": "Sectors affected", "states_affected": "States affected",
    "occurred_at": "Occurred", "detected_at": "Detected", "noticed_at": "Noticed",
    "suspected_malicious": "Suspected malicious", "cross_border": "Across borders",
    "humanitarian_flags": "Humanitarian", "outlook": "Outlook for the next six hours", ASKS: "What we ask",
    OBSERVABLES: "Indicators", ORIGINATOR: "Whose information it is",
}  # fmt: skip
_LISTS: Mapping[str, Any] = {
    "sectors": SECTORS, "states_affected": COUNTRIES, "humanitarian_flags": HUMANITARIAN_FLAGS,
}  # fmt: skip


def line(name: str, value: Any, fidelity: str = "") -> str:
    """A fact as it stands in a text; "" where nothing is known of it. `value` as the incident holds it."""
    if value in (None, "", []) or value in ("undetermined", "unknown"):
        return ""
    said = _said(name, value)
    if name in INSTANTS and fidelity not in ("", "second"):
        said += f" (to the {fidelity})"
    return f"{NAMES[name]}: {said}"


def composed(described: Sequence[str], facts: Sequence[str], asks: str, after: Sequence[str] = ()) -> str:
    """The text: what was written or said, the facts, what was written to stand `after` them, then what is asked."""
    said = [*described, "\n".join(facts), *after, f"{NAMES[ASKS]}: {asks}" if asks else ""]
    return "\n\n".join(text for text in said if text)


def _said(name: str, value: Any) -> str:
    if isinstance(value, datetime):
        return clock.rfc3339(value)
    if isinstance(value, list):
        names = _LISTS.get(name)
        return ", ".join(names.label(each) if names and each in names else str(each) for each in value)
    if name == "severity":
        return f"{value} ({SEVERITIES.label(value)})" if value in SEVERITIES else str(value)
    return INCIDENT_TYPES.label(value) if name == "classification" and value in INCIDENT_TYPES else str(value)
