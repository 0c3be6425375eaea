"""A person mends a run: a step done again, a step passed over; and deadlines reckoned again from corrected facts."""

from datetime import datetime

from playbooks.durations import write_instant
from playbooks.effects import DueChanged, Notice
from playbooks.machine import Machine
from playbooks.moves import call_off, close_block, leave, stop_work
from playbooks.state import Token
from playbooks.variables import INCIDENT, VariableRefused
from playbooks.work import Outcome


def do_again(machine: Machine, token: Token, reason: str) -> None:
    """The step from its beginning, as a new attempt. What failed around it because of it is open again."""
    for child in list(token.children):
        call_off(machine, machine.state.tokens[child], "the step is done again")
    stop_work(machine, token, reason)
    token.children, token.local, token.data = [], {}, {"delayed": True}
    token.attempt, token.unit, token.passes = token.attempt + 1, 0, 0
    token.status, token.reason = "ready", ""
    machine.state.steps = 0
    machine.state.ready.append(token.id)
    _reopen_around(machine, token)


def pass_over(machine: Machine, token: Token, outcome: Outcome) -> None:
    """On to what follows success, without the step having succeeded."""
    stop_work(machine, token, outcome.reason)
    close_block(machine, token)
    _reopen_around(machine, token)
    machine.state.steps = 0
    token.status, token.reason = "block", ""
    try:
        for name, value in outcome.values.items():
            machine.write(token, name, value, [INCIDENT])
    except VariableRefused as refusal:
        machine.effects.append(Notice(token.step, token.id, str(refusal)))
    leave(machine, token, Outcome("skipped", reason=outcome.reason))


def _reopen_around(machine: Machine, token: Token) -> None:
    for each in machine.lineage(token):
        if each is not token and each.status in ("failed", "stopped"):
            each.status, each.reason = "block", ""
            machine.record(each, "waiting", reason="it is open again")


def reckon_again(machine: Machine, token: Token, due_at: datetime | None) -> None:
    """Tell a deadline that has moved, and move the timer that hangs on it."""
    before = token.data.get("due_at")
    after = write_instant(due_at) if due_at else None
    if before == after:
        return
    token.data["due_at"] = after
    machine.effects.append(DueChanged(token.key, due_at))
    step = machine.step_of(token)
    if due_at is None:
        return
    if step.work is not None and step.work.kind == "wait":
        machine.set_timer(token, "until", due_at)
    elif getattr(step.work, "on_expiry", "hold") != "hold" and (before is None or "due" in token.timers):
        machine.set_timer(token, "due", due_at)
