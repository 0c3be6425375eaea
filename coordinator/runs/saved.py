"""What a run keeps, as rows: the interpreter's state, what its steps ask for and what came of them.

All of it may hold what persons, services and the incident filled variables with, so each row is sealed under the data
key of the run's incident (or the run's own, where it has none), bound to its place. Here alone it is sealed and opened.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from coordinator.runs.models import Run, RunToken, StepAttempt, StepState
from coordinator.timeline.keys import Erased, seal, unseal
from coordinator.timeline.queries import ERASED
from playbooks.document import Playbook
from playbooks.effects import StepRecorded
from playbooks.state import State
from playbooks.variables import REFERENCE

# Built once, on the tables: every step passes here several times.
_tokens: Any = RunToken.__table__
_steps: Any = StepState.__table__
_ONE_TOKEN = (_tokens.c.run_id == bindparam("run"), _tokens.c.token == bindparam("name"))
_TOKENS = select(_tokens.c.token, _tokens.c.sealed).where(_tokens.c.run_id == bindparam("run")).order_by(_tokens.c.id)
_ADD_TOKEN = insert(_tokens)
_MOVE_TOKEN = update(_tokens).where(*_ONE_TOKEN).values(sealed=bindparam("new_sealed"))
_END_TOKEN = delete(_tokens).where(*_ONE_TOKEN)
_ADD_STEP = insert(_steps)
_SHOW_STEP = (
    update(_steps)
    .where(_steps.c.run_id == bindparam("run"), _steps.c.step == bindparam("name"))
    .values(state=bindparam("new_state"), at=bindparam("new_at"), passes=bindparam("new_passes"))
)

UNSEEN = frozenset({"reminded", "escalated"})  # these happen to a step without changing where it stands
_NOTHING: Mapping[str, Any] = {}


# ---------------------------------------------------------------- the state


def load_state(tx: Session, run: Run) -> State:
    """The state as the last transaction left it."""
    return State.from_dict({**scope_of(tx, run), "tokens": tokens_of(tx, run)})


def save_state(tx: Session, run: Run, state: State) -> None:
    """Write what changed: the run's row, new and moved tokens; tokens that are gone lose their row."""
    plain = state.to_dict()
    tokens = {token: _plain(data) for token, data in plain.pop("tokens").items()}
    run.scope_sealed = _seal(tx, run.data_key_id, _plain(plain), _of_run(run, "scope"))
    run.state, run.version = state.status, run.version + 1
    known = _opened_tokens(tx, run)
    for token in known.keys() - tokens.keys():
        tx.execute(_END_TOKEN, {"run": run.id, "name": token})
    for token, data in tokens.items():
        if known.get(token) == data:
            continue
        sealed = _seal(tx, run.data_key_id, data, _of_token(run.id, token))
        if token not in known:
            tx.execute(_ADD_TOKEN, {"run_id": run.id, "exercise": run.exercise, "token": token, "sealed": sealed})
        else:
            tx.execute(_MOVE_TOKEN, {"run": run.id, "name": token, "new_sealed": sealed})


def has_begun(run: Run) -> bool:
    """Whether a worker has begun it: nothing waits in one that has not."""
    return run.scope_sealed is not None


def scope_of(tx: Session, run: Run) -> dict[str, Any]:
    """The state without its tokens; empty for a run that has not begun."""
    return _open(tx, run.data_key_id, run.scope_sealed, _of_run(run, "scope")) or {}


def tokens_of(tx: Session, run: Run) -> dict[str, dict[str, Any]]:
    """The live tokens by name, oldest first."""
    return {token: json.loads(plain) for token, plain in _opened_tokens(tx, run).items()}


def fault_of(tx: Session, run: Run) -> str:
    """Why the run stands; "" where it does not. Where its key was destroyed it says so: lists show it."""
    try:
        return _open(tx, run.data_key_id, run.fault_sealed, _of_run(run, "fault")) or ""
    except Erased:
        return ERASED


