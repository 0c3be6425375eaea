"""Requests for an originator's consent as plain data: how far each is, what was answered, how sure it is by whom."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Right, Role, may
from coordinator.alerts.consents import why_not
from coordinator.alerts.models import Acknowledgement, Alert, ConsentRequest
from coordinator.errors import NotFound
from coordinator.incidents.items import read_item
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.incidents.queries import visible
from coordinator.incidents.references import reference_of
from coordinator.markings import Tlp, parse_tlp
from coordinator.partners.models import Organisation
from coordinator.sharing.inputs_from_world import items_of
from coordinator.sharing.models import Release, ShareDecision
from coordinator.status import people
from coordinator.status.outgoing import texts_of
from coordinator.timeline.keys import Erased
from coordinator.timeline.queries import ERASED

MOST = 200
#: Parts of what we wrote ourselves: consent is asked for what they were made from.
_OF_TEXTS = ("alert-title", "alert-body", "alert-field", "title")
#: Refusals that a consent of the originator lifts.
LIFTED = frozenset({"D-ORCON", "D-GREEN-COMMUNITY", "D-AMBER-ONWARD", "D-STRICT-ONWARD", "D-RED-ONWARD"})


def requests(tx: Session, *, principal: Principal, incident_id: int | None = None) -> list[dict[str, Any]]:
    """Newest first, of incidents this person may know of; of one incident where it is named."""
    query = (
        select(ConsentRequest, Incident)
        .join(Incident, Incident.id == ConsentRequest.incident_id)
        .where(visible(principal))
        .order_by(ConsentRequest.id.desc())
        .limit(MOST)
    )
    if incident_id is not None:
        query = query.where(ConsentRequest.incident_id == incident_id)
    return _described(tx, tx.execute(query), principal=principal)


def request(tx: Session, request_id: int, *, principal: Principal) -> dict[str, Any]:
    """One of them with its text (`title`, `body`; None for whoever reads no incidents: it tells of the case). Raises
    NotFound."""
    query = (
        select(ConsentRequest, Incident)
        .join(Incident, Incident.id == ConsentRequest.incident_id)
        .where(ConsentRequest.id == request_id, visible(principal))
    )
    found = tx.execute(query).one_or_none()
    if found is None:
        raise NotFound()
    title, body = None, None
    if _reads(principal):
        title, body = texts_of(tx, tx.get_one(Release, found.ConsentRequest.release_id))
    return _described(tx, [found], principal=principal)[0] | {"title": title, "body": body}


def _described(tx: Session, rows: Iterable[Any], *, principal: Principal) -> list[dict[str, Any]]:
    rows = list(rows)
    codes = {row.id: row.code for row in tx.execute(select(Organisation.id, Organisation.code))}
    asked_of = [row.ConsentRequest for row in rows]
    names = people.names(tx, {who for one in asked_of for who in (one.asked_by, one.confirmed_by) if who})
    releases = [row.ConsentRequest.release_id for row in rows]
    alerts = {one.release_id: one for one in tx.execute(select(Alert).where(Alert.release_id.in_(releases))).scalars()}
    found = []
    for asked, incident in rows:
        alert, own = alerts.get(asked.release_id), asked.confirmed_by == principal.actor
        found.append({
            "id": asked.id, "incident": reference_of(incident), "from": codes[asked.from_id], "to": codes[asked.to_id],
            "purpose": asked.purpose, "item": asked.item, "valid_until": asked.valid_until, "reply_by": asked.reply_by,
            "asked_at": asked.asked_at, "asked_by": asked.asked_by, "asked_by_name": names.get(asked.asked_by, ""),
            "state": _state(tx, asked, alert), "alert": alert.id if alert is not None else None,
            "answer": _answer(tx, asked.acknowledgement_id, noted=_reads(principal)), "consent": asked.consent_id,
            "confirmed_by_name": names.get(asked.confirmed_by, ""), "confirmed_at": asked.confirmed_at,
            "decline_reason": asked.decline_reason if own or _reads(principal) else "",
            "why_not": why_not(asked, principal), "decision": asked.decision_id, "exercise": asked.exercise or None,
        })  # fmt: skip
    return found


def _state(tx: Session, asked: ConsentRequest, alert: Alert | None) -> str:
    """As stored; an open one that is not under way, or whose time is over, says so."""
    if asked.state != "asked":
        return asked.state
    if clock.now() >= asked.reply_by:
        return "overdue"
    return "asked" if alert is not None and alert.state not in ("withheld", "failed", "withdrawn") else "not-sent"


def _reads(principal: Principal) -> bool:
    return may(Role(principal.role), Right.READ_INCIDENTS)


def _answer(tx: Session, acknowledgement_id: int | None, *, noted: bool) -> dict[str, Any] | None:
    row = tx.get(Acknowledgement, acknowledgement_id) if acknowledgement_id else None
    if row is None:
        return None
    return {"answer": row.answer, "kind": row.kind, "assurance": row.assurance, "by": row.by, "at": row.at,
            "note": _note(tx, row.note_version_id) if noted else ""}  # fmt: skip


def _note(tx: Session, version_id: int | None) -> str:
    version = tx.get(ItemVersion, version_id) if version_id else None
    try:
        return str(read_item(tx, version)) if version is not None else ""
    except Erased:
        return ERASED


# ---------------------------------------------------------------- what could be asked


def askable(tx: Session, incident: Incident, *, decision_id: int | None = None) -> dict[str, Any]:
    """What a request here could say: {originators [(code, name)], items [{item, kind, originator, tlp}], tlp, and from
    a decision that refused or referred: to, purpose, from, decision}. `tlp`: of the request itself, AMBER at most."""
    theirs = (ItemVersion.incident_id == incident.id) & (
        ItemVersion.originator_id.is_not(None) | ItemVersion.source_id.is_not(None)
    )
    query = select(ItemVersion).where(theirs, ItemVersion.kind.not_in(_OF_TEXTS))
    items = {row.item: row for row in tx.execute(query.order_by(ItemVersion.version)).scalars()}
    ids = {each for row in items.values() for each in (row.originator_id, row.source_id)}
    ids |= {incident.originator_id, incident.source_id}
    organisations = select(Organisation).where(Organisation.id.in_(ids - {None}), Organisation.is_own.is_(False))
    found = {row.id: row for row in tx.execute(organisations.order_by(Organisation.code)).scalars()}
    return {
        "originators": [(row.code, f"{row.name} ({row.code})") for row in found.values()],
        "items": [
            {"item": row.item, "kind": row.kind, "tlp": row.tlp, "originator": found[row.originator_id].code}
            for row in items.values() if row.originator_id in found
        ],
        "tlp": min(parse_tlp(incident.tlp), Tlp.AMBER).value,
    } | _of_decision(tx, incident, decision_id)  # fmt: skip


def _of_decision(tx: Session, incident: Incident, decision_id: int | None) -> dict[str, Any]:
    decision = tx.get(ShareDecision, decision_id) if decision_id else None
    if decision is None or decision.incident_id != incident.id:
        return {}
    release = tx.get_one(Release, decision.release_id)
    theirs = [release.originator_id, *(part.originator_id for part in items_of(tx, release))]
    codes = [tx.get_one(Organisation, each).code for each in theirs if each is not None]
    said = {"to": decision.recipient, "purpose": decision.purpose, "decision": decision.id}
    return said | ({"from": codes[0]} if codes else {})
