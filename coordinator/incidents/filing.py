"""A report that was read finds its place: quarantine, a duplicate, a further report on an incident, or a new incident.

Nothing a report says overwrites what another one said: each brings its own item versions, side by side (S: facts keep
their source). Only the label rises, and the earliest `aware_at` counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.incidents import flood, rules, setting_aside, statements
from coordinator.incidents.changes import close_off
from coordinator.incidents.envelope import Received
from coordinator.incidents.facts import Inbound, items_of
from coordinator.incidents.items import marking_of_report, write_items
from coordinator.incidents.models import Incident, Report
from coordinator.incidents.opening import Opened, Opening, add_members, announce, follow_up, open_one
from coordinator.incidents.receipts import note_receipt
from coordinator.incidents.references import partner_reference, reference_of
from coordinator.incidents.remarks import kept
from coordinator.markings import Marking, combine, parse_tlp
from coordinator.partners.exercises import is_running, takes_part
from coordinator.partners.models import Endpoint, Organisation
from coordinator.prepared import take_turns
from coordinator.timeline import Event, Word
from coordinator.timeline.keys import seal


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
    remarks: dict[str, Any] | None = None


def file_report(
    tx: Session, inbound: Inbound, received: Received, *, released: bool = False, to: int | None = None
) -> Filed:
    """Give the report its place and say so on record.

    `released`: a person let it out of quarantine; `to`: and chose the incident it belongs to.
    """
    said = _said(received)
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
    opening = Opening.of(
        inbound, received, originator, lambda plain, about: seal(tx, inbound.data_key_id, plain, about=about)
    )
    return filed_as_opened(opening, open_one(tx, opening))


def filed_as_opened(opening: Opening, opened: Opened) -> Filed:
    """Where a report went that opened an incident."""
    return Filed(disposition="accepted", incident_id=opened.id, reference=opened.reference, **_said(opening.received))


def _said(received: Received) -> dict[str, Any]:
    told = received.report
    return {
        "format": received.format, "tlp": told.get("tlp"), "flags": told.get("flags", []),
        "external_id": told.get("external_id"), "remarks": kept(received.remarks),
    }  # fmt: skip


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
    one_at_a_time(tx, names_of(inbound, received))
    first, known, replied, is_own, source = tx.execute(statements.LOOK_AROUND, {
        "organisation_id": inbound.organisation_id, "endpoint_id": inbound.endpoint_id,
        "raw_digest": inbound.raw_digest, "exercise": inbound.exercise, "report_id": inbound.id,
        "external_id": received.report.get("external_id"), "in_reply_to": received.alert.get("in_reply_to"),
    }).one()  # fmt: skip
    return replace(inbound, is_own=bool(is_own), source=source), first, known if known is not None else replied


Name = tuple[str, int, str, str]


def names_of(inbound: Inbound, received: Received) -> list[Name]:
    """By what a report is known again: its bytes, and its sender's own name for it (what, sender, exercise, name)."""
    names = [("bytes", inbound.organisation_id, inbound.exercise, inbound.raw_digest)]
    if "external_id" in received.report:
        names.append(("external", inbound.organisation_id, inbound.exercise, received.report["external_id"]))
    return names


def one_at_a_time(tx: Session, names: Iterable[Name]) -> None:
    """Two reports of one sender with the same bytes or the same id are filed one after the other."""
    take_turns(tx, ["/".join(map(str, name)) for name in names])


# ---------------------------------------------------------------- the four ways


def _quarantine(tx: Session, inbound: Inbound, received: Received, reason: str) -> str:
    announce(tx, inbound, received, incident_id=None, data_key_id=inbound.data_key_id)
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
    announce(tx, inbound, received, incident_id=incident.id, data_key_id=incident.data_key_id)
    values = {"report": inbound.public_id, "kind": received.kind or "update"} | _safer(tx, incident, inbound, report)
    if incident.restricted:
        add_members(tx, incident.id, inbound, report)
    incident.updated_at, incident.version = clock.now(), incident.version + 1
    tx.flush()
    reference = _reference_for(tx, inbound, incident)
    timeline.append_all(tx, [
        Event("report.received", "A further report came in.", {"report": inbound.public_id}, ("report", inbound.id)),
        Event("report.updated", "A further report was attached to the incident.", values, ("report", inbound.id)),
    ], actor=inbound.actor, incident=incident)  # fmt: skip
    updated = Word("report.updated", inbound.id, exercise=inbound.exercise)
    timeline.pending_all(tx, [updated, *follow_up(inbound, received, incident.id)])
    return {"disposition": "update", "incident_id": incident.id, "reference": reference}


def _receipted(tx: Session, inbound: Inbound, received: Received, known: int | None) -> dict[str, Any]:
    """A receipt opens nothing; where it is for an incident of ours, that is noted there."""
    if known is None:
        return {}
    incident = surviving(tx, known)
    note_receipt(tx, inbound, received, incident)
    return {"incident_id": incident.id, "reference": _reference_for(tx, inbound, incident)}


def _safer(tx: Session, incident: Incident, inbound: Inbound, report: dict[str, Any]) -> dict[str, Any]:
    """Raise the incident's marking to this report's, and keep the earliest instant somebody was aware (I7)."""
    changed: dict[str, Any] = {}
    before, combined = incident.tlp, combine([Marking.from_json(incident.marking), marking_of_report(report)])
    label = max(parse_tlp(before), rules.opening_tlp(combined.effective, report.get("humanitarian_flags", [])))
    incident.marking, incident.tlp = combined.to_json(), label.value
    if label.value != before:
        changed["tlp"] = [before, label.value]
    if rules.opens_restricted(combined.effective, inbound.restricted) and not incident.restricted:
        changed |= close_off(tx, incident)
    aware = report.get("aware_at", inbound.received_at)
    if incident.aware_at is None or aware < incident.aware_at:
        changed["aware_at"] = [incident.aware_at and clock.rfc3339(incident.aware_at), clock.rfc3339(aware)]
        incident.aware_at = aware
        incident.aware_fidelity = report.get("aware_at_fidelity", "second")
    return changed


# ---------------------------------------------------------------- rows


def surviving(tx: Session, incident_id: int) -> Incident:
    """The incident, locked; where it was marked a duplicate, the one that stays."""
    while True:
        incident = tx.execute(select(Incident).where(Incident.id == incident_id).with_for_update()).scalar_one()
        if incident.duplicate_of_id is None:
            return incident
        incident_id = incident.duplicate_of_id


def _reference_for(tx: Session, inbound: Inbound, incident: Any) -> str:
    if inbound.endpoint_id is None:
        return reference_of(incident)
    return partner_reference(tx, incident, inbound.organisation_id)
