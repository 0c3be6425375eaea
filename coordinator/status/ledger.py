"""The ledger: who was told what, since when, under which label and agreement, and what binds them.

A line is one alert of which something left. A try that nobody confirmed counts too, as "perhaps": whoever asks who
knows a thing must not miss the one whose system took it and then broke off.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, literal_column, or_, select, union, union_all
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.agreements.models import Agreement
from coordinator.alerts.destruction import deadlines
from coordinator.alerts.left import has_left, keep_until, recalled
from coordinator.alerts.models import (
    Acknowledgement,
    Alert,
    Delivery,
    DeliveryAttempt,
    FileHandout,
    Handout,
    PublicNotice,
)
from coordinator.errors import NotFound
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.incidents.queries import get_visible, visible
from coordinator.incidents.references import reference_of
from coordinator.partners.models import Organisation
from coordinator.sharing.models import Release, ReleaseFile, ReleaseItem, ShareDecision
from coordinator.sharing.remedies import PERMIT_RESTS_ON
from coordinator.status.outgoing import title_of
from coordinator.status.paging import bounded, from_cursor, to_cursor

#: What the public was told, on one page.
MOST_PUBLISHED = 200
_ARRIVED = {"delivered": "delivered", "handed-over": "handed-over"}
#: How sure it is that they know, most sure first.
SURENESS = ("answered", "delivered", "handed-over", "perhaps")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked for. `incident`: our reference. `partner`: an organisation's code. `item`: an item's id.
    `agreement`: the key of the one it went under.

    Empty ones do not narrow. `exercise` "" is what is real; the two are never shown together.
    """

    incident: str = ""
    partner: str = ""
    item: str = ""
    agreement: str = ""
    exercise: str = ""


def lines(
    tx: Session, *, principal: Principal, asked: Asked, cursor: str = "", limit: int = 50, alone: bool = False
) -> dict[str, Any]:
    """{"items": lines, newest first, "next": cursor or None, "published": what the public was told, with the first
    page unless `alone`}, of incidents this person may know of.

    Raises NotFound for an incident, partner, item or agreement that is none or that one may not know; Invalid for a
    cursor of another kind.
    """
    limit = bounded(limit)
    before = from_cursor(cursor, int)
    rows = list(tx.execute(_query(tx, principal, asked, before[0] if before else None, limit + 1)))
    return {
        "items": _described(tx, rows[:limit]),
        "next": to_cursor(rows[limit - 1].Alert.id) if len(rows) > limit else None,
        "published": [] if before or alone else published(tx, principal=principal, asked=asked),
    }


def _query(tx: Session, principal: Principal, asked: Asked, before: int | None, limit: int) -> Any:
    criteria: list[ColumnElement[bool]] = [
        Alert.kind != "notice", Alert.exercise == asked.exercise, has_left(),
        or_(Alert.incident_id.is_(None), visible(principal)),
    ]  # fmt: skip
    if asked.exercise:
        criteria.append(literal_column("alerts.exercise <> ''"))  # as the index of these few says it
    if before is not None:
        criteria.append(Alert.id < before)
    if asked.incident:
        criteria.append(Alert.incident_id == get_visible(tx, asked.incident, principal=principal).id)
    if asked.partner:
        criteria.append(Alert.organisation_id == _organisation(tx, asked.partner))
    if asked.item:
        criteria.append(Alert.release_id.in_(_releases_of(tx, asked.item, principal)))
    if asked.agreement:
        criteria.append(Alert.id.in_(_newest_under(tx, asked.agreement, criteria, limit)))
    return (
        select(Alert, Release, ShareDecision, Incident)
        .join(Release, Release.id == Alert.release_id)
        .join(ShareDecision, ShareDecision.id == Alert.decision_id)
        .outerjoin(Incident, Incident.id == Alert.incident_id)
        .where(and_(*criteria))
        .order_by(Alert.id.desc())
        .limit(limit)
    )


