"""Reading incidents: who may know of them, one by its reference, and what it says as plain data."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, true
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.models import User
from coordinator.accounts.principal import Principal
from coordinator.accounts.rules import Right, Role, may
from coordinator.errors import NotFound
from coordinator.incidents.holds import open_holds
from coordinator.incidents.items import read_item
from coordinator.incidents.models import TO_CLEAR, DuplicateMark, Incident, IncidentMember, ItemVersion
from coordinator.incidents.references import parse_reference, reference_of
from coordinator.incidents.rules import INSTANTS, Status, next_statuses
from coordinator.markings import Tlp
from coordinator.partners.models import Organisation
from coordinator.timeline.keys import Erased
from coordinator.timeline.models import Entry
from coordinator.timeline.queries import ERASED

#: One person opening one version of an incident is recorded once in this time.
READ_AGAIN = timedelta(minutes=15)


def visible(principal: Principal) -> ColumnElement[bool]:
    """The SQL criterion over Incident of what this person may know of: the one place where need-to-know is said.

    A restricted incident is seen by its owner, its members, and roles that see restricted ones (duty roster, auditor).
    Whom nobody named, but the system let in to clear something, sees it while nothing was said in it as RED (TLP 2.0:
    for the eyes and ears of individual recipients only).
    """
    if sees_restricted(principal):
        return true()
    # Of the same incident: a question in a question takes it for another one unless it is told.
    red = exists().where(
        ItemVersion.incident_id == Incident.id, ItemVersion.tlp == Tlp.RED.value, ~ItemVersion.kind.like("alert-%")
    ).correlate(Incident)  # fmt: skip
    member = exists().where(
        IncidentMember.incident_id == Incident.id, IncidentMember.user_id == principal.user_id,
        or_(IncidentMember.added_by != TO_CLEAR, and_(Incident.tlp != Tlp.RED.value, ~red)),
    )  # fmt: skip
    return or_(Incident.restricted.is_(False), Incident.owner_id == principal.user_id, member)


def sees_restricted(principal: Principal) -> bool:
    """Whether the role sees restricted incidents without being named in them. A token's scopes say what may be done."""
    return may(Role(principal.role), Right.SEE_RESTRICTED)


def get_visible(tx: Session, reference: str, *, principal: Principal) -> Incident:
    """The incident with this reference. Raises NotFound, the same where there is none and where one may not know."""
    incident_id = parse_reference(reference)
    if incident_id is None or incident_id > 2**53:
        raise NotFound()
    query = select(Incident).where(Incident.id == incident_id, visible(principal))
    found = tx.execute(query).scalar_one_or_none()
    if found is None or reference_of(found) != reference.strip().upper():
        raise NotFound()
    return found


def check_visible(tx: Session, incident_id: int, *, principal: Principal) -> None:
    """Raises NotFound unless this person may know of the incident."""
    if tx.execute(select(Incident.id).where(Incident.id == incident_id, visible(principal))).first() is None:
        raise NotFound()


def note_read(
    tx: Session, incident: Incident, *, principal: Principal, what: str = "incident", of: int | None = None
) -> None:
    """Put on record that this person opened the incident as it is now, or something of it (`what`, with id `of`).

    Once per person, version and quarter of an hour.
    """
    about = ("version", incident.version) if of is None else (what, of)
    if not was_read(tx, incident, principal=principal, what=what, of=of):
        timeline.append(
            tx, f"{what}.read", f"Somebody opened the {what}.", actor=principal.actor, incident=incident, about=about
        )


def was_read(
    tx: Session, incident: Incident, *, principal: Principal, what: str = "incident", of: int | None = None
) -> bool:
    """Whether `note_read` would have nothing new to put on record."""
    kind, number = ("version", incident.version) if of is None else (what, of)
    seen = select(Entry.id).where(
        Entry.incident_id == incident.id, Entry.kind == f"{what}.read", Entry.actor == principal.actor,
        Entry.object_type == kind, Entry.object_id == number, Entry.at > clock.now() - READ_AGAIN,
    )  # fmt: skip
    return tx.execute(seen.limit(1)).first() is not None


def title_of(tx: Session, incident: Incident) -> str:
    """The title; for a restricted incident it is only in its sealed item."""
    if incident.title:
        return incident.title
    version = told_of(tx, incident).get("title")
    return _text(tx, version) if version else ""


def summary_of(tx: Session, incident: Incident) -> str:
    """The first report's description, or ""."""
    version = told_of(tx, incident).get("summary")
    return _text(tx, version) if version else ""


def told_of(tx: Session, incident: Incident) -> dict[str, ItemVersion]:
    """The item versions that say what it is, as far as there are any: the newest `title`, the first `summary`."""
    first = select(func.min(ItemVersion.id)).where(ItemVersion.incident_id == incident.id, ItemVersion.kind == "title")
    item = select(ItemVersion.item).where(ItemVersion.id == first.scalar_subquery()).scalar_subquery()
    title = select(ItemVersion).where(ItemVersion.item == item).order_by(ItemVersion.version.desc())
    summary = select(ItemVersion).where(ItemVersion.incident_id == incident.id, ItemVersion.kind == "summary")
    found = {"title": title, "summary": summary.order_by(ItemVersion.id)}
    versions = {kind: tx.execute(query.limit(1)).scalar_one_or_none() for kind, query in found.items()}
    return {kind: version for kind, version in versions.items() if version is not None}


