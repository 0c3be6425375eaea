"""Duties that may apply to an incident: offered with the facts that speak for them, never begun by themselves.

Which facts speak for which rule is data beside the rules, and as rough as facts of the first day are: that a state and
a sector are affected says nothing yet of who is bound. A person begins what applies.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator.incidents.models import Incident
from coordinator.incidents.queries import facts
from coordinator.incidents.rules import OPEN_STATUSES, Status
from coordinator.obligations.models import Obligation
from coordinator.obligations.preview import IN_FORCE
from coordinator.obligations.queries import rules_of
from playbooks.coordination import matches

#: A sentence about a fact with a long list of values is cut at its end.
LONGEST = 90


@cache
def _conditions() -> tuple[Mapping[str, Any], ...]:
    raw = (resources.files(__package__) / "data" / "suggestions.json").read_text("utf-8")
    return tuple(json.loads(raw))


def duties_that_may_apply(tx: Session, incident: Incident) -> list[dict[str, Any]]:
    """{rule, instrument, who, advisory, because} for each duty that is not on the incident yet, begun or set aside."""
    if Status(incident.status) not in OPEN_STATUSES:
        return []
    query = select(Obligation.rule).where(Obligation.incident_id == incident.id)
    return offered(facts(tx, incident), rules_of(tx), begun=set(tx.execute(query).scalars()))


def offered(
    known: Mapping[str, Any], rules: Sequence[Mapping[str, Any]], *, begun: Collection[str]
) -> list[dict[str, Any]]:
    """The rules in force whose facts hold, each with the facts as sentences."""
    there = {rule["rule"]: rule for rule in rules if rule["status"] == IN_FORCE}
    found = []
    for condition in _conditions():
        rule = there.get(condition["rule"])
        if rule is None or condition["rule"] in begun or not matches(condition["when"], known)[0]:
            continue
        found.append({"rule": rule["rule"], "instrument": rule["instrument"], "who": rule["who"],
                      "advisory": rule["advisory"], "because": _because(condition["when"], known)})  # fmt: skip
    return found


def _because(when: Mapping[str, Any], known: Mapping[str, Any]) -> list[str]:
    """The facts looked at, as they are: "states affected: FI, LV"."""
    names = dict.fromkeys(each["fact"] for part in ("all", "any") for each in when.get(part, []))
    said = []
    for name in names:
        value = known.get(name)
        if value not in (None, "", []):
            shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            said.append(f"{name.replace('_', ' ')}: {shown}"[:LONGEST])
    return said
