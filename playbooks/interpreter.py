"""The heart: (playbook, state, event, now) -> (new state, effects). No clock, no I/O, no chance, no memory of its own.

    start(playbook, *, now, variables, facts, pins, callers)  -> (State, [Effect])     raises StartRefused
    apply(playbook, state, event, *, now, facts=None)         -> (State, [Effect])     raises nothing for odd events

One event, one call, one transaction: keep the new state and act on the effects in their order. The given state is not
changed. The same playbook, state, event and `now` give the same answer, so a run can be replayed from its events. An
event that is late, doubled, unknown or out of order changes nothing and is answered with Ignored(reason, key).

States of a run (State.status)
    running          automatic work is under way          waiting    only people, partners or timers are awaited
    paused           a person holds it                    needs-attention   a failure nobody handles; a person mends it
    completed, failed, cancelled                          over; `failed` = the exception route came to its end

Tokens (State.tokens) form a tree. The root walks the main flow. At a block (parallel, if, while, switch) a token stays
and has a child for each open branch; an end step ends its branch, whichever end step it is; a control step without a
next step does the same. Token statuses: ready, delayed, waiting, block, ended, failed, stopped (state.py).

Keys. The work of a token at a step has the key "{token}:{step}:{iteration}:{attempt}:{unit}"; its timers add
"/{purpose}": delay, timeout, due, within, until, chain/0 … Both are unique in a run for ever. Only a live key is heard.

Effects (effects.py)
    StepRecorded     for the history: entered, waiting, succeeded, failed, timed-out, skipped, branch-ended (of the end
                     step), loop (before each further pass of a while), reminded, escalated
    BeginWork        do this: task approval decision alert share wait status obligation assess http-api playbook.
                     `set` is done in here. `spec` has title, description, commands, agent, targets, owner, out_args,
                     extension (raw), foreign_extensions, uses (the variables whose values stand in it; of an alert in
                     its text), sources (what those values came from), and by kind
                       task      role ("" if none named), fallback_role, checklist, fields, required
                       approval  roles, rule, separation, on_expiry         decision  role, variable, options, rationale
                       alert     message, audience, template, tlp_max, purpose, category, attribution, ack or None
                       share     audience, items, tlp_max, purpose, agreement, attribution
                       wait      event, match, until                        status    to
                       obligation do, rule          assess role, method     http-api  command, headers, content(_b64)
                       playbook  playbook_id, version (pinned, or None), variables, variable_sources, callers: start a
                                 child run with start(callers=…) and send WorkFinished with its variables when it ends
    WorkSettled      the interpreter itself found the work over (enough answers or votes, time up): close it
    CancelWork       the work is called off
    SetTimer (same key again = moved), CancelTimer, Remind, Escalate, DueChanged
    Notice           tell a coordinator; the run goes on
    NeedsAttention   the run stands until Retry, Skip or Cancel
    RunEnded         completed, failed or cancelled
    Ignored          keep the event on record as late; nothing else

Events (events.py)
    WorkFinished     outcome successful or failed; `values` are variable names for task, http-api and playbook (only
                     out_args and form fields leave the step), {"option"} for a decision, {"result", "permitted_count",
                     "refused_count"} for a share (result permit, refer or deny; a step that does not map `result` waits
                     on "refer" for a further WorkFinished and fails on "deny"), the event's fields for a wait, names of
                     `out` for alert, obligation and assess
    HandedToPerson   automatic work waits for a person; the run is waiting, not running, until they have done it
    Told, Answered   an alert's recipients and their answers; the acknowledgements are counted in here
    Voted            an approval's votes, counted in here
    Happened         something outside; finishes every wait step that it fits
    TimerFired · FactsChanged · Cancel · Pause · Resume · Retry(token) · Skip(token, values)
    While paused, results are taken in but nothing is begun; timers that fire are held and heard at Resume.

Failure travels outward: the step's on_failure; else its branch has failed, and when the other branches have finished
the block around it fails and follows its own on_failure, and so on; else workflow_exception, once; else the run needs
attention. The failed tokens stay, so that a person can have the very step done again (Retry) or passed over (Skip),
also while other branches still run; blocks that had failed around it are then recorded as waiting again.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from playbooks import mending, moves
from playbooks.coordination import Wait
from playbooks.document import Playbook
from playbooks.durations import write_instant
from playbooks.effects import Effect, Ignored, RunEnded
from playbooks.events import (
    Answered,
    Cancel,
    Event,
    FactsChanged,
    HandedToPerson,
    Happened,
    Pause,
    Resume,
    Retry,
    Skip,
    TimerFired,
    Told,
    Voted,
    WorkFinished,
)
from playbooks.machine import Machine
from playbooks.starting import StartRefused, start_faults, variable_faults, wanted_facts
from playbooks.state import State, Token
from playbooks.timers import on_timer
from playbooks.variables import INCIDENT, normalise
from playbooks.work import (
    Outcome,
    due_of,
    is_automatic,
    judge_answered,
    judge_finished,
    judge_told,
    judge_voted,
    kind_at,
    waits_visibly,
)

__all__ = ["StartRefused", "apply", "start"]

_KEYED = (WorkFinished, Told, Answered, Voted)


def start(
    playbook: Playbook, *, now: datetime, variables: Mapping[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None, pins: Mapping[str, str] | None = None, callers: tuple[str, ...] = (),
    enforce_validity: bool = True, sources: Mapping[str, Sequence[str]] | None = None,
) -> tuple[State, list[Effect]]:
    """A new run, moved as far as it goes by itself.

    `variables` are first values for external variables, `sources` what each of them came from (else the incident);
    `pins` maps called playbooks to the version this run uses; `callers` are the playbooks above it. Raises
    StartRefused: revoked, outside its validity, a variable that is unknown, not external, of the wrong type, or
    missing, or a playbook that calls itself.
    """
    given = dict(variables or {})
    faults = [*start_faults(playbook, now, callers, enforce_validity), *variable_faults(playbook, given)]
    if faults:
        raise StartRefused(faults)
    values = {name: each.value for name, each in playbook.variables.items()}
    values |= {name: normalise(value) for name, value in given.items()}
    state = State(
        playbook=playbook.id, version=playbook.version, digest=playbook.digest, started_at=write_instant(now),
        variables=values, sources={name: sorted((sources or {}).get(name, [INCIDENT])) for name in given},
        facts=wanted_facts(playbook, facts or {}), pins=dict(pins or {}), callers=list(callers),
    )
    machine = Machine(playbook, state, now)
    machine.new_token(playbook.start, parent=None)
    return settled(machine)


def apply(
    playbook: Playbook, state: State, event: Event, *, now: datetime, facts: Mapping[str, Any] | None = None
) -> tuple[State, list[Effect]]:
    """The run after one event, and what is to be done. `facts`, if given, are taken in first."""
    if state.ended:
        return state, [Ignored("the run is over", getattr(event, "key", ""))]
    machine = Machine(playbook, state.copy(), now)
    if facts is not None:
        _take_facts(machine, facts)
    refused = _HANDLERS[type(event)](machine, event)
    if refused:
        machine.effects.append(Ignored(refused, getattr(event, "key", "")))
    return settled(machine)


def settled(machine: Machine) -> tuple[State, list[Effect]]:
    """Move all that can move, then say what state the run is in."""
    moves.run_ready(machine)
    state = machine.state
    if not state.ended:
        state.status = _status(machine)
    return state, machine.effects


def _status(machine: Machine) -> str:
    if machine.state.paused:
        return "paused"
    statuses = {token.status for token in machine.state.tokens.values()}
    if "stopped" in statuses:
        return "needs-attention"
    waiting = [token for token in machine.state.tokens.values() if token.status == "waiting"]
    return "running" if any(is_automatic(machine.step_of(token), token) for token in waiting) else "waiting"


def _live(machine: Machine, key: str) -> Token | None:
    token = machine.state.tokens.get(key.split(":", 1)[0])
    return token if token is not None and token.key == key and token.status in ("waiting", "block") else None


def _on_work(machine: Machine, event: WorkFinished | Told | Answered | Voted) -> str:
    token = _live(machine, event.key)
    if token is None or token.status != "waiting":
        return "this work is not awaited (any more)"
    kind = kind_at(machine.step_of(token), token)
    if isinstance(event, Told | Answered) and kind != "alert":
        return "this step alerts nobody"
    judge = {WorkFinished: judge_finished, Told: judge_told, Answered: judge_answered, Voted: judge_voted}[type(event)]
    verdict = judge(machine, token, event)  # type: ignore[operator]
    if isinstance(verdict, str):
        return verdict
    if isinstance(verdict, Outcome):
        over = moves.finish_unit if isinstance(event, WorkFinished) else moves.settle
        over(machine, token, verdict)
    return ""


def _on_handed(machine: Machine, event: HandedToPerson) -> str:
    token = _live(machine, event.key)
    if token is None or token.status != "waiting" or token.data.get("handed"):
        return "this work is not awaited (any more)"
    token.data["handed"] = True
    if not machine.step_of(token).timeout:
        machine.cancel_timers(token, "timeout")  # a person has no maximum
    if not waits_visibly(machine.step_of(token), token):
        machine.record(token, "waiting")
    return ""


def _on_happened(machine: Machine, event: Happened) -> str:
    anchor = f"event:{event.event}"
    if anchor in machine.playbook.anchors:
        machine.state.anchors[anchor] = write_instant(machine.now)
        _reckon_again(machine)
    hit = [token for token in machine.state.tokens.values() if _awaits(machine, token, event)]
    for token in hit:
        outcome = judge_finished(machine, token, WorkFinished(token.key, "successful", event.fields))
        if isinstance(outcome, Outcome) and token.status == "waiting" and token.id in machine.state.tokens:
            moves.settle(machine, token, outcome)
    return "" if hit else "no step waits for this"


def _awaits(machine: Machine, token: Token, event: Happened) -> bool:
    work = machine.step_of(token).work
    if token.status != "waiting" or not isinstance(work, Wait) or work.event != event.event:
        return False
    return all(event.fields.get(name) == value for name, value in token.data.get("match", {}).items())


def _take_facts(machine: Machine, facts: Mapping[str, Any]) -> None:
    found = machine.state.facts | wanted_facts(machine.playbook, facts)
    if found != machine.state.facts:
        machine.state.facts = found
        _reckon_again(machine)


def _reckon_again(machine: Machine) -> None:
    """Deadlines that count from what has just been corrected; both values are on record through DueChanged."""
    for token in machine.state.tokens.values():
        if token.status == "waiting":
            mending.reckon_again(machine, token, due_of(machine, token))


def _on_facts(machine: Machine, event: FactsChanged) -> str:
    _take_facts(machine, event.facts)
    return ""


def _on_cancel(machine: Machine, event: Cancel) -> str:
    for token in [each for each in machine.state.tokens.values() if each.parent is None]:
        moves.call_off(machine, token, event.reason or "the run was cancelled")
    machine.state.ready.clear()
    machine.state.tokens.clear()
    machine.state.status = "cancelled"
    machine.effects.append(RunEnded("cancelled", event.reason))
    return ""


def _on_pause(machine: Machine, event: Pause) -> str:
    if machine.state.paused:
        return "the run is paused already"
    machine.state.paused = True
    return ""


def _on_resume(machine: Machine, event: Resume) -> str:
    if not machine.state.paused:
        return "the run is not paused"
    machine.state.paused = False
    moves.run_ready(machine)  # what came in during the pause counts before what fell due in it
    held, machine.state.held = machine.state.held, []
    for key in held:
        on_timer(machine, TimerFired(key))
    return ""


def _on_retry(machine: Machine, event: Retry) -> str:
    token = machine.state.tokens.get(event.token)
    if token is None or token.status in ("ended", "ready"):
        return "there is nothing to do again for this token"
    mending.do_again(machine, token, event.reason)
    return ""


def _on_skip(machine: Machine, event: Skip) -> str:
    token = machine.state.tokens.get(event.token)
    if token is None or token.status in ("ended", "ready"):
        return "there is nothing to pass over for this token"
    step = machine.step_of(token)
    values = {name: value for name, value in event.values.items() if name in step.out_args}
    mending.pass_over(machine, token, Outcome("skipped", values, reason=event.reason))
    return ""


_HANDLERS: dict[type, Any] = {
    **dict.fromkeys(_KEYED, _on_work), HandedToPerson: _on_handed, Happened: _on_happened, TimerFired: on_timer,
    FactsChanged: _on_facts, Cancel: _on_cancel, Pause: _on_pause, Resume: _on_resume, Retry: _on_retry, Skip: _on_skip,
}
