"""A dry run with a virtual clock: the same interpreter, driven by a script instead of people and partners.

What stands in for the rest of the world is as little as can be: work that needs nobody is done at once, a script's
events are handed to the step they name (or kept for its next entry), and timers come due in the order of time. At one
instant events come before timers. A submission and an assessment wait for their person where the script has one do it;
else the virtual clock's instant is that of the submission, and what the facts say is what was assessed.
"""

import heapq
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from playbooks.checks import check
from playbooks.coordination import Alert, Approval, Decision, Share, Wait
from playbooks.document import DocumentFault, Playbook, Step, load, parse
from playbooks.durations import read_instant, write_instant
from playbooks.effects import BeginWork, CancelTimer, CancelWork, Effect, Ignored, RunEnded, SetTimer, StepRecorded
from playbooks.events import Answered, Cancel, Event, HandedToPerson, TimerFired, Told, Voted, WorkFinished
from playbooks.interpreter import StartRefused, apply, start
from playbooks.rehearsal import Duties, Rehearsal, Unclocked
from playbooks.script import BadScript, Deed, Script, read_script
from playbooks.state import State, Token

EXIT_CODES = {"completed": 0, "failed": 3, "needs-attention": 3, "waiting": 4, "running": 4}
MAX_TURNS = 200_000
_AUTOMATIC = frozenset({"http-api", "status"})
_BY_PEOPLE = frozenset({"succeed", "fail"})
_NOBODY_KNOWN = "contact"

__all__ = ["BadScript", "simulate", "simulate_files", "validity_warnings"]


@dataclass(slots=True)
class _Run:
    """One run in the simulation; `caller` is the (run, work key) that waits for it."""

    playbook: Playbook
    state: State
    caller: tuple[int, str] | None = None
    told: dict[str, list[str]] = field(default_factory=dict)
    answers: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(slots=True)
class _World:
    """The runs, the clock, and what is still to come."""

    script: Script
    others: Mapping[tuple[str, str], Playbook]
    now: datetime
    rehearsal: Rehearsal
    by_people: Counter[str]  # deeds that are still to be used, by step
    runs: list[_Run] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    timers: list[tuple[datetime, int, int, str]] = field(default_factory=list)
    set_now: dict[tuple[int, str], int] = field(default_factory=dict)
    kept: dict[str, deque[Deed]] = field(default_factory=dict)
    inbox: deque[tuple[int, Event] | Deed] = field(default_factory=deque)
    counter: int = 0
    turns: int = 0


def simulate(
    document: Mapping[str, Any] | bytes, events: Mapping[str, Any], others: Mapping[str, Any] | None = None, *,
    until: datetime | None = None, duties: Duties | None = None,
) -> tuple[list[dict[str, Any]], int]:
    """Output lines and exit code: 0 completed, 3 failed or needs attention, 4 waiting. `until` stops the clock there.

    `events` is the script (script.py); `others` are documents that playbook-action steps may call, under any name;
    `duties`: the clock rules that obligation steps name, without any they have no deadline.
    Raises BadScript (exit code 1 of the command) for a script, a document, or first values that cannot be used.
    """
    script = read_script(events)
    playbook = _checked(document, "")
    called = [_checked(each, f"/with/{name}") for name, each in (others or {}).items()]
    rehearsal = Rehearsal(script, duties or Unclocked())
    by_people = Counter(deed.step for deed in script.deeds if deed.what in _BY_PEOPLE)
    world = _World(script, _by_version([*called, playbook]), script.start, rehearsal, by_people)
    try:
        state, effects = start(
            playbook, now=world.now, variables=script.variables, facts=script.facts, enforce_validity=False
        )
    except StartRefused as refusal:
        raise BadScript(refusal.faults) from None
    world.runs.append(_Run(playbook, state))
    _act(world, 0, effects)
    _play(world, until)
    return _finish(world)


