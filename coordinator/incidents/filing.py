"""A report that was read finds its place: quarantine, a duplicate, a further report on an incident, or a new incident.

Nothing a report says overwrites what another one said: each brings its own item versions, side by side (S: facts keep
their source). Only the label rises, and the earliest `aware_at` counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.models import User
from coordinator.db import insert_or_ignore
from coordinator.incidents import flood, rules, setting_aside, statements
from coordinator.incidents.changes import close_off
from coordinator.incidents.envelope import Received
from coordinator.incidents.facts import Inbound, incident_values, items_of
from coordinator.incidents.items import marking_of_report, write_items
from coordinator.incidents.models import (
    Attachment,
    Incident,
    IncidentMember,
    Report,
)
from coordinator.incidents.receipts import note_receipt
from coordinator.incidents.references import new_partner_reference, partner_reference, reference_of
from coordinator.markings import Marking, combine, parse_tlp
from coordinator.partners.exercises import is_running, takes_part
from coordinator.partners.models import Endpoint, Organisation
from coordinator.timeline import Event

LIFE_AT_RISK = "incident.life-at-risk"


@dataclass(frozen=True, kw_only=True)
class Filed:
    """Where the report went. `reference` is the incident's, in the form this sender may know."""

    disposition: str
    reason: str = ""
    incident_id: int | None = None
    reference: str | None = None
    format: str = "native"
    tlp: str | None = None
    external_id: str | None = None
    flags: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Opened:
    """What the record reads of an incident that was just inserted."""

    id: int
    exercise: str
    data_key_id: int
    created_at: datetime


def file_report(
    tx: Session, inbound: Inbound, received: Received, *, released: bool = False, to: int | None = None
) -> Filed:
    """Give the report its place and say so on record.

    `released`: a person let it out of quarantine; `to`: and chose the incident it belongs to.
    """
    said = {
        "format": received.format, "tlp": received.report.get("tlp"), "flags": received.report.get("flags", []),
        "external_id": received.report.get("external_id"),
    }  # fmt: skip
    if received.kind == "ping":
        return Filed(disposition="accepted", reason="ping", **said)
    inbound, same, known = _look_around(tx, inbound, received)
    same, known = (None, to) if to is not None else (same, known)
    originator, reason = _originator(tx, inbound, received)
    reason = _odd(tx, inbound, received) or reason
    if same is not None:
        return Filed(**said, **_duplicate(tx, inbound, same))
    if reason and not released:
        return Filed(disposition="quarantined", reason=_quarantine(tx, inbound, received, reason), **said)
    if received.kind == "receipt":
        return Filed(disposition="accepted", reason="receipt", **said, **_receipted(tx, inbound, received, known))
    if known is not None:
        return Filed(**said, **_attach(tx, inbound, received, known, originator))
    if received.kind in ("closure", "recall") and not released:
        reason = _quarantine(tx, inbound, received, "nothing-to-attach")
        return Filed(disposition="quarantined", reason=reason, **said)
    if not released and inbound.endpoint_id is not None and flood.over(tx, {inbound.endpoint_id: 1}):
        return Filed(disposition="quarantined", reason=_quarantine(tx, inbound, received, flood.REASON), **said)
    return Filed(disposition="accepted", **said, **_open(tx, inbound, received, originator))


# ---------------------------------------------------------------- where it belongs


def _odd(tx: Session, inbound: Inbound, received: Received) -> str:
    """Why a person must look before this becomes a case, or "".

    Exercise and real never mix: what is said must be what the endpoint is for (R10).
    """
    if not inbound.active:
        return "sender-inactive"
    if strange := _strange_exercise(tx, inbound, received.report.get("exercise", "")):
        return strange
    if received.source and inbound.endpoint_id is not None:
        if not inbound.source:
            tx.execute(update(Endpoint).where(Endpoint.id == inbound.endpoint_id, Endpoint.source == "").values(
                source=received.source))  # fmt: skip
        elif inbound.source != received.source:
            return "source-mismatch"
    return ""


def _strange_exercise(tx: Session, inbound: Inbound, said: str) -> str:
    """Why what a report says of an exercise cannot stand, or "". It may then be meant for real."""
    if said and not takes_part(tx, said, inbound.organisation_id, at=inbound.received_at):
        running = is_running(tx, said, at=inbound.received_at)
        return setting_aside.EXERCISE_UNKNOWN if not running else setting_aside.EXERCISE_NOT_ENROLLED
    return setting_aside.EXERCISE_MISMATCH if said != inbound.exercise else ""


def _originator(tx: Session, inbound: Inbound, received: Received) -> tuple[int | None, str]:
    """(whose information it is: an organisation's id, None for ours; why the claim needs a person's look)."""
    stated = received.report.get("originator")
    sender = None if inbound.is_own else inbound.organisation_id
    if stated is None or stated == inbound.organisation:
        return sender, ""
    found = tx.execute(select(Organisation.id, Organisation.is_own).where(Organisation.code == stated)).one_or_none()
    if found is None:
        return sender, "originator-unknown"
    if found.is_own:
        return None, "originator-is-us"
    return found.id, ""


