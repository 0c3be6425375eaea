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
from coordinator.sharing.models import Approval
from coordinator.timeline.models import Entry
from coordinator.timeline.verify import Verdict, verify

_ANSWERED = {"approve": "decision.approved", "refuse": "decision.refused"}
_KINDS = (*_ANSWERED.values(), "consent.recorded", "consent.refused", "consent.withdrawn", "agreement.recorded")


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
    answers = select(Approval.id, Approval.decision_id, Approval.user_id, Approval.answer).order_by(Approval.id)
    for row in tx.execute(answers):
        if (_ANSWERED[row.answer], row.decision_id, f"user:{row.user_id}") not in said:
            yield f"approval {row.id} of decision {row.decision_id}: nothing on record says that it was given"
    consents = select(Consent.id, Consent.answer, Consent.withdrawn_at).order_by(Consent.id)
    for number, answer, withdrawn_at in tx.execute(consents):
        if ("consent.refused" if answer == "refused" else "consent.recorded", number) not in about:
            yield f"consent {number}: nothing on record says that it was given"
        if withdrawn_at is None and ("consent.withdrawn", number) in about:
            yield f"consent {number}: it was withdrawn, and stands as if it was not"
    for number in tx.execute(select(Agreement.id).order_by(Agreement.id)).scalars():
        if ("agreement.recorded", number) not in about:
            yield f"version {number} of the agreements: nothing on record says that it was agreed"
