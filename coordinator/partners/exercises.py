"""The register of exercises: what each is called, when it runs, who takes part and who answers for it.

It is here so that the door for reports can ask whether an exercise is one. Scenarios and injects are no part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table, bindparam, delete, insert, select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.errors import Fault, Invalid, NotFound, Refused
from coordinator.partners.models import Exercise, ExerciseMember, Organisation

_exercises, _members = cast(Table, Exercise.__table__), cast(Table, ExerciseMember.__table__)
_RUNNING = (
    select(_members.c.organisation_id)
    .select_from(_exercises)
    .outerjoin(
        _members,
        (_members.c.exercise_id == _exercises.c.id) & (_members.c.organisation_id == bindparam("organisation_id")),
    )
    .where(_exercises.c.code == bindparam("code"), _exercises.c.starts_at <= bindparam("now"),
           _exercises.c.ends_at > bindparam("now"))
)  # fmt: skip


def takes_part(tx: Session, code: str, organisation_id: int, *, at: datetime) -> bool:
    """Whether an exercise of this name runs at that instant with this organisation enrolled."""
    found = tx.execute(_RUNNING, {"code": code, "organisation_id": organisation_id, "now": at}).first()
    return found is not None and found.organisation_id is not None


def is_running(tx: Session, code: str, *, at: datetime) -> bool:
    """Whether an exercise of this name runs at that instant, whoever takes part."""
    return tx.execute(_RUNNING, {"code": code, "organisation_id": 0, "now": at}).first() is not None


def put_exercise(tx: Session, fields: dict[str, Any], *, actor: str) -> Exercise:
    """Add an exercise, or change the one of this code: code, title, starts_at, ends_at, organisations (codes).

    Raises Invalid where it ends before it starts or an organisation is not known, Refused where it is over.
    """
    if fields["ends_at"] <= fields["starts_at"]:
        raise Invalid([Fault("/ends_at", "Let it end after it starts.")])
    members = _ids(tx, fields.get("organisations") or ())
    row = tx.execute(select(Exercise).where(Exercise.code == fields["code"]).with_for_update()).scalar_one_or_none()
    wanted = {name: fields[name] for name in ("title", "starts_at", "ends_at")}
    if row is None:
        row = Exercise(code=fields["code"], run_by=actor, **wanted)
        tx.add(row)
        tx.flush()
        kind, text = "exercise.added", "An exercise was registered."
    else:
        if row.ends_at <= clock.now():
            raise Refused("This exercise is over: register a new one under another name.")
        for name, value in wanted.items():
            setattr(row, name, value)
        row.version += 1
        tx.execute(delete(ExerciseMember).where(ExerciseMember.exercise_id == row.id))
        kind, text = "exercise.changed", "An exercise was changed."
    if members:
        tx.execute(insert(ExerciseMember), [{"exercise_id": row.id, "organisation_id": each} for each in members])
    values = {"code": row.code, "starts_at": clock.rfc3339(row.starts_at), "ends_at": clock.rfc3339(row.ends_at),
              "organisations": sorted(fields.get("organisations") or ())}  # fmt: skip
    timeline.append(tx, kind, text, actor=actor, values=values, about=("exercise", row.id))
    return row


def end_exercise(tx: Session, code: str, *, actor: str) -> Exercise:
    """End it now: what still comes under its name is set aside. Raises NotFound."""
    row = tx.execute(select(Exercise).where(Exercise.code == code).with_for_update()).scalar_one_or_none()
    if row is None:
        raise NotFound()
    now = clock.now()
    if row.ends_at > now:
        row.starts_at, row.ends_at = min(row.starts_at, now), now
        row.version += 1
        timeline.append(tx, "exercise.ended", "An exercise was ended.", actor=actor, values={"code": code},
                        about=("exercise", row.id))  # fmt: skip
    return row


def exercises(tx: Session) -> list[dict[str, Any]]:
    """All of them, the newest first, as `described`."""
    return [described(tx, row) for row in tx.execute(select(Exercise).order_by(Exercise.starts_at.desc())).scalars()]


def exercise_by_code(tx: Session, code: str) -> dict[str, Any]:
    """One, as `described`. Raises NotFound."""
    row = tx.execute(select(Exercise).where(Exercise.code == code)).scalar_one_or_none()
    if row is None:
        raise NotFound()
    return described(tx, row)


def described(tx: Session, row: Exercise) -> dict[str, Any]:
    """{id, code, title, starts_at, ends_at, state (planned, running, over), run_by, organisations (codes)}."""
    now = clock.now()
    members = (
        select(Organisation.code)
        .join(ExerciseMember, ExerciseMember.organisation_id == Organisation.id)
        .where(ExerciseMember.exercise_id == row.id)
        .order_by(Organisation.code)
    )
    state = "planned" if now < row.starts_at else "running" if now < row.ends_at else "over"
    return {
        "id": row.id, "code": row.code, "title": row.title, "starts_at": row.starts_at, "ends_at": row.ends_at,
        "state": state, "run_by": row.run_by, "organisations": list(tx.execute(members).scalars()),
    }  # fmt: skip


def _ids(tx: Session, codes: Sequence[str]) -> list[int]:
    known = {row.code: row.id for row in tx.execute(
        select(Organisation.code, Organisation.id).where(Organisation.code.in_(codes)))}  # fmt: skip
    unknown = [place for place, code in enumerate(codes) if code not in known]
    if unknown:
        sentence = "There is no organisation with this code: add it first."
        raise Invalid([Fault(f"/organisations/{place}", sentence) for place in unknown])
    return sorted(set(known.values()))
