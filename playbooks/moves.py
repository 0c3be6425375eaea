"""How tokens move: into steps, into and out of branches, outward on failure, and back for another try."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from playbooks import conditions
from playbooks.document import Branch, Step
from playbooks.durations import write_instant
from playbooks.effects import CancelWork, NeedsAttention, Notice, RunEnded, WorkSettled
from playbooks.machine import Machine
from playbooks.state import Token
from playbooks.variables import INCIDENT, REFERENCE, Value, VariableRefused
from playbooks.work import Outcome, begin, units, waits_visibly

MAX_STEPS = 50_000
MAX_PASSES = 1_000
MAX_TOKENS = 4_096


def run_ready(machine: Machine) -> None:
    """Let every ready token take its step, first in, first out, until none is ready."""
    state = machine.state
    while state.ready and not state.paused and not state.ended:
        token = state.tokens.get(state.ready.pop(0))
        if token is not None and token.status == "ready":
            _visit(machine, token)


def _visit(machine: Machine, token: Token) -> None:
    step = machine.step_of(token)
    delayed = token.data.pop("delayed", False)
    if token.unit:
        _begin_unit(machine, token)
        return
    if step.delay and not delayed:
        token.status = "delayed"
        machine.set_timer(token, "delay", _later(machine.now, step.delay))
        return
    _enter(machine, token, step)


def _later(now: datetime, milliseconds: int) -> datetime:
    try:
        return now + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=now.tzinfo)


def _enter(machine: Machine, token: Token, step: Step) -> None:
    state = machine.state
    state.steps += 1
    token.entered_at = write_instant(machine.now)
    if f"step:{step.id}" in machine.playbook.anchors:
        state.anchors[f"step:{step.id}"] = token.entered_at
    token.local, token.local_sources = {name: each.value for name, each in step.variables.items()}, {}
    machine.record(token, "entered")
    if state.steps > MAX_STEPS or len(state.tokens) > MAX_TOKENS:
        fail(machine, token, Outcome("failed", reason=f"a run takes at most {MAX_STEPS} steps, {MAX_TOKENS} at a time"))
        return
    if step.timeout:
        machine.set_timer(token, "timeout", _later(machine.now, step.timeout))
    try:
        _ENTER[step.type](machine, token, step)
    except VariableRefused as refusal:
        fail(machine, token, Outcome("failed", reason=str(refusal)))


def _enter_start(machine: Machine, token: Token, step: Step) -> None:
    _succeed(machine, token, Outcome("succeeded"))


def _enter_end(machine: Machine, token: Token, step: Step) -> None:
    machine.cancel_timers(token)
    machine.record(token, "succeeded")
    _end_branch(machine, token)


def _enter_action(machine: Machine, token: Token, step: Step) -> None:
    if step.type == "playbook-action" and step.playbook_id in (*machine.state.callers, machine.playbook.id):
        fail(machine, token, Outcome("failed", reason="a playbook may not call itself, not even through others"))
        return
    if not units(step):
        fail(machine, token, Outcome("failed", reason="the step has no command"))
        return
    _begin_unit(machine, token)


def _begin_unit(machine: Machine, token: Token) -> None:
    token.status = "done"
    try:
        outcome = begin(machine, token)
    except VariableRefused as refusal:
        fail(machine, token, Outcome("failed", reason=str(refusal)))
        return
    if outcome is not None:
        finish_unit(machine, token, outcome)
        return
    token.status = "waiting"
    if waits_visibly(machine.step_of(token), token):
        machine.record(token, "waiting")


def settle(machine: Machine, token: Token, outcome: Outcome) -> None:
    """The interpreter itself found the work to be over: whoever does it is told to close it."""
    done = "successful" if outcome.what == "succeeded" else "failed"
    machine.effects.append(WorkSettled(token.key, done, outcome.reason))
    finish_unit(machine, token, outcome)


def finish_unit(machine: Machine, token: Token, outcome: Outcome) -> None:
    """One unit of a step's work is over: on to the next, or the step is over. Values leave when the step succeeds."""
    step = machine.step_of(token)
    token.status = "done"
    if outcome.what != "succeeded":
        fail(machine, token, outcome)
        return
    values = token.data.pop("values", {}) | dict(outcome.values)
    came_from = {name: [*outcome.sources.get(name, [INCIDENT])] for name in outcome.values}
    sources = token.data.pop("sources", {}) | came_from
    if token.unit + 1 < len(units(step)):
        _next_unit(machine, token, {"values": values, "sources": sources})
        return
    try:
        for name, value in values.items():
            machine.write(token, name, value, sources[name])
    except VariableRefused as refusal:
        fail(machine, token, Outcome("failed", reason=str(refusal)))
        return
    _succeed(machine, token, outcome)


