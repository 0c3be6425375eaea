"""The duties of a dry run: reckoned by the same rules as real ones, kept in memory, written nowhere."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from typing import Any

from coordinator import clock
from coordinator.obligations import rules
from coordinator.obligations.rules import State
from playbooks.rehearsal import Instants


class RehearsedDuties:
    """`terms`: clock rules as schema.RuleSchema has them; `holidays` of each jurisdiction, for business days."""

    def __init__(
        self, terms: Iterable[Mapping[str, Any]], *, holidays: Mapping[str, Collection[date]] | None = None
    ) -> None:
        self._terms = {each["rule"]: each for each in terms}
        self._holidays = holidays or {}
        self._begun: set[str] = set()
        self._instants: Instants = {}
        self._met: dict[str, datetime] = {}

    def begin(self, rule: str, instants: Instants) -> bool:
        if rule not in self._terms:
            return False
        self._begun.add(rule)
        self._instants = instants
        return True

    def begun(self, rule: str) -> bool:
        return rule in self._begun

    def meet(self, rule: str, at: datetime) -> None:
        self._met.setdefault(rule, at)

    def told(self, rule: str, now: datetime) -> dict[str, str]:
        """As workers/duty_step.finished says it of a real one."""
        found, met_at = self._reckoned(rule), self._met.get(rule)
        state = State.MET if met_at else State.RUNNING if found else State.ARMED
        said = rules.standing(
            state, due_at=found.due_at if found else None, target_at=found.target_at if found else None,
            basis_at=found.basis_at if found else None, met_at=met_at, now=now,
        )  # fmt: skip
        told = {"state": said, "overdue": str(said == rules.OVERDUE).lower(), "late": str(said == "met-late").lower()}
        return told | ({"due_at": clock.rfc3339(found.target_at)} if found else {})

    def _reckoned(self, rule: str, *, deep: int = 8) -> rules.Reckoned | None:
        """`deep`: how many rules that count from each other are followed."""
        terms = self._terms[rule]
        known = {**self._instants, **{f"submitted_at:{name}": (at, "second") for name, at in self._met.items()}}
        for basis in rules.bases(terms["clocks"]):
            kind, _, other = basis.partition(":")
            if kind == "due_at" and other in self._begun and deep:
                found = self._reckoned(other, deep=deep - 1)
                if found is not None and found.due_at is not None:
                    known[basis] = (found.due_at, "second")
        return rules.reckon(terms["clocks"], known, holidays=self._holidays.get(terms["jurisdiction"], ()))
