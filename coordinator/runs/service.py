"""Runs: started once, moved by events, held, mended or ended by persons.

Doors only ask (`start_run` without arms, `ask`): a worker does it, since steps are begun by workers. Locks are taken in
one order everywhere: the incident, then the run.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import Principal
from coordinator.errors import Fault, Invalid, NotFound, Refused
from coordinator.incidents import holds, queries
from coordinator.incidents.models import Incident
from coordinator.incidents.rules import Blocks
from coordinator.runs import activation, mending, needs
from coordinator.runs.arms import Arms
from coordinator.runs.catalogue import document_of, pins_of
from coordinator.runs.engine import Engine
from coordinator.runs.models import PlaybookVersion, Run
from coordinator.runs.saved import (
    has_begun,
    keep_fault,
    keep_wishes,
    load_state,
    save_state,
    wishes_of,
)
from coordinator.tasks import service as tasks
from coordinator.timeline.keys import new_key
from playbooks.effects import RunEnded
from playbooks.events import Cancel, Event, Pause, Resume, Retry, Skip
from playbooks.interpreter import StartRefused, start
from playbooks.state import ENDED

OPERATIONS = ("pause", "resume", "cancel", "retry", "skip", "move")


def start_run(
    tx: Session,
    playbook_version_id: int,
    *,
    started_by: str,
    incident: Incident | None = None,
    variables: Mapping[str, Any] | None = None,
    sources: Mapping[str, Sequence[str]] | None = None,
    once_key: str = "",
    explanation: Sequence[str] = (),
    callers: Sequence[str] = (),
    exercise: str = "",
    arms: Arms | None = None,
) -> Run:
    """Begin a run of a playbook version, for an incident (locked by this transaction) or for none.

    `sources`: what each first value came from, where that is more than the incident (sources.py). The same `once_key`
    again gives the run there is. Without `arms` a worker begins its first steps. Raises NotFound,
    Refused when the playbook may not start, Invalid (/variables/…) for first values it does not take.
    """
    if once_key:
        known = tx.execute(select(Run).where(Run.once_key == once_key)).scalar_one_or_none()
        if known is not None:
            return known
    playbook = document_of(tx, playbook_version_id)
    _check_in_use(tx, playbook_version_id, called=bool(callers))
    lacking = needs.check(tx, playbook)
    facts = queries.facts(tx, incident) if incident is not None else {}
    try:
        state, effects = start(
            playbook, now=clock.now(), variables=variables, facts=facts, pins=pins_of(tx, playbook),
            callers=tuple(callers), sources=sources,
        )  # fmt: skip
    except StartRefused as refused:
        raise _refusal(refused) from None
    run = Run(
        incident_id=incident.id if incident is not None else None, playbook_version_id=playbook_version_id,
        once_key=once_key or f"manual:{uuid.uuid4()}", explanation=list(explanation), started_by=started_by,
        started_at=clock.now(), data_key_id=incident.data_key_id if incident is not None else new_key(tx),
        exercise=incident.exercise if incident is not None else exercise,
    )  # fmt: skip
    tx.add(run)
    tx.flush()
    if incident is not None:
        holds.place_hold(tx, incident, kind="run", object_id=run.id, text=f"Playbook: {playbook.name}",
                         blocks=Blocks.CLOSE)  # fmt: skip
    timeline.append(
        tx, "run.started", f"A run of {playbook.name} was started.", actor=started_by, incident=incident,
        exercise=run.exercise, about=("run", run.id),
        values={"playbook": playbook.id, "version": playbook.version, "because": list(explanation)},
    )  # fmt: skip
    if lacking:
        timeline.append(tx, "run.notice", "Nobody has a role that this playbook needs; others get its tasks.",
                        actor="system", incident=incident, values={"roles": lacking}, about=("run", run.id),
                        exercise=run.exercise)  # fmt: skip
        timeline.pending(tx, "run.notice", run.id, exercise=run.exercise)
    if arms is None:
        keep_wishes(tx, run, [{"do": "start", "variables": _plain(variables or {}), "callers": list(callers)}])
        timeline.pending(tx, "run.advance", run.id, exercise=run.exercise)
        return run
    engine = Engine(tx, run, incident, playbook, arms, facts)
    engine.take(state, engine.carry_out(effects))
    return run


def advance(tx: Session, run_id: int, events: Iterable[Event], *, arms: Arms, actor: str = "system") -> None:
    """Give a run these events and do what follows. One that is over only keeps them as late. Raises NotFound."""
    engine = locked(tx, run_id, arms=arms, actor=actor)
    if has_begun(engine.run):  # else it has not begun: nothing can be waiting in it
        engine.take(load_state(tx, engine.run), events)


def release_held(tx: Session, run_id: int, *, arms: Arms) -> None:
    """Triage is accepted: begin the steps that waited for it."""
    engine = locked(tx, run_id, arms=arms)
    if has_begun(engine.run) and engine.run.state not in ENDED:
        engine.take(load_state(tx, engine.run), engine.begin_held())


def locked(tx: Session, run_id: int, *, arms: Arms, actor: str = "system") -> Engine:
    """The run and its incident with their locks held. Raises NotFound."""
    row = tx.execute(select(Run.incident_id).where(Run.id == run_id)).one_or_none()
    if row is None:
        raise NotFound()
    incident = holds.lock_incident(tx, row.incident_id) if row.incident_id is not None else None
    run = tx.get_one(Run, run_id, with_for_update=True, populate_existing=True)
    facts = queries.facts(tx, incident) if incident is not None else {}
    return Engine(tx, run, incident, document_of(tx, run.playbook_version_id), arms, facts, actor)


# ---------------------------------------------------------------- what persons ask of a run


def ask(
    tx: Session, run_id: int, do: str, *, principal: Principal, reason: str, token: str = "",
    values: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Ask for pause, resume, cancel, retry, skip or move, with a reason; `token` says which standing step is meant.

    `values` of a skip are for the step's out_args; of a move {"to": version row id, "mapping": {step: step}}. It is
    recorded at once and done by a worker. Raises NotFound, Refused (the run is over), Invalid (for a move: each step
    that has no place in the newer version, as /mapping/<step>).
    """
    faults = []
    if do not in OPERATIONS:
        faults.append(Fault("/do", f"Send one of: {', '.join(OPERATIONS)}."))
    if not reason.strip() and do != "resume":
        faults.append(Fault("/reason", "Give the reason."))
    if do in ("retry", "skip") and not token:
        faults.append(Fault("/token", "Say which step is meant."))
    if faults:
        raise Invalid(faults)
    run, incident = visible(tx, run_id, principal)
    if run.state in ENDED:
        raise Refused(f"The run is {run.state} already.")
    if do == "resume" and incident is not None and incident.status == "duplicate":
        raise Refused("The incident is marked as a duplicate: say first that it is none.")
    if do == "move":
        values = mending.checked_move(tx, run, values or {}, incident=incident)
    wish = {"do": do, "token": token, "reason": reason, "values": _plain(values or {}), "by": principal.actor}
    keep_wishes(tx, run, [*wishes_of(tx, run), wish])
    timeline.append(
        tx, f"run.{do}-asked", f"A person asked to {do} the run.", actor=principal.actor, incident=incident,
        values={"token": token, "reason": reason, **_plain(values or {})}, about=("run", run.id), exercise=run.exercise,
    )  # fmt: skip
    timeline.pending(tx, "run.advance", run.id, exercise=run.exercise)