def _next_unit(machine: Machine, token: Token, data: dict[str, Any]) -> None:
    timeout = token.timers.get("timeout") if machine.step_of(token).timeout else None  # the document's own
    machine.cancel_timers(token)
    token.unit += 1
    token.data = data
    if timeout:
        machine.set_timer(token, "timeout", datetime.fromisoformat(timeout))
    token.status = "ready"
    machine.state.ready.append(token.id)


def _enter_if(machine: Machine, token: Token, step: Step) -> None:
    case = "true" if _holds(machine, token, step) else "false"
    _open(machine, token, [each for each in step.branches if each.case == case])


def _enter_switch(machine: Machine, token: Token, step: Step) -> None:
    found = REFERENCE.fullmatch(step.switch.strip())
    value = machine.read(token, found.group(1) if found else step.switch.strip())[1]
    cases = {each.case: each for each in step.branches}
    chosen = cases.get(value if isinstance(value, str) else "") or cases.get("default")
    if chosen is None:
        leave(machine, token, Outcome("skipped", reason="no case matched"))
        return
    _open(machine, token, [chosen])


def _enter_while(machine: Machine, token: Token, step: Step) -> None:
    if not _holds(machine, token, step):
        token.status = "block"
        _succeed(machine, token, Outcome("succeeded", detail={"passes": token.passes}))
        return
    if token.passes >= MAX_PASSES:
        text = f"the loop has run {MAX_PASSES} times and its condition still holds"
        machine.effects.append(Notice(step.id, token.id, text))
        fail(machine, token, Outcome("failed", reason=text))
        return
    token.passes += 1
    if token.passes > 1:
        machine.record(token, "loop", **{"pass": token.passes})
    else:
        machine.record(token, "waiting")
    token.status = "block"
    child = machine.new_token(step.branches[0].step, parent=token)
    child.iteration = token.passes


def _enter_parallel(machine: Machine, token: Token, step: Step) -> None:
    _open(machine, token, list(step.branches))


def _holds(machine: Machine, token: Token, step: Step) -> bool:
    return conditions.evaluate(conditions.parse(step.condition), lambda name: machine.read(token, name))


def _open(machine: Machine, token: Token, branches: list[Branch]) -> None:
    token.status = "block"
    if not branches:
        _succeed(machine, token, Outcome("succeeded"))
        return
    machine.record(token, "waiting")
    scoped = machine.step_of(token).type == "parallel"
    for at, branch in enumerate(branches):
        machine.new_token(branch.step, parent=token, branch=at, scoped=scoped)


_ENTER: dict[str, Callable[[Machine, Token, Step], None]] = {
    "start": _enter_start, "end": _enter_end, "action": _enter_action, "playbook-action": _enter_action,
    "parallel": _enter_parallel, "if-condition": _enter_if, "while-condition": _enter_while,
    "switch-condition": _enter_switch,
}


def _succeed(machine: Machine, token: Token, outcome: Outcome) -> None:
    leave(machine, token, Outcome("succeeded", reason=outcome.reason, detail=outcome.detail))


def leave(machine: Machine, token: Token, outcome: Outcome) -> None:
    """Out of a step that is done, to the next one; or the branch ends here."""
    machine.cancel_timers(token)
    machine.record(token, outcome.what, **{"reason": outcome.reason, **outcome.detail})
    token.local = {}
    target = machine.step_of(token).on_success
    if target is None:
        _end_branch(machine, token)
    else:
        _go(machine, token, target)


def _go(machine: Machine, token: Token, target: str) -> None:
    token.step = target
    token.status = "ready"
    token.attempt, token.unit, token.passes = 1, 0, 0
    token.reason, token.local, token.data = "", {}, {}
    machine.state.ready.append(token.id)


def _end_branch(machine: Machine, token: Token) -> None:
    token.status = "ended"
    token.local, token.data = {}, {}
    if token.parent is None:
        _end_run(machine)
        return
    machine.record(token, "branch-ended")
    _child_over(machine, machine.state.tokens[token.parent])


def _end_run(machine: Machine) -> None:
    state = machine.state
    state.status = "failed" if state.in_exception else "completed"
    state.tokens.clear()
    state.ready.clear()
    machine.effects.append(RunEnded(state.status, "the exception route came to its end" if state.in_exception else ""))


