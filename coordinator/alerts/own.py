"""Telling our own people that something waits, by the same machinery and without case content (R29).

Each person gets a notice of their own: a TLP:CLEAR text of ours, decided as internal, sent by mail.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator.accounts import rules as rights
from coordinator.accounts.models import User
from coordinator.accounts.principal import SYSTEM
from coordinator.accounts.service import users_with_role
from coordinator.alerts.models import Alert
from coordinator.alerts.telling import tell
from coordinator.alerts.wording import NOTICE, own_notice
from coordinator.incidents.holds import lock_incident_row
from coordinator.incidents.models import Incident
from coordinator.incidents.references import reference_of
from coordinator.incidents.service import let_in_to_clear
from coordinator.markings import Marking, Tlp, parse_tlp
from coordinator.partners.queries import duty_role
from coordinator.sharing.addressees import to_user
from coordinator.sharing.models import Approval, Release, ShareDecision
from coordinator.store import store_of

PURPOSE, CATEGORY = "incident-response", "situational-report"


def tell_own(
    tx: Session,
    *,
    key: str,
    role: str = "",
    user_id: int | None = None,
    incident: Incident | None = None,
    exclude: Collection[int] = (),
    exercise: str = "",
) -> Sequence[Alert]:
    """Tell everybody of a role, or one user, one of the fixed notices (wording.OWN_NOTICES); answers the alerts raised.

    A role that nobody has gives way to the duty role. Without a mail server nothing is raised: the desk's pages show
    what waits, and `doctor` says that mail is missing. `exclude`: users who are not told.
    """
    if not store_of(tx).settings.smtp_url:
        return ()
    people = [user for user in _people(tx, role, user_id) if user.id not in exclude]
    if not people:
        return ()
    exercise = incident.exercise if incident is not None else exercise
    silent = incident is not None and incident.restricted
    reference = reference_of(incident) if incident is not None and not silent else ""
    title, body = own_notice(key, reference, silent=silent)
    return tell(
        tx, incident=incident, kind="notice", title=title, body=body, purpose=PURPOSE, info_category=CATEGORY,
        requested_by=SYSTEM, addressees=[to_user(user, exercise=exercise) for user in people],
        marking=Marking(tlp=Tlp.CLEAR), ack="", ladder=(), exercise=exercise, facts={NOTICE: key},
    ).permitted  # fmt: skip


def reaches_duty(tx: Session) -> bool:
    """Whether a notice to the duty role would go to anybody: there is a mail server, and an account that holds it."""
    return bool(store_of(tx).settings.smtp_url and users_with_role(tx, duty_role(tx)))


def tell_approvers(tx: Session, decision_id: int) -> Sequence[Alert]:
    """Tell those who may answer a referred decision that it waits; never the one who asked for the release.

    One notice for a release, however many of its decisions wait.
    """
    decision = tx.get_one(ShareDecision, decision_id)
    release = tx.get_one(Release, decision.release_id)
    if not _first_to_wait(tx, decision):
        return ()
    incident = tx.get_one(Incident, release.incident_id) if release.incident_id is not None else None
    asked = decision.requested_by.removeprefix("user:")
    exclude = {int(asked)} if decision.requested_by.startswith("user:") else set()
    if incident is not None and incident.restricted:
        lock_incident_row(tx, incident.id)
    told: list[Alert] = []
    roles = rights.approvers(decision.reasons, decision.effective_tlp, release.info_category)
    for role in sorted(str(role) for role in roles) or [duty_role(tx)]:
        if incident is not None:
            _let_know(tx, incident, role, exclude=exclude)
        told += tell_own(
            tx, key="clearance", role=role, incident=incident, exclude=exclude, exercise=release.exercise
        )
    return told


def still_waits(tx: Session, decision_id: int) -> bool:
    """Whether a referred decision is the newest for its recipient, unanswered, and its release still wanted."""
    decision = tx.get_one(ShareDecision, decision_id)
    newer = select(ShareDecision.id).where(ShareDecision.previous_id == decision.id)
    answered = select(Approval.id).where(Approval.decision_id == decision.id)
    over = any(tx.execute(query.limit(1)).first() for query in (newer, answered))
    return not over and tx.get_one(Release, decision.release_id).state == "awaiting-approval"


def _let_know(tx: Session, incident: Incident, role: str, *, exclude: Collection[int]) -> None:
    """Whoever is asked to clear something of a restricted incident has to be able to see it. Not so with RED: there the
    named recipients are the originator's to say, and a person adds whom they allow."""
    if incident.restricted and parse_tlp(incident.tlp) < Tlp.RED:
        for user in users_with_role(tx, role):
            if user.id not in exclude:
                let_in_to_clear(tx, incident, user.id)


def _first_to_wait(tx: Session, decision: ShareDecision) -> bool:
    """Whether no earlier decision of this release, made in the same breath, was referred."""
    query = select(ShareDecision.id).where(
        ShareDecision.release_id == decision.release_id, ShareDecision.result == "refer",
        ShareDecision.id < decision.id, ShareDecision.reasons == decision.reasons,
        ShareDecision.previous_id.is_(None),
    )  # fmt: skip
    return decision.previous_id is not None or tx.execute(query.limit(1)).first() is None


def _people(tx: Session, role: str, user_id: int | None) -> list[User]:
    if user_id is not None:
        user = tx.get(User, user_id)
        return [user] if user is not None and user.state == "active" else []
    return users_with_role(tx, role) or users_with_role(tx, duty_role(tx))