def simulate_files(
    document: bytes, events: bytes, others: list[bytes], *, duties: Duties | None = None
) -> tuple[list[dict[str, Any]], int]:
    """`simulate` on the bytes of files. With exit code 1 the lines are faults: {"pointer", "sentence"}."""
    try:
        named = {str(at): each for at, each in enumerate(others)}
        return simulate(document, parse(events), named, duties=duties)
    except BadScript as bad:
        return [{"pointer": pointer, "sentence": sentence} for pointer, sentence in bad.faults], 1
    except DocumentFault as fault:
        return [{"pointer": fault.pointer, "sentence": f"the script: {fault.sentence}"}], 1


def validity_warnings(document: Mapping[str, Any] | bytes, events: Mapping[str, Any]) -> list[str]:
    """What a real start would refuse and a simulation only warns of, as sentences."""
    playbook, at = load(document), read_instant(events.get("start"))
    since, until = read_instant(playbook.valid_from), read_instant(playbook.valid_until)
    found = []
    if at and until and at >= until:
        found.append("valid_until lies before the start of this simulation: a real start refuses")
    if at and since and at < since:
        found.append("valid_from lies after the start of this simulation: a real start refuses")
    return found


def _checked(document: Mapping[str, Any] | bytes, pointer: str) -> Playbook:
    faults = [each for each in check(document) if each.severity == "fault"]
    if faults:
        raise BadScript([(pointer + each.pointer, each.sentence) for each in faults])
    return load(document)


def _by_version(playbooks: list[Playbook]) -> dict[tuple[str, str], Playbook]:
    """By (id, version), and the newest under (id, "")."""
    found: dict[tuple[str, str], Playbook] = {}
    for each in sorted(playbooks, key=lambda playbook: playbook.version):
        found[each.id, each.version] = found[each.id, ""] = each
    return found


def _play(world: _World, until: datetime | None) -> None:
    """Let time pass until nothing can happen any more, or until `until`."""
    deeds = deque(world.script.deeds)
    _drain(world)
    while world.turns < MAX_TURNS and not world.runs[0].state.ended:
        timer = _next_timer(world)
        if until is not None and _soonest(deeds, timer) > until:
            return
        if deeds and (timer is None or deeds[0].at <= timer[0]):
            deed = deeds.popleft()
            world.now = max(world.now, deed.at)
            _hand_over(world, deed)
        elif timer is not None and world.runs[0].state.status != "needs-attention":
            heapq.heappop(world.timers)
            world.set_now.pop((timer[2], timer[3]), None)
            world.now = max(world.now, timer[0])
            _send(world, timer[2], TimerFired(timer[3]))
        else:
            return
        _drain(world)
    for deed in deeds:
        world.kept.setdefault(deed.step, deque()).append(deed)


def _soonest(deeds: deque[Deed], timer: tuple[datetime, int, int, str] | None) -> datetime:
    times = [deeds[0].at] if deeds else []
    return min([*times, timer[0]] if timer else times, default=datetime.min.replace(tzinfo=UTC))


def _next_timer(world: _World) -> tuple[datetime, int, int, str] | None:
    while world.timers:
        _, counter, run, key = world.timers[0]
        if world.set_now.get((run, key)) == counter:
            return world.timers[0]
        heapq.heappop(world.timers)
    return None


def _drain(world: _World) -> None:
    """Everything that happens at this very instant, first in, first out."""
    while world.inbox and world.turns < MAX_TURNS:
        each = world.inbox.popleft()
        if isinstance(each, Deed):
            _hand_over(world, each)
        else:
            _send(world, *each)


def _send(world: _World, run: int, event: Event) -> bool:
    """Give one event to one run; answers whether it was taken."""
    world.turns += 1
    each = world.runs[run]
    each.state, effects = apply(each.playbook, each.state, event, now=world.now)
    taken = not any(isinstance(effect, Ignored) for effect in effects)
    if taken and isinstance(event, Answered):
        token = event.key.split(":", 2)
        each.answers.setdefault(token[1], {})[event.recipient] = event.answer
    _act(world, run, effects)
    return taken


