"""The words of what steps tell and ask, made from the step and the incident's facts. Neutral: facts and requests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from coordinator.vocabulary import COUNTRIES, INCIDENT_TYPES

PERSONS = frozenset({"manual"})
CHECK_TITLE = "Communication check"
CHECK_BODY = (
    "This is a communication check. It says nothing about any incident. Please acknowledge that you received it; "
    "if you are not the right contact, please say so."
)
LONGEST_TITLE, LONGEST_BODY = 120, 10_000


def instructions(spec: Mapping[str, Any]) -> str:
    """What a person is asked to do: the description, then each command. What a machine would run is shown as it stands,
    and said to be for a person here."""
    lines = [spec["description"]] if spec.get("description") else []
    for command in spec.get("commands", ()):
        text = str(command.get("text") or command.get("command") or "")
        kind = str(command.get("type", "manual"))
        lines.append(text if kind in PERSONS else f"Command of type {kind}, to be carried out by a person: {text}")
    for target in spec.get("targets", ()) or ():
        if isinstance(target, Mapping) and target.get("name"):
            lines.append(f"For: {target['name']}")
    if spec.get("foreign_extensions"):
        lines.append("This step carries extensions that are not known here; they were left out.")
    return "\n\n".join(line for line in lines if line)


def message(
    kind: str, *, facts: Mapping[str, Any], title: str, summary: str, template: str = ""
) -> tuple[str, str]:
    """Title and body of an alert of this kind about an incident, or about none (check: a fixed text).

    `template`: a body of the playbook's own, in which {title}, {summary} and {facts} are filled in.
    """
    if kind == "check":
        return CHECK_TITLE, CHECK_BODY
    if template:
        fillings = {"title": title, "summary": summary, "facts": _facts(facts, kind)}
        filled = re.sub(r"\{(title|summary|facts)\}", lambda found: fillings[found[1]], template)
        return (title or "An incident")[:LONGEST_TITLE], filled[:LONGEST_BODY]
    about = [summary] if summary and kind == "initial" else []
    return (title or "An incident")[:LONGEST_TITLE], "\n\n".join([*about, _facts(facts, kind)])


def _facts(facts: Mapping[str, Any], kind: str) -> str:
    lines = [] if kind == "initial" else [f"Status: {facts.get('status', '')}."]
    classification = str(facts.get("classification") or "")
    if classification and classification != "undetermined" and classification in INCIDENT_TYPES:
        lines.append(f"Type of incident: {INCIDENT_TYPES.label(classification)}.")
    for name, label in (("noticed_at", "Noticed"), ("detected_at", "Detected"), ("occurred_at", "Began")):
        if facts.get(name):
            lines.append(f"{label}: {facts[name]}.")
            break
    states = [COUNTRIES.label(code) if code in COUNTRIES else code for code in facts.get("states_affected") or ()]
    if states:
        lines.append(f"States affected: {', '.join(states)}.")
    if facts.get("outlook"):
        lines.append(f"Outlook for the next six hours: {facts['outlook']}.")
    lines.append("Please acknowledge, and tell us what you see on your side." if kind == "initial" else
                 "We will write again when there is more.")  # fmt: skip
    return "\n".join(lines)