def _child_over(machine: Machine, token: Token) -> None:
    """A branch of this block is over: does that settle the block?"""
    step = machine.step_of(token)
    children = [machine.state.tokens[each] for each in token.children]
    ended = sum(child.status == "ended" for child in children)
    failed = [child for child in children if child.status == "failed"]
    live = len(children) - ended - len(failed)
    needed = len(children) if step.join.need == "all" else min(int(step.join.need), len(children))
    if ended >= needed:
        _settle_block(machine, token, step)
    elif len(failed) > len(children) - needed and (live == 0 or step.join.fail == "fast"):
        for child in children:
            if child.status not in ("ended", "failed"):
                call_off(machine, child, "another branch failed")
        fail(machine, token, Outcome("failed", reason=_branch_reasons(machine, failed)))


def _branch_reasons(machine: Machine, failed: list[Token]) -> str:
    shown = [f"{machine.step_of(each).name or each.step}: {each.reason}" for each in failed[:8]]
    return "failed in its branches: " + "; ".join(shown)


def _settle_block(machine: Machine, token: Token, step: Step) -> None:
    conflict = close_block(machine, token)
    if conflict:
        fail(machine, token, Outcome("failed", reason=f"two branches gave {conflict} different values"))
    elif step.type == "while-condition":
        try:
            _enter_while(machine, token, step)
        except VariableRefused as refusal:
            fail(machine, token, Outcome("failed", reason=str(refusal)))
    else:
        _succeed(machine, token, Outcome("succeeded"))


def close_block(machine: Machine, token: Token) -> str:
    """Drop the branches and bring in what they wrote, in document order; answers a name that two wrote differently."""
    written: dict[str, Value] = {}
    sources: dict[str, set[str]] = {}
    conflict = ""
    for child in [machine.state.tokens[each] for each in token.children]:
        if child.status not in ("ended", "failed"):
            call_off(machine, child, "the block around it is settled")
            continue
        for name, value in (child.scope or {}).items():
            conflict = conflict or (name if name in written and written[name] != value else "")
            written[name] = value
            sources.setdefault(name, set()).update(child.scope_sources.get(name, ()))
        _drop(machine, child)
    token.children = []
    for name, found in written.items():
        machine.write(token, name, found, sources[name])
    return conflict


def _drop(machine: Machine, token: Token) -> None:
    for child in token.children:
        _drop(machine, machine.state.tokens[child])
    machine.state.tokens.pop(token.id, None)


def fail(machine: Machine, token: Token, outcome: Outcome) -> None:
    """The step has failed (or timed out): to its on_failure, or outward."""
    step = machine.step_of(token)
    stop_work(machine, token, outcome.reason)
    machine.record(token, outcome.what, **{"reason": outcome.reason, **outcome.detail})
    if step.on_failure is not None:
        close_block(machine, token)
        _go(machine, token, step.on_failure)
        return
    token.reason = outcome.reason
    if token.parent is not None:
        token.status = "failed"
        _child_over(machine, machine.state.tokens[token.parent])
        return
    _root_failed(machine, token, outcome.reason)


def _root_failed(machine: Machine, token: Token, reason: str) -> None:
    exception = machine.playbook.exception
    if exception is not None and not machine.state.in_exception:
        machine.state.in_exception = True
        close_block(machine, token)
        machine.state.tokens.pop(token.id)
        machine.new_token(exception, parent=None)  # a token of its own, so that no key comes twice
        return
    token.status = "stopped"
    machine.effects.append(NeedsAttention(reason, token.step, token.id))


def stop_work(machine: Machine, token: Token, reason: str) -> None:
    """No more work or timers for this token; branches still open are called off."""
    waiting = token.status == "waiting"
    machine.cancel_timers(token)
    if waiting:
        machine.effects.append(CancelWork(token.key, reason))
    for child in list(token.children):
        if machine.state.tokens[child].status not in ("ended", "failed"):
            call_off(machine, machine.state.tokens[child], reason)


def call_off(machine: Machine, token: Token, reason: str) -> None:
    """Take a token and all below it out of the run; what it was at is recorded as skipped."""
    for child in list(token.children):
        call_off(machine, machine.state.tokens[child], reason)
    if token.status in ("waiting", "block"):
        machine.record(token, "skipped", reason=reason)
    if token.status == "waiting":
        machine.effects.append(CancelWork(token.key, reason))
    machine.cancel_timers(token)
    machine.state.tokens.pop(token.id, None)
    parent = machine.state.tokens.get(token.parent or "")
    if parent is not None and token.id in parent.children:
        parent.children.remove(token.id)
