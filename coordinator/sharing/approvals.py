"""A second person's word on what the rules referred. It is bound to the text, to the recipient, and to a time.

An approval never permits by itself: it is one more thing the rules are asked with, and the new decision says the rest.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts import rules as rights
from coordinator.accounts.principal import Principal
from coordinator.accounts.staff import check_may_approve
from coordinator.errors import CoordinatorError, Fault, Invalid, NoRight, NotFound, Refused
from coordinator.incidents.holds import lock_incident_row, settle_hold
from coordinator.incidents.models import Incident
from coordinator.incidents.queries import check_visible
from coordinator.sharing.models import Approval, Release, ShareDecision
from coordinator.sharing.rules import Result
from coordinator.sharing.service import CLEARANCE, check_text, redecide, says_now, settle_release

#: How long an approval lasts unless its giver says otherwise, and the longest that may be said.
DEFAULT_LIFE, LONGEST_LIFE = timedelta(hours=72), timedelta(days=30)
#: Two lives that differ by less are the same: a page adds hours to the time it is pressed at.
_SAME_LIFE = timedelta(minutes=1)


def approve(tx: Session, decision_id: int, *, principal: Principal, until: datetime | None = None) -> ShareDecision:
    """Approve a referred decision; answers the new decision made with the approval (it may still refer).

    Raises NotFound, NoRight (the role may not), Invalid (`until`), TextChanged, and Refused (own request, answered
    already, not referred, own second factor reset lately). When the new decision permits, `decision.approved` follows
    and the waiting alert is raised. Whoever says the very same again, because the answer got lost, is answered as
    before, and nothing is written.
    """
    now = clock.now()
    check_may_approve(tx, principal.user_id)
    decision, release = _answerable(tx, decision_id, principal)
    check_text(tx, release, decision)
    until = until or now + DEFAULT_LIFE
    before = _said_before(tx, decision, principal, until=until, now=now)
    if before is not None:
        return before
    _check_open(tx, decision)
    if not now < until <= now + LONGEST_LIFE:
        raise Invalid([Fault("/until", f"Give a time in the future, at most {LONGEST_LIFE.days} days away.")])
    _answer(tx, decision, principal, answer="approve", reason="", until=until, now=now)
    timeline.append(
        tx, "decision.approved", "A second person approved the release of this text.", actor=principal.actor,
        incident=_incident(tx, release), about=("decision", decision.id), exercise=release.exercise,
        values={"role": principal.role, "until": clock.rfc3339(until), "content_digest": release.content_digest},
    )  # fmt: skip
    answer = redecide(tx, decision.id, now=now, anew=True)
    settle_release(tx, release)
    if answer.result == Result.PERMIT:
        timeline.pending(tx, "decision.approved", answer.id, exercise=release.exercise)
    return answer


def refuse(tx: Session, decision_id: int, *, principal: Principal, reason: str) -> ShareDecision:
    """Refuse a referred decision for good; answers that decision. Raises as `approve`; the reason is required."""
    now = clock.now()
    if not reason.strip() or len(reason) > 2000:
        raise Invalid([Fault("/reason", "Say why, in at most 2000 characters.")])
    decision, release = _answerable(tx, decision_id, principal)
    _check_open(tx, decision)
    _answer(tx, decision, principal, answer="refuse", reason=reason.strip(), until=now, now=now)
    timeline.append(
        tx, "decision.refused", "A second person refused the release of this text.", actor=principal.actor,
        incident=_incident(tx, release), about=("decision", decision.id), exercise=release.exercise,
        values={"role": principal.role, "reason": reason.strip(), "content_digest": release.content_digest},
    )  # fmt: skip
    settle_release(tx, release)
    timeline.pending(tx, "decision.refused", decision.id, exercise=release.exercise)
    return decision


def note_refused(tx: Session, decision_id: int, *, principal: Principal, refusal: CoordinatorError) -> None:
    """An answer was refused (one's own request, a changed text, answered already, no right): that somebody tried stays
    on record, in a transaction of its own. Nothing is noted of what this person may not know of."""
    decision = tx.get(ShareDecision, decision_id)
    if decision is None or isinstance(refusal, NotFound):
        return
    release = tx.get_one(Release, decision.release_id)
    timeline.append(
        tx, "decision.answer-refused", "An answer to a decision was refused.", actor=principal.actor,
        incident=_incident(tx, release), about=("decision", decision.id), exercise=release.exercise,
        values={"why": refusal.detail or refusal.title, "role": principal.role},
    )  # fmt: skip


def withdraw_release(tx: Session, release_id: int, *, principal: Principal, reason: str) -> Release:
    """Ask no longer: what waits for a clearance is not answered any more. What was sent is withdrawn alert by alert.

    Raises NotFound, Invalid without a reason, Refused where nothing waits. Whoever waits for the answer is told that
    there is none (`decision.refused`).
    """
    if not reason.strip() or len(reason) > 2000:
        raise Invalid([Fault("/reason", "Say why, in at most 2000 characters.")])
    if tx.get(Release, release_id) is None:
        raise NotFound()
    release = _held(tx, release_id, principal)
    if release.state != "awaiting-approval":
        raise Refused("Nothing of this release waits for a clearance.")
    end_release(tx, release, actor=principal.actor, reason=reason.strip())
    return release


def end_release(tx: Session, release: Release, *, actor: str, reason: str) -> None:
    """What waits for a clearance of this release waits no longer. Its incident is locked by this transaction."""
    release.state = "withdrawn"
    tx.flush()
    waiting = select(ShareDecision.id).where(ShareDecision.release_id == release.id, ShareDecision.result == "refer")
    for decision_id in tx.execute(waiting).scalars().all():
        settle_hold(tx, kind=CLEARANCE, object_id=decision_id)
        timeline.pending(tx, "decision.refused", decision_id, exercise=release.exercise)
    timeline.append(
        tx, "release.withdrawn", "A release was withdrawn before it was cleared.", actor=actor,
        incident=_incident(tx, release), values={"reason": reason}, about=("release", release.id),
        exercise=release.exercise,
    )  # fmt: skip


def look_again(tx: Session, release_id: int, *, now: datetime) -> None:
    """What waits for a person and is refused by the rules by now waits no longer; whoever waits for it hears of it."""
    release = _locked(tx, release_id)
    if release.state != "awaiting-approval":
        return
    newest = select(func.max(ShareDecision.id)).where(ShareDecision.release_id == release.id)
    query = select(ShareDecision.id).where(
        ShareDecision.id.in_(newest.group_by(ShareDecision.recipient)), ShareDecision.result == Result.REFER
    )
    for decision_id in tx.execute(query.order_by(ShareDecision.id)).scalars().all():
        said = says_now(tx, decision_id, now=now)
        if said is None or said.result is not Result.DENY:
            continue
        made = redecide(tx, decision_id, now=now, anew=True)
        settle_hold(tx, kind=CLEARANCE, object_id=decision_id)
        timeline.pending(tx, "decision.refused", made.id, exercise=release.exercise)
    settle_release(tx, release)


def void(tx: Session, answer: Approval, *, actor: str, under_way: bool) -> None:
    """Take an approval back on which nothing has left yet. `under_way`: its alert is raised already, and the worker
    asks the rules again before it sends; else they are asked here, so that what they refer again waits for another
    person."""
    decision = tx.get_one(ShareDecision, answer.decision_id)
    release = _locked(tx, decision.release_id)
    answer.voided_at = clock.now()
    tx.flush()
    timeline.append(
        tx, "approval.voided", "An approval was taken back before anything was sent on it.", actor=actor,
        incident=_incident(tx, release), about=("decision", decision.id), exercise=release.exercise,
        values={"user": answer.user_id},
    )  # fmt: skip
    if under_way or release.state == "withdrawn":
        return
    query = select(ShareDecision.id).where(
        ShareDecision.release_id == release.id, ShareDecision.recipient == decision.recipient
    )
    newest = tx.execute(query.order_by(ShareDecision.id.desc()).limit(1)).scalar_one()
    redecide(tx, newest, now=clock.now(), anew=True)
    settle_release(tx, release)


def _answerable(tx: Session, decision_id: int, principal: Principal) -> tuple[ShareDecision, Release]:
    """The decision and its release, locked, with everything asked that lets this person answer it at all."""
    decision = tx.get(ShareDecision, decision_id)
    if decision is None:
        raise NotFound()
    release = _held(tx, decision.release_id, principal)
    if release.state == "withdrawn":
        raise Refused("This release was withdrawn by whoever asked for it.")
    if decision.result != Result.REFER:
        raise Refused("Only a decision that was referred can be answered.")
    if principal.actor == decision.requested_by:
        raise Refused("You asked for this release yourself: another person has to answer (I15).")
    role = rights.Role(principal.role)
    if not rights.may_approve(role, decision.reasons, decision.effective_tlp, release.info_category):
        raise NoRight("Your role may not answer a release with this label and these reasons.")
    return decision, release


def _said_before(
    tx: Session, decision: ShareDecision, principal: Principal, *, until: datetime, now: datetime
) -> ShareDecision | None:
    """What this person's approval of this decision was answered with, where they ask for the very same again: the same
    text, as long as before (a page counts it from when it is pressed), and not taken back."""
    given = select(Approval).where(
        Approval.decision_id == decision.id, Approval.user_id == principal.user_id, Approval.answer == "approve",
        Approval.content_digest == decision.content_digest, Approval.voided_at.is_(None),
    )  # fmt: skip
    before = tx.execute(given).scalar_one_or_none()
    if before is None:
        return None
    as_long = abs((until - now) - (before.until - before.at)) < _SAME_LIFE
    if until != before.until and not as_long:
        return None
    made = select(ShareDecision).where(ShareDecision.previous_id == decision.id).order_by(ShareDecision.id).limit(1)
    return tx.execute(made).scalar_one_or_none()


def _check_open(tx: Session, decision: ShareDecision) -> None:
    newer = select(ShareDecision.id).where(ShareDecision.previous_id == decision.id)
    answers = select(Approval.id).where(Approval.decision_id == decision.id)
    if tx.execute(newer.limit(1)).first() is not None or tx.execute(answers.limit(1)).first() is not None:
        raise Refused("This decision was answered or made anew already: look at the newest one for this recipient.")


def _answer(
    tx: Session, decision: ShareDecision, principal: Principal, *, answer: str, reason: str, until: datetime,
    now: datetime,
) -> None:  # fmt: skip
    tx.add(Approval(
        decision_id=decision.id, user_id=principal.user_id, role=principal.role, answer=answer, reason=reason, at=now,
        until=until, content_digest=decision.content_digest, exercise=decision.exercise,
    ))  # fmt: skip
    tx.flush()
    settle_hold(tx, kind=CLEARANCE, object_id=decision.id)


def _held(tx: Session, release_id: int, principal: Principal) -> Release:
    """The release, locked (two answers at once wait for each other); its incident first, as everywhere.

    Raises NotFound where this person may not know of the incident.
    """
    incident_id = tx.execute(select(Release.incident_id).where(Release.id == release_id)).scalar_one()
    if incident_id is not None:
        check_visible(tx, incident_id, principal=principal)
    return _locked(tx, release_id)


def _locked(tx: Session, release_id: int) -> Release:
    incident_id = tx.execute(select(Release.incident_id).where(Release.id == release_id)).scalar_one()
    if incident_id is not None:
        lock_incident_row(tx, incident_id)
    query = select(Release).where(Release.id == release_id).with_for_update()
    return tx.execute(query, execution_options={"populate_existing": True}).scalar_one()


def _incident(tx: Session, release: Release) -> Incident | None:
    return tx.get_one(Incident, release.incident_id) if release.incident_id is not None else None
