"""The interpreter's state as rows: one for the run, one for each live token."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from coordinator.runs.models import Run, RunToken, StepState
from playbooks.effects import StepRecorded
from playbooks.state import State

# Built once, on the tables: every step passes here several times.
_tokens: Any = RunToken.__table__
_steps: Any = StepState.__table__
_ONE_TOKEN = (_tokens.c.run_id == bindparam("run"), _tokens.c.token == bindparam("name"))
_TOKENS = select(_tokens.c.token, _tokens.c.data).where(_tokens.c.run_id == bindparam("run"))
_ADD_TOKEN = insert(_tokens)
_MOVE_TOKEN = update(_tokens).where(*_ONE_TOKEN).values(data=bindparam("new_data"))
_END_TOKEN = delete(_tokens).where(*_ONE_TOKEN)
_ADD_STEP = insert(_steps)
_SHOW_STEP = (
    update(_steps)
    .where(_steps.c.run_id == bindparam("run"), _steps.c.step == bindparam("name"))
    .values(state=bindparam("new_state"), at=bindparam("new_at"), passes=bindparam("new_passes"))
)

UNSEEN = frozenset({"reminded", "escalated"})  # these happen to a step without changing where it stands


def load_state(tx: Session, run: Run) -> State:
    """The state as the last transaction left it."""
    return State.from_dict({**run.scope, "tokens": _saved(tx, run)})


def save_state(tx: Session, run: Run, state: State) -> None:
    """Write what changed: the run's row, new and moved tokens; tokens that are gone lose their row."""
    plain = state.to_dict()
    tokens: dict[str, Any] = plain.pop("tokens")
    run.scope, run.state, run.version = plain, state.status, run.version + 1
    known = _saved(tx, run)
    for token in known.keys() - tokens.keys():
        tx.execute(_END_TOKEN, {"run": run.id, "name": token})
    for token, data in tokens.items():
        if token not in known:
            tx.execute(_ADD_TOKEN, {"run_id": run.id, "exercise": run.exercise, "token": token, "data": data})
        elif known[token] != data:
            tx.execute(_MOVE_TOKEN, {"run": run.id, "name": token, "new_data": data})


def show_step(tx: Session, run: Run, recorded: StepRecorded, at: datetime) -> None:
    """Keep the last thing seen of a step, for drawing the run."""
    if recorded.what in UNSEEN:
        return
    state, passes = recorded.what, recorded.iteration + 1
    moved: Any = tx.execute(_SHOW_STEP, {
        "run": run.id, "name": recorded.step, "new_state": state, "new_at": at, "new_passes": passes
    })  # fmt: skip
    if not moved.rowcount:
        tx.execute(_ADD_STEP, {
            "run_id": run.id, "exercise": run.exercise, "step": recorded.step, "state": state, "at": at,
            "passes": passes,
        })  # fmt: skip


def _saved(tx: Session, run: Run) -> dict[str, Any]:
    return {row.token: row.data for row in tx.execute(_TOKENS, {"run": run.id})}
