"""What people do to an incident: change it, move it on, say something about it, link it. Nothing here commits.

Every change takes the row's lock first, then compares the version the person had seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.principal import SYSTEM, Principal
from coordinator.db import insert_or_ignore
from coordinator.errors import Fault, Invalid, Refused, Stale
from coordinator.incidents import changes as changes_of
from coordinator.incidents import deleting, duplicates, rules
from coordinator.incidents.changes import marking_of_incident
from coordinator.incidents.holds import lock_incident, open_holds
from coordinator.incidents.items import marking_of, read_item, with_basis, write_item
from coordinator.incidents.models import TO_CLEAR, Incident, IncidentLink, IncidentMember, ItemVersion
from coordinator.incidents.queries import get_visible, status_before
from coordinator.incidents.references import reference_of
from coordinator.incidents.rules import Change, Outlook, Situation, Status
from coordinator.incidents.schema import refuse_secrecy
from coordinator.markings import Marking, Tlp, parse_tlp


@dataclass(frozen=True)
class Moved:
    """What came of a transition. `refusal`: it did not happen, but the asking is on record: commit, then raise it."""

    incident: Incident
    refusal: Refused | None = None


def change_incident(
    tx: Session, incident_id: int, changes: dict[str, Any], *, principal: Principal, if_version: int | None = None
) -> Incident:
    """Change fields (see requests.ChangeSchema). Raises Stale, Invalid, Refused; all or nothing."""
    incident = _taken(tx, incident_id, if_version)
    before = changes_of.apply(tx, incident, changes, principal=principal)
    if not before:
        return incident
    _touch(incident)
    names = ", ".join(sorted(name.removesuffix("_id").replace("_", " ") for name in before))
    timeline.append(
        tx, "incident.changed", f"Changed: {names}.", actor=principal.actor, incident=incident, values=before,
        about=("incident", incident.id),
    )  # fmt: skip
    timeline.pending(tx, "incident.changed", incident.id, exercise=incident.exercise)
    return incident


def transition(
    tx: Session,
    incident_id: int,
    to: str,
    *,
    principal: Principal,
    reason: str = "",
    outlook: str | None = None,
    note: str | None = None,
    duplicate_of: str | None = None,
    if_version: int | None = None,
) -> Moved:
    """Move the incident to another status where its guards are content. `duplicate_of` is a reference.

    Raises Stale, Invalid, Refused with what stands in the way. A rejection that needs a second person comes back as
    `Moved.refusal`: that it was asked for must be committed. The first to accept triage becomes owner if there is none.
    From `duplicate` back to what it was before undoes the marking.
    """
    incident = _taken(tx, incident_id, if_version)
    target, before = Status(to), incident.status
    stays = _that_stays(tx, duplicate_of, principal=principal) if duplicate_of and to == Status.DUPLICATE else None
    change = Change(
        target=target, actor=principal.actor, reason=reason, note=note or "",
        outlook=Outlook(outlook) if outlook else None, duplicate_of=str(stays.id) if stays else None,
    )  # fmt: skip
    if note:
        refuse_secrecy({"description": note})
    try:
        rules.check_transition(_situation(tx, incident, stays), change)
    except Refused as refusal:
        if [one.kind for one in refusal.blocked_by] == ["second-look"] and reason.strip():
            return _ask_rejection(tx, incident, refusal, principal=principal, reason=reason)
        raise
    if stays is not None and stays.exercise != incident.exercise:
        raise Refused("Exercise and real incidents are never mixed.")
    if before == Status.DUPLICATE:
        duplicates.undo(tx, incident, actor=principal.actor, reason=reason)
        _touch(incident)
        return Moved(incident)
    _move(tx, incident, change, stays, principal=principal)
    values = {"from": before, "to": target.value, "reason": reason, "outlook": incident.outlook}
    values |= {"duplicate_of": reference_of(stays)} if stays else {}
    timeline.append(
        tx, f"incident.{target}", f"The incident is now {target}.", actor=principal.actor, incident=incident,
        values=values, about=("incident", incident.id),
    )  # fmt: skip
    timeline.pending(tx, f"incident.{target}", incident.id, exercise=incident.exercise)
    return Moved(incident)


def add_note(
    tx: Session, incident_id: int, text: str, *, principal: Principal, tlp: Tlp | None = None,
    info_category: str = "situational-report", personal_data: bool = False, pd_basis: str = "",
    pd_delete_by: datetime | None = None,
) -> ItemVersion:  # fmt: skip
    """Say something about the incident, marked as it is marked; `tlp` may be stricter than its label, never looser.
    `pd_basis`: the legal basis of the personal data in it; without one nothing of that leaves. `pd_delete_by`: by when
    they are deleted.

    Raises SecrecyMarkingFound, and Invalid: RED is for named people, so it is said only where the incident is
    restricted.
    """
    refuse_secrecy({"description": text})
    incident = lock_incident(tx, incident_id)
    basis = with_basis(marking_of_incident(incident), pd_basis, pd_delete_by)
    marking = _marking_of_note(incident, tlp, replace(basis, personal_data=personal_data or basis.personal_data))
    version = write_item(
        tx, kind="note", content=text, author=principal.actor, info_category=info_category, incident=incident,
        marking=marking,
    )  # fmt: skip
    deleting.watch(tx, incident, marking)
    _touch(incident)
    timeline.append(
        tx, "note.added", "A note was added.", actor=principal.actor, incident=incident,
        values={"item": version.item}, about=("item_version", version.id),
    )  # fmt: skip
    timeline.pending(tx, "note.added", version.id, exercise=incident.exercise)
    return version


def _marking_of_note(incident: Incident, tlp: Tlp | None, marking: Marking) -> Marking:
    if tlp is None:
        return marking
    if tlp < parse_tlp(incident.tlp):
        raise Invalid([Fault("/tlp", f"A note here is TLP:{incident.tlp} or stricter: raise it or leave it out.")])
    if tlp is Tlp.RED and not incident.restricted:
        raise Invalid([Fault("/tlp", "TLP:RED is for named people: restrict the incident to them first.")])
    return replace(marking, tlp=tlp)


def link_incidents(
    tx: Session, incident_id: int, other: str, *, kind: str, principal: Principal
) -> None:
    """Link to the incident with reference `other`: `related`, or `parent` (the other one). Raises NotFound, Refused."""
    incident, found = lock_incident(tx, incident_id), get_visible(tx, other, principal=principal)
    if found.id == incident.id or found.exercise != incident.exercise:
        raise Refused("Link another incident, real to real or within one exercise.")
    if kind == "parent":
        if incident.id in _chain(tx, found, "parent_id"):
            raise Refused("That incident is below this one already.")
        incident.parent_id = found.id
    tx.execute(insert_or_ignore(tx, IncidentLink).values(
        incident_id=incident.id, other_id=found.id, kind=kind, created_at=clock.now(), created_by=principal.actor,
        exercise=incident.exercise,
    ))  # fmt: skip
    _touch(incident)
    timeline.append(
        tx, "incident.linked", "The incident was linked to another one.", actor=principal.actor, incident=incident,
        values={"other": reference_of(found), "kind": kind}, about=("incident", found.id),
    )  # fmt: skip


def confirm_originator(tx: Session, incident_id: int, *, principal: Principal, evidence: str) -> None:
    """A person takes responsibility that the named originator is the true one; its items are written anew as such."""
    if not evidence.strip():
        raise Invalid([Fault("/evidence", "Say how it was confirmed.")])
    incident = lock_incident(tx, incident_id)
    incident.originator_confirmed_by = principal.actor
    query = select(ItemVersion).where(ItemVersion.incident_id == incident.id, ItemVersion.source_id.is_not(None))
    newest = {version.item: version for version in tx.execute(query.order_by(ItemVersion.version)).scalars()}
    for version in newest.values():
        write_item(
            tx, kind=version.kind, content=read_item(tx, version), marking=marking_of(version), item=version.item,
            info_category=version.info_category, author=principal.actor, incident=incident, originator_confirmed=True,
        )  # fmt: skip
    _touch(incident)
    timeline.append(
        tx, "originator.confirmed", "The named originator was confirmed.", actor=principal.actor, incident=incident,
        values={"evidence": evidence}, about=("incident", incident.id),
    )  # fmt: skip


def let_in_to_clear(tx: Session, incident: Incident, user_id: int) -> None:
    """Let one more person know of a restricted incident, as far as `queries.visible` lets them; nothing changes for one
    who may already."""
    row = insert_or_ignore(tx, IncidentMember).values(
        incident_id=incident.id, user_id=user_id, added_by=TO_CLEAR, added_at=clock.now()
    )
    if tx.execute(row.returning(IncidentMember.user_id)).first() is not None:
        timeline.append(
            tx, "member.added", "One more person may know of the incident.", actor=SYSTEM, incident=incident,
            values={"user": user_id}, about=("user", user_id),
        )  # fmt: skip


# ---------------------------------------------------------------- moving


def _taken(tx: Session, incident_id: int, if_version: int | None) -> Incident:
    incident = lock_incident(tx, incident_id)
    if if_version is not None and incident.version != if_version:
        raise Stale()
    return incident


def _touch(incident: Incident) -> None:
    incident.updated_at, incident.version = clock.now(), incident.version + 1


def _that_stays(tx: Session, reference: str, *, principal: Principal) -> Incident:
    """The incident that stays, locked too, so that no two of them mark each other at once."""
    return lock_incident(tx, get_visible(tx, reference, principal=principal).id)


def _situation(tx: Session, incident: Incident, stays: Incident | None) -> Situation:
    return Situation(
        id=str(incident.id), status=Status(incident.status), holds=open_holds(tx, incident.id),
        outlook=Outlook(incident.outlook) if incident.outlook else None,
        humanitarian_flags=incident.humanitarian_flags, rejection_asked_by=incident.rejection_asked_by or None,
        duplicate_chain=[str(one) for one in _chain(tx, stays, "duplicate_of_id")] if stays else (),
        before=status_before(tx, incident),
    )  # fmt: skip


def _chain(tx: Session, incident: Incident, column: str) -> list[int]:
    """The ids met when `column` is followed from an incident."""
    found: list[int] = []
    following: int | None = getattr(incident, column)
    while following is not None and following not in found:
        found.append(following)
        following = tx.execute(select(getattr(Incident, column)).where(Incident.id == following)).scalar_one()
    return found


def _ask_rejection(
    tx: Session, incident: Incident, refusal: Refused, *, principal: Principal, reason: str
) -> Moved:
    if incident.rejection_asked_by != principal.actor:
        incident.rejection_asked_by = principal.actor
        _touch(incident)
        timeline.append(
            tx, "rejection.asked", "A person asks to reject the incident; a second one must ask too.",
            actor=principal.actor, incident=incident, values={"reason": reason}, about=("incident", incident.id),
        )  # fmt: skip
    return Moved(incident, refusal)


def _move(
    tx: Session, incident: Incident, change: Change, stays: Incident | None, *, principal: Principal
) -> None:
    now, before = clock.now(), incident.status
    incident.status = change.target.value
    if change.outlook:
        incident.outlook = change.outlook.value
    if change.target is Status.ACTIVE:
        incident.triaged_at, incident.closed_at = incident.triaged_at or now, None
        incident.owner_id = incident.owner_id or principal.user_id
    if change.target is Status.CLOSED:
        incident.closed_at = now
    if change.note:
        note = add_note(tx, incident.id, change.note, principal=principal)
        if change.target is Status.CLOSED:
            incident.closure_note_id = note.id
    if stays is not None:
        duplicates.mark(tx, incident, stays, before=before, actor=principal.actor)
    _touch(incident)
