"""Looking again at what was sent, when what it rests on is gone: a consent withdrawn, a label or caveat raised, an
agreement suspended or ended.

What waits to be sent stops by itself, with its reason. Of what left, a person decides: recall it, or let it stand,
lawful when it was sent. The originator who withdrew a consent is told what came of it.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import SYSTEM
from coordinator.agreements.models import Agreement, Consent
from coordinator.alerts import recalls, sending, telling
from coordinator.alerts.left import has_left, still_out
from coordinator.alerts.models import Alert, ConsentRequest, Delivery, Review
from coordinator.alerts.rungs import newest_delivery
from coordinator.alerts.wording import CONSENT_OUTCOME
from coordinator.errors import Refused
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.incidents.references import parse_reference, reference_of
from coordinator.markings import Marking, Tlp
from coordinator.outside.canonical_json import canonical
from coordinator.partners.models import Organisation
from coordinator.sharing.approvals import look_again
from coordinator.sharing.inputs_from_world import bound_now
from coordinator.sharing.models import AWAITING_APPROVAL, Recalled, Release, ReleaseItem, ShareDecision
from coordinator.sharing.rules import Result
from coordinator.sharing.service import says_now
from coordinator.tasks.contents import values_of
from coordinator.tasks.models import Task
from coordinator.tasks.service import cancel_task, open_task

RECALL, STANDS, NOTHING = "recall", "stands", "nothing"
#: Refusals that a consent of the originator would lift: there is none any more.
ONWARD = frozenset({"D-ORCON", "D-GREEN-COMMUNITY", "D-AMBER-ONWARD", "D-STRICT-ONWARD", "D-RED-ONWARD"})
RAISED = frozenset({"D-LABEL-RAISED"})
PURPOSE, CATEGORY = "incident-response", "incident-notification"


def after_withdrawal(tx: Session, consent_id: int) -> list[int]:
    """A consent holds no more: what waits stops, holders are listed, a person is asked. Answers the ids of the releases
    that rest on it no longer. Asked again for the same consent, nothing is added."""
    consent = tx.get_one(Consent, consent_id)
    if tx.execute(select(Review.id).where(Review.consent_id == consent_id).limit(1)).first() is not None:
        return []
    touched: set[int] = set()
    for incident_id, found in _by_incident(tx, _under(tx, consent)).items():
        incident = lock_incident(tx, incident_id)
        affected = [each for each in found if _says(tx, each, ONWARD)]
        had = _stop(tx, affected)
        touched |= {each.release_id for each in affected}
        if affected:
            giver = tx.get_one(Organisation, consent.from_id).code
            title = f"{giver} withdrew its consent: recall what went out under it, or let it stand?"
            review = _open(tx, incident, "consent-withdrawn", had, title=title, consent_id=consent_id)
            if review.answer == NOTHING:
                _tell_originator(tx, review, NOTHING)
    _stop_waiting(tx, _waiting_under(tx, consent))
    return sorted(touched)


def after_raise(tx: Session, incident_id: int) -> list[int]:
    """The incident, or something said in it, may be bound more strictly than what was sent says. As above."""
    query = select(Alert).where(
        Alert.incident_id == incident_id, Alert.kind.in_(recalls.KINDS), Alert.user_id.is_(None),
        still_out(), ~_recalled(),
    )  # fmt: skip
    affected = [each for each in tx.execute(query.order_by(Alert.id)).scalars() if _says(tx, each, RAISED)]
    if not affected:
        return []
    incident = lock_incident(tx, incident_id)
    had = [each for each in _stop(tx, affected) if not _looked_at(tx, each)]
    if had:
        title = "Label or caveat raised after it was sent: recall and correct it, or let it stand?"
        _open(tx, incident, "label-raised", had, title=title)
    _stop_waiting(tx, tx.execute(select(Release.id).where(
        Release.incident_id == incident_id, Release.state == AWAITING_APPROVAL)).scalars().all())  # fmt: skip
    return sorted({each.release_id for each in affected})


def after_end(tx: Session, consent_id: int) -> list[int]:
    """The time of a consent is over: what waits stops. Nobody is asked about what left, since it was given for that
    long. Answers as `after_withdrawal`; nothing where it was withdrawn, or another one holds."""
    consent = tx.get_one(Consent, consent_id)
    if consent.withdrawn_at is not None:
        return []
    affected = [each for each in _under(tx, consent) if _says(tx, each, ONWARD)]
    _stop(tx, affected)
    _stop_waiting(tx, _waiting_under(tx, consent))
    return sorted({each.release_id for each in affected})


def after_agreement(tx: Session, agreement_id: int) -> None:
    """A new version of an agreement, or one of its dates is reached: whatever waits under it, or under the one that it
    follows, is put to the rules again. Nothing for a version that was amended."""
    row = tx.get_one(Agreement, agreement_id)
    if not row.current:
        return
    keys = [key for key in (row.key, row.terms.get("supersedes")) if key]
    queued = (
        select(Delivery.id)
        .join(ShareDecision, ShareDecision.id == Delivery.decision_id)
        .where(Delivery.state == "queued", ShareDecision.agreement.in_(keys))
    )
    for delivery_id in tx.execute(queued.order_by(Delivery.id)).scalars().all():
        sending.recheck(tx, delivery_id, now=clock.now())
    waiting = select(Release.id).join(ShareDecision, ShareDecision.release_id == Release.id).where(
        Release.state == AWAITING_APPROVAL, ShareDecision.agreement.in_(keys), ShareDecision.result == "refer"
    )
    _stop_waiting(tx, sorted(set(tx.execute(waiting).scalars())))


def decided(tx: Session, task_id: int) -> None:
    """A person decided: what was asked for is done. Nothing where the task is none of these, or it was done already."""
    review = tx.execute(select(Review).where(Review.task_id == task_id)).scalar_one_or_none()
    if review is None or review.answer:
        return
    task, incident = tx.get_one(Task, task_id), lock_incident(tx, review.incident_id)
    values = values_of(tx, task)
    answer = values.get("option") or ""
    if task.state != "done" or answer not in (RECALL, STANDS):
        return
    reason = str(values.get("rationale") or "")
    review.answer, review.answered_by, review.answered_at = answer, task.done_by, clock.now()
    review.bound = {str(number): _bound(tx, tx.get_one(Alert, number)) for number in review.alerts}
    tx.flush()
    timeline.append(
        tx, f"review.{answer}", _SAID[answer], actor=task.done_by, incident=incident, about=("review", review.id),
        values={"reason": reason, "cause": review.cause, "alerts": review.alerts},
    )  # fmt: skip
    if answer == RECALL:
        with contextlib.suppress(Refused):  # somebody recalled all of it meanwhile
            recalls.recall(tx, incident.id, review.alerts, actor=task.done_by, reason=reason, cause=review.cause)
    _tell_originator(tx, review, answer)


_SAID = {
    RECALL: "A person decided to recall what was sent.",
    STANDS: "A person decided that what was sent stands: it was lawful when it was sent.",
}


def _under(tx: Session, consent: Consent) -> list[Alert]:
    """Alerts to the party of the consent that hold something of the originator, as far as the consent was about it."""
    versions = select(ItemVersion.id).where(
        or_(ItemVersion.originator_id == consent.from_id, ItemVersion.source_id == consent.from_id)
    )
    theirs = select(Release.id).where(or_(
        Release.originator_id == consent.from_id, Release.title_version_id.in_(versions),
        Release.id.in_(select(ReleaseItem.release_id).where(ReleaseItem.item_version_id.in_(versions))),
    ))  # fmt: skip
    query = select(Alert).join(Release, Release.id == Alert.release_id).where(
        Alert.organisation_id == consent.to_id, Alert.kind.in_(recalls.KINDS), still_out(),
        Alert.release_id.in_(theirs), ~_recalled(),
    )  # fmt: skip
    if consent.purpose != "*":
        query = query.where(Release.purpose == consent.purpose)
    if (incident_id := parse_reference(consent.item)) is not None:
        query = query.where(Alert.incident_id == incident_id)
    elif consent.item != "*":
        query = query.where(Alert.id.in_(recalls.alerts_of_items([consent.item])))
    return list(tx.execute(query.order_by(Alert.id)).scalars())


def _waiting_under(tx: Session, consent: Consent) -> list[int]:
    code = tx.get_one(Organisation, consent.to_id).code
    query = select(Release.id).join(ShareDecision, ShareDecision.release_id == Release.id).where(
        Release.state == AWAITING_APPROVAL, ShareDecision.recipient == code, ShareDecision.result == "refer"
    )
    return sorted(set(tx.execute(query).scalars()))


def _looked_at(tx: Session, alert: Alert) -> bool:
    """Whether a person is asked about this alert, or has let it stand as it is bound now. What is raised after that is
    another question. (Of reviews from before `bound` was kept nobody knows: they count.)"""
    query = select(Review).where(Review.incident_id == alert.incident_id, Review.cause == "label-raised")
    return any(
        not each.answer or each.bound is None or each.bound.get(str(alert.id)) == _bound(tx, alert)
        for each in tx.execute(query).scalars() if alert.id in each.alerts
    )


def _bound(tx: Session, alert: Alert) -> str:
    """What the text of this alert is bound by now, as a digest."""
    marking = bound_now(tx, tx.get_one(Release, alert.release_id))
    return hashlib.sha256(canonical(marking.to_json())).hexdigest()


def _recalled() -> Any:
    return select(Recalled.id).where(
        Recalled.release_id == Alert.release_id, Recalled.recipient == Alert.recipient
    ).exists()


def _by_incident(tx: Session, alerts: Iterable[Alert]) -> dict[int, list[Alert]]:
    found: dict[int, list[Alert]] = {}
    for each in alerts:
        if each.incident_id is not None:
            found.setdefault(each.incident_id, []).append(each)
    return dict(sorted(found.items()))


def _says(tx: Session, alert: Alert, codes: frozenset[str]) -> bool:
    """Whether the rules refuse this alert's text to its recipient now, for one of these reasons."""
    newest = newest_delivery(tx, alert)
    said = says_now(tx, newest.decision_id if newest else alert.decision_id, now=clock.now())
    return said is not None and said.result is Result.DENY and not codes.isdisjoint(said.reasons)


