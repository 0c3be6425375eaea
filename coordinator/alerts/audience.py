"""Who is to be told, and by which way: organisations from the words of an audience, then each one's best contact.

Ceilings (`tlp_max` of a contact or an endpoint) are looked at before a way is offered at all. Our own organisation is
never an audience.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.agreements.queries import current
from coordinator.alerts.models import Alert
from coordinator.incidents.models import Incident
from coordinator.incidents.queries import duplicates_of
from coordinator.markings import Tlp, parse_tlp
from coordinator.partners.models import Channel, Contact, Endpoint, Organisation
from coordinator.sharing.addressees import Addressee, is_fresh, to_contact, to_endpoint
from coordinator.store import store_of

#: The bodies that speak for a state: what "affected states" means.
_FOR_A_STATE = ("state", "ministry", "national-csirt")
_OFFICE_HOURS = range(9, 17)
_PUSHED = ("webhook", "email", "voice", "courier")
#: Alerts that no longer count as having told somebody.
_NOT_TOLD = ("withdrawn", "withheld")
#: What a playbook asked of a service: its organisation has it, and nobody there was told.
AUTOMATIC = "automatic"


@dataclass(frozen=True)
class Unreachable:
    """An organisation of the audience that cannot be told, and why, in a sentence without content."""

    code: str
    reason: str


@dataclass(frozen=True)
class Audience:
    """`addressees`: each organisation by its best way; `others`: by its further ones, best first."""

    addressees: tuple[Addressee, ...]
    unreachable: tuple[Unreachable, ...]
    others: tuple[Addressee, ...] = ()


def resolve(
    tx: Session, audience: Mapping[str, Any], *, incident: Incident | None, exercise: str, tlp: Tlp | None = None
) -> list[Addressee]:
    """The addressees of an audience: one for each organisation, by the best way. See `find` for those left out."""
    return list(find(tx, audience, incident=incident, exercise=exercise, tlp=tlp).addressees)


def find(
    tx: Session, audience: Mapping[str, Any], *, incident: Incident | None, exercise: str, tlp: Tlp | None = None
) -> Audience:
    """As `resolve`, with the organisations that nobody can be reached at.

    `audience` has one of directory, contact_kind, organisations, community, agreement, affected_states, reporter, or
    told (everyone told of this incident so far). `tlp`: effective label of what would go; None = the strictest.
    """
    kind = audience.get("contact_kind") or _kind_of_directory(audience.get("directory"))
    found, lost, others = [], [], list[Addressee]()
    for code in audience.get("organisations") or ():
        if not tx.execute(select(Organisation.id).where(Organisation.code == code)).first():
            lost.append(Unreachable(code, "There is no organisation with this code."))
    for organisation in organisations_of(tx, audience, incident=incident):
        ways = ways_to(tx, organisation, exercise=exercise, tlp=tlp, contact_kind=kind)
        if not ways and (audience.get("reporter") or audience.get("told")):
            ways = system_of(tx, organisation, exercise=exercise, tlp=tlp)
        if ways:
            found.append(ways[0])
            others += ways[1:]
        elif not kind:
            lost.append(Unreachable(organisation.code, "No contact there may be told this by any of its channels."))
    return Audience(tuple(found), tuple(lost), tuple(others))


@dataclass(frozen=True)
class Directory:
    """The points of contact of several organisations with their channels, read once. `endpoints` are held so that the
    session knows them and asks for none again."""

    contacts: Mapping[int, Sequence[Contact]]
    channels: Mapping[int, Sequence[Channel]]
    endpoints: Sequence[Endpoint]


def directory_of(tx: Session, organisation_ids: Sequence[int]) -> Directory:
    """As `contacts` and `channels_of` give them, for these organisations: one query for each table."""
    query = select(Contact).where(Contact.organisation_id.in_(organisation_ids), Contact.active)
    people, ways = defaultdict[int, list[Contact]](list), defaultdict[int, list[Channel]](list)
    for contact in tx.execute(query.order_by(Contact.position, Contact.id)).scalars():
        people[contact.organisation_id].append(contact)
    known = select(Contact.id).where(Contact.organisation_id.in_(organisation_ids), Contact.active)
    channels = select(Channel).where(Channel.contact_id.in_(known), Channel.active).order_by(Channel.position)
    for channel in tx.execute(channels).scalars():
        ways[channel.contact_id].append(channel)
    endpoints = select(Endpoint).where(Endpoint.organisation_id.in_(organisation_ids), Endpoint.direction == "out")
    return Directory(people, ways, list(tx.execute(endpoints).scalars()))


def ways_to(
    tx: Session, organisation: Organisation, *, exercise: str, tlp: Tlp | None, contact_kind: str | None = None,
    directory: Directory | None = None,
) -> list[Addressee]:  # fmt: skip
    """Every usable way to an organisation, best first: fresh before stale, reachable now before not, then as ordered.

    A stale contact stays at the end of the list: the decision refers it, so that it is never the only one told (R26).
    `directory`: read beforehand, where several organisations are looked at.
    """
    now = clock.now()
    ranked = []
    directory = directory or directory_of(tx, [organisation.id])
    for contact in directory.contacts.get(organisation.id, ()):
        if contact.exercise not in ("", exercise) or not within(contact.tlp_max, tlp):
            continue
        if contact_kind and contact.kind != contact_kind:
            continue
        channels = [
            each for each in directory.channels.get(contact.id, ())
            if each.exercise == exercise and usable(tx, each, tlp=tlp)
        ]  # fmt: skip
        if channels:
            ranked.append((_rank(contact, channels[0], now), contact, channels))
    ranked.sort(key=lambda each: each[0])
    return [
        to_contact(tx, contact, channel, organisation=organisation, tlp=tlp, now=now)
        for _, contact, channels in ranked
        for channel in channels
    ]


def system_of(tx: Session, organisation: Organisation, *, exercise: str, tlp: Tlp | None) -> list[Addressee]:
    """The partner's own system, where it has one for this exercise ("" is real), without any contact."""
    query = select(Endpoint).where(
        Endpoint.organisation_id == organisation.id, Endpoint.direction == "out", Endpoint.state == "active",
        Endpoint.exercise == exercise,
    )  # fmt: skip
    rows = tx.execute(query.order_by(Endpoint.id)).scalars()
    return [to_endpoint(organisation, row) for row in rows if within(row.tlp_max or "RED", tlp)]


