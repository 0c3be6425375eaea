"""The source of a text taken out of it where it must not be named (R21; FIRST IEP 2.0 attribution must-not).

What is taken out are the names under which we know the source: its code and name, its points of contact, their
addresses and domains, its systems, and its own ids for the incident. A description of the source in other words is for
whoever writes: the desk shows the text as it will leave.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.agreements.queries import givers, own_code
from coordinator.cleaning.naming import pattern_of
from coordinator.incidents.models import ExternalReference, Incident, ItemVersion
from coordinator.markings import Marking
from coordinator.partners.models import Channel, Contact, Endpoint, Organisation

WITHHELD = "[source withheld]"


def is_withheld(marking: Marking) -> bool:
    """Whether whoever has it must not be told where it came from."""
    return marking.no_attribution or (marking.iep is not None and marking.iep.attribution == "must-not")


def sources_of(parts: Iterable[ItemVersion], *more: int | None) -> set[int]:
    """The organisations a text came from: originators and tellers of its parts, and those named besides."""
    found = {each for part in parts for each in (part.originator_id, part.source_id)} | set(more)
    return {each for each in found if each is not None}


def agreed_unnamed(tx: Session, organisation_ids: Collection[int]) -> bool:
    """Whether an agreement with one of these organisations says not to name them (attribution_rule must-not)."""
    query = select(Organisation.code).where(Organisation.id.in_(organisation_ids), Organisation.is_own.is_(False))
    codes = set(tx.execute(query).scalars()) if organisation_ids else set()
    return bool(codes) and not codes.isdisjoint(givers(tx, own=own_code(tx), now=clock.now()).unnamed)


def without_source(text: str, names: Iterable[str]) -> str:
    """The text with each of the names replaced, longest first, whatever the case of its letters. Pure."""
    pattern = pattern_of(names)
    return pattern.sub(WITHHELD, text) if pattern is not None else text


def unnamed_texts(
    tx: Session, texts: Iterable[str], incident: Incident | None, sources: Collection[int]
) -> list[str]:
    """The texts without the names of their sources, and of whoever reported the incident."""
    told = {incident.source_id, incident.originator_id} if incident is not None else set()
    known = set(sources) | {each for each in told if each is not None}
    names = names_of(tx, known, incident_id=incident.id if incident is not None else None)
    return [without_source(text, names) for text in texts]


def names_of(tx: Session, organisation_ids: Iterable[int], *, incident_id: int | None) -> set[str]:
    """Every name under which we know these organisations; never our own."""
    query = select(Organisation).where(Organisation.id.in_(list(organisation_ids)), Organisation.is_own.is_(False))
    known = list(tx.execute(query).scalars())
    ids = [each.id for each in known]
    names = {name for each in known for name in (each.code, each.name)}
    for contact in tx.execute(select(Contact).where(Contact.organisation_id.in_(ids))).scalars():
        names |= {contact.code, contact.person_name or "", *_address(contact.person_email or "")}
    ways = select(Channel).join(Contact, Contact.id == Channel.contact_id).where(Contact.organisation_id.in_(ids))
    for channel in tx.execute(ways).scalars():
        names |= {channel.number or "", *_address(channel.address or "")}
    for endpoint in tx.execute(select(Endpoint).where(Endpoint.organisation_id.in_(ids))).scalars():
        names |= {endpoint.slug, urlsplit(endpoint.url or "").hostname or ""}
    theirs = select(ExternalReference.external_id).where(
        ExternalReference.organisation_id.in_(ids), ExternalReference.incident_id == incident_id
    )
    return (names | set(tx.execute(theirs).scalars())) - {""}


def _address(address: str) -> tuple[str, str]:
    return address, address.rpartition("@")[2]
