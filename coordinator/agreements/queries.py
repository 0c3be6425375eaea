"""The register as the sharing decision and the pages need it: plain data."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased, defer

from coordinator import clock
from coordinator.agreements import rules, wording
from coordinator.agreements.models import Agreement, AgreementDocument, Consent
from coordinator.errors import NotFound
from coordinator.partners.models import Organisation


def current(tx: Session) -> list[Agreement]:
    """The newest version of every agreement, by key."""
    return list(tx.execute(select(Agreement).where(Agreement.current).order_by(Agreement.key)).scalars())


def versions_of(tx: Session, key: str) -> list[Agreement]:
    """All versions of one agreement, newest first."""
    return list(tx.execute(select(Agreement).where(Agreement.key == key).order_by(Agreement.version.desc())).scalars())


def decision_agreements(
    tx: Session, party: str, *, own: str, now: datetime | None = None
) -> list[tuple[dict[str, Any], int]]:
    """Agreements in which both `party` and `own` (organisation codes) stand: (input of the decision at `now`,
    version)."""
    return decision_agreements_of(tx, [party], own=own, now=now)[party]


def decision_agreements_of(
    tx: Session, parties: Iterable[str], *, own: str, now: datetime | None = None
) -> dict[str, list[tuple[dict[str, Any], int]]]:
    """As `decision_agreements` for several parties, reading the register once. An agreement of several of them is the
    same object for each."""
    query = select(Agreement.key, Agreement.version, Agreement.terms).where(Agreement.current).order_by(Agreement.key)
    rows, now = tx.execute(query).all(), now or clock.now()
    found: dict[str, list[tuple[dict[str, Any], int]]] = {party: [] for party in parties}
    superseded = rules.supersessions([row.terms for row in rows], now)
    for row in rows:
        stand = {each["party"] for each in row.terms["parties"]}
        wanted = stand & found.keys() if own in stand else set()
        if wanted:
            terms = rules.to_decision_input(row.terms, now=now, own=own, superseded_at=superseded.get(row.key))
            for party in wanted:
                found[party].append((terms, row.version))
    return found


@dataclass(frozen=True)
class Givers:
    """Codes of those of whose information an agreement with us says: `guarded`, it goes no further without their
    consent; `unnamed`, nobody is told that it is theirs; `named`, whoever uses it says so."""

    guarded: frozenset[str] = frozenset()
    unnamed: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()


def givers(tx: Session, *, own: str, now: datetime) -> Givers:
    """What the agreements say of what others gave us."""
    terms = list(tx.execute(select(Agreement.terms).where(Agreement.current)).scalars())
    superseded = rules.supersessions(terms, now)

    def by(rule: Callable[..., set[str]]) -> frozenset[str]:
        said = (rule(each, now, own=own, superseded_at=superseded.get(each["agreement_id"])) for each in terms)
        return frozenset[str]().union(*said)

    return Givers(by(rules.guarded), by(rules.unnamed), by(rules.named))


def consents(tx: Session, *, originator_id: int, items: Collection[str] | None = None) -> list[dict[str, Any]]:
    """An originator's consents that were not withdrawn: {to, purpose, valid_until, id}. `items`: for any of these keys
    of items or references of incidents, or for everything; None: all there are.

    Whether one still holds at an instant is the decision's to say.
    """
    receiver = aliased(Organisation)
    query = (
        select(Consent, receiver.code)
        .join(receiver, receiver.id == Consent.to_id)
        .where(Consent.from_id == originator_id, Consent.withdrawn_at.is_(None), Consent.answer == "granted")
        .order_by(Consent.id)
    )
    if items is not None:
        query = query.where(Consent.item.in_(("*", *items)))
    return [
        {"id": row.id, "to": code, "purpose": row.purpose, "valid_until": row.valid_until}
        for row, code in tx.execute(query)
    ]


def stands(tx: Session, fields: Mapping[str, Any]) -> bool:
    """Whether this very consent (from, to, purpose, item, valid_until, evidence; codes) is recorded and not
    withdrawn."""
    giver, receiver = aliased(Organisation), aliased(Organisation)
    query = (
        select(Consent.id)
        .join(giver, giver.id == Consent.from_id)
        .join(receiver, receiver.id == Consent.to_id)
        .where(
            giver.code == fields["from"], receiver.code == fields["to"], Consent.purpose == fields["purpose"],
            Consent.item == (fields.get("item") or "*"), Consent.evidence == (fields.get("evidence") or ""),
            Consent.valid_until == fields.get("valid_until"), Consent.withdrawn_at.is_(None),
            Consent.answer == "granted",
        )
    )  # fmt: skip
    return tx.execute(query.limit(1)).first() is not None


def standing(tx: Session, now: datetime) -> list[dict[str, Any]]:
    """Every agreement with its status at `now` and its parties, for lists."""
    rows = current(tx)
    superseded = rules.supersessions([row.terms for row in rows], now)
    return [
        {
            "id": row.id, "key": row.key, "version": row.version, "title": row.terms.get("title", ""),
            "kind": row.terms.get("kind", ""),
            "status": str(rules.status(row.terms, now, superseded_at=superseded.get(row.key))),
            "parties": [each["party"] for each in row.terms["parties"]], "terms": row.terms,
        }
        for row in rows
    ]  # fmt: skip


def version(tx: Session, key: str) -> Agreement:
    """The newest version of one agreement. Raises NotFound."""
    found = tx.execute(select(Agreement).where(Agreement.key == key, Agreement.current)).scalar_one_or_none()
    if found is None:
        raise NotFound()
    return found


def own_code(tx: Session) -> str:
    """Our organisation's code, "" until a world file named it."""
    query = select(Organisation.code).where(Organisation.is_own).order_by(Organisation.id).limit(1)
    return tx.execute(query).scalar_one_or_none() or ""


def uncovered(tx: Session, now: datetime) -> dict[str, list[str]]:
    """Active partner's code -> what coordination needs and no live agreement lets us give it; only those with a gap.
    What one of them excludes is a gap, whatever another allows: that is how it is decided (D-AGREEMENT-PROHIBITS)."""
    own = own_code(tx)
    partners = select(Organisation.code).where(Organisation.active, Organisation.is_own.is_(False))
    covered: dict[str, set[str]] = {code: set() for code in tx.execute(partners.order_by(Organisation.code)).scalars()}
    excluded: dict[str, set[str]] = {code: set() for code in covered}
    for one in standing(tx, now):
        if one["status"] not in rules.LIVE:
            continue
        terms = one["terms"]
        for code in rules.recipients_of(terms, own) & set(covered):
            covered[code] |= set(terms["info_categories_allowed"])
            excluded[code] |= set(terms.get("info_categories_excluded") or ())
    return wording.gaps({code: found - excluded[code] for code, found in covered.items()})


def documents_of(tx: Session, key: str) -> list[AgreementDocument]:
    """The texts kept of one agreement, newest first, without their bytes."""
    query = select(AgreementDocument).options(defer(AgreementDocument.sealed)).where(AgreementDocument.key == key)
    return list(tx.execute(query.order_by(AgreementDocument.id.desc())).scalars())
