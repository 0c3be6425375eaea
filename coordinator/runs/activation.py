"""Which versions are used: an imported playbook and its triggers do nothing until two persons have put it into use.

Who is asked for one says so with MANAGE_PLAYBOOKS; the second may be anybody who clears (DECIDE). What the software
ships is in use from the start, and a version that was in use once may still be called by the runs pinned to it.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import timeline
from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Right, Role, may
from coordinator.accounts.staff import check_may_approve
from coordinator.errors import NoRight, NotFound, Refused
from coordinator.incidents.models import Incident
from coordinator.runs import signers
from coordinator.runs.models import PlaybookVersion, Run
from playbooks.document import load

PERSONS = 2
IMPORTED, ACTIVE, REPLACED, REVOKED = "imported", "active", "replaced", "revoked"
#: States in which a version may be followed: by new runs, and by runs that were pinned to it.
USABLE, CALLABLE = frozenset({ACTIVE}), frozenset({ACTIVE, REPLACED})


def agree(tx: Session, version_id: int, *, principal: Principal) -> PlaybookVersion:
    """One person's word that new runs, and its triggers, use this version; the second person's puts it into use.

    The same person twice is one person. Raises NotFound, NoRight, Refused.
    """
    row = _locked(tx, version_id)
    _check_usable(row)
    if row.state == ACTIVE:
        return row
    if row.state == REPLACED:  # its time is over: it takes two persons again
        row.state, row.activated_by = IMPORTED, []
    if not row.activated_by and not may(Role(principal.role), Right.MANAGE_PLAYBOOKS):
        raise NoRight("Somebody who manages playbooks has to ask first.")
    if any(each.verdict == "wrong" and each.name for each in signers.verdicts(tx, signers.document_of(tx, row))):
        raise Refused("A signature on it bears a key we trust and is wrong: the document was changed.")
    check_may_approve(tx, principal.user_id)
    if principal.actor in row.activated_by:
        raise Refused("You have agreed already: a second person has to.")
    row.activated_by = [*row.activated_by, principal.actor]
    if len(row.activated_by) >= PERSONS:
        return activate(tx, row.id, actor=principal.actor, by=row.activated_by)
    timeline.append(tx, "playbook.agreed", "One person agreed to use a playbook version; a second has to.",
                    actor=principal.actor, values=said(row), about=("playbook", row.id))  # fmt: skip
    return row


def activate(tx: Session, version_id: int, *, actor: str, by: list[str] | None = None) -> PlaybookVersion:
    """Let new runs use this version in place of the one before; others keep theirs. Raises NotFound, Refused.

    For what the software ships and for what two persons agreed to (`by`); doors call `agree`.
    """
    row = _locked(tx, version_id)
    _check_usable(row)
    if row.state == ACTIVE:
        return row
    before = tx.execute(
        select(PlaybookVersion)
        .where(PlaybookVersion.playbook_id == row.playbook_id, PlaybookVersion.state == ACTIVE)
        .with_for_update()
    ).scalars()
    for other in before:
        other.state = REPLACED
    row.state, row.activated_by = ACTIVE, by or [actor]
    timeline.append(tx, "playbook.activated", "A playbook version was made the one that new runs use.", actor=actor,
                    values={**said(row), "by": row.activated_by}, about=("playbook", row.id))  # fmt: skip
    return row


def withdraw(tx: Session, version_id: int, *, actor: str, reason: str) -> None:
    """Take a version out of use at once; runs that go on keep it. Raises NotFound, Refused without a reason."""
    row = _locked(tx, version_id)
    if not reason.strip():
        raise Refused("Give the reason.")
    if row.state == REVOKED:
        return
    row.state = REVOKED
    timeline.append(tx, "playbook.withdrawn", "A playbook version was taken out of use.", actor=actor,
                    values={**said(row), "reason": reason}, about=("playbook", row.id))  # fmt: skip
    _tell_running(tx, row)


def _tell_running(tx: Session, row: PlaybookVersion) -> None:
    """Runs that go on keep their version; whoever coordinates them is told that it is out of use."""
    query = select(Run).where(Run.playbook_version_id == row.id, Run.ended_at.is_(None)).order_by(Run.id)
    for run in tx.execute(query).scalars().all():
        timeline.append(
            tx, "run.notice", "The playbook of this run was taken out of use; the run keeps it.", actor="system",
            incident=tx.get(Incident, run.incident_id) if run.incident_id else None, values=said(row),
            about=("run", run.id), exercise=run.exercise,
        )  # fmt: skip
        timeline.pending(tx, "run.notice", run.id, exercise=run.exercise)


def said(row: PlaybookVersion) -> dict[str, object]:
    """How the record speaks of a version."""
    return {"playbook": row.playbook_id, "version": row.version, "name": row.name, "digest": row.digest}


def _check_usable(row: PlaybookVersion) -> None:
    if row.state == REVOKED or load(row.document).revoked:
        raise Refused("This version was taken out of use, or is revoked by its author.")


def _locked(tx: Session, version_id: int) -> PlaybookVersion:
    row = tx.get(PlaybookVersion, version_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound()
    return row
