"""Asking back what left: every recipient is asked to delete it, reminded, and stays open until it has answered.

The message is a fixed text without case content, so that the rules let it go to whoever had the thing, whatever became
of agreements and consents since. From that moment the rules let the thing out to that recipient no more, by any way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import Principal
from coordinator.alerts import published, rungs, service_calls, telling, versions
from coordinator.alerts.answers import COULD_NOT
from coordinator.alerts.audience import AUTOMATIC
from coordinator.alerts.changes import take_back
from coordinator.alerts.left import TELLING, has_left, releases_of_items, still_out
from coordinator.alerts.models import Alert
from coordinator.alerts.wording import RECALL
from coordinator.errors import Fault, Invalid, NotFound, Refused
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.models import Incident
from coordinator.incidents.queries import check_visible
from coordinator.incidents.references import reference_of
from coordinator.markings import Marking, Tlp
from coordinator.sharing.models import Recall, Recalled, Release
from coordinator.tasks.service import open_task

#: What can be asked back: texts that hold something of a case, and what a service was given by a request.
KINDS = (*TELLING, AUTOMATIC)
CAUSES = ("asked", "consent-withdrawn", "label-raised", "wrong-release")
LONGEST_REASON = 2000
PURPOSE, CATEGORY = "incident-response", "incident-notification"


def recall_alert(
    tx: Session, alert_id: int, *, principal: Principal, reason: str, only: bool = False, cause: str = "asked"
) -> Recall:
    """Ask the text of an alert back from everybody who had it or another version of it (`only`: from this recipient
    alone).

    Raises NotFound, Invalid (/reason), Refused where there is nothing to ask back.
    """
    alert = tx.get(Alert, alert_id)
    if alert is None or alert.incident_id is None:
        raise NotFound()
    check_visible(tx, alert.incident_id, principal=principal)
    every = select(Alert.id).where(Alert.release_id.in_(versions.family(tx, alert.release_id)))
    wanted = [alert.id] if only else list(tx.execute(every).scalars())
    return recall(tx, alert.incident_id, wanted, actor=principal.actor, reason=reason, cause=cause)


def recall_item(tx: Session, item: str, *, principal: Principal, reason: str) -> list[Recall]:
    """Ask back every text that a version of this item went into, one recall for each incident; what was published of
    it is withdrawn. Raises as `recall_alert`."""
    alerts = list(tx.execute(select(Alert).where(Alert.id.in_(alerts_of_items([item])))).scalars())
    for incident_id in {each.incident_id for each in alerts}:
        check_visible(tx, incident_id or 0, principal=principal)
    notices = published.take_back_items(tx, item, principal=principal, reason=reason) if reason.strip() else []
    if not alerts and not notices:
        raise NotFound()
    by_incident: dict[int, list[int]] = {}
    for each in alerts:
        by_incident.setdefault(each.incident_id or 0, []).append(each.id)
    return [
        recall(tx, incident_id, ids, actor=principal.actor, reason=reason)
        for incident_id, ids in sorted(by_incident.items())
    ]


def recall(
    tx: Session, incident_id: int, alert_ids: Collection[int], *, actor: str, reason: str, cause: str = "asked"
) -> Recall:
    """The one way in which something is asked back. What has not left yet is withdrawn; what was asked back already,
    or withdrawn before it left, stays as it is. Raises Invalid (/reason), Refused where nothing is left to ask back."""
    if not reason.strip() or len(reason) > LONGEST_REASON:
        raise Invalid([Fault("/reason", f"Say why, in at most {LONGEST_REASON} characters.")])
    incident = lock_incident(tx, incident_id)
    alerts = [rungs.locked(tx, each) for each in sorted(tx.execute(_open(incident_id, alert_ids)).scalars())]
    if not alerts:
        raise Refused("There is nothing to ask back: it was recalled already, never left, or tells of no case.")
    row = Recall(incident_id=incident.id, cause=cause, reason=reason.strip(), asked_by=actor, asked_at=clock.now(),
                 exercise=incident.exercise)  # fmt: skip
    tx.add(row)
    tx.flush()
    timeline.append(
        tx, "recall.asked", "What was sent is asked back.", actor=actor, incident=incident, about=("recall", row.id),
        values={"cause": cause, "reason": row.reason, "alerts": [each.public_id for each in alerts],
                "recipients": sorted({each.recipient for each in alerts})},
    )  # fmt: skip
    left = set(tx.execute(select(Alert.id).where(Alert.id.in_([each.id for each in alerts]), has_left())).scalars())
    for release_id in sorted({each.release_id for each in alerts}):
        _of_release(tx, row, incident, [each for each in alerts if each.release_id == release_id], left, actor=actor)
    return row


def alerts_of_items(items: Iterable[str]) -> Any:
    """Ids of the alerts of every text that a version of one of these items went into, as its text or as a part."""
    return select(Alert.id).where(Alert.release_id.in_(releases_of_items(items)), Alert.kind.in_(KINDS))


#: What a person has to look at when it is the answer.
LOOK = {
    "cannot-delete": "{code} cannot delete what was recalled: look at the reason",
    COULD_NOT: "Nobody can say whether {code} deleted what was recalled: decide what follows",
}


def take_answer(tx: Session, alert: Alert, answer: str) -> None:
    """What follows from an answer to a recall: where it was not deleted for sure, a person looks at the reason."""
    if answer not in LOOK:
        return
    incident = rungs.incident_of(tx, alert)
    open_task(
        tx, title=LOOK[answer].format(code=alert.recipient), role="coordinator",
        assignee_id=incident.owner_id if incident is not None else None, fallback_role="duty-officer",
        incident=incident, created_by="system", priority=70, exercise=alert.exercise,
    )  # fmt: skip


def _open(incident_id: int, alert_ids: Collection[int]) -> Any:
    already = select(Recalled.id).where(
        Recalled.release_id == Alert.release_id, Recalled.recipient == Alert.recipient
    )
    return select(Alert.id).where(
        Alert.id.in_(list(alert_ids)), Alert.incident_id == incident_id, Alert.kind.in_(KINDS), Alert.user_id.is_(None),
        still_out(), ~already.exists(),
    )


def _of_release(
    tx: Session, row: Recall, incident: Incident, alerts: list[Alert], left: set[int], *, actor: str
) -> None:
    """One text: withdrawn where it is still on its way, asked back where it left; from a service by a person."""
    now, had = clock.now(), [each for each in alerts if each.id in left and each.kind != AUTOMATIC]
    held = [each for each in alerts if each.id in left and each.kind == AUTOMATIC]
    asks = _ask(tx, row, incident, had) if had else None
    tx.add_all(
        Recalled(recall_id=row.id, release_id=each.release_id, recipient=each.recipient, at=now,
                 asks_id=asks.id if asks is not None and each in had else None, exercise=row.exercise)
        for each in alerts
    )  # fmt: skip
    tx.flush()
    for each in alerts:
        if each.id in left:
            rungs.stop(tx, each, now=now)
        else:
            take_back(tx, each, actor=actor, reason=row.reason, now=now)
    service_calls.ask_what_became(
        tx, incident, held, title="Have {code} delete what its system was given by a request",
        why=f"It is asked back. Reason of the recall: {row.reason}",
    )  # fmt: skip


def _ask(tx: Session, row: Recall, incident: Incident, had: list[Alert]) -> Release:
    title, body = RECALL
    release = tx.get_one(Release, had[0].release_id)
    told = telling.tell(
        tx, incident=incident, kind="recall", title=title, body=body, purpose=PURPOSE, info_category=CATEGORY,
        requested_by=row.asked_by, audience={"organisations": sorted({each.recipient for each in had})},
        marking=Marking(tlp=Tlp.CLEAR), in_reply_to=release, ack="person", facts={"recall": row.id},
    )  # fmt: skip
    not_told = [each.code for each in told.unreachable] + [each.recipient for each in told.denied]
    for code in sorted(not_told):
        open_task(
            tx, title=f"Ask {code} by another way to delete what is recalled", role="coordinator", incident=incident,
            assignee_id=incident.owner_id, fallback_role="duty-officer", created_by="system", priority=80,
            instructions=f"{reference_of(incident)}: no message can be sent there. Reason of the recall: {row.reason}",
            blocks="close",
        )  # fmt: skip
    return told.release
