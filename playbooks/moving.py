"""A run goes on with a newer version of its playbook: where each of its tokens stands then, or why it cannot.

    plan(old, new, state, mapping) -> [Place]              what would become of each token; raises nothing
    move(old, new, state, mapping, *, now, facts) -> (State, [Effect])      raises MoveRefused

`mapping` says for steps at which the run stands which step of the newer version is meant; a step that is not in it
keeps its id. Nothing is guessed: a token whose step is gone, or lies elsewhere in the newer version, refuses the whole
move until a person says where it goes. What the newer version left as it was goes on untouched, with its task, votes
and timers. Work at a step that was changed, or that is another one now, is called off and begun anew.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from playbooks.document import Playbook, Step
from playbooks.durations import write_instant
from playbooks.effects import Effect
from playbooks.interpreter import settled
from playbooks.machine import Machine
from playbooks.moves import stop_work
from playbooks.starting import wanted_facts
from playbooks.state import State, Token
from playbooks.variables import fault_of_value

GOES_ON, ANEW, REFUSED = "goes-on", "anew", "refused"


class MoveRefused(Exception):
    """The run cannot go on with that version. `faults` are (JSON pointer, sentence)."""

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{pointer}: {sentence}" for pointer, sentence in faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Place:
    """One token: the step it stands at, the one it would stand at, and what becomes of it (`how`), with the reason."""

    token: str
    step: str
    to: str
    how: str
    reason: str = ""


def plan(old: Playbook, new: Playbook, state: State, mapping: Mapping[str, str]) -> list[Place]:
    """What becomes of each token that stands somewhere, in the order of the tokens."""
    return [_place(old, new, state, token, mapping) for token in state.tokens.values() if token.status != "ended"]


def move(
    old: Playbook, new: Playbook, state: State, mapping: Mapping[str, str], *, now: datetime,
    facts: Mapping[str, Any] | None = None,
) -> tuple[State, list[Effect]]:
    """The run after the move, and what is to be done. The given state is not changed. Raises MoveRefused."""
    places = plan(old, new, state, mapping)
    faults = [*_version_faults(old, new, state), *_variable_faults(new, state)]
    faults += [(f"/mapping/{place.step}", place.reason) for place in places if place.how == REFUSED]
    faults += [(f"/mapping/{step}", "the run does not stand at this step")
               for step in mapping if step not in {place.step for place in places}]
    if faults:
        raise MoveRefused(faults)
    machine = Machine(old, state.copy(), now)
    moved = machine.state
    for place in places:
        if place.how == ANEW:
            stop_work(machine, moved.tokens[place.token], "the run goes on with a newer version of its playbook")
    machine.playbook = new
    moved.version, moved.digest = new.version, new.digest
    moved.anchors = {_renamed(anchor, mapping): at for anchor, at in moved.anchors.items()}
    moved.variables = {name: moved.variables.get(name, each.value) for name, each in new.variables.items()}
    moved.facts = wanted_facts(new, facts if facts is not None else moved.facts)
    for token in list(moved.tokens.values()):
        _settle_scopes(machine, old, new, token)
    for place in places:
        if place.how == ANEW:
            _begin_anew(machine, moved.tokens[place.token], place.to)
    moved.steps = 0
    return settled(machine)


def _version_faults(old: Playbook, new: Playbook, state: State) -> Iterator[tuple[str, str]]:
    if state.ended:
        yield "", "the run is over"
    if new.id != old.id:
        yield "/to", "this is another playbook"
    elif new.version <= old.version:
        yield "/to", "this is no newer version"
    if new.revoked:
        yield "/to", "this version has been revoked"
    if state.in_exception and new.exception is None:
        yield "/to", "the run is in its exception route, and the newer version has none"


def _variable_faults(new: Playbook, state: State) -> Iterator[tuple[str, str]]:
    for name, each in new.variables.items():
        fault = fault_of_value(each.type, state.variables[name]) if name in state.variables else None
        if fault:
            yield f"/variables/{name}", f"declared otherwise now, and the run's value is refused: {fault}"
        if each.external and each.value is None and state.variables.get(name) is None:
            yield f"/variables/{name}", "the newer version needs a value for this variable to start"


def _place(old: Playbook, new: Playbook, state: State, token: Token, mapping: Mapping[str, str]) -> Place:
    to = mapping.get(token.step, token.step)
    step = new.steps.get(to)
    if step is None:
        return Place(token.id, token.step, to, REFUSED, "the newer version has no such step; say which one is meant")
    if to not in _level(old, new, state, token, mapping):
        return Place(token.id, token.step, to, REFUSED, "in the newer version this step lies in another place")
    before = old.steps[token.step]
    if before.is_block and token.children:
        return _block(token, before, step)
    if token.status in ("stopped", "failed"):
        return Place(token.id, token.step, to, ANEW, "it failed, and is tried again as the newer version has it")
    if _same_work(before, step):
        return Place(token.id, token.step, to, GOES_ON, "the newer version left it as it was")
    return Place(token.id, token.step, to, ANEW, "it is begun anew, as the newer version has it")


def _block(token: Token, before: Step, step: Step) -> Place:
    """A block whose branches are open stays where it is: they return to it."""
    if step.id != before.id or step.type != before.type:
        reason = "its branches are open: the newer version has to have this block under the same id"
        return Place(token.id, token.step, step.id, REFUSED, reason)
    return Place(token.id, token.step, step.id, GOES_ON, "its branches are open and return to it")


def _same_work(before: Step, step: Step) -> bool:
    """Whether what is done at a step is the same; where it leads on may differ."""
    return replace(before, on_success=None, on_failure=None) == replace(step, on_success=None, on_failure=None)


def _level(old: Playbook, new: Playbook, state: State, token: Token, mapping: Mapping[str, str]) -> set[str]:
    """The steps of the newer version at which this token may stand: those on the way from where its branch begins."""
    if token.parent is None:
        return _flow(new, new.exception if state.in_exception else new.start)
    around = state.tokens[token.parent]
    block = new.steps.get(mapping.get(around.step, around.step))
    if block is None:
        return set()
    if block.type == "parallel":
        known = [branch.step for branch in old.steps[around.step].branches]
        entry = known[token.branch] if token.branch < len(known) else ""
        same = [branch.step for branch in block.branches if branch.step == entry]
        ways = same or [branch.step for branch in block.branches[token.branch : token.branch + 1]]
    else:
        ways = [branch.step for branch in block.branches]
    return set().union(*(_flow(new, way) for way in ways)) if ways else set()


def _flow(playbook: Playbook, entry: str | None) -> set[str]:
    """The steps of one level, from an entry onward, not into branches."""
    seen: set[str] = set()
    waiting = [entry] if entry else []
    while waiting:
        step = waiting.pop()
        if step not in seen:
            seen.add(step)
            known = playbook.steps[step]
            waiting += [each for each in (known.on_success, known.on_failure) if each]
    return seen


def _renamed(anchor: str, mapping: Mapping[str, str]) -> str:
    kind, _, step = anchor.partition(":")
    return f"{kind}:{mapping.get(step, step)}"


def _settle_scopes(machine: Machine, old: Playbook, new: Playbook, token: Token) -> None:
    """Only what the newer version declares is carried on. (A branch that has ended stands at any end from now on.)"""
    if token.step not in new.steps and token.status == "ended":
        token.step = next(each.id for each in new.steps.values() if each.type == "end")
    step = new.steps.get(token.step)
    declared = step.variables if step else {}
    token.local = {name: token.local.get(name, each.value) for name, each in declared.items()} if token.local else {}
    if token.scope:
        token.scope = {name: value for name, value in token.scope.items() if name in new.variables}


def _begin_anew(machine: Machine, token: Token, to: str) -> None:
    """The token at its step, before its work. At another step than before it is a new token: no key comes twice."""
    state = machine.state
    if to != token.step:
        fresh = machine.new_token(to, parent=None, branch=token.branch)
        state.ready.remove(fresh.id)
        fresh.parent, fresh.iteration, fresh.scope = token.parent, token.iteration, token.scope
        fresh.scope_sources, fresh.under = token.scope_sources, token.under
        del state.tokens[token.id]
        if fresh.parent is not None:
            around = state.tokens[fresh.parent]
            around.children = [fresh.id if each == token.id else each for each in around.children]
        token = fresh
    else:
        token.attempt += 1
    token.unit, token.passes, token.local, token.data = 0, 0, {}, {}
    token.local_sources = {}
    token.status, token.reason, token.entered_at = "ready", "", write_instant(machine.now)
    if token.id not in state.ready:
        state.ready.append(token.id)
    _reopen(machine, token)


def _reopen(machine: Machine, token: Token) -> None:
    for each in machine.lineage(token):
        if each is not token and each.status in ("failed", "stopped"):
            each.status, each.reason = "block", ""
            machine.record(each, "waiting", reason="it is open again")