def described(tx: Session, incident: Incident) -> dict[str, Any]:
    """One incident in the contract's field names, as lists show it."""
    return {
        "reference": reference_of(incident), "title": title_of(tx, incident), "status": incident.status,
        "severity": incident.severity, "classification": incident.classification, "tlp": incident.tlp,
        "owner": incident.owner_id, "outlook": incident.outlook or None, "created_at": incident.created_at,
        "updated_at": incident.updated_at, "restricted": incident.restricted, "exercise": incident.exercise,
        "sectors": incident.sectors, "states_affected": incident.states_affected,
        "humanitarian_flags": incident.humanitarian_flags,
    }  # fmt: skip


def described_in_full(tx: Session, incident: Incident) -> dict[str, Any]:
    """One incident with everything about it that is not a list of its own."""
    owner = tx.get(User, incident.owner_id) if incident.owner_id else None
    parties = select(Organisation.id, Organisation.code).where(
        Organisation.id.in_([incident.originator_id or 0, incident.source_id or 0])
    )
    codes = {row.id: row.code for row in tx.execute(parties)}
    members = select(IncidentMember.user_id).where(
        IncidentMember.incident_id == incident.id, IncidentMember.added_by != TO_CLEAR
    )
    more = {
        "summary": summary_of(tx, incident), "determination": incident.determination,
        "severity_reason": incident.severity_reason, "severity_by": incident.severity_by,
        "owner_name": owner.name if owner else None, "marking": incident.marking,
        "originator": codes.get(incident.originator_id or 0), "source": codes.get(incident.source_id or 0),
        "originator_claimed": originator_claimed(incident), "suspected_malicious": incident.suspected_malicious,
        "cross_border": incident.cross_border, "language": incident.language,
        "duplicate_of": _reference(tx, incident.duplicate_of_id), "parent": _reference(tx, incident.parent_id),
        "next_statuses": [str(status) for status in next_statuses(
            Status(incident.status), before=status_before(tx, incident))],
        "open": [{"kind": hold.kind, "id": hold.id, "text": hold.text, "blocks": str(hold.blocks)}
                 for hold in open_holds(tx, incident.id)],
        "restricted_to": sorted(tx.execute(members).scalars()), "version": incident.version,
        "triaged_at": incident.triaged_at, "closed_at": incident.closed_at,
    }  # fmt: skip
    for name in INSTANTS:
        more |= {name: getattr(incident, name), f"{name}_fidelity": getattr(incident, _fidelity(name)) or None}
    return described(tx, incident) | more


def status_before(tx: Session, incident: Incident) -> Status | None:
    """What a duplicate was before it was marked; None for any other incident."""
    if incident.status != Status.DUPLICATE:
        return None
    query = select(DuplicateMark.status_before).where(DuplicateMark.incident_id == incident.id)
    found = tx.execute(query.order_by(DuplicateMark.id.desc()).limit(1)).scalar_one_or_none()
    return Status(found) if found else None


def duplicates_of(tx: Session, incident_id: int) -> list[int]:
    """The ids of all incidents marked as duplicates of this one, and of those, and so on."""
    found, looking = list[int](), [incident_id]
    while looking:
        query = select(Incident.id).where(Incident.duplicate_of_id.in_(looking)).order_by(Incident.id)
        looking = [each for each in tx.execute(query).scalars() if each not in found and each != incident_id]
        found += looking
    return found


def originator_claimed(incident: Incident) -> bool:
    """Whether the originator is only named by the one who reported, and nobody of ours confirmed it."""
    return (
        incident.source_id is not None
        and incident.originator_id is not None
        and incident.originator_id != incident.source_id
        and not incident.originator_confirmed_by
    )


def facts(tx: Session, incident: Incident) -> dict[str, Any]:
    """What playbooks may look at: choices and counts, no marked text. Instants are RFC 3339 text."""
    originator = tx.get(Organisation, incident.originator_id) if incident.originator_id else None
    known: dict[str, Any] = {
        "reference": reference_of(incident), "status": incident.status, "severity": incident.severity,
        "classification": incident.classification, "determination": incident.determination, "tlp": incident.tlp,
        "pap": incident.marking.get("pap"), "sectors": list(incident.sectors),
        "states_affected": list(incident.states_affected), "humanitarian_flags": list(incident.humanitarian_flags),
        "cross_border": incident.cross_border, "suspected_malicious": incident.suspected_malicious,
        "restricted": incident.restricted, "outlook": incident.outlook, "language": incident.language,
        "originator": originator.code if originator else "", "exercise": incident.exercise,
        "created_at": clock.rfc3339(incident.created_at),
    }  # fmt: skip
    known |= {name: clock.rfc3339(value) for name in INSTANTS if (value := getattr(incident, name)) is not None}
    return known


def _text(tx: Session, version: ItemVersion) -> str:
    try:
        return str(read_item(tx, version))
    except Erased:
        return ERASED


def _reference(tx: Session, incident_id: int | None) -> str | None:
    other = tx.get(Incident, incident_id) if incident_id else None
    return reference_of(other) if other else None


def _fidelity(name: str) -> str:
    return name.replace("_at", "_fidelity")
