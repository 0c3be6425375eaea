"""What leaves an incident, as plain data: decisions with their reasons, alerts with every attempt and answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator.accounts.principal import Principal
from coordinator.alerts.corrections import corrections_of
from coordinator.alerts.left import recalled
from coordinator.alerts.models import Acknowledgement, Alert, Delivery, DeliveryAttempt
from coordinator.alerts.wrong import marked
from coordinator.incidents.items import read_item
from coordinator.incidents.models import ItemVersion
from coordinator.partners.models import Contact
from coordinator.sharing import explaining
from coordinator.sharing.explaining import Asked
from coordinator.sharing.inputs_from_world import text_of
from coordinator.sharing.models import Approval, Release, ShareDecision
from coordinator.status import people
from coordinator.status.explained import with_clauses
from coordinator.timeline.keys import Erased
from coordinator.timeline.queries import ERASED

MOST = 100
#: An alert in one of these states has nothing more to wait for.
SETTLED = ("acknowledged", "withdrawn")


def alerts(tx: Session, incident_id: int, *, limit: int = MOST, own: bool = False) -> list[dict[str, Any]]:
    """Alerts to partners, newest first (`own`: notices to our own people too), with deliveries and answers."""
    query = select(Alert, Release).join(Release, Release.id == Alert.release_id).where(Alert.incident_id == incident_id)
    if not own:
        query = query.where(Alert.kind != "notice")
    rows = list(tx.execute(query.order_by(Alert.id.desc()).limit(limit)))
    return described_alerts(tx, [row.Alert for row in rows])


def described_alerts(tx: Session, rows: list[Alert]) -> list[dict[str, Any]]:
    """Alerts in the contract's names; one query a kind, whatever the number."""
    ids = [row.id for row in rows]
    deliveries, answers = _deliveries(tx, ids), _answers(tx, ids)
    contacts = _contacts(tx, {row.contact_id for row in rows})
    releases = {row.id: row for row in tx.execute(
        select(Release).where(Release.id.in_({row.release_id for row in rows}))).scalars()}  # fmt: skip
    titles = {key: title_of(tx, release) for key, release in releases.items()}
    back, wrong, anew = recalled(tx, releases), marked(tx, ids), corrections_of(tx, rows)
    found = []
    for row in rows:
        sent = deliveries[row.id]
        enough = next((one for one in answers[row.id] if one["at"] == row.acknowledged_at), None)
        found.append({
            "id": row.id, "public_id": row.public_id, "kind": row.kind, "recipient": row.recipient,
            "contact": contacts.get(row.contact_id), "channel": sent[-1]["channel"] if sent else None,
            "state": row.state, "webhook_id": sent[-1]["webhook_id"] if sent else None, "decision": row.decision_id,
            "attempts": [attempt for one in sent for attempt in one["attempts"]],
            "acknowledged": enough and {name: enough[name] for name in ("at", "by", "kind", "assurance")},
            "answers": answers[row.id], "deliveries": sent, "ack": row.ack or None, "reply_by": row.reply_by,
            "created_at": row.created_at, "release": row.release_id, "title": titles.get(row.release_id, ""),
            "tlp": _label(releases.get(row.release_id)), "reference": row.partner_reference or None,
            "withdrawn_at": row.withdrawn_at, "ladder": row.plan or [], "exercise": row.exercise or None,
            "recall": back.get((row.release_id, row.recipient)), "wrong": row.id in wrong,
            "correction": _followed(anew.get(row.id)),
        })  # fmt: skip
    return found


def _followed(by: Alert | None) -> dict[str, Any] | None:
    if by is None:
        return None
    return {"alert": by.id, "state": by.state, "at": by.created_at, "answered_at": by.acknowledged_at}


def _label(release: Release | None) -> str | None:
    return release.marking.get("tlp") if release else None


def title_of(tx: Session, release: Release) -> str:
    """Title of a release, or that it was erased."""
    try:
        return str(read_item(tx, tx.get_one(ItemVersion, release.title_version_id)))
    except Erased:
        return ERASED


def texts_of(tx: Session, release: Release) -> tuple[str, str]:
    """Title and text of a release, or that they were erased."""
    try:
        return text_of(tx, release)
    except Erased:
        return ERASED, ERASED