def _stop(tx: Session, alerts: list[Alert]) -> list[Alert]:
    """Hold back what waits to be sent, take calls back that were not made; answers those that left."""
    now = clock.now()
    query = select(Delivery).where(Delivery.alert_id.in_([each.id for each in alerts])).order_by(Delivery.id)
    for delivery in tx.execute(query).scalars().all():
        if delivery.state == "queued":
            sending.recheck(tx, delivery.id, now=now)
        elif delivery.task_id is not None:
            cancel_task(tx, delivery.task_id, reason="The rules no longer permit what was to be said.", actor=SYSTEM)
    left = select(Alert.id).where(Alert.id.in_([each.id for each in alerts]), has_left())
    gone = set(tx.execute(left).scalars())
    return [each for each in alerts if each.id in gone]


def _stop_waiting(tx: Session, release_ids: Iterable[int]) -> None:
    for release_id in release_ids:
        look_again(tx, release_id, now=clock.now())


def _open(
    tx: Session, incident: Incident, cause: str, had: list[Alert], *, title: str, consent_id: int | None = None
) -> Review:
    """Write the review down; where somebody had it, a person is asked, with the list of who holds it."""
    task = None
    if had:
        lines = [f"{each.recipient}: {each.public_id}, {clock.rfc3339(each.created_at)}" for each in had]
        task = open_task(
            tx, title=title, kind="decision", options=[RECALL, STANDS], rationale=True, incident=incident,
            role="coordinator", fallback_role="duty-officer", assignee_id=incident.owner_id, created_by=SYSTEM,
            priority=80, blocks="close", instructions="\n".join([
                "Who has it:", *lines, "",
                f"recall: each of them is asked to delete it. {STANDS}: it was lawful when it was sent. Say why.",
                f"The ledger of {reference_of(incident)} shows what each of them has.",
            ]),
        )  # fmt: skip
    row = Review(
        incident_id=incident.id, cause=cause, consent_id=consent_id, alerts=[each.id for each in had],
        task_id=task.id if task is not None else None, opened_at=clock.now(), answer="" if had else NOTHING,
        exercise=incident.exercise,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    timeline.append(
        tx, "review.opened", "What was sent is looked at again.", actor=SYSTEM, incident=incident,
        about=("review", row.id), values={"cause": cause, "holders": sorted({each.recipient for each in had})},
    )  # fmt: skip
    return row


def _tell_originator(tx: Session, review: Review, answer: str) -> None:
    """What came of a withdrawal, to whoever withdrew: a fixed text without case content."""
    if review.consent_id is None:
        return
    consent = tx.get_one(Consent, review.consent_id)
    request = tx.execute(select(ConsentRequest).where(ConsentRequest.consent_id == consent.id)).scalar_one_or_none()
    title, body = CONSENT_OUTCOME[answer]
    telling.tell(
        tx, incident=lock_incident(tx, review.incident_id), kind="update", title=title, body=body, purpose=PURPOSE,
        info_category=CATEGORY, requested_by=review.answered_by or SYSTEM, marking=Marking(tlp=Tlp.CLEAR), ack="",
        audience={"organisations": [tx.get_one(Organisation, consent.from_id).code]}, ladder=(),
        in_reply_to=tx.get_one(Release, request.release_id) if request is not None else None,
    )  # fmt: skip
