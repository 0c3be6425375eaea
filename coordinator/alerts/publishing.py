"""The public exit: a text that anybody may read, published by a person after another person cleared exactly it.

Somebody asks; the rules refuse what is not TLP:CLEAR and refer the rest; a release authority who is not the one that
asked clears this very text; the rules are asked again, and a person publishes. No worker and no playbook does. What is
withdrawn stays on the page as withdrawn, without its text: what was read stays read.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Role
from coordinator.alerts import versions
from coordinator.alerts.desk import held, record
from coordinator.alerts.models import PublicNotice
from coordinator.alerts.published import addressee, take_back
from coordinator.errors import Fault, Invalid, NotFound, Refused
from coordinator.incidents.queries import check_visible
from coordinator.incidents.references import new_public_id
from coordinator.sharing.addressees import PUBLIC
from coordinator.sharing.inputs_from_world import digest_of, standing_approvals, text_of
from coordinator.sharing.models import Release, ShareDecision
from coordinator.sharing.rules import Decision, Result
from coordinator.sharing.service import TextChanged, decide_share, forecast, redecide, settle_release

DRAFT = "draft"
LONGEST_REASON = 2000


def ask(tx: Session, release_id: int, *, principal: Principal) -> ShareDecision:
    """Ask for a draft to be published. Where the rules refer it, it waits for a release authority.

    Raises NotFound, Refused (no draft, somebody else's, a version, an exercise), TextChanged.
    """
    release = held(tx, release_id, principal)
    if release.state != DRAFT or versions.row_of(tx, release) is not None:
        raise Refused("Publication is asked for with a draft that was not submitted yet.")
    if release.requested_by != principal.actor:
        raise Refused("Somebody else drafted this: ask them, or draft your own.")
    if release.exercise:
        raise Refused("What belongs to an exercise is never published.")
    title, body = text_of(tx, release)
    if digest_of(tx, release, title=title, body=body) != release.content_digest:
        raise TextChanged()
    for row, _said in versions.versions_of(tx, release):
        row.state = "withdrawn"  # they were for partners
    release.state = "evaluated"
    tx.flush()
    record(tx, release, "release.submitted", "A release was submitted for the public.", principal.actor, {
        "recipients": [PUBLIC],
    })  # fmt: skip
    decision = decide_share(tx, release, addressee(tx))
    settle_release(tx, release)
    return decision


def publish(tx: Session, release_id: int, *, principal: Principal) -> PublicNotice:
    """Publish a text that was cleared. The rules are asked again now. Said twice it stays one notice.

    Raises NotFound, Refused (nothing asked, not cleared by a release authority, no permit any more), TextChanged.
    """
    release = held(tx, release_id, principal)
    done = tx.execute(select(PublicNotice).where(PublicNotice.release_id == release.id)).scalar_one_or_none()
    if done is not None:
        return done
    last = decision_of(tx, release)
    if last is None or release.state == "withdrawn":
        raise Refused("Nobody has asked for the publication of this text.")
    now = clock.now()
    decision = redecide(tx, last.id, now=now, addressee=addressee(tx))
    settle_release(tx, release)
    cleared = {answer.role for answer in standing_approvals(tx, release, PUBLIC, now=now)
               if f"user:{answer.user_id}" != release.requested_by}  # fmt: skip
    if decision.result != Result.PERMIT or Role.RELEASE_AUTHORITY not in cleared:
        raise Refused("A release authority has to clear exactly this text first, and the clearance has to hold.")
    notice = PublicNotice(
        release_id=release.id, incident_id=release.incident_id, decision_id=decision.id,
        content_digest=release.content_digest, public_id=new_public_id("pub"), replaces_id=_corrected(tx, release),
        published_at=now, published_by=principal.user_id,
    )  # fmt: skip
    tx.add(notice)
    tx.flush()
    record(tx, release, "notice.published", "A text was published.", principal.actor, {
        "notice": notice.public_id, "decision": decision.id, "content_digest": release.content_digest,
        "replaces": notice.replaces_id,
    })  # fmt: skip
    return notice


def withdraw(tx: Session, public_id: str, *, principal: Principal, reason: str) -> PublicNotice:
    """Take a notice back: its page stays, without the text. One person is enough. The reason stays with us.

    Raises NotFound, Invalid (/reason), Refused where it was withdrawn already.
    """
    found = tx.execute(select(PublicNotice).where(PublicNotice.public_id == public_id)).scalar_one_or_none()
    if found is None:
        raise NotFound()
    check_visible(tx, found.incident_id, principal=principal)
    held(tx, found.release_id, principal)
    if not reason.strip() or len(reason) > LONGEST_REASON:
        raise Invalid([Fault("/reason", f"Say why, in at most {LONGEST_REASON} characters.")])
    tx.refresh(found)
    if found.withdrawn_at is not None:
        raise Refused("It was withdrawn already.")
    take_back(tx, found, principal=principal, reason=reason)
    return found


def foreseen(tx: Session, release: Release) -> Decision:
    """What the rules would say of publishing this now. Nothing is recorded."""
    return forecast(tx, release, addressee(tx))


def decision_of(tx: Session, release: Release) -> ShareDecision | None:
    """The newest decision on publishing this release; None where nobody asked."""
    query = select(ShareDecision).where(ShareDecision.release_id == release.id, ShareDecision.recipient == PUBLIC)
    return tx.execute(query.order_by(ShareDecision.id.desc()).limit(1)).scalar_one_or_none()


def notice_of(tx: Session, release: Release) -> PublicNotice:
    """Raises NotFound where this release was not published."""
    found = tx.execute(select(PublicNotice).where(PublicNotice.release_id == release.id)).scalar_one_or_none()
    if found is None:
        raise NotFound()
    return found


def seen_by_us(tx: Session, release: Release) -> dict[str, Any] | None:
    """How it stands with publishing this release: result, reasons, asked, may_publish, notice ({public_id, at,
    withdrawn_at, reason} or None). None where nobody thinks of it."""
    notice = tx.execute(select(PublicNotice).where(PublicNotice.release_id == release.id)).scalar_one_or_none()
    last = decision_of(tx, release)
    if release.exercise or versions.row_of(tx, release) is not None or (last is None and release.state != DRAFT):
        return None
    said = foreseen(tx, release)
    return {
        "result": said.result.value, "reasons": list(said.reasons), "asked": last is not None,
        "may_publish": last is not None and said.result is Result.PERMIT and release.state != "withdrawn",
        "notice": None if notice is None else {
            "public_id": notice.public_id, "at": notice.published_at, "withdrawn_at": notice.withdrawn_at,
            "reason": notice.withdraw_reason,
        },
    }  # fmt: skip


def _corrected(tx: Session, release: Release) -> int | None:
    """The notice that a correction takes the place of: the newest one on the incident that stands."""
    if release.kind != "correction":
        return None
    later = select(PublicNotice.replaces_id).where(PublicNotice.replaces_id.is_not(None))
    query = select(PublicNotice.id).where(
        PublicNotice.incident_id == release.incident_id, PublicNotice.withdrawn_at.is_(None),
        PublicNotice.id.not_in(later),
    )  # fmt: skip
    return tx.execute(query.order_by(PublicNotice.id.desc()).limit(1)).scalar_one_or_none()