def _deliveries(tx: Session, alert_ids: list[int]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    rows = list(tx.execute(
        select(Delivery).where(Delivery.alert_id.in_(alert_ids)).order_by(Delivery.alert_id, Delivery.rung)
    ).scalars())  # fmt: skip
    attempts: dict[int, list[dict[str, Any]]] = defaultdict(list)
    tries = select(DeliveryAttempt).where(DeliveryAttempt.delivery_id.in_([row.id for row in rows]))
    for one in tx.execute(tries.order_by(DeliveryAttempt.delivery_id, DeliveryAttempt.number)).scalars():
        attempts[one.delivery_id].append({"at": one.at, "outcome": one.outcome, "detail": one.detail})
    contacts = _contacts(tx, {row.contact_id for row in rows})
    for row in rows:
        found[row.alert_id].append({
            "id": row.id, "rung": row.rung, "channel": row.kind, "contact": contacts.get(row.contact_id),
            "state": row.state, "webhook_id": row.webhook_id, "attempts": attempts[row.id],
            "next_attempt_at": row.next_attempt_at, "task": row.task_id,
        })  # fmt: skip
    return found


def _answers(tx: Session, alert_ids: list[int]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    query = select(Acknowledgement).where(Acknowledgement.alert_id.in_(alert_ids)).order_by(Acknowledgement.id)
    for row in tx.execute(query).scalars():
        found[row.alert_id].append({
            "at": row.at, "kind": row.kind, "assurance": row.assurance, "answer": row.answer, "by": row.by,
            "note": _note(tx, row.note_version_id),
        })  # fmt: skip
    return found


def _note(tx: Session, version_id: int | None) -> str:
    version = tx.get(ItemVersion, version_id) if version_id else None
    try:
        return str(read_item(tx, version)) if version else ""
    except Erased:
        return ERASED


def _contacts(tx: Session, ids: Iterable[int | None]) -> dict[int | None, str]:
    wanted = [one for one in ids if one]
    query = select(Contact.id, Contact.code).where(Contact.id.in_(wanted))
    return {row.id: row.code for row in tx.execute(query)}


# ---------------------------------------------------------------- decisions


def decisions(
    tx: Session, incident_id: int, *, principal: Principal, limit: int = MOST, own: bool = False
) -> list[dict[str, Any]]:
    """Decisions on what leaves, newest first; `newest` marks the last one for its recipient and text. `why` and
    `problems` explain it (sharing.explaining), `under` and `clause` to who reads agreements;
    `agreement_versions` are those it was made on."""
    query = (
        select(ShareDecision, Release)
        .join(Release, Release.id == ShareDecision.release_id)
        .where(ShareDecision.incident_id == incident_id)
    )
    if not own:
        query = query.where(Release.kind != "notice")
    rows = list(tx.execute(query.order_by(ShareDecision.id.desc()).limit(limit)))
    return _described(tx, rows, principal)


def decisions_of(tx: Session, release_id: int, *, principal: Principal) -> list[dict[str, Any]]:
    """Decisions on one release, newest first."""
    query = select(ShareDecision, Release).join(Release, Release.id == ShareDecision.release_id)
    wanted = query.where(ShareDecision.release_id == release_id)
    return _described(tx, list(tx.execute(wanted.order_by(ShareDecision.id.desc()))), principal)


def decision(tx: Session, decision_id: int, *, principal: Principal) -> dict[str, Any] | None:
    """One decision, or None."""
    query = select(ShareDecision, Release).join(Release, Release.id == ShareDecision.release_id)
    rows = list(tx.execute(query.where(ShareDecision.id == decision_id)))
    return _described(tx, rows, principal)[0] if rows else None


#: Reasons that lie in the agreements, whose problems are then told.
_WITHOUT = frozenset({"D-NO-AGREEMENT", "D-AGREEMENT-PROHIBITS"})


def _described(tx: Session, rows: list[Any], principal: Principal) -> list[dict[str, Any]]:
    ids = [row.ShareDecision.id for row in rows]
    approvals: dict[int, list[Approval]] = defaultdict(list)
    for one in tx.execute(select(Approval).where(Approval.decision_id.in_(ids)).order_by(Approval.id)).scalars():
        approvals[one.decision_id].append(one)
    names = people.names(tx, {row.ShareDecision.requested_by for row in rows} | {
        f"user:{one.user_id}" for several in approvals.values() for one in several})  # fmt: skip
    titles = {row.Release.id: row.Release for row in rows}
    texts = {key: title_of(tx, release) for key, release in titles.items()}
    seen: set[tuple[int, str]] = set()
    found = []
    for decision, release in rows:
        key = (release.id, decision.recipient)
        asked = Asked.read(decision.inputs, decision.evaluated_at)
        unfit = decision.agreement_problems if _WITHOUT & set(decision.reasons) else {}
        found.append({
            "id": decision.id, "result": decision.result, "reasons": decision.reasons,
            "why": explaining.reasons(decision.reasons, asked), "problems": explaining.problems(unfit, asked),
            "agreement_versions": {each["id"]: each.get("version") for each in decision.inputs.get("agreements", ())},
            "obligations": decision.obligations, "agreement": decision.agreement,
            "agreement_problems": decision.agreement_problems, "effective_tlp": decision.effective_tlp,
            "valid_until": decision.valid_until, "requested_by": decision.requested_by,
            "requested_by_name": names[decision.requested_by], "recipient": decision.recipient,
            "channel": decision.channel_kind, "purpose": decision.purpose, "kind": release.kind,
            "evaluated_at": decision.evaluated_at, "release": release.id, "release_state": release.state,
            "title": texts[release.id], "newest": key not in seen, "policy": decision.policy_version,
            "approvals": [
                {"by": f"user:{one.user_id}", "name": names[f"user:{one.user_id}"], "role": one.role,
                 "answer": one.answer, "reason": one.reason, "at": one.at, "until": one.until}
                for one in approvals[decision.id]
            ],
        })  # fmt: skip
        seen.add(key)
    return with_clauses(tx, found, principal=principal)


def call_of(tx: Session, task_id: int) -> dict[str, Any] | None:
    """What is to be read out in a call: {alert, recipient, title, body, tlp}; None where the task is no such call."""
    query = (
        select(Alert, Release)
        .join(Delivery, Delivery.alert_id == Alert.id)
        .join(Release, Release.id == Alert.release_id)
        .where(Delivery.task_id == task_id)
    )
    found = tx.execute(query).first()
    if found is None:
        return None
    title, body = texts_of(tx, found.Release)
    return {
        "alert": found.Alert.public_id, "recipient": found.Alert.recipient, "title": title, "body": body,
        "tlp": _label(found.Release), "reference": found.Alert.partner_reference or None,
    }  # fmt: skip
