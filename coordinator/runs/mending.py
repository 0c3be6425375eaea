"""What persons mend of a run that goes on: the version of its playbook, and who does a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.errors import Fault, Invalid, Refused
from coordinator.incidents import queries
from coordinator.incidents.models import Incident
from coordinator.runs.activation import USABLE
from coordinator.runs.catalogue import document_of, pins_of, versions_of
from coordinator.runs.engine import Engine
from coordinator.runs.models import PlaybookVersion, Run, StepAttempt
from coordinator.runs.saved import has_begun, keep_fault, load_state, save_state
from coordinator.tasks.models import Task
from playbooks import moving
from playbooks.moving import ANEW, MoveRefused, Place
from playbooks.state import State


def newer_versions(tx: Session, run: Run) -> list[PlaybookVersion]:
    """The versions in use that this run could go on with, newest first."""
    now = tx.get_one(PlaybookVersion, run.playbook_version_id)
    return [row for row in versions_of(tx, now.playbook_id) if row.version > now.version and row.state in USABLE]


def places(tx: Session, run: Run, version_id: int, mapping: Mapping[str, str]) -> list[Place]:
    """What would become of each place at which the run stands. Raises NotFound."""
    before, after = document_of(tx, run.playbook_version_id), document_of(tx, version_id)
    return moving.plan(before, after, load_state(tx, run), mapping)


def checked_move(
    tx: Session, run: Run, values: Mapping[str, Any], *, incident: Incident | None
) -> dict[str, Any]:
    """The wish for a move as it is kept, if the run could go now. Raises Invalid (/to, /mapping/…, /variables/…),
    Refused for a version that is not in use or a run that has not begun."""
    mapping = values.get("mapping") or {}
    if not isinstance(mapping, Mapping) or not all(isinstance(each, str) for each in mapping.values()):
        raise Invalid([Fault("/mapping", "Send an object: the step at which the run stands, the step that is meant.")])
    row = tx.get(PlaybookVersion, values.get("to") or 0)
    if row is None:
        raise Invalid([Fault("/to", "Say which version: its number in the catalogue.")])
    if row.state not in USABLE:
        raise Refused("This version of the playbook is not in use: two persons have to agree to it first.")
    if not has_begun(run):
        raise Refused("The run has not begun yet.")
    facts = queries.facts(tx, incident) if incident is not None else None
    _moved(tx, run, load_state(tx, run), row.id, mapping, facts)
    return {"to": row.id, "mapping": dict(mapping)}


def move(engine: Engine, wish: Mapping[str, Any]) -> None:
    """Go on with the newer version, as was asked. What has become impossible meanwhile is said and changes nothing."""
    tx, run = engine.tx, engine.run
    to, mapping = wish["values"]["to"], wish["values"]["mapping"]
    before, state = engine.playbook, load_state(tx, run)
    if state.ended:
        return
    try:
        if tx.get_one(PlaybookVersion, to).state not in USABLE:
            raise Refused("This version of the playbook is not in use any more.")
        found, effects = _moved(tx, run, state, to, mapping, engine.facts)
    except (Invalid, Refused) as refused:
        engine.say("run.notice", "The run could not go on with the newer version: it stands elsewhere by now.",
                   {"to": to, "reason": refused.detail or refused.title})  # fmt: skip
        timeline.pending(tx, "run.notice", run.id, exercise=run.exercise)
        engine.speak()
        return
    anew = [place.to for place in moving.plan(before, document_of(tx, to), state, mapping) if place.how == ANEW]
    engine.playbook, run.playbook_version_id = document_of(tx, to), to
    found.pins = {**pins_of(tx, engine.playbook), **found.pins}
    engine.say("run.moved", "The run goes on with a newer version of its playbook.", {
        "from": before.version, "to": engine.playbook.version, "digest": engine.playbook.digest, "mapping": mapping,
        "anew": anew, "reason": wish["reason"],
    })  # fmt: skip
    keep_fault(tx, run, "")
    save_state(tx, run, found)
    engine.take(found, engine.carry_out(effects))


def _moved(
    tx: Session, run: Run, state: State, to: int, mapping: Mapping[str, str], facts: Mapping[str, Any] | None
) -> Any:
    try:
        return moving.move(
            document_of(tx, run.playbook_version_id), document_of(tx, to), state, mapping, now=clock.now(), facts=facts
        )
    except MoveRefused as refused:
        raise Invalid([Fault(pointer, f"{sentence[0].upper()}{sentence[1:]}.") for pointer, sentence in refused.faults]
                      ) from None  # fmt: skip


def open_tasks_of(tx: Session, run: Run, token: str) -> list[int]:
    """The open tasks of the work at which this token stands. Raises Refused where nobody was asked for anything."""
    state = load_state(tx, run) if has_begun(run) else None
    standing = state.tokens.get(token) if state else None
    if standing is None or standing.status != "waiting":
        raise Refused("The run does not wait at this step (any more).")
    query = (
        select(Task.id)
        .join(StepAttempt, StepAttempt.task_id == Task.id)
        .where(StepAttempt.run_id == run.id, Task.state == "open",
               (StepAttempt.key == standing.key) | StepAttempt.key.startswith(f"{standing.key}/", autoescape=True))
    )  # fmt: skip
    found = list(tx.execute(query.order_by(Task.id)).scalars())
    if not found:
        raise Refused("This step waits for nobody of ours: there is no task that could be given to others.")
    return found