def _act(world: _World, run: int, effects: list[Effect]) -> None:
    for effect in effects:
        match effect:
            case StepRecorded():
                line = {"at": write_instant(effect.at), "step": effect.step, "type": effect.type, "what": effect.what}
                world.lines.append(line)
            case SetTimer(key=key, due_at=due_at):
                world.counter += 1
                world.set_now[run, key] = world.counter
                heapq.heappush(world.timers, (due_at, world.counter, run, key))
            case CancelTimer(key=key):
                world.set_now.pop((run, key), None)
            case CancelWork(key=key):
                _drop_callee(world, run, key)
            case BeginWork():
                _begin(world, run, effect)
            case RunEnded(state=state):
                _return_to_caller(world, run, state)


def _begin(world: _World, run: int, work: BeginWork) -> None:
    """Do what needs nobody; for the rest use what the script kept for this step."""
    if work.kind in _AUTOMATIC:
        world.inbox.append((run, WorkFinished(work.key, "successful")))
    elif work.kind in ("obligation", "assess"):
        _rehearse(world, run, work)
    elif work.kind == "share":
        result = world.script.shares.get(work.step, "permit")
        counts = {"permitted_count": int(result == "permit"), "refused_count": int(result == "deny")}
        world.runs[run].told[work.step] = _audience(world, run, work) if result == "permit" else []
        world.inbox.append((run, WorkFinished(work.key, "successful", {"result": result, **counts})))
    elif work.kind == "playbook":
        _call(world, run, work)
    else:
        if work.kind == "alert":
            told = _audience(world, run, work)
            world.runs[run].told[work.step] = told
            world.runs[run].answers.pop(work.step, None)
            world.inbox.append((run, Told(work.key, tuple(told))))
        _use_kept(world, work.step)


def _rehearse(world: _World, run: int, work: BeginWork) -> None:
    """A duty or an assessment: done at once, or by the person the script has for it."""
    by_person = world.by_people[work.step] > 0
    step = world.runs[run].playbook.steps[work.step]
    finished = world.rehearsal.begin(work, step.work, now=world.now, by_person=by_person)
    world.inbox.append((run, finished or HandedToPerson(work.key)))
    if finished is None:
        _use_kept(world, work.step)


def _audience(world: _World, run: int, work: BeginWork) -> list[str]:
    audience = work.spec["audience"]
    earlier = audience.get("from_step")
    if earlier:
        told = world.runs[run].told.get(earlier, [])
        answers = world.runs[run].answers.get(earlier, {})
        wanted = audience.get("where", "")
        return [each for each in told if not wanted or _is(answers.get(each, ""), wanted)]
    if world.script.directory is not None:
        return list(world.script.directory)
    named = [deed.by for deed in world.script.deeds if deed.step == work.step and deed.what == "acknowledge"]
    return list(dict.fromkeys(each for each in named if each)) or [_NOBODY_KNOWN]


def _is(answer: str, wanted: str) -> bool:
    return answer != "acknowledged" if wanted == "not-acknowledged" else answer == wanted


def _use_kept(world: _World, step: str) -> None:
    """What the script did too early, in its order, now that the step is entered."""
    world.inbox.extend(world.kept.pop(step, ()))


def _hand_over(world: _World, deed: Deed) -> None:
    """Give an event to a run whose step waits for it, or keep it for the step's next entry."""
    for at, run in enumerate(world.runs):
        for token in list(run.state.tokens.values()):
            named = token.step == deed.step and token.status == "waiting"
            event = _as_event(world, run, token, deed) if named else None
            if event is not None and _send(world, at, event):
                world.by_people[deed.step] -= deed.what in _BY_PEOPLE
                return
    world.kept.setdefault(deed.step, deque()).append(deed)


