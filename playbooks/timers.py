"""What a timer does when it comes due."""

from typing import Any

from playbooks import moves
from playbooks.coordination import Wait
from playbooks.durations import read_instant
from playbooks.effects import Escalate, Remind, SetTimer
from playbooks.events import TimerFired
from playbooks.machine import Machine
from playbooks.state import Token
from playbooks.work import Outcome, alert_outcome, expired_wait


def on_timer(machine: Machine, event: TimerFired) -> str:
    """Hear a timer; answers why it was ignored, or nothing. While paused it is held."""
    key, _, purpose = event.key.partition("/")
    token = machine.state.tokens.get(key.split(":", 1)[0])
    if token is None or token.key != key or purpose not in token.timers:
        return "this timer is not set (any more)"
    if machine.state.paused:
        if event.key not in machine.state.held:
            machine.state.held.append(event.key)
        return ""
    due_at = read_instant(token.timers[purpose])
    if due_at is not None and machine.now < due_at:
        machine.effects.append(SetTimer(event.key, due_at, purpose))
        return "this timer is not due yet"
    del token.timers[purpose]
    if purpose.startswith("chain/"):
        _chase(machine, token, int(purpose.removeprefix("chain/")))
        return ""
    _TIMERS[purpose](machine, token)
    return ""


def _chase(machine: Machine, token: Token, at: int) -> None:
    work: Any = machine.step_of(token).work
    entry = work.chain[at]
    if entry.remind:
        machine.effects.append(Remind(token.key, getattr(work, "role", "")))
        machine.record(token, "reminded")
    if entry.to_role or entry.to:
        machine.effects.append(Escalate(token.key, entry.to_role, entry.to))
        machine.record(token, "escalated", to_role=entry.to_role, to=entry.to)


def _delay_over(machine: Machine, token: Token) -> None:
    token.data["delayed"] = True
    token.status = "ready"
    machine.state.ready.append(token.id)


def _timed_out(machine: Machine, token: Token) -> None:
    # CACAO 2.0, workflow step `timeout`: the step has failed and on_failure gets ACTION_TIMEOUT with the step's id.
    moves.fail(machine, token, Outcome("timed-out", reason="ACTION_TIMEOUT", detail={"step": token.step}))


def _approval_due(machine: Machine, token: Token) -> None:
    """Silence never approves: it refuses, or somebody else is asked."""
    work: Any = machine.step_of(token).work
    if work.on_expiry == "refuse":
        moves.settle(machine, token, Outcome("failed", reason="nobody answered in time, which refuses"))
        return
    machine.effects.append(Escalate(token.key, "", ""))
    machine.record(token, "escalated", reason="nobody answered in time")


def _ack_over(machine: Machine, token: Token) -> None:
    outcome = alert_outcome(machine, token, expired=True)
    if outcome is not None:
        moves.settle(machine, token, outcome)


def _wait_over(machine: Machine, token: Token) -> None:
    work = machine.step_of(token).work
    if isinstance(work, Wait):
        moves.settle(machine, token, expired_wait(work))


_TIMERS = {
    "delay": _delay_over, "timeout": _timed_out, "due": _approval_due, "within": _ack_over, "until": _wait_over,
}