def published(
    tx: Session, *, principal: Principal, asked: Asked, before: int | None = None, limit: int = MOST_PUBLISHED
) -> list[dict[str, Any]]:
    """What anybody may read on the public page, newest first, as lines of the ledger: told to PUBLIC, by the web.
    `before`: only what was published before the line with this `notice`."""
    if asked.partner or asked.agreement or asked.exercise:
        return []
    query = (
        select(PublicNotice, Release, ShareDecision, Incident)
        .join(Release, Release.id == PublicNotice.release_id)
        .join(ShareDecision, ShareDecision.id == PublicNotice.decision_id)
        .join(Incident, Incident.id == PublicNotice.incident_id)
        .where(visible(principal))
        .order_by(PublicNotice.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(PublicNotice.id < before)
    if asked.incident:
        query = query.where(Incident.id == get_visible(tx, asked.incident, principal=principal).id)
    if asked.item:
        query = query.where(PublicNotice.release_id.in_(_releases_of(tx, asked.item, principal)))
    rows = list(tx.execute(query))
    codes = _codes(tx, {row.Release.originator_id for row in rows if row.Release.originator_id})
    return [
        {
            "alert": None, "notice": row.PublicNotice.id, "public_id": row.PublicNotice.public_id,
            "kind": row.Release.kind, "title": title_of(tx, row.Release),
            "incident": reference_of(row.Incident), "release": row.Release.id,
            "recipient": row.PublicNotice.recipient, "reference": None, "since": row.PublicNotice.published_at,
            "sure": "delivered", "channel": row.ShareDecision.channel_kind, "tlp": row.ShareDecision.effective_tlp,
            "purpose": row.ShareDecision.purpose, "info_category": row.Release.info_category,
            "originator": codes.get(row.Release.originator_id), "agreement": None, "agreement_version": None,
            "obligations": row.ShareDecision.obligations, "decision": row.ShareDecision.id, "keep_until": None,
            "destroy_by": None, "taken_as": [], "acknowledged_at": None,
            "withdrawn_at": row.PublicNotice.withdrawn_at, "clauses": [], "recall": None, "exercise": None, "files": [],
        }
        for row in rows
    ]


def _organisation(tx: Session, code: str) -> int:
    found = tx.execute(select(Organisation.id).where(Organisation.code == code)).scalar_one_or_none()
    if found is None:
        raise NotFound()
    return found


def _newest_under(tx: Session, key: str, criteria: list[ColumnElement[bool]], limit: int) -> Any:
    """What was told to its other parties on a decision that names it: the newest to each. An index has those of one
    party in their order, so that this costs the same however much there is."""
    terms = tx.execute(select(Agreement.terms).where(Agreement.key == key)).scalars()
    codes = {party["party"] for each in terms for party in each["parties"]}
    if not codes:
        raise NotFound()
    parties = select(Organisation.id).where(Organisation.code.in_(codes), Organisation.is_own.is_(False))
    each = [
        select(Alert.id)
        .join(ShareDecision, ShareDecision.id == Alert.decision_id)
        .outerjoin(Incident, Incident.id == Alert.incident_id)
        .where(Alert.organisation_id == party, ShareDecision.agreement == key, *criteria)
        .order_by(Alert.id.desc())
        .limit(limit)
        .subquery()
        for party in tx.execute(parties).scalars()
    ]
    return union_all(*(select(one.c.id) for one in each)) if each else select(Alert.id).where(false())


def _releases_of(tx: Session, item: str, principal: Principal) -> Any:
    """Every release a version of the item went into, as its text or as what that was composed from."""
    query = (
        select(ItemVersion.id)
        .outerjoin(Incident, Incident.id == ItemVersion.incident_id)
        .where(ItemVersion.item == item, or_(ItemVersion.incident_id.is_(None), visible(principal)))
    )
    versions = list(tx.execute(query).scalars())
    if not versions:
        raise NotFound()
    return union(
        select(ReleaseItem.release_id).where(ReleaseItem.item_version_id.in_(versions)),
        select(Release.id).where(Release.body_version_id.in_(versions)),
        select(Release.id).where(Release.title_version_id.in_(versions)),
    )


def _described(tx: Session, rows: list[Any]) -> list[dict[str, Any]]:
    ids = [row.Alert.id for row in rows]
    known, forms, files = _known(tx, ids), _taken_as(tx, ids), _files(tx, ids)
    titled = {row.Release.title_version_id for row in rows}
    _held = tx.execute(select(ItemVersion).where(ItemVersion.id.in_(titled))).scalars().all()  # read once for all
    codes = _codes(tx, {row.Release.originator_id for row in rows if row.Release.originator_id})
    titles: dict[int, str] = {}
    back = recalled(tx, {row.Release.id for row in rows})
    clauses = _clauses(tx, rows)
    destroyed = deadlines(tx, _bound_to_destroy(rows), clock.now())
    found = []
    for row in rows:
        alert, release, decision = row.Alert, row.Release, row.ShareDecision
        if release.id not in titles:
            titles[release.id] = title_of(tx, release)
        since, sure, channel = known[alert.id]
        found.append({
            "alert": alert.id, "public_id": alert.public_id, "kind": alert.kind, "title": titles[release.id],
            "incident": reference_of(row.Incident) if row.Incident is not None else None,
            "recipient": alert.recipient, "reference": alert.partner_reference or None, "since": since, "sure": sure,
            "channel": channel, "tlp": decision.effective_tlp, "purpose": decision.purpose,
            "info_category": release.info_category, "originator": codes.get(release.originator_id),
            "agreement": decision.agreement, "agreement_version": decision.agreement_version,
            "obligations": decision.obligations, "decision": decision.id,
            "keep_until": keep_until(since, decision.obligations), "destroy_by": destroyed.get(decision.agreement),
            "taken_as": forms.get(alert.id, []), "files": files.get(alert.id, []),
            "acknowledged_at": alert.acknowledged_at, "withdrawn_at": alert.withdrawn_at,
            "clauses": clauses.get((decision.agreement, decision.agreement_version), []),
            "recall": back.get((release.id, alert.recipient)), "exercise": alert.exercise or None,
        })  # fmt: skip
    return found


def _bound_to_destroy(rows: list[Any]) -> set[str]:
    """The agreements under which something went that is to be destroyed when they are over."""
    said = [row.ShareDecision for row in rows]
    return {each.agreement for each in said if any(code.startswith("O-DESTROY-") for code in each.obligations)}


def _clauses(tx: Session, rows: list[Any]) -> dict[tuple[str | None, int | None], list[str]]:
    """The clauses a release rests on, by agreement and version, each once, in the order of the terms."""
    wanted = {row.ShareDecision.agreement for row in rows if row.ShareDecision.agreement}
    query = select(Agreement.key, Agreement.version, Agreement.terms).where(Agreement.key.in_(wanted))
    named = {(key, version): terms.get("clause_refs") or {} for key, version, terms in tx.execute(query)}
    return {
        key: list(dict.fromkeys(refs[name] for name in PERMIT_RESTS_ON if refs.get(name)))
        for key, refs in named.items()
    }


def _codes(tx: Session, ids: set[int]) -> dict[int, str]:
    query = select(Organisation.id, Organisation.code).where(Organisation.id.in_(ids))
    return {row.id: row.code for row in tx.execute(query)}


def _known(tx: Session, alert_ids: Iterable[int]) -> dict[int, tuple[datetime, str, str]]:
    """For each alert: since when they know, how sure that is, and by which channel."""
    ids = list(alert_ids)
    facts: dict[int, list[tuple[int, datetime, str]]] = {}
    sent = (
        select(Delivery.alert_id, Delivery.kind, DeliveryAttempt.outcome, func.min(DeliveryAttempt.at).label("at"))
        .join(DeliveryAttempt, DeliveryAttempt.delivery_id == Delivery.id)
        .where(Delivery.alert_id.in_(ids), Delivery.kind != "voice", DeliveryAttempt.outcome != "withheld")
        .group_by(Delivery.alert_id, Delivery.kind, DeliveryAttempt.outcome)
    )
    for row in tx.execute(sent):
        sure = SURENESS.index(_ARRIVED.get(row.outcome, "perhaps"))
        facts.setdefault(row.alert_id, []).append((sure, row.at, row.kind))
    in_hand = select(Delivery.alert_id, Delivery.kind, Delivery.lease_until).where(
        Delivery.alert_id.in_(ids), Delivery.lease_until.is_not(None)
    )
    for alert_id, kind, until in tx.execute(in_hand):
        facts.setdefault(alert_id, []).append((SURENESS.index("perhaps"), until or clock.now(), kind))
    answered = (
        select(Acknowledgement.alert_id, Delivery.kind, func.min(Acknowledgement.at).label("at"))
        .outerjoin(Delivery, Delivery.id == Acknowledgement.delivery_id)
        .where(Acknowledgement.alert_id.in_(ids))
        .group_by(Acknowledgement.alert_id, Delivery.kind)
    )
    for alert_id, kind, at in tx.execute(answered):
        facts.setdefault(alert_id, []).append((0, at, kind or "voice"))
    taken = select(Handout.alert_id, Handout.way, func.min(Handout.at)).where(Handout.alert_id.in_(ids))
    for alert_id, way, at in tx.execute(taken.group_by(Handout.alert_id, Handout.way)):
        # A file that an officer took is on its way in somebody's hands; the others were taken by the recipient.
        sure = SURENESS.index("handed-over" if way == "officer" else "delivered")
        facts.setdefault(alert_id, []).append((sure, at, "portal"))
    return {key: _earliest(several) for key, several in facts.items()}


def _taken_as(tx: Session, alert_ids: list[int]) -> dict[int, list[str]]:
    """In which forms it was taken out, by way and form: "taxii stix", "page pdf"."""
    query = select(Handout.alert_id, Handout.way, Handout.format).where(Handout.alert_id.in_(alert_ids)).distinct()
    found: dict[int, list[str]] = {}
    for alert_id, way, form in tx.execute(query.order_by(Handout.alert_id, Handout.way, Handout.format)):
        found.setdefault(alert_id, []).append(f"{way} {form}")
    return found


def _files(tx: Session, alert_ids: list[int]) -> dict[int, list[dict[str, Any]]]:
    """The files that go along, and since when each was taken: {item, name, size, sha256, cleaned, taken_at or None}.
    `name` and `sha256` are those of what leaves; by `item` the ledger says who else has it."""
    first = (
        select(FileHandout.release_file_id, Handout.alert_id, func.min(Handout.at).label("at"))
        .join(Handout, Handout.id == FileHandout.handout_id)
        .where(Handout.alert_id.in_(alert_ids))
        .group_by(FileHandout.release_file_id, Handout.alert_id)
        .subquery()
    )
    query = (
        select(Alert.id, ReleaseFile, ItemVersion.item, first.c.at)
        .join(ReleaseFile, ReleaseFile.release_id == Alert.release_id)
        .join(ItemVersion, ItemVersion.id == ReleaseFile.item_version_id)
        .outerjoin(first, (first.c.release_file_id == ReleaseFile.id) & (first.c.alert_id == Alert.id))
        .where(Alert.id.in_(alert_ids))
        .order_by(ReleaseFile.id)
    )
    found: dict[int, list[dict[str, Any]]] = {}
    for alert_id, file, item, at in tx.execute(query):
        found.setdefault(alert_id, []).append({
            "item": item, "name": file.name, "size": file.size, "sha256": file.sha256,
            "cleaned": file.copy_id is not None, "taken_at": at,
        })  # fmt: skip
    return found


def _earliest(facts: list[tuple[int, datetime, str]]) -> tuple[datetime, str, str]:
    """They know since the first moment at which it arrived for sure; where nothing is sure, since the first try."""
    best = min(sure for sure, _, _ in facts)
    certain = [fact for fact in facts if fact[0] < SURENESS.index("perhaps")]
    _, at, kind = min(certain or facts, key=lambda fact: fact[1])
    return at, SURENESS[best], kind