def usable(tx: Session, channel: Channel, *, tlp: Tlp | None) -> bool:
    """Whether something could be sent this way at all: in use, of a kind that is pushed, with what it needs."""
    if not channel.active or channel.kind not in _PUSHED:
        return False
    if channel.kind == "email":
        return bool(channel.address) and bool(store_of(tx).settings.smtp_url)
    if channel.kind == "voice":
        return bool(channel.number)
    if channel.kind == "courier":
        return bool(channel.address)
    endpoint = tx.get(Endpoint, channel.endpoint_id) if channel.endpoint_id else None
    return endpoint is not None and endpoint.state == "active" and within(endpoint.tlp_max or "RED", tlp)


def on_duty(contact: Contact, now: datetime) -> bool:
    """Whether somebody is there now: round the clock, or Monday to Friday 9 to 17 in the contact's own time."""
    if contact.hours == "24x7":
        return True
    try:
        there = now.astimezone(ZoneInfo(contact.time_zone))
    except (ZoneInfoNotFoundError, ValueError):
        there = now
    return there.weekday() < 5 and there.hour in _OFFICE_HOURS


def told_so_far(tx: Session, incident: Incident) -> list[str]:
    """Codes of the organisations told of an incident or of a duplicate of it, those that got a receipt included. Whose
    system was asked something by a playbook was told nothing by that."""
    incidents = [incident.id, *duplicates_of(tx, incident.id)]
    query = select(Alert.recipient).where(
        Alert.incident_id.in_(incidents), Alert.organisation_id.is_not(None), Alert.state.not_in(_NOT_TOLD),
        Alert.kind != AUTOMATIC,
    )
    return sorted(set(tx.execute(query).scalars()))


def _rank(contact: Contact, first: Channel, now: datetime) -> tuple[bool, bool, int, int]:
    there = first.kind == "webhook" or on_duty(contact, now)  # a machine is always there
    return (not is_fresh(contact.verified_on, contact.suspect_since, now), not there, contact.position, contact.id)


def within(ceiling: str, tlp: Tlp | None) -> bool:
    """Whether a text of this label (None = the strictest) stays below a ceiling."""
    return (Tlp.RED if tlp is None else tlp) <= parse_tlp(ceiling)


def _kind_of_directory(name: Any) -> str | None:
    """A directory is "all" or the contacts of one kind."""
    return name if isinstance(name, str) and name not in ("", "all") else None


def organisations_of(tx: Session, audience: Mapping[str, Any], *, incident: Incident | None) -> list[Organisation]:
    """The organisations an audience names, by code, each once; never ours, never one that is no longer active."""
    query = select(Organisation).where(Organisation.active, Organisation.is_own.is_(False)).order_by(Organisation.code)
    everyone = list(tx.execute(query).scalars())
    if audience.get("organisations"):
        return [each for each in everyone if each.code in audience["organisations"]]
    if audience.get("community"):
        return [each for each in everyone if audience["community"] in each.communities]
    if audience.get("agreement"):
        parties = _parties(tx, audience["agreement"])
        return [each for each in everyone if each.code in parties]
    if audience.get("affected_states"):
        states = set(incident.states_affected) if incident is not None else set()
        return [each for each in everyone if each.country in states and each.kind in _FOR_A_STATE]
    if audience.get("reporter"):
        return [each for each in everyone if incident is not None and each.id == incident.source_id]
    if audience.get("told"):
        told = told_so_far(tx, incident) if incident is not None else []
        return [each for each in everyone if each.code in told]
    return everyone if audience.get("directory") or audience.get("contact_kind") else []


def _parties(tx: Session, key: str) -> set[str]:
    for agreement in current(tx):
        if agreement.key == key:
            return {each["party"] for each in agreement.terms.get("parties", ())}
    return set()
