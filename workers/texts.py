"""The words of what steps tell and ask, made from the step and the incident's facts. Neutral: facts and requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PERSONS = frozenset({"manual"})
CHECK_TITLE = "Communication check"
CHECK_BODY = (
    "This is a communication check. It says nothing about any incident. Please acknowledge that you received it; "
    "if you are not the right contact, please say so."
)
#: What is asked of whoever hears of an incident for the first time.
ANSWER_US = "Please acknowledge, and tell us what you see on your side."
LONGEST_TITLE = 120


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
