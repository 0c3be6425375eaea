"""Who could receive this: a release put to the rules for every partner at once. Nothing is recorded, nobody is asked.

The answer for a partner is what a decision would say of the best way to it now: the first the rules permit, else the
first they refer to a person, else the best there is. Everything is read once for all partners.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator.alerts.audience import directory_of, ways_to
from coordinator.incidents.models import ItemVersion
from coordinator.markings import Marking
from coordinator.partners.models import Organisation
from coordinator.sharing.addressees import Addressee
from coordinator.sharing.composed import Inputs, judge
from coordinator.sharing.explaining import Asked
from coordinator.sharing.inputs_from_world import Basis, basis_of, basis_of_parts, book_for, gather
from coordinator.sharing.models import Release
from coordinator.sharing.rules import Decision, Result, preferred


@dataclass(frozen=True)
class Reach:
    """One partner: by which way it would be told and what the rules say of it; None and None where nobody there can be
    reached by any way that may bear this label. `agreement_version` is that of the agreement it would go under, `asked`
    what the rules were asked about."""

    organisation: Organisation
    addressee: Addressee | None
    decision: Decision | None
    agreement_version: int | None = None
    asked: Asked | None = None


def who_could_receive(
    tx: Session, release: Release, *, now: datetime, codes: Iterable[str] | None = None
) -> list[Reach]:
    """Every active partner (or those with these `codes`), by code."""
    query = select(Organisation).where(Organisation.active, Organisation.is_own.is_(False)).order_by(Organisation.code)
    if codes is not None:
        query = query.where(Organisation.code.in_(list(codes)))
    partners = list(tx.execute(query).scalars())
    label = Marking.from_json(release.marking).effective
    basis = basis_of(tx, release, [each.code for each in partners], now=now)
    directory = directory_of(tx, [each.id for each in partners])
    return [
        _of(tx, basis, partner, ways_to(tx, partner, exercise=release.exercise, tlp=label, directory=directory), now)
        for partner in partners
    ]


def of_parts(
    tx: Session, release: Release, partner: Organisation, parts: Sequence[ItemVersion], *, now: datetime
) -> Decision | None:
    """What the rules would say if only these parts of a release were to go to this partner, by the best way for them;
    None where no way may bear them."""
    basis = basis_of_parts(basis_of(tx, release, [partner.code], now=now), tx, parts)
    ways = ways_to(tx, partner, exercise=release.exercise, tlp=basis.marking.effective)
    return _of(tx, basis, partner, ways, now).decision


def _of(tx: Session, basis: Basis, partner: Organisation, ways: Sequence[Addressee], now: datetime) -> Reach:
    if not ways:
        return Reach(partner, None, None)
    said = list[tuple[Inputs, Decision]]()

    def answers() -> Iterator[Result]:
        for way in ways:
            said.append(_ask(tx, basis, way, now))
            yield said[-1][1].result

    best = preferred(answers())
    versions = basis.agreements[partner.code][1]
    inputs, decision = said[best]
    return Reach(partner, ways[best], decision, versions.get(decision.agreement or ""), Asked.of(inputs, now))


def _ask(tx: Session, basis: Basis, way: Addressee, now: datetime) -> tuple[Inputs, Decision]:
    inputs = gather(tx, basis.release, way, now=now, basis=basis)
    return inputs, judge(inputs, now, book=book_for(basis, way))