def _as_event(world: _World, run: _Run, token: Token, deed: Deed) -> Event | None:
    step = run.playbook.steps[token.step]
    work = step.work
    match deed.what:
        case "succeed" | "fail" if _is_task(step):
            outcome = "successful" if deed.what == "succeed" else "failed"
            return WorkFinished(token.key, outcome, deed.values, by=deed.by)
        case "succeed" | "fail" if token.data.get("handed"):
            return world.rehearsal.done(token.key, work, deed, now=world.now)
        case "approve" | "refuse" if isinstance(work, Approval):
            return _vote(token, work, deed)
        case "approve" | "refuse" if isinstance(work, Share) and token.data.get("referred"):
            result = "permit" if deed.what == "approve" else "deny"
            return WorkFinished(token.key, "successful", {"result": result}, by=deed.by)
        case "decide" if isinstance(work, Decision):
            return WorkFinished(token.key, "successful", deed.values, by=deed.by)
        case "acknowledge" if isinstance(work, Alert):
            return Answered(token.key, deed.by or _next_silent(token), "acknowledged", "person")
        case "report" if isinstance(work, Wait) and work.event != "time":
            return _report(token, work, deed)
    return None


def _is_task(step: Step) -> bool:
    return step.type == "action" and (step.work is None or step.work.kind == "task")


def _vote(token: Token, work: Approval, deed: Deed) -> Voted:
    """`by` is role:person; a role alone is some person of it, anybody else answers for the next role still silent."""
    role, _, person = deed.by.partition(":")
    if role not in work.roles and ":" not in deed.by:
        voted = {each[0] for each in token.data.get("votes", [])}
        person, role = deed.by, next((each for each in work.roles if each not in voted), work.roles[0])
    return Voted(token.key, role, person or role, deed.what == "approve", str(deed.values.get("reason", "")))


def _next_silent(token: Token) -> str:
    answered = token.data.get("answers", {})
    return next((each for each in token.data.get("recipients", []) if each not in answered), "")


def _report(token: Token, work: Wait, deed: Deed) -> WorkFinished | None:
    fits = all(deed.values.get(name) == value for name, value in token.data.get("match", {}).items())
    return WorkFinished(token.key, "successful", deed.values, by=deed.by) if fits else None


def _call(world: _World, run: int, work: BeginWork) -> None:
    spec = work.spec
    callee = world.others.get((spec["playbook_id"], spec["version"] or ""))
    if callee is None:
        world.inbox.append((run, WorkFinished(work.key, "failed", reason="the called playbook was not given")))
        return
    given = {name: value for name, value in spec["variables"].items()
             if name in callee.variables and callee.variables[name].external}
    try:
        state, effects = start(
            callee, now=world.now, variables=given, facts=world.script.facts, callers=tuple(spec["callers"]),
            enforce_validity=False,
        )
    except StartRefused as refusal:
        world.inbox.append((run, WorkFinished(work.key, "failed", reason=str(refusal))))
        return
    world.runs.append(_Run(callee, state, caller=(run, work.key)))
    _act(world, len(world.runs) - 1, effects)


def _return_to_caller(world: _World, run: int, ended: str) -> None:
    caller = world.runs[run].caller
    if caller is not None:
        outcome = "successful" if ended == "completed" else "failed"
        values = dict(world.runs[run].state.variables)
        world.inbox.append((caller[0], WorkFinished(caller[1], outcome, values)))


def _drop_callee(world: _World, run: int, key: str) -> None:
    """The call is called off: the run that was called ends with it."""
    for at, each in enumerate(world.runs):
        if each.caller == (run, key) and not each.state.ended:
            each.caller = None
            _send(world, at, Cancel("the run that called it went on without it"))


def _finish(world: _World) -> tuple[list[dict[str, Any]], int]:
    at = write_instant(world.now)
    types = {step.id: step.type for run in world.runs for step in run.playbook.steps.values()}
    for deed in sorted((each for kept in world.kept.values() for each in kept), key=lambda deed: deed.at):
        line = {"at": at, "step": deed.step, "type": types.get(deed.step), "what": "unused-event"}
        world.lines.append(line)
    if world.turns >= MAX_TURNS:
        raise BadScript([("", f"the simulation takes more than {MAX_TURNS} turns")])
    state = world.runs[0].state
    stuck = not state.ended and any(run.state.status == "needs-attention" for run in world.runs)
    shown = "needs-attention" if stuck else "waiting" if state.status == "running" else state.status
    world.lines.append({"at": at, "what": "run", "state": shown, "variables": dict(state.variables)})
    return world.lines, EXIT_CODES[shown]