def keep_fault(tx: Session, run: Run, fault: str) -> None:
    """Say why the run stands, or with "" that it does not any more."""
    run.fault_sealed = _seal(tx, run.data_key_id, _plain(fault), _of_run(run, "fault")) if fault else None


def wishes_of(tx: Session, run: Run) -> list[dict[str, Any]]:
    """What persons asked of the run and no worker has done yet, in their order."""
    return _open(tx, run.data_key_id, run.asked_sealed, _of_run(run, "asked")) or []


def keep_wishes(tx: Session, run: Run, wishes: Sequence[Mapping[str, Any]]) -> None:
    """Keep what is asked of the run, in place of what was."""
    run.asked_sealed = _seal(tx, run.data_key_id, _plain(list(wishes)), _of_run(run, "asked")) if wishes else None


# ---------------------------------------------------------------- pieces of work


def new_attempt(
    run: Run, *, key: str, step: str, kind: str, name: str, begun_at: datetime, tx: Session,
    spec: Mapping[str, Any] = _NOTHING, values: Mapping[str, Any] = _NOTHING,
) -> StepAttempt:  # fmt: skip
    """The row of a piece of work, put in; its `name` is written in the open."""
    attempt = StepAttempt(
        run_id=run.id, exercise=run.exercise, data_key_id=run.data_key_id, key=key, step=step, kind=kind,
        name=name[:500], begun_at=begun_at,
    )  # fmt: skip
    if spec:
        attempt.spec_sealed = _seal(tx, run.data_key_id, _plain(spec), _of_attempt(attempt, "spec"))
    keep_values(tx, attempt, values)
    tx.add(attempt)
    tx.flush()
    return attempt


def spec_of(tx: Session, attempt: StepAttempt) -> dict[str, Any]:
    """What a piece of work asks for, with variables filled in."""
    return _open(tx, attempt.data_key_id, attempt.spec_sealed, _of_attempt(attempt, "spec")) or {}


def values_of(tx: Session, attempt: StepAttempt) -> dict[str, Any]:
    """What came of it so far."""
    return _open(tx, attempt.data_key_id, attempt.values_sealed, _of_attempt(attempt, "values")) or {}


def keep_values(tx: Session, attempt: StepAttempt, values: Mapping[str, Any]) -> None:
    """Keep what came of it, in place of what was."""
    sealed = _seal(tx, attempt.data_key_id, _plain(values), _of_attempt(attempt, "values")) if values else None
    attempt.values_sealed = sealed


def open_name(playbook: Playbook, step: str) -> str:
    """What a step is called where it is written in the open: its name, without the values of variables in it."""
    known = playbook.steps.get(step)
    return REFERENCE.sub("…", (known.name if known else "") or step)


# ---------------------------------------------------------------- how steps stand


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


# ---------------------------------------------------------------- sealing


def _opened_tokens(tx: Session, run: Run) -> dict[str, bytes]:
    key = run.data_key_id or 0
    rows = tx.execute(_TOKENS, {"run": run.id})
    return {row.token: unseal(tx, key, row.sealed, about=_of_token(run.id, row.token)) for row in rows}


def _seal(tx: Session, key: int | None, plain: bytes, about: str) -> bytes:
    return seal(tx, key or 0, plain, about=about)


def _open(tx: Session, key: int | None, sealed: bytes | None, about: str) -> Any:
    return json.loads(unseal(tx, key or 0, sealed, about=about)) if sealed is not None else None


def _plain(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _of_run(run: Run, what: str) -> str:
    return f"run/{run.once_key}/{what}"


def _of_token(run_id: int, token: str) -> str:
    return f"token/{run_id}/{token}"


def _of_attempt(attempt: StepAttempt, what: str) -> str:
    return f"step/{attempt.run_id}/{attempt.key}/{what}"
