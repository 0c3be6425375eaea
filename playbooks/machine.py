"""A run being moved on: the working copy of its state, the effects so far, and its variables by scope.

Scope is lexical. A name is looked for at the step itself (step_variables), then outwards: what this parallel branch has
written, the block around it and its step_variables, … , the playbook. Branches of a parallel block write into a copy of
their own, merged when the block settles; everywhere else a write goes to where the name is declared.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from playbooks.coordination import Due, fact_name
from playbooks.document import Playbook, Step
from playbooks.durations import read_instant, write_instant
from playbooks.effects import CancelTimer, Effect, SetTimer, StepRecorded
from playbooks.state import State, Token
from playbooks.variables import REFERENCE, Value, Variable, VariableRefused, fault_of_value, normalise

MAX_TEXT = 262_144


@dataclass(slots=True)
class Machine:
    """One call of the interpreter at work."""

    playbook: Playbook
    state: State
    now: datetime
    effects: list[Effect] = field(default_factory=list)

    def step_of(self, token: Token) -> Step:
        """The step a token stands at."""
        return self.playbook.steps[token.step]

    def new_token(self, step: str, *, parent: Token | None, branch: int = 0, scoped: bool = False) -> Token:
        """A ready token at a step, put last in line."""
        token = Token(id=str(self.state.next_token), parent=parent.id if parent else None, step=step, branch=branch)
        self.state.next_token += 1
        self.state.tokens[token.id] = token
        token.scope = {} if scoped else None
        if parent is not None:
            token.iteration = parent.iteration
            token.under = self._decided_on(parent)
            parent.children.append(token.id)
        self.state.ready.append(token.id)
        return token

    def record(self, token: Token, what: str, **detail: Any) -> None:
        """A line for the run's history, at the step the token stands at."""
        step = self.step_of(token)
        detail = {name: value for name, value in detail.items() if value not in (None, "", [], {})}
        self.effects.append(
            StepRecorded(step.id, token.id, step.type, what, self.now, token.iteration, token.attempt, detail)
        )

    def set_timer(self, token: Token, purpose: str, due_at: datetime) -> None:
        """A timer of this token; the same purpose again moves it."""
        token.timers[purpose] = write_instant(due_at)
        self.effects.append(SetTimer(f"{token.key}/{purpose}", due_at, purpose))

    def cancel_timers(self, token: Token, *purposes: str) -> None:
        """Those timers, or all of them."""
        for purpose in purposes or list(token.timers):
            if token.timers.pop(purpose, None) is not None:
                self.effects.append(CancelTimer(f"{token.key}/{purpose}"))

    def lineage(self, token: Token) -> Iterator[Token]:
        """The token, its parent, and so on outwards."""
        each: Token | None = token
        while each is not None:
            yield each
            each = self.state.tokens[each.parent] if each.parent else None

    def declaration(self, token: Token, name: str) -> Variable:
        """The declaration a name means here. Raises VariableRefused if there is none."""
        for each in self.lineage(token):
            if name in each.local:
                return self.step_of(each).variables[name]
        if name not in self.playbook.variables:
            raise VariableRefused(f"the variable {name} is not declared")
        return self.playbook.variables[name]

    def read(self, token: Token, name: str) -> tuple[str, Value]:
        """(type, value) as seen from this token. Raises VariableRefused for an undeclared name."""
        kind = self.declaration(token, name).type
        for each in self.lineage(token):
            if name in each.local:
                return kind, each.local[name]
            if each.scope is not None and name in each.scope:
                return kind, each.scope[name]
        return kind, self.state.variables.get(name)

    def sources(self, token: Token, names: Iterable[str]) -> list[str]:
        """What the values of these variables came from, as seen from this token. The document's own have no source."""
        found: set[str] = set()
        for name in names:
            found.update(self._sources_of(token, name))
        return sorted(found)

    def _sources_of(self, token: Token, name: str) -> Iterable[str]:
        for each in self.lineage(token):
            if name in each.local:
                return each.local_sources.get(name, ())
            if each.scope is not None and name in each.scope:
                return each.scope_sources.get(name, ())
        return self.state.sources.get(name, ())

    def _decided_on(self, token: Token) -> list[str]:
        """What whatever is written inside a block comes from besides: the values its condition was decided on."""
        step = self.step_of(token)
        names = {found.group(1) for found in REFERENCE.finditer(f"{step.condition} {step.switch}")}
        if step.switch and not names:
            names = {step.switch.strip()}
        return sorted({*token.under, *self.sources(token, names)})

    def write(self, token: Token, name: str, value: Any, sources: Iterable[str]) -> None:
        """Set a variable as seen from this token, with what the value came from. Raises VariableRefused: undeclared,
        constant, or the wrong type."""
        declared = self.declaration(token, name)
        if declared.constant:
            raise VariableRefused(f"the variable {name} is constant")
        found = normalise(value)
        fault = fault_of_value(declared.type, found)
        if fault:
            raise VariableRefused(f"{name}: {fault}")
        from_ = sorted({*sources, *token.under})
        for each in self.lineage(token):
            if name in each.local:
                each.local[name], each.local_sources[name] = found, from_
                return
            if each.scope is not None:
                each.scope[name], each.scope_sources[name] = found, from_
                return
        self.state.variables[name], self.state.sources[name] = found, from_

    def fill(self, token: Token, value: Any) -> Any:
        """The value with every `__name__:value` in its texts replaced. Raises VariableRefused for an unknown name."""
        if isinstance(value, str):
            return self._fill_text(token, value) if ":value" in value else value
        if isinstance(value, Mapping):
            return {name: self.fill(token, each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.fill(token, each) for each in value]
        return value

    def _fill_text(self, token: Token, text: str) -> str:
        parts, size, at = [], 0, 0
        for found in REFERENCE.finditer(text):
            shown = _shown(self.read(token, found.group(1))[1])
            parts += [text[at : found.start()], shown]
            size, at = size + len(shown), found.end()
            if size > MAX_TEXT:
                raise VariableRefused(f"a text grows beyond {MAX_TEXT} characters when its variables are filled in")
        return "".join(parts) + text[at:]

    def due_at(self, token: Token, due: Due | None) -> datetime | None:
        """When a deadline falls; None if there is none or the instant it counts from is not known yet."""
        base = self._base(token, due) if due else None
        if due is None or base is None:
            return None
        try:
            return due.within.after_in_office_time(base) if due.calendar == "office" else due.within.after(base)
        except (OverflowError, ValueError):
            return None

    def _base(self, token: Token, due: Due) -> datetime | None:
        if not due.since:
            return read_instant(token.entered_at)
        if due.since == "run.started_at":
            return read_instant(self.state.started_at)
        if due.since.startswith(("step:", "event:")):
            return read_instant(self.state.anchors.get(due.since))
        return read_instant(self.state.facts.get(fact_name(due.since)))


def _shown(value: Value) -> str:
    if value is None:
        return "(not known)"
    return value if isinstance(value, str) else ", ".join(f"{name}: {each}" for name, each in value.items())
