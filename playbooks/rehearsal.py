"""Duties and assessments in a dry run: what stands in for the clock rules, and for the person who concludes.

The rules themselves are data of an installation; whoever simulates brings them as `Duties`. Without any a duty is begun
and met all the same, and has no deadline.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from playbooks.coordination import Obligation, fact_name
from playbooks.durations import read_instant, write_instant
from playbooks.effects import BeginWork
from playbooks.events import WorkFinished
from playbooks.script import Deed, Script

Instants = Mapping[str, tuple[datetime, str]]
_SETTLED = frozenset({"met", "met-late"})
_NONE_BEGUN: Mapping[str, str] = {"state": "none", "overdue": "false"}


class Duties(Protocol):
    """The duties of one simulated incident."""

    def begin(self, rule: str, instants: Instants) -> bool:
        """Begin it, or leave the one there is; False for a rule nobody knows."""

    def begun(self, rule: str) -> bool:
        """Whether there is one."""

    def meet(self, rule: str, at: datetime) -> None:
        """It was submitted then."""

    def told(self, rule: str, now: datetime) -> dict[str, str]:
        """How it stands, in the names of `out`: state, overdue, late, due_at (where it has one)."""


class Unclocked:
    """Duties of whatever name, without a clock."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}

    def begin(self, rule: str, instants: Instants) -> bool:
        self._states.setdefault(rule, "running")
        return True

    def begun(self, rule: str) -> bool:
        return rule in self._states

    def meet(self, rule: str, at: datetime) -> None:
        self._states[rule] = "met"

    def told(self, rule: str, now: datetime) -> dict[str, str]:
        return {"state": self._states[rule], "overdue": "false", "late": "false"}


class Rehearsal:
    """What obligation and assess steps come to in one simulation. The script's facts are those of its incident."""

    def __init__(self, script: Script, duties: Duties) -> None:
        self._duties = duties
        self._facts = {fact_name(name): value for name, value in script.facts.items()}
        self._instants = _instants(self._facts, start=script.start)

    def begin(self, work: BeginWork, asked: Any, *, now: datetime, by_person: bool) -> WorkFinished | None:
        """What the step comes to at once; None where the script has a person do it (`by_person`) and one has to."""
        if not isinstance(asked, Obligation):
            return None if by_person else WorkFinished(work.key, "successful", self._concluded(asked.out))
        if asked.do == "check" and not self._duties.begun(asked.rule):
            return WorkFinished(work.key, "successful", _NONE_BEGUN)
        if not self._duties.begin(asked.rule, self._instants):
            return None if by_person else WorkFinished(work.key, "successful")
        told = self._duties.told(asked.rule, now)
        if asked.do != "meet" or told["state"] in _SETTLED:
            return WorkFinished(work.key, "successful", told)
        return None if by_person else self._met(work.key, asked, now, now=now)

    def done(self, key: str, asked: Any, deed: Deed, *, now: datetime) -> WorkFinished:
        """A person says that a duty was submitted (not in the future), or what an assessment came to."""
        if deed.what == "fail":
            return WorkFinished(key, "failed", by=deed.by)
        if not isinstance(asked, Obligation) or not self._duties.begun(asked.rule):
            return WorkFinished(key, "successful", deed.values, by=deed.by)
        at = read_instant(deed.values.get("submitted_at", write_instant(now)))
        if at is None or at > now:
            return WorkFinished(key, "failed", reason="The duty is not met: the instant is none, or to come.")
        return self._met(key, asked, at, now=now, by=deed.by)

    def _met(self, key: str, asked: Obligation, at: datetime, *, now: datetime, by: str = "") -> WorkFinished:
        self._duties.meet(asked.rule, at)
        return WorkFinished(key, "successful", self._duties.told(asked.rule, now), by=by)

    def _concluded(self, out: Mapping[str, str]) -> dict[str, str]:
        """What an assessment that nobody makes leaves: what the facts say already, and nothing made up."""
        return {name: str(self._facts[name]) for name in out if self._facts.get(name) not in (None, "", [])}


def _instants(facts: Mapping[str, Any], *, start: datetime) -> dict[str, tuple[datetime, str]]:
    """The instants among the facts, each with how exactly it is known. A report came in when the script starts, unless
    the facts say otherwise."""
    found = {"received_at": (start, "second")}
    for name, value in facts.items():
        at = read_instant(value) if isinstance(value, str) else None
        if at is not None:
            found[name] = (at, str(facts.get(f"{name.removesuffix('_at')}_fidelity") or "second"))
    return found
