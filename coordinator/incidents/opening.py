"""Reports that open incidents: the rows of one or of many, each table in one statement.

Nothing is decided here; that these reports open incidents is known (filing, bursts). Nobody else can see an incident
before the transaction commits, so that its first rows are written without looking.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, or_, select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts.models import User
from coordinator.db import insert_or_ignore
from coordinator.incidents import deleting, rules, statements
from coordinator.incidents.envelope import Received
from coordinator.incidents.facts import Inbound, incident_values, items_of
from coordinator.incidents.items import row_of
from coordinator.incidents.models import Attachment, IncidentMember
from coordinator.incidents.references import new_partner_reference, numbered
from coordinator.prepared import Found, at_once, reserved
from coordinator.timeline import Beginning, Event, Word

LIFE_AT_RISK = "incident.life-at-risk"
FIRST_ENTRIES = 2  # as `_first_entries` has them


@dataclass(frozen=True)
class Opening:
    """A report that opens an incident, with the incident's columns and its items' rows, which lack the incident's id.

    All that takes time is in it already, so that it can be made before the transaction.
    """

    inbound: Inbound
    received: Received
    columns: dict[str, Any]
    items: list[dict[str, Any]]

    @classmethod
    def of(
        cls, inbound: Inbound, received: Received, originator: int | None, sealed: Callable[[bytes, str], bytes]
    ) -> Opening:
        """`originator`: the organisation whose information it is, None for our own; `sealed(plain, about)` seals under
        the report's data key."""
        items = [
            row_of(said, sealed, author=inbound.actor, report_id=inbound.id, exercise=inbound.exercise,
                   data_key_id=inbound.data_key_id)
            for said in items_of(inbound, received, originator)
        ]  # fmt: skip
        return cls(inbound, received, incident_values(inbound, received.report, originator, clock.now()), items)


@dataclass(frozen=True)
class Opened:
    """What the record and the sender are told of an incident that was just inserted."""

    id: int
    exercise: str
    data_key_id: int
    created_at: datetime
    reference: str


def reserve_for(tx: Session, openings: Sequence[Opening]) -> Found:
    """The ids that `write_all` needs for these, or for fewer."""
    return reserved(tx, incidents=len(openings), entries=FIRST_ENTRIES * len(openings))


def open_one(tx: Session, opening: Opening) -> Opened:
    """Open an incident for this report. `reference` is the one its sender may know."""
    ids = reserve_for(tx, [opening]).fetchall()
    with at_once(tx):
        opened = write_all(tx, [opening], ids)
    complete(tx, [opening], opened)
    return opened[0]


def write_all(tx: Session, openings: Sequence[Opening], ids: Sequence[Sequence[int]]) -> list[Opened]:
    """Open an incident for each of these reports, in their order, within `at_once`; `complete` comes afterwards."""
    incident_ids, entry_ids = ids
    opened = _insert(tx, openings, incident_ids[:len(openings)])
    pairs = list(zip(openings, opened, strict=True))
    statements.WRITE_ITEMS.each(tx, [
        item | {"incident_id": incident.id} for one, incident in pairs for item in one.items
    ])  # fmt: skip
    _name(tx, pairs)
    timeline.begin_all(tx, [
        Beginning(incident, one.inbound.actor, _first_entries(one, incident.id)) for one, incident in pairs
    ], entry_ids[:FIRST_ENTRIES * len(openings)])  # fmt: skip
    timeline.pending_all(tx, [word for one, incident in pairs for word in _what_follows(one, incident.id)])
    return opened


def complete(tx: Session, openings: Sequence[Opening], opened: Sequence[Opened]) -> None:
    """What few incidents have: people who may know of a restricted one, files that were announced."""
    for one, incident in zip(openings, opened, strict=True):
        if one.columns["restricted"]:
            add_members(tx, incident.id, one.inbound, one.received.report)
        announce(tx, one.inbound, one.received, incident_id=incident.id, data_key_id=incident.data_key_id)


def _insert(tx: Session, openings: Sequence[Opening], ids: Sequence[int]) -> list[Opened]:
    """The incidents' rows."""
    statements.OPEN_INCIDENTS.each(tx, [
        {"id": incident_id, **one.columns} for incident_id, one in zip(ids, openings, strict=True)
    ])  # fmt: skip
    opened = []
    for incident_id, one in zip(ids, openings, strict=True):
        inbound, at = one.inbound, one.columns["created_at"]
        reference = new_partner_reference() if inbound.endpoint_id is not None else numbered(incident_id, at)
        opened.append(Opened(incident_id, inbound.exercise, inbound.data_key_id, at, reference))
    return opened


def _name(tx: Session, pairs: Sequence[tuple[Opening, Opened]]) -> None:
    """What each sender calls its incident, and the name we made for it."""
    theirs = [
        {"organisation_id": one.inbound.organisation_id, "external_id": one.received.report["external_id"],
         "incident_id": incident.id, "exercise": incident.exercise}
        for one, incident in pairs if "external_id" in one.received.report
    ]  # fmt: skip
    ours = [
        {"incident_id": incident.id, "organisation_id": one.inbound.organisation_id, "reference": incident.reference,
         "exercise": incident.exercise}
        for one, incident in pairs if one.inbound.endpoint_id is not None
    ]  # fmt: skip
    statements.NAME_EXTERNALLY.each(tx, theirs)
    statements.NAME_FOR_PARTNER.each(tx, ours)


def _first_entries(one: Opening, incident_id: int) -> list[Event]:
    inbound, columns = one.inbound, one.columns
    return [
        Event("report.received", f"A report came in by {inbound.via}.",
              {"report": inbound.public_id, "sender": inbound.organisation, "digest": inbound.raw_digest,
               "flags": one.received.report["flags"]}, ("report", inbound.id)),
        Event("incident.opened", "The incident was opened from the report.",
              {"tlp": columns["tlp"], "restricted": columns["restricted"], "severity": columns["severity"]},
              ("incident", incident_id)),
    ]  # fmt: skip


def _what_follows(one: Opening, incident_id: int) -> list[Word]:
    opened = Word("incident.opened", incident_id, exercise=one.inbound.exercise)
    return [opened, *follow_up(one.inbound, one.received, incident_id)]


def follow_up(inbound: Inbound, received: Received, incident_id: int) -> list[Word]:
    """Life at risk goes to a person at once (R29). A report is answered with a receipt, a receipt with nothing."""
    words = []
    if rules.life_at_risk(received.report.get("humanitarian_flags", [])):
        words.append(Word(LIFE_AT_RISK, incident_id, exercise=inbound.exercise))
    if received.kind != "receipt":
        words.append(Word("report.accepted", inbound.id, exercise=inbound.exercise))
    if received.alert.get("acknowledge_api") and received.kind != "receipt" and inbound.endpoint_id is not None:
        words.append(Word("alert.arrived", inbound.id, exercise=inbound.exercise))
    if day := received.report.get("caveats", {}).get("pd_delete_by"):
        words.append(Word(deleting.DUE, incident_id, deleting.told_at(day), exercise=inbound.exercise))
    return words


def announce(
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


def add_members(tx: Session, incident_id: int, inbound: Inbound, report: dict[str, Any]) -> None:
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