def reassign(tx: Session, run_id: int, *, token: str, role: str, principal: Principal, reason: str) -> list[int]:
    """Give the work of a standing step to another role; answers its tasks. A further attempt asks the document's role.

    Raises NotFound, Refused (the run is over; nobody is asked; an approval), Invalid (/role, /reason).
    """
    run, incident = visible(tx, run_id, principal)
    if run.state in ENDED:
        raise Refused(f"The run is {run.state} already.")
    found = mending.open_tasks_of(tx, run, token)
    for task_id in found:
        tasks.give_to_role(tx, task_id, role=role, principal=principal, reason=reason)
    timeline.append(
        tx, "run.reassigned", "A step was given to another role.", actor=principal.actor, incident=incident,
        values={"token": token, "to_role": role, "reason": reason}, about=("run", run.id), exercise=run.exercise,
    )  # fmt: skip
    return found


def do_what_was_asked(tx: Session, run_id: int, *, arms: Arms) -> None:
    """Everything that persons asked of a run, in their order."""
    engine = locked(tx, run_id, arms=arms)
    if not has_begun(engine.run) and engine.incident is not None and engine.incident.status == "duplicate":
        return  # it begins when somebody says that it is none (duplicates.py)
    asked = wishes_of(tx, engine.run)
    keep_wishes(tx, engine.run, [])
    for wish in asked:
        if wish["do"] == "start":
            _begin(engine, wish)
            continue
        engine.actor = wish["by"]
        if not has_begun(engine.run):
            continue
        if wish["do"] == "move":
            mending.move(engine, wish)
            continue
        state = engine.take(load_state(tx, engine.run), [_event(wish)])
        if state.status != "needs-attention":
            keep_fault(tx, engine.run, "")


