"""One event, one transaction: the interpreter says what follows, and this writes it down and has it done.

The incident's row is locked first, then the run's, so that two workers never move one run at once. Effects are done in
their order. What a step can answer at once is given back to the interpreter before the transaction ends.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.errors import CoordinatorError
from coordinator.incidents import holds
from coordinator.incidents.models import Incident
from coordinator.incidents.rules import Status
from coordinator.runs.arms import Arms, Begun
from coordinator.runs.models import Run, StepAttempt, Timer
from coordinator.runs.saved import keep_fault, keep_values, new_attempt, open_name, save_state, show_step, spec_of
from playbooks import effects as do
from playbooks.document import Playbook
from playbooks.events import Answered, Event, Told, Voted, WorkFinished
from playbooks.interpreter import apply
from playbooks.state import State

#: Work that tells somebody outside, or prepares it: it waits until a person has accepted triage.
OUTWARD = frozenset({"alert", "share"})
UNTRIAGED = frozenset({Status.REPORTED, Status.TRIAGE})
#: A wait without a deadline is looked at again after this long, for as long as it lasts.
LONG_WAIT, LOOK_AGAIN = "long-wait", timedelta(days=7)
BEGUN, HELD, DONE, CANCELLED, LATE = "begun", "held", "done", "cancelled", "late"
log = logging.getLogger("coordinator.runs")
_KEYED = (WorkFinished, Told, Answered, Voted)


#: What a step without a name is called on the record. (Values hold its id.)
_UNNAMED = {"start": "Start", "end": "End"}


@dataclass
class Engine:
    """A run with its locks held, for the length of one transaction."""

    tx: Session
    run: Run
    incident: Incident | None
    playbook: Playbook
    arms: Arms
    facts: dict[str, Any]
    actor: str = "system"
    _said: list[timeline.Event] = field(default_factory=list)

    def take(self, state: State, events: Iterable[Event]) -> State:
        """Give the interpreter these events one after the other, and do what follows; keeps the state."""
        waiting = deque(events)
        while waiting:
            event = waiting.popleft()
            state, effects = apply(self.playbook, state, event, now=clock.now(), facts=self.facts)
            self._note_result(state, event, effects)
            waiting.extend(self.carry_out(effects))
        self.speak()
        save_state(self.tx, self.run, state)
        return state

    def carry_out(self, effects: Iterable[do.Effect]) -> list[Event]:
        """Do the effects in order; returns what is known at once."""
        answers: list[Event] = []
        for effect in effects:
            match effect:
                case do.StepRecorded():
                    self._recorded(effect)
                case do.BeginWork():
                    answers += self._begin(effect)
                case do.WorkSettled():
                    self._close(effect.key, DONE, effect.outcome, effect.reason)
                case do.CancelWork():
                    self._close(effect.key, CANCELLED, "", effect.reason)
                case do.SetTimer():
                    self._set_timer(effect)
                case do.CancelTimer():
                    timer = self._timer(effect.key)
                    if timer is not None and timer.fired_at is None:
                        timer.cancelled_at = clock.now()
                case do.Remind() | do.Escalate() | do.DueChanged():
                    self._change_of_work(effect)
                case do.Notice():
                    self.say("run.notice", effect.text, {"step": effect.step})
                    timeline.pending(self.tx, "run.notice", self.run.id, exercise=self.run.exercise)
                case do.NeedsAttention():
                    keep_fault(self.tx, self.run, effect.reason)
                    self.say("run.needs-attention", "The run stands until a person mends it.",
                              {"step": effect.step, "token": effect.token, "reason": effect.reason})  # fmt: skip
                    timeline.pending(self.tx, "run.needs-attention", self.run.id, exercise=self.run.exercise)
                case do.RunEnded():
                    self._ended(effect)
        return answers

    def begin_held(self) -> list[Event]:
        """Begin what waited for triage to be accepted."""
        query = (
            select(StepAttempt)
            .where(StepAttempt.run_id == self.run.id, StepAttempt.state == HELD)
            .order_by(StepAttempt.id)
        )
        answers: list[Event] = []
        for attempt in self.tx.execute(query).scalars().all():
            attempt.state = BEGUN
            answers += self._do(attempt, spec_of(self.tx, attempt), None)
        return answers

    # ------------------------------------------------------------ work

    def _begin(self, effect: do.BeginWork) -> list[Event]:
        attempt = new_attempt(
            self.run, key=effect.key, step=effect.step, kind=effect.kind, spec=effect.spec, begun_at=clock.now(),
            name=open_name(self.playbook, effect.step), tx=self.tx,
        )  # fmt: skip
        if effect.kind == "wait" and effect.due_at is None:
            self._set_timer(do.SetTimer(f"{effect.key}/{LONG_WAIT}", clock.now() + LOOK_AGAIN, LONG_WAIT))
        if effect.kind in OUTWARD and self.incident is not None and self.incident.status in UNTRIAGED:
            attempt.state = HELD
            self.say("run.step", f"{attempt.name}: waits until triage is accepted.",
                      {"step": effect.step, "what": "held"})  # fmt: skip
            return []
        return self._do(attempt, effect.spec, effect.due_at)

    def _do(self, attempt: StepAttempt, spec: Mapping[str, Any], due_at: datetime | None) -> list[Event]:
        """Begin one piece of work. A refusal fails the step; a database that is away fails the whole transaction."""
        self.speak()
        work = Begun(self.run, self.incident, self.playbook, attempt, spec, due_at)
        key = attempt.key
        try:
            with self.tx.begin_nested():
                return list(self.arms.begin(self.tx, work))
        except DBAPIError:
            raise
        except CoordinatorError as refused:
            return [WorkFinished(key, "failed", reason=refused.detail or refused.title)]
        except Exception as fault:
            log.warning("%s of run %s could not be begun: %s", attempt.kind, self.run.id, type(fault).__name__)
            return [WorkFinished(key, "failed", reason=f"This step could not be begun ({type(fault).__name__}).")]

    def _note_result(self, state: State, event: Event, effects: Iterable[do.Effect]) -> None:
        """Keep what came of a piece of work: as its result, or as late where it was not awaited any more."""
        if not isinstance(event, _KEYED):
            return
        attempt = self._attempt(event.key)
        if attempt is None:
            return
        ignored = [effect for effect in effects if isinstance(effect, do.Ignored)]
        if ignored:
            self._late(attempt, event, ignored[0].reason)
            return
        token = state.tokens.get(event.key.split(":", 1)[0])
        if token is not None and token.key == event.key and token.status == "waiting":
            return
        if attempt.state in (BEGUN, HELD):
            attempt.state, attempt.ended_at = DONE, clock.now()
            if isinstance(event, WorkFinished):
                attempt.outcome = event.outcome
                keep_values(self.tx, attempt, event.values)
            self._look_no_more(attempt)
            self.arms.call_off(self.tx, attempt, reason="the step is over")

    def _late(self, attempt: StepAttempt, event: Event, reason: str) -> None:
        if not isinstance(event, WorkFinished) or attempt.state in (DONE, LATE):
            return
        attempt.state, attempt.outcome = LATE, event.outcome
        keep_values(self.tx, attempt, event.values)
        self.say("run.late", f"{attempt.name}: a result came late and is kept, not applied.",
                  {"step": attempt.step, "outcome": event.outcome, "reason": reason})  # fmt: skip

    def _close(self, key: str, state: str, outcome: str, reason: str) -> None:
        attempt = self._attempt(key)
        if attempt is None or attempt.state not in (BEGUN, HELD):
            return
        attempt.state, attempt.outcome, attempt.ended_at = state, outcome, clock.now()
        self.speak()
        self._look_no_more(attempt)
        self.arms.call_off(self.tx, attempt, reason=reason or "the step is over")

    def _attempt(self, key: str) -> StepAttempt | None:
        query = select(StepAttempt).where(StepAttempt.run_id == self.run.id, StepAttempt.key == key)
        return self.tx.execute(query).scalar_one_or_none()

    def _change_of_work(self, effect: do.Remind | do.Escalate | do.DueChanged) -> None:
        attempt = self._attempt(effect.key)
        if attempt is None or attempt.state != BEGUN:
            return
        self.speak()
        match effect:
            case do.Remind():
                self.arms.remind(self.tx, attempt)
            case do.Escalate(to_role=to_role, to=to):
                self.arms.escalate(self.tx, attempt, to_role=to_role, to=to)
            case do.DueChanged(due_at=due_at):
                self.arms.due_changed(self.tx, attempt, due_at)

    # ------------------------------------------------------------ timers

    def long_wait(self, timer: Timer) -> None:
        """A step has waited long for something that no deadline ends: whoever coordinates is told, and it waits on."""
        attempt = self._attempt(timer.key.removesuffix(f"/{LONG_WAIT}"))
        if attempt is None or attempt.state != BEGUN:
            timer.fired_at = clock.now()
            return
        days = (clock.now() - attempt.begun_at).days
        self.say("run.notice", f"{attempt.name}: nothing has come for {days} days, and no deadline ends this wait.",
                 {"step": attempt.step, "days": days})  # fmt: skip
        timeline.pending(self.tx, "run.notice", self.run.id, exercise=self.run.exercise)
        self._set_timer(do.SetTimer(timer.key, clock.now() + LOOK_AGAIN, LONG_WAIT))
        self.speak()

    def _look_no_more(self, attempt: StepAttempt) -> None:
        timer = self._timer(f"{attempt.key}/{LONG_WAIT}") if attempt.kind == "wait" else None
        if timer is not None:
            timer.cancelled_at = clock.now()

    def _timer(self, key: str) -> Timer | None:
        query = select(Timer).where(Timer.run_id == self.run.id, Timer.key == key)
        return self.tx.execute(query).scalar_one_or_none()

    def _set_timer(self, effect: do.SetTimer) -> None:
        timer = self._timer(effect.key)
        if timer is None:
            timer = Timer(run_id=self.run.id, exercise=self.run.exercise, key=effect.key, purpose=effect.purpose,
                          due_at=effect.due_at)  # fmt: skip
            self.tx.add(timer)
        timer.due_at, timer.cancelled_at = effect.due_at, None
        self.tx.flush()
        timeline.pending(self.tx, "timer", timer.id, ready_at=effect.due_at, exercise=self.run.exercise)

    # ------------------------------------------------------------ the record

    def _recorded(self, effect: do.StepRecorded) -> None:
        step = self.playbook.steps.get(effect.step)
        name = (step.name if step else "") or _UNNAMED.get(effect.type, effect.step)
        show_step(self.tx, self.run, effect, effect.at)
        self.say("run.step", f"{name}: {effect.what}.", {
            "step": effect.step, "type": effect.type, "what": effect.what, "iteration": effect.iteration,
            "attempt": effect.attempt, **dict(effect.detail),
        })  # fmt: skip

    def _ended(self, effect: do.RunEnded) -> None:
        self.run.ended_at = clock.now()
        self.say("run.ended", f"The run of {self.playbook.name} is {effect.state}.",
                  {"state": effect.state, "reason": effect.reason})  # fmt: skip
        holds.settle_hold(self.tx, kind="run", object_id=self.run.id)
        timeline.pending(self.tx, "run.ended", self.run.id, exercise=self.run.exercise)

    def say(self, kind: str, text: str, values: dict[str, Any]) -> None:
        """An entry about this run, kept until `speak` or the next effect writes it."""
        self._said.append(timeline.Event(kind, text, values, ("run", self.run.id)))

    def speak(self) -> None:
        """Write the entries gathered so far, so that they stand before what the next effect writes."""
        if self._said:
            said, self._said = self._said, []
            timeline.append_all(
                self.tx, said, actor=self.actor, incident=self.incident, exercise=self.run.exercise
            )
