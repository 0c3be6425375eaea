"""A severity that rules propose from an incident's facts, with each reason and what is not known. A person answers it.

The rules are data; they raise and never lower. Levels are those of the Cyber Incident Severity Schema (0 to 5). Weights
for a score are not used: the published ones ask for facts that no report brings on the first day.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from playbooks.coordination import matches

METHOD = "facts"


@dataclass(frozen=True)
class Suggestion:
    """`reasons`: {text, fact, values, level, source}, the highest first; `unknown`: facts that could raise it."""

    level: int
    reasons: tuple[Mapping[str, Any], ...]
    unknown: tuple[str, ...]

    @property
    def mark(self) -> str:
        """The same for the same reasons: what was answered once is not suggested again."""
        said = json.dumps([self.level, [each["text"] for each in self.reasons]])
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    def as_told(self) -> dict[str, Any]:
        return {"level": self.level, "reasons": list(self.reasons), "unknown": list(self.unknown), "mark": self.mark}


@cache
def severity_rules() -> tuple[dict[str, Any], ...]:
    """The rules as data: {fact, is|in|at_least, level, source}."""
    raw = (resources.files(__package__) / "data" / "severity_rules.json").read_text("utf-8")
    return tuple(json.loads(raw))


def suggest(facts: Mapping[str, Any]) -> Suggestion | None:
    """The highest level that a rule asks for; None where none does. `facts` as incidents.queries.facts gives them."""
    held = []
    for rule in severity_rules():
        if matches({"all": [rule]}, facts)[0]:
            held.append({"text": _fact(rule, facts), "level": rule["level"], "source": rule["source"],
                         "fact": rule["fact"], "values": _values(rule, facts)})  # fmt: skip
    if not held:
        return None
    held.sort(key=lambda each: -each["level"])
    level = held[0]["level"]
    unknown = {rule["fact"] for rule in severity_rules()
               if rule["level"] > level and facts.get(rule["fact"]) in (None, "", [], "unknown")}  # fmt: skip
    return Suggestion(level, tuple(held), tuple(sorted(unknown)))


def _fact(rule: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """The fact that the rule found: "humanitarian flags: hospital-or-medical"."""
    return f"{rule['fact'].replace('_', ' ')}: {', '.join(map(str, _values(rule, facts)))}"


def _values(rule: Mapping[str, Any], facts: Mapping[str, Any]) -> list[Any]:
    value = facts[rule["fact"]]
    return [each for each in value if each in rule.get("in", value)] if isinstance(value, list) else [value]