def _look_around(
    tx: Session, inbound: Inbound, received: Received
) -> tuple[Inbound, int | None, int | None]:
    """(the report with what is known of its sender, an earlier one with the same bytes, the incident it belongs to)."""
    external_id = received.report.get("external_id")
    _one_at_a_time(tx, inbound, external_id)
    first, known, replied, is_own, source = tx.execute(statements.LOOK_AROUND, {
        "organisation_id": inbound.organisation_id, "endpoint_id": inbound.endpoint_id,
        "raw_digest": inbound.raw_digest, "exercise": inbound.exercise, "report_id": inbound.id,
        "external_id": external_id, "in_reply_to": received.alert.get("in_reply_to"),
    }).one()  # fmt: skip
    return replace(inbound, is_own=bool(is_own), source=source), first, known if known is not None else replied


def _one_at_a_time(tx: Session, inbound: Inbound, external_id: str | None) -> None:
    """Two reports of one sender with the same bytes or the same id are filed one after the other.

    SQLite has one writer anyway; on PostgreSQL a lock for exactly these two names, freed at commit, in a fixed order.
    """
    if tx.get_bind().dialect.name != "postgresql":
        return
    one = f"same/{inbound.organisation_id}/{inbound.raw_digest}"
    two = f"external/{inbound.organisation_id}/{external_id}" if external_id else one
    tx.execute(statements.TAKE_TURNS, {"one": min(one, two), "two": max(one, two)})


# ---------------------------------------------------------------- the four ways


def _quarantine(tx: Session, inbound: Inbound, received: Received, reason: str) -> str:
    _announce(tx, inbound, received, incident_id=None, data_key_id=inbound.data_key_id)
    return setting_aside.set_aside(tx, inbound, received, reason)


def _duplicate(tx: Session, inbound: Inbound, same: int) -> dict[str, Any]:
    query = select(Report.public_id, Incident).outerjoin(Incident, Incident.id == Report.incident_id)
    first = tx.execute(query.where(Report.id == same)).one()
    if first.Incident is None:
        return {"disposition": "duplicate"}
    timeline.append(
        tx, "report.received", "The same report came again under another message id.", actor=inbound.actor,
        incident=first.Incident, values={"report": inbound.public_id, "same_as": first.public_id},
        about=("report", inbound.id),
    )  # fmt: skip
    return {
        "disposition": "duplicate", "incident_id": first.Incident.id,
        "reference": _reference_for(tx, inbound, first.Incident),
    }  # fmt: skip


def _attach(
    tx: Session, inbound: Inbound, received: Received, incident_id: int, originator: int | None
) -> dict[str, Any]:
    """A further report on an incident: its facts beside the others', the label and the clock only to the safe side."""
    incident = surviving(tx, incident_id)
    report = received.report
    write_items(
        tx, items_of(inbound, received, originator), author=inbound.actor, incident=incident, report_id=inbound.id,
        data_key_id=incident.data_key_id,
    )  # fmt: skip
    _announce(tx, inbound, received, incident_id=incident.id, data_key_id=incident.data_key_id)
    values = {"report": inbound.public_id, "kind": received.kind or "update"} | _safer(incident, inbound, report)
    if incident.restricted:
        _add_members(tx, incident.id, inbound, report)
    incident.updated_at, incident.version = clock.now(), incident.version + 1
    tx.flush()
    reference = _reference_for(tx, inbound, incident)
    timeline.append_all(tx, [
        Event("report.received", "A further report came in.", {"report": inbound.public_id}, ("report", inbound.id)),
        Event("report.updated", "A further report was attached to the incident.", values, ("report", inbound.id)),
    ], actor=inbound.actor, incident=incident)  # fmt: skip
    timeline.pending(tx, "report.updated", inbound.id, exercise=inbound.exercise)
    _follow_up(tx, inbound, received, incident.id)
    return {"disposition": "update", "incident_id": incident.id, "reference": reference}


def _receipted(tx: Session, inbound: Inbound, received: Received, known: int | None) -> dict[str, Any]:
    """A receipt opens nothing; where it is for an incident of ours, that is noted there."""
    if known is None:
        return {}
    incident = surviving(tx, known)
    note_receipt(tx, inbound, received, incident)
    return {"incident_id": incident.id, "reference": _reference_for(tx, inbound, incident)}


def _safer(incident: Incident, inbound: Inbound, report: dict[str, Any]) -> dict[str, Any]:
    """Raise the incident's marking to this report's, and keep the earliest instant somebody was aware (I7)."""
    changed: dict[str, Any] = {}
    before, combined = incident.tlp, combine([Marking.from_json(incident.marking), marking_of_report(report)])
    label = max(parse_tlp(before), rules.opening_tlp(combined.effective, report.get("humanitarian_flags", [])))
    incident.marking, incident.tlp = combined.to_json(), label.value
    if label.value != before:
        changed["tlp"] = [before, label.value]
    if rules.opens_restricted(combined.effective, inbound.restricted) and not incident.restricted:
        changed |= close_off(incident)
    aware = report.get("aware_at", inbound.received_at)
    if incident.aware_at is None or aware < incident.aware_at:
        changed["aware_at"] = [incident.aware_at and clock.rfc3339(incident.aware_at), clock.rfc3339(aware)]
        incident.aware_at = aware
        incident.aware_fidelity = report.get("aware_at_fidelity", "second")
    return changed


