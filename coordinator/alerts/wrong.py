"""A wrong release is an incident of its own (R22): restricted, linked, with what is owed to whoever the information was
of, and the recall that a person starts with the same word."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import Principal
from coordinator.agreements import queries as register
from coordinator.agreements.rules import LIVE
from coordinator.alerts import recalls, rungs
from coordinator.alerts.left import has_left
from coordinator.alerts.models import Alert, WrongRelease
from coordinator.errors import Fault, Invalid, NotFound, Refused
from coordinator.incidents import intake, service
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.models import Incident
from coordinator.incidents.references import parse_reference, reference_of
from coordinator.markings import Marking, Tlp
from coordinator.partners.models import Organisation
from coordinator.sharing.inputs_from_world import items_of
from coordinator.sharing.models import Release
from coordinator.tasks.service import open_task
from coordinator.vocabulary.spans import later

LONGEST_REASON = 2000


def mark_wrong(
    tx: Session, alert_id: int, *, principal: Principal, reason: str, recall: bool = True
) -> Incident:
    """Say that this should not have gone there; answers the incident opened for it. `recall`: ask for it back at once.

    Raises NotFound, Invalid (/reason), Refused (nothing left, marked already, an exercise).
    """
    if not reason.strip() or len(reason) > LONGEST_REASON:
        raise Invalid([Fault("/reason", f"Say why, in at most {LONGEST_REASON} characters.")])
    alert = rungs.locked(tx, alert_id, principal=principal)
    _check(tx, alert)
    about = tx.get_one(Incident, alert.incident_id)
    opened = _open(tx, alert, principal=principal, reason=reason.strip())
    tx.add(WrongRelease(alert_id=alert.id, incident_id=opened.id, marked_by=principal.actor, marked_at=clock.now(),
                        exercise=alert.exercise))  # fmt: skip
    tx.flush()
    timeline.append(
        tx, "release.wrong", "A release was marked as wrong; an incident was opened for it.", actor=principal.actor,
        incident=about, about=("alert", alert.id), values={"alert": alert.public_id, "reason": reason.strip()},
    )  # fmt: skip
    service.link_incidents(tx, opened.id, reference_of(about), kind="related", principal=principal)
    members = sorted({principal.user_id} | ({about.owner_id} if about.owner_id is not None else set()))
    owner = about.owner_id or principal.user_id
    service.change_incident(tx, opened.id, {"restricted_to": members, "owner": owner}, principal=principal)
    _owed(tx, alert, opened)
    if recall:
        with contextlib.suppress(Refused):  # it is asked back already
            recalls.recall_alert(tx, alert.id, principal=principal, reason=reason, only=True, cause="wrong-release")
    return opened


def _check(tx: Session, alert: Alert) -> None:
    if alert.incident_id is None or alert.kind not in recalls.KINDS or alert.user_id is not None:
        raise NotFound()
    if alert.exercise:
        raise Refused("In an exercise no incident is opened for it: recall it, and tell the exercise controller.")
    if tx.execute(select(WrongRelease.id).where(WrongRelease.alert_id == alert.id)).first() is not None:
        raise Refused("This was marked as a wrong release already.")
    if tx.execute(select(Alert.id).where(Alert.id == alert.id, has_left())).first() is None:
        raise Refused("Nothing of it has left: withdraw it.")


def _open(tx: Session, alert: Alert, *, principal: Principal, reason: str) -> Incident:
    """Filed as any report of ours: what happened, in the words of whoever marked it."""
    label = max(Marking.from_json(tx.get_one(Release, alert.release_id).marking).effective, Tlp.AMBER)
    about = tx.get_one(Incident, alert.incident_id)
    report = {
        "title": f"Wrong release: {alert.public_id} to {alert.recipient}"[:120], "tlp": label.value,
        "noticed_at": clock.rfc3339(clock.now()), "language": "en",
        "description": f"The alert {alert.public_id} of {reference_of(about)} went to {alert.recipient} and should not"
                       f" have. {reason}",
    }  # fmt: skip
    raw = json.dumps(report, ensure_ascii=False, sort_keys=True).encode()
    kept = intake.keep_raw(tx, via="form", media_type="application/json", raw=raw, principal=principal)
    answer = intake.read_report(tx, kept.report_id)
    if answer.refusal is not None:
        raise answer.refusal
    found = parse_reference(answer.incident or "")
    if found is None:
        raise Refused("No incident could be opened for it: file a report by hand.")
    return lock_incident(tx, found)


def _owed(tx: Session, alert: Alert, opened: Incident) -> None:
    """Whoever the information is of is told: in the time that an agreement with them sets, else soon."""
    release, now = tx.get_one(Release, alert.release_id), clock.now()
    ids = {release.originator_id, *(part.originator_id for part in items_of(tx, release))}
    query = select(Organisation).where(Organisation.id.in_(ids - {None}), Organisation.is_own.is_(False))
    for giver in tx.execute(query.order_by(Organisation.code)).scalars():
        due_at, under = _due(tx, giver.code, now)
        open_task(
            tx, title=f"Report to {giver.code} that its information went to {alert.recipient} by mistake",
            role="coordinator", fallback_role="duty-officer", assignee_id=opened.owner_id, incident=opened,
            created_by="system", due_at=due_at, priority=90, blocks="close", instructions=under,
        )  # fmt: skip
    open_task(
        tx, title=f"See that {alert.recipient} has deleted it, and find out how it happened", role="coordinator",
        fallback_role="duty-officer", assignee_id=opened.owner_id, incident=opened, created_by="system", priority=80,
        blocks="close", instructions="The recall and its answer stand on the page of the alert and on the ledger.",
    )  # fmt: skip


def _due(tx: Session, party: str, now: datetime) -> tuple[datetime | None, str]:
    """(the earliest time an agreement in force with this party sets for reporting a breach, under which)."""
    found: list[tuple[datetime, str]] = []
    for row in register.standing(tx, now):
        span, refs = row["terms"].get("breach_report_due"), row["terms"].get("clause_refs") or {}
        if party in row["parties"] and row["status"] in LIVE and span and (at := later(now, span)) is not None:
            clause = refs.get("breach_report_due", "")
            found.append((at, f"Agreement {row['key']}, version {row['version']}{', ' + clause if clause else ''}."))
    return min(found, default=(None, "No agreement sets a time: tell them without delay."))


def marked(tx: Session, alert_ids: list[int]) -> set[int]:
    """Those of these alerts that were marked as wrong releases."""
    query: Any = select(WrongRelease.alert_id).where(WrongRelease.alert_id.in_(alert_ids))
    return set(tx.execute(query).scalars())
