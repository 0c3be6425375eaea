"""Rows that clear something, without an entry in the record that says who wrote them: put in past the use cases.

What somebody answered, what an originator agreed to and what was agreed with a partner cannot be changed; whoever has
the application's password could still put a row in. Every use case that writes one appends an entry in the same
transaction, so a row without its entry is nobody's.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator.agreements.models import Agreement, Consent
from coordinator.alerts.models import Alert, PublicNotice
from coordinator.sharing.models import Approval, StandingClearance
from coordinator.timeline.models import Entry
from coordinator.timeline.verify import Verdict, verify

_ANSWERED = {"approve": "decision.approved", "refuse": "decision.refused"}
_KINDS = (
    *_ANSWERED.values(), "approval.voided", "consent.recorded", "consent.refused", "consent.withdrawn",
    "agreement.recorded", "standing.confirmed", "standing.revoked", "notice.published", "notice.withdrawn",
)  # fmt: skip


def prove(tx: Session, *, against: bytes | None = None) -> Verdict:
    """As `verify`, and that nothing which clears a release stands there without an entry."""
    verdict = verify(tx, against=against)
    if not verdict.broken:
        verdict.broken = next(_without_entry(tx), "")
    return verdict


def _without_entry(tx: Session) -> Iterator[str]:
    """What stands without its entry, each in a sentence with ids only."""
    query = select(Entry.kind, Entry.object_id, Entry.actor).where(Entry.kind.in_(_KINDS))
    said = {(kind, number, actor) for kind, number, actor in tx.execute(query)}
    about = {(kind, number) for kind, number, _actor in said}
    for row in tx.execute(select(Approval).order_by(Approval.id)).scalars():
        if (_ANSWERED[row.answer], row.decision_id, f"user:{row.user_id}") not in said:
            yield f"approval {row.id} of decision {row.decision_id}: nothing on record says that it was given"
        if row.voided_at is None and ("approval.voided", row.decision_id) in about:
            yield f"approval {row.id} of decision {row.decision_id}: it was taken back, and stands as if it was not"
    consents = select(Consent.id, Consent.answer, Consent.withdrawn_at).order_by(Consent.id)
    for number, answer, withdrawn_at in tx.execute(consents):
        if ("consent.refused" if answer == "refused" else "consent.recorded", number) not in about:
            yield f"consent {number}: nothing on record says that it was given"
        if withdrawn_at is None and ("consent.withdrawn", number) in about:
            yield f"consent {number}: it was withdrawn, and stands as if it was not"
    for number in tx.execute(select(Agreement.id).order_by(Agreement.id)).scalars():
        if ("agreement.recorded", number) not in about:
            yield f"version {number} of the agreements: nothing on record says that it was agreed"
    yield from _published(tx, about)
    yield from _taken_back(tx)


def _published(tx: Session, about: set[tuple[str, int | None]]) -> Iterator[str]:
    for notice in tx.execute(select(PublicNotice).order_by(PublicNotice.id)).scalars():
        if ("notice.published", notice.release_id) not in about:
            yield f"public notice {notice.id}: nothing on record says that it was published"
        if notice.withdrawn_at is None and ("notice.withdrawn", notice.release_id) in about:
            yield f"public notice {notice.id}: it was withdrawn, and stands as if it was not"
    for row in tx.execute(select(StandingClearance).order_by(StandingClearance.id)).scalars():
        if row.confirmed_at is not None and ("standing.confirmed", row.id) not in about:
            yield f"clearance {row.id} of a fixed text: nothing on record says that a second person gave it"
        if row.revoked_at is None and ("standing.revoked", row.id) in about:
            yield f"clearance {row.id} of a fixed text: it was revoked, and stands as if it was not"


def _taken_back(tx: Session) -> Iterator[str]:
    withdrawn = select(Entry.object_id).where(Entry.kind == "alert.withdrawn")
    query = select(Alert.id).where(Alert.id.in_(withdrawn), Alert.state != "withdrawn")
    for number in tx.execute(query.order_by(Alert.id)).scalars():
        yield f"alert {number}: it was withdrawn, and stands as if it was not"
