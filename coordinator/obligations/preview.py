"""What an incident with these facts would owe, to whom and by when: by the rules of real duties, written nowhere.

It is a list to look through, no statement of law: which rules bind whom is a legal adviser's to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from marshmallow import EXCLUDE, ValidationError, fields, validates_schema

from coordinator import clock
from coordinator.obligations import rules
from coordinator.obligations.rules import State
from coordinator.obligations.schema import FIDELITIES
from coordinator.outside.faults import Shape, load
from coordinator.outside.fields import Listed, Part, Text
from playbooks.durations import read_instant

IN_FORCE = "in-force"


class EntitySchema(Shape):
    """For whom: the jurisdictions its rules come from (as the rules name them, like EU), what it is (`roles`)."""

    jurisdictions = Listed(Text(40), most=50)
    roles = Listed(Text(200), most=50)
    sectors = Listed(Text(80), most=50)


class FactsSchema(Shape):
    """Instants by the names clock rules use (`aware_at`, `submitted_at:EU-NIS2-IN`), each with `…_fidelity`."""

    entity = Part(EntitySchema)
    incident = fields.Dict()

    class Meta:
        unknown = EXCLUDE


class PreviewSchema(Shape):
    """`{"facts": {...}, "holidays": ["2026-11-26"]}`."""

    facts = fields.Dict(required=True)
    holidays = Listed(Text(10), most=2000)

    @validates_schema
    def _can_be_read(self, data: Any, **_: Any) -> None:
        wrong: dict[str, Any] = {}
        facts = data.get("facts") or {}
        for name, value in facts.items():
            plain = str(name)
            if _is_instant(plain) and read_instant(value) is None:
                wrong[plain] = ["Write an instant with its offset, like 2026-11-22T17:53:00Z."]
            if plain.endswith("_fidelity") and value not in FIDELITIES:
                wrong[plain] = [f"Choose one of: {', '.join(FIDELITIES)}."]
        if wrong:
            raise ValidationError({"facts": wrong})
        try:
            [date.fromisoformat(day) for day in data.get("holidays", ())]
        except ValueError:
            raise ValidationError({"holidays": ["Write each holiday as a day, like 2026-11-26."]}) from None


@dataclass(frozen=True)
class Rule:
    """A clock rule as it stands: `binding` where a legal reviewer signed this version."""

    terms: Mapping[str, Any]
    version: int = 1
    binding: bool = False


def read(data: Any) -> dict[str, Any]:
    """The document of a preview. Raises Invalid with the place of each fault."""
    wanted = load(PreviewSchema(), data)
    load(FactsSchema(), wanted["facts"], pointer="/facts")
    return wanted


def preview(
    wanted: Mapping[str, Any], known_rules: Iterable[Rule], *, now: datetime,
    table: Mapping[str, frozenset[date]] | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Each duty these facts would begin, soonest due first. `wanted` as `read` gives it.

    A rule counts where it is in force, from one of the entity's jurisdictions (all of them where none is named), for
    one of its roles (likewise; a role is looked for in the words of `who`), and an instant of it is among the facts.
    `holidays` of the document, else the `table` of the installation.
    """
    facts, given = wanted["facts"], frozenset(map(date.fromisoformat, wanted.get("holidays", ())))
    entity = facts.get("entity") or {}
    known = _instants(facts)
    found = []
    for rule in known_rules:
        if not _may_apply(rule.terms, entity):
            continue
        days = given or (table or {}).get(rule.terms["jurisdiction"], frozenset())
        reckoned = rules.reckon(rule.terms["clocks"], known, holidays=days)
        if reckoned is not None and _applies_then(rule.terms, reckoned.basis_at):
            found.append((reckoned.target_at, rule.terms["rule"], _line(rule, reckoned, now=now)))
    return [line for *_, line in sorted(found, key=lambda each: each[:2])]


def _line(rule: Rule, found: rules.Reckoned, *, now: datetime) -> dict[str, Any]:
    status = rules.standing(State.RUNNING, due_at=found.due_at, target_at=found.target_at, basis_at=found.basis_at,
                            met_at=None, now=now)  # fmt: skip
    return {
        "rule": rule.terms["rule"], "version": rule.version, "instrument": rule.terms["instrument"],
        "basis": found.basis, "started_at": clock.rfc3339(found.basis_at),
        "due_at": clock.rfc3339(found.due_at) if found.due_at else None, "soft": found.soft,
        "recipient_role": rule.terms["to"], "binding": rule.binding, "status": status,
    }  # fmt: skip


def _may_apply(terms: Mapping[str, Any], entity: Mapping[str, Any]) -> bool:
    places = {place.upper() for place in entity.get("jurisdictions") or ()}
    roles = [role.lower() for role in entity.get("roles") or ()]
    if terms["status"] != IN_FORCE or (places and terms["jurisdiction"].upper() not in places):
        return False
    return not roles or any(role in terms["who"].lower() for role in roles)


def _applies_then(terms: Mapping[str, Any], at: datetime) -> bool:
    since = terms.get("applies_from")
    return not since or at.date() >= date.fromisoformat(since)


def _instants(facts: Mapping[str, Any]) -> dict[str, tuple[datetime, str]]:
    found = {}
    for name, value in facts.items():
        at = read_instant(value) if _is_instant(name) else None
        if at is not None:
            found[name] = (at, str(facts.get(f"{name.removesuffix('_at')}_fidelity") or "second"))
    return found


def _is_instant(name: str) -> bool:
    kind = name.partition(":")[0]
    return kind.endswith(("_at", "_until"))
