"""The interpreter's state as rows: one for the run, one for each live token."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from coordinator.runs.models import Run, RunToken, StepState
from playbooks.effects import StepRecorded
from playbooks.state import State

UNSEEN = frozenset({"reminded", "escalated"})  # these happen to a step without changing where it stands


def load_state(tx: Session, run: Run) -> State:
    """The state as the last transaction left it."""
    rows = tx.execute(select(RunToken.token, RunToken.data).where(RunToken.run_id == run.id))
    return State.from_dict({**run.scope, "tokens": {row.token: row.data for row in rows}})


def save_state(tx: Session, run: Run, state: State) -> None:
    """Write what changed: the run's row, new and moved tokens; tokens that are gone lose their row."""
    plain = state.to_dict()
    tokens: dict[str, Any] = plain.pop("tokens")
    run.scope, run.state, run.version = plain, state.status, run.version + 1
    rows = tx.execute(select(RunToken.token, RunToken.data).where(RunToken.run_id == run.id))
    known = {row.token: row.data for row in rows}
    gone = [token for token in known if token not in tokens]
    if gone:
        tx.execute(delete(RunToken).where(RunToken.run_id == run.id, RunToken.token.in_(gone)))
    for token, data in tokens.items():
        if token not in known:
            tx.execute(insert(RunToken).values(run_id=run.id, exercise=run.exercise, token=token, data=data))
        elif known[token] != data:
            tx.execute(update(RunToken).where(RunToken.run_id == run.id, RunToken.token == token).values(data=data))


def show_step(tx: Session, run: Run, recorded: StepRecorded, at: datetime) -> None:
    """Keep the last thing seen of a step, for drawing the run."""
    if recorded.what in UNSEEN:
        return
    values = {"state": recorded.what, "at": at, "passes": recorded.iteration + 1}
    here = (StepState.run_id == run.id, StepState.step == recorded.step)
    if tx.execute(update(StepState).where(*here).values(values).returning(StepState.id)).first() is None:
        tx.execute(insert(StepState).values(run_id=run.id, exercise=run.exercise, step=recorded.step, **values))
