"""What an assessment asks for, and what it comes to. Pure. A machine never concludes: a named person accepts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

SEVERITY, REASON, OUTLOOK = "severity", "reason", "outlook"
LEVELS = ("0", "1", "2", "3", "4", "5")
_CHOICES: Mapping[str, tuple[str, ...]] = {
    SEVERITY: LEVELS,
    OUTLOOK: ("improving", "stable", "worsening"),
    "confidence": ("low", "moderate", "high"),
}


def form_of(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The form for the values a step puts out: each of them, and the reason, which is always asked for.

    Severity is the stored scale (0 to 5), outlook the NIS Cooperation Group's three, confidence the analysts' three.
    """
    fields: dict[str, dict[str, Any]] = {}
    for name in (*names, REASON):
        choices = _CHOICES.get(name)
        label = "Why, and on what it rests" if name == REASON else name.replace("_", " ").replace("-", " ").capitalize()
        fields[name] = {"label": label, "type": "choice" if choices else "text", "required": True}
        if choices:
            fields[name]["options"] = list(choices)
    return fields


def severity_in(values: Mapping[str, Any]) -> int | None:
    """The level somebody concluded, None where that was not asked."""
    text = str(values.get(SEVERITY, ""))
    return int(text) if text in LEVELS else None