def cancel_all(tx: Session, incident_id: int, *, reason: str, arms: Arms) -> None:
    """End every run of an incident that is over."""
    query = select(Run.id).where(Run.incident_id == incident_id, Run.state.not_in(ENDED)).order_by(Run.id)
    for run_id in tx.execute(query).scalars().all():
        advance(tx, run_id, [Cancel(reason)], arms=arms)


def _check_in_use(tx: Session, version_id: int, *, called: bool) -> None:
    """A playbook is inert until two persons put it into use. A run keeps what it is pinned to, replaced or not."""
    state = tx.execute(select(PlaybookVersion.state).where(PlaybookVersion.id == version_id)).scalar_one()
    if state not in (activation.CALLABLE if called else activation.USABLE):
        raise Refused("This version of the playbook is not in use: two persons have to agree to it first.")


def _begin(engine: Engine, wish: Mapping[str, Any]) -> None:
    try:
        state, effects = start(
            engine.playbook, now=clock.now(), variables=wish["variables"], facts=engine.facts,
            pins=pins_of(engine.tx, engine.playbook), callers=tuple(wish["callers"]),
        )  # fmt: skip
    except StartRefused as refused:  # it was asked before and the answer was yes: something changed since
        engine.run.state = "failed"
        fault = str(_refusal(refused))
        keep_fault(engine.tx, engine.run, fault)
        engine.carry_out([RunEnded("failed", fault)])
        engine.speak()
        return
    save_state(engine.tx, engine.run, state)
    engine.take(state, engine.carry_out(effects))


def _event(wish: Mapping[str, Any]) -> Event:
    reason = wish["reason"]
    match wish["do"]:
        case "pause":
            return Pause(reason)
        case "resume":
            return Resume()
        case "retry":
            return Retry(wish["token"], reason)
        case "skip":
            return Skip(wish["token"], reason, wish["values"])
        case _:
            return Cancel(reason)


def visible(tx: Session, run_id: int, principal: Principal) -> tuple[Run, Incident | None]:
    """The run and its incident, locked. Raises NotFound, also where there is no need to know."""
    incident_id = tx.execute(select(Run.incident_id).where(Run.id == run_id)).scalar_one_or_none()
    incident = None
    if incident_id is not None:
        seen = select(Incident.id).where(Incident.id == incident_id, queries.visible(principal))
        if tx.execute(seen).first() is None:
            raise NotFound()
        incident = holds.lock_incident(tx, incident_id)
    run = tx.get(Run, run_id, with_for_update=True, populate_existing=True)
    if run is None:
        raise NotFound()
    return run, incident


def _refusal(refused: StartRefused) -> Refused | Invalid:
    faults = [Fault(pointer, sentence) for pointer, sentence in refused.faults]
    if any(fault.pointer.startswith("/variables") for fault in faults):
        return Invalid(faults)
    return Refused(" ".join(fault.detail for fault in faults))


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON data: instants become text."""
    return {name: clock.rfc3339(value) if isinstance(value, datetime) else value for name, value in values.items()}
