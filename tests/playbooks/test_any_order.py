"""Random playbooks, random orders of events: never stuck, never two continuations, the same again when replayed."""

import json
from collections import Counter
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from playbooks.checks import check
from playbooks.document import BLOCK_TYPES, load
from playbooks.effects import BeginWork, CancelTimer, CancelWork, Ignored, RunEnded, SetTimer, StepRecorded, WorkSettled
from playbooks.events import (
    Answered,
    Cancel,
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
from playbooks.interpreter import apply, start
from playbooks.state import State
from tests.playbooks.documents import NOW, action, block, document, end, sid

WORK: list[dict[str, Any] | None] = [
    None,
    {"kind": "task", "role": "analyst", "chain": [{"after": "PT10M", "remind": True}]},
    {"kind": "approval", "roles": ["coordinator", "analyst"], "due": {"within": "PT1H"}, "on_expiry": "refuse"},
    {"kind": "decision", "role": "coordinator", "variable": "__choice__", "options": ["red", "blue"]},
    {"kind": "alert", "message": "check", "audience": {"directory": "all"}, "ack": {"from": "each", "within": "PT1H"}},
    {"kind": "alert", "message": "check", "audience": {"directory": "all"}},
    {"kind": "share", "audience": {"reporter": True}, "items": ["request"], "purpose": "incident-response"},
    {"kind": "wait", "event": "status", "until": {"within": "PT2H"}, "on_expiry": "fail"},
    {"kind": "wait", "event": "time", "until": {"within": "PT3H"}},
    {"kind": "set", "values": {"__mood__": "calm"}},
    {"kind": "obligation", "do": "start", "rule": "EU-NIS2-EW", "out": {"state": "__duty__", "due_at": "__due__"}},
    {"kind": "obligation", "do": "meet", "rule": "EU-NIS2-EW", "out": {"state": "__duty__", "late": "__late__"}},
    {"kind": "obligation", "do": "check", "rule": "EU-NIS2-FR", "out": {"state": "__duty__", "due_at": "__due__"}},
    {"kind": "assess", "role": "analyst", "out": {"confidence": "__sure__"}},
]
#: What each of them fills: parallel branches may not fill the same variable.
FILLED = {3: ["__choice__"], 9: ["__mood__"]} | {
    at: list(work["out"].values()) for at, work in enumerate(WORK) if work and "out" in work
}
CALLED = "playbook--8d5493cf-27e6-4591-a895-0aa842644b3e"
TIMEOUTS = st.sampled_from([0, 0, 0, 2_400_000])


def flows(kinds: list[int]) -> Any:
    """Strategies for flows of steps, nested as they come, whose actions are of these kinds of WORK."""
    flow: Any = st.deferred(lambda: st.lists(step, min_size=1, max_size=3))
    step = st.one_of(
        st.tuples(st.just("action"), st.sampled_from(kinds), st.booleans(), st.sampled_from([0, 0, 0, 1_000]),
                  TIMEOUTS),
        st.tuples(st.just("call"), st.booleans(), TIMEOUTS),
        st.tuples(st.just("if"), flow, st.one_of(st.none(), flow), TIMEOUTS),
        st.tuples(st.just("switch"), flow, flow, TIMEOUTS),
        st.tuples(st.just("while"), flow, TIMEOUTS),
        st.tuples(st.just("parallel"), st.lists(flow, min_size=2, max_size=3), st.sampled_from(["settled", "fast"]),
                  st.sampled_from(["all", 1]), TIMEOUTS),
    )
    return flow


FLOW = flows(list(range(len(WORK))))


class Builder:
    """Turns a drawn flow into a document. Parallel branches may not fill the same variable, so they fill none."""

    def __init__(self) -> None:
        self.steps: dict[str, Any] = {}
        self.variables: dict[str, Any] = {
            "__choice__": {"type": "string", "value": "red"},
            **{name: {"type": "string", "value": ""} for name in
               ("__mood__", "__duty__", "__due__", "__late__", "__sure__")},
        }
        self.count = 0

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{kind}:{self.count}"

    def flow(self, drawn: list[Any], *, parallel: bool = False) -> str:
        last = self.name("end")
        self.steps[last] = end()
        following = last
        for each in reversed(drawn):
            following = self.step(each, following, parallel)
        return following

    def step(self, drawn: Any, following: str, parallel: bool) -> str:
        name = getattr(self, f"make_{drawn[0]}")(drawn, following, parallel)
        if drawn[-1]:
            self.steps[name]["timeout"] = drawn[-1]
        return name

    def make_call(self, drawn: Any, following: str, parallel: bool) -> str:
        name = self.name("playbook-action")
        ways = {"on_success": following, "on_failure": following} if drawn[1] else {"on_completion": following}
        self.steps[name] = block("playbook-action", playbook_id=CALLED, **ways)
        return name

    def make_action(self, drawn: Any, following: str, parallel: bool) -> str:
        _, work, handled, delay, _timeout = drawn
        name = self.name("action")
        chosen = WORK[work] if not (parallel and work in FILLED) else None
        ways: dict[str, Any] = {"on_completion": following}
        if handled:
            ways = {"on_success": following, "on_failure": following}
        out = FILLED.get(work, []) if chosen else []
        more = {"out_args": out} if out else {}
        self.steps[name] = action(work=chosen, **ways, **more, **({"delay": delay} if delay else {}))
        return name

    def make_if(self, drawn: Any, following: str, parallel: bool) -> str:
        name = self.name("if-condition")
        ways = {"on_true": self.flow(drawn[1], parallel=parallel)}
        if drawn[2]:
            ways["on_false"] = self.flow(drawn[2], parallel=parallel)
        self.steps[name] = block("if-condition", condition="__choice__:value = 'red'", on_completion=following, **ways)
        return name

    def make_switch(self, drawn: Any, following: str, parallel: bool) -> str:
        name = self.name("switch-condition")
        cases = {"blue": self.flow(drawn[1], parallel=parallel), "default": self.flow(drawn[2], parallel=parallel)}
        self.steps[name] = block("switch-condition", switch="__choice__:value", cases=cases, on_completion=following)
        return name

    def make_while(self, drawn: Any, following: str, parallel: bool) -> str:
        name, variable = self.name("while-condition"), f"__go{self.count}__"
        self.variables[variable] = {"type": "string", "value": "yes"}
        writer = self.name("action")
        self.steps[writer] = action(on_completion=self.flow(drawn[1], parallel=parallel), out_args=[variable])
        self.steps[name] = block("while-condition", condition=f"{variable}:value = 'yes'", on_true=writer,
                                 on_completion=following)
        return name

    def make_parallel(self, drawn: Any, following: str, parallel: bool) -> str:
        name = self.name("parallel")
        branches = [self.flow(each, parallel=True) for each in drawn[1]]
        self.steps[name] = block("parallel", next_steps=branches, on_completion=following,
                                 join={"fail": drawn[2], "need": drawn[3]})
        return name


class World:
    """A run and what is open around it; checks after each event what must always hold."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.playbook = load(raw)
        self.now = NOW
        self.work: dict[str, BeginWork] = {}
        self.timers: dict[str, Any] = {}
        self.told: set[str] = set()
        self.records: Counter[tuple[Any, ...]] = Counter()
        self.begun: set[str] = set()
        self.ended = 0
        self.log: list[tuple[Any, Any]] = []
        self.state, effects = start(self.playbook, now=self.now)
        self.first = (self.state.to_dict(), list(effects))
        self.all_effects = list(effects)
        self.take(effects)

    def send(self, event: Any) -> None:
        before = json.dumps(self.state.to_dict())
        given = State.from_dict(json.loads(before))
        self.log.append((event, self.now))
        self.state, effects = apply(self.playbook, given, event, now=self.now)
        assert json.dumps(given.to_dict()) == before or given is self.state, "the given state was changed"
        heard = not any(isinstance(each, Ignored) for each in effects)
        if isinstance(event, WorkFinished) and heard:
            token = self.state.tokens.get(event.key.split(":")[0])
            if token is None or token.key != event.key or token.status != "waiting":
                self.work.pop(event.key, None)
        if isinstance(event, TimerFired) and heard:
            self.timers.pop(event.key, None)
        self.all_effects += effects
        self.take(effects)

    def take(self, effects: list[Any]) -> None:
        for each in effects:
            match each:
                case BeginWork():
                    assert each.key not in self.begun, "the same work was begun twice"
                    self.begun.add(each.key)
                    self.work[each.key] = each
                case CancelWork(key=key) | WorkSettled(key=key):
                    self.work.pop(key, None)
                case SetTimer():
                    self.timers[each.key] = each.due_at
                case CancelTimer(key=key):
                    self.timers.pop(key, None)  # it may have fired in a pause
                case StepRecorded():
                    self.record(each)
                case RunEnded():
                    self.ended += 1
        self.holds()

    def record(self, each: StepRecorded) -> None:
        if each.what in ("entered", "succeeded", "failed", "timed-out", "skipped"):
            once = "entered" if each.what == "entered" else "left"
            place = (each.token, each.step, each.iteration, each.attempt, once)
            self.records[place] += 1
            mended = each.what == "skipped" or each.type in BLOCK_TYPES  # what failed may be mended, a block goes on
            assert self.records[place] == 1 or mended, (place, each.what)

    def holds(self) -> None:
        state = self.state
        assert self.ended == int(state.ended)
        if state.ended:
            assert not state.tokens and not self.work and not self.timers
            return
        live = {"waiting", "delayed"} & {token.status for token in state.tokens.values()}
        assert live or state.status in ("needs-attention", "paused"), "stuck"
        for token in state.tokens.values():
            assert all(state.tokens[child].parent == token.id for child in token.children)
            assert token.parent is None or token.id in state.tokens[token.parent].children
            assert token.status != "done"
        assert sum(token.parent is None for token in state.tokens.values()) == 1
        waiting = {token.key for token in state.tokens.values() if token.status == "waiting"}
        assert set(self.work) <= waiting
        timed = {f"{token.key}/{purpose}" for token in state.tokens.values() for purpose in token.timers}
        assert timed - set(state.held) == set(self.timers)

    def possible(self) -> list[Any]:
        """Everything that may sensibly or foolishly happen now."""
        found: list[Any] = []
        for key, work in sorted(self.work.items()):
            found += [WorkFinished(key, "failed"), WorkFinished(key, "successful", self.values(work, "yes"))]
            found.append(WorkFinished(key, "successful", self.values(work, "no")))
            if work.kind == "alert":
                found += [Told(key, ("x", "y")), Answered(key, "x", "acknowledged"), Answered(key, "y", "refused")]
            if work.kind == "approval":
                found += [Voted(key, "coordinator", "ann", True), Voted(key, "analyst", "bob", True),
                          Voted(key, "analyst", "ann", False)]
        found += [TimerFired(key) for key in sorted(self.timers)] + [Happened("status")]
        found += [each for token in sorted(self.state.tokens) for each in (Retry(token), Skip(token))]
        found += [event for event, _ in self.log[-3:]]
        return found + [Pause(), Resume()]

    def values(self, work: BeginWork, go: str) -> dict[str, Any]:
        loops = {name: go for name in work.spec["out_args"] if name.startswith("__go")}
        return {**loops, "option": "red" if go == "yes" else "blue", "result": "permit"}

    def happen(self, event: Any) -> None:
        if isinstance(event, TimerFired) and event.key in self.timers:
            self.now = max(self.now, self.timers[event.key])
        self.send(event)

    def finish(self) -> None:
        """Bring it to its end as patient people would."""
        for _ in range(3_000):
            if self.state.ended:
                return
            if self.state.paused:
                self.happen(Resume())
            elif self.work:
                key = min(self.work)
                self.happen(WorkFinished(key, "successful", self.values(self.work[key], "no")))
            elif self.timers:
                self.happen(TimerFired(min(self.timers)))
            else:
                failed = [token.id for token in self.state.tokens.values() if token.status in ("failed", "stopped")]
                self.happen(Skip(min(failed, key=int)))
        raise AssertionError("it did not end")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(FLOW, st.data())
def test_a_run_ends_whatever_happens_in_whatever_order(drawn: list[Any], data: st.DataObject) -> None:
    builder = Builder()
    first = builder.flow(drawn)
    raw = document(builder.steps, first, variables=builder.variables)
    if data.draw(st.booleans(), label="with an exception route"):
        raw["workflow_exception"] = sid("action:exception")
        raw["workflow"][sid("action:exception")] = action(on_completion="end:exception")
        raw["workflow"][sid("end:exception")] = end()
    assert [each for each in check(raw) if each.severity == "fault"] == []
    world = World(raw)
    for _ in range(data.draw(st.integers(0, 25), label="events")):
        if world.state.ended:
            break
        event = data.draw(st.sampled_from(world.possible()), label="event")
        world.now += timedelta(seconds=1)
        world.happen(event)
    note(str(world.state.to_dict()))
    if data.draw(st.integers(0, 9), label="cancel") == 0 and not world.state.ended:
        world.happen(Cancel("enough"))
    world.finish()
    again, effects = start(world.playbook, now=NOW)
    assert (again.to_dict(), effects) == world.first
    for event, now in world.log:
        again, more = apply(world.playbook, again, event, now=now)
        effects = effects + more
    assert again.to_dict() == world.state.to_dict()
    assert effects == world.all_effects
