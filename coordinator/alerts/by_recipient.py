"""Texts that nobody looks at first: a draft is told to everybody it is for, each in the version they may have.

Whoever may have all of it is told the draft. Whoever may not is told a version without the parts that may not go to
them (versions.py), asked about one by one; what was left out for somebody before is left out again. Where nothing can
be left out that would let the rest go, the draft is decided for them as it is, and the refusal stands on record.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.alerts import versions
from coordinator.alerts.audience import Audience, Unreachable, find, organisations_of
from coordinator.alerts.telling import Told, decide_and_raise, first_permitted
from coordinator.incidents.models import Incident
from coordinator.markings import Marking
from coordinator.sharing.addressees import Addressee
from coordinator.sharing.inputs_from_world import basis_of
from coordinator.sharing.models import Release
from coordinator.sharing.rules import Result
from coordinator.sharing.service import forecast

NOTHING_LEFT = "All of it was left out of what they were told before."


def tell_each(tx: Session, draft: Release, *, audience: Mapping[str, Any]) -> Told:
    """Tell a draft that was just composed of parts (pieces.py) to its audience; `release` of the answer is the draft,
    by which its versions are found. Its incident is locked by this transaction."""
    incident = tx.get_one(Incident, draft.incident_id)
    draft.state = versions.DRAFT
    codes = [each.code for each in organisations_of(tx, audience, incident=incident)]
    reached = _reached(tx, draft, audience, incident)
    let = _let(tx, draft, reached)
    nothing = versions.make_for_each(tx, draft, codes, refused=set(codes) - let)
    told = [
        _tell(tx, row, audience, incident, [code for code in whose if code not in nothing])
        for row, whose in versions.divided(tx, draft, codes)
    ]
    unknown = [each for each in reached.unreachable if each.code not in codes]
    return Told(
        draft,
        tuple(each for one in told for each in one.permitted),
        tuple(each for one in told for each in one.referred),
        tuple(each for one in told for each in one.denied),
        (*unknown, *(Unreachable(code, NOTHING_LEFT) for code in sorted(nothing)),
         *(each for one in told for each in one.unreachable)),
    )  # fmt: skip


def _let(tx: Session, draft: Release, reached: Audience) -> set[str]:
    """Those who may have all of it; also where a person is asked first: that is no reason to be told less."""
    basis = basis_of(tx, draft, {each.recipient for each in reached.addressees}, now=clock.now())
    best = (first_permitted(tx, draft, each, reached.others, basis) for each in reached.addressees)
    return {each.recipient for each in best if forecast(tx, draft, each, basis=basis).result is not Result.DENY}


def _tell(
    tx: Session, row: Release, audience: Mapping[str, Any], incident: Incident, codes: Collection[str]
) -> Told:
    row.state = "evaluated" if codes else "withdrawn"  # for nobody: each has another version
    tx.flush()
    if not codes:
        return Told(row, (), (), (), ())
    reached = _reached(tx, row, audience, incident)
    best = [each for each in _best(tx, row, reached) if each.recipient in codes]
    return decide_and_raise(tx, row, best, tuple(each for each in reached.unreachable if each.code in codes))


def _reached(tx: Session, row: Release, audience: Mapping[str, Any], incident: Incident) -> Audience:
    return find(tx, audience, incident=incident, exercise=row.exercise, tlp=Marking.from_json(row.marking).effective)


def _best(tx: Session, row: Release, reached: Audience) -> list[Addressee]:
    basis = basis_of(tx, row, {each.recipient for each in reached.addressees}, now=clock.now())
    return [first_permitted(tx, row, each, reached.others, basis) for each in reached.addressees]