def _open(tx: Session, inbound: Inbound, received: Received, originator: int | None) -> dict[str, Any]:
    report, now = received.report, clock.now()
    values = incident_values(inbound, report, originator, now)
    incident_id = tx.execute(statements.OPEN_INCIDENT, values).scalar_one()
    incident = _Opened(incident_id, inbound.exercise, inbound.data_key_id, now)
    if values["restricted"]:
        _add_members(tx, incident_id, inbound, report)
    write_items(
        tx, items_of(inbound, received, originator), author=inbound.actor, incident=incident, report_id=inbound.id,
        data_key_id=inbound.data_key_id,
    )  # fmt: skip
    _announce(tx, inbound, received, incident_id=incident_id, data_key_id=inbound.data_key_id)
    if "external_id" in report:
        tx.execute(statements.NAME_EXTERNALLY, {
            "organisation_id": inbound.organisation_id, "external_id": report["external_id"],
            "incident_id": incident_id, "exercise": inbound.exercise,
        })  # fmt: skip
    timeline.append_all(tx, [
        Event("report.received", f"A report came in by {inbound.via}.",
              {"report": inbound.public_id, "sender": inbound.organisation, "digest": inbound.raw_digest,
               "flags": report["flags"]}, ("report", inbound.id)),
        Event("incident.opened", "The incident was opened from the report.",
              {"tlp": values["tlp"], "restricted": values["restricted"], "severity": values["severity"]},
              ("incident", incident_id)),
    ], actor=inbound.actor, incident=incident, begins=True)  # fmt: skip
    timeline.pending(tx, "incident.opened", incident_id, exercise=inbound.exercise)
    _follow_up(tx, inbound, received, incident_id)
    return {"incident_id": incident_id, "reference": _first_reference(tx, inbound, incident)}


def _follow_up(tx: Session, inbound: Inbound, received: Received, incident_id: int) -> None:
    """Life at risk goes to a person at once (R29). A report is answered with a receipt, a receipt with nothing."""
    if rules.life_at_risk(received.report.get("humanitarian_flags", [])):
        timeline.pending(tx, LIFE_AT_RISK, incident_id, exercise=inbound.exercise)
    if received.kind != "receipt":
        timeline.pending(tx, "report.accepted", inbound.id, exercise=inbound.exercise)


# ---------------------------------------------------------------- rows


def surviving(tx: Session, incident_id: int) -> Incident:
    """The incident, locked; where it was marked a duplicate, the one that stays."""
    while True:
        incident = tx.execute(select(Incident).where(Incident.id == incident_id).with_for_update()).scalar_one()
        if incident.duplicate_of_id is None:
            return incident
        incident_id = incident.duplicate_of_id


def _announce(
    tx: Session, inbound: Inbound, received: Received, *, incident_id: int | None, data_key_id: int
) -> None:
    """A row for each announced file, so that what is missing shows as awaited. One that was in quarantine has them."""
    files = received.report.get("attachments")
    if files:
        tx.execute(insert_or_ignore(tx, Attachment), [
            {"incident_id": incident_id, "report_id": inbound.id, "name": one["name"], "media_type": one["media_type"],
             "sha256": one["sha256"], "size": one["size"], "data_key_id": data_key_id, "exercise": inbound.exercise}
            for one in files
        ])  # fmt: skip


def _add_members(tx: Session, incident_id: int, inbound: Inbound, report: dict[str, Any]) -> None:
    """The named recipients who have an account here, and the person of ours who filed it."""
    names = [name.strip().casefold() for name in report.get("caveats", {}).get("named_recipients", [])]
    people = {inbound.user_id} if inbound.user_id is not None else set()
    if names:
        query = select(User.id).where(or_(User.email.in_(names), func.lower(User.name).in_(names)))
        people |= set(tx.execute(query).scalars())
    have = set(tx.execute(select(IncidentMember.user_id).where(IncidentMember.incident_id == incident_id)).scalars())
    rows = [
        {"incident_id": incident_id, "user_id": user, "added_by": inbound.actor, "added_at": clock.now()}
        for user in sorted(people - have)
    ]
    if rows:
        tx.execute(insert(IncidentMember), rows)


def _reference_for(tx: Session, inbound: Inbound, incident: Any) -> str:
    if inbound.endpoint_id is None:
        return reference_of(incident)
    return partner_reference(tx, incident, inbound.organisation_id)


def _first_reference(tx: Session, inbound: Inbound, incident: _Opened) -> str:
    """Nobody else can know the incident yet: the partner's reference is written without looking first."""
    if inbound.endpoint_id is None:
        return reference_of(incident)
    made = new_partner_reference()
    tx.execute(statements.NAME_FOR_PARTNER, {
        "incident_id": incident.id, "organisation_id": inbound.organisation_id, "reference": made,
        "exercise": incident.exercise,
    })  # fmt: skip
    return made
