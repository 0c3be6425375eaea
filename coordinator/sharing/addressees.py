"""Who would get a release and by which way, with everything about the two that a decision turns on.

"Encrypted" follows from the mechanism and is never typed in: a webhook over verified TLS, the portal behind https, mail
sealed to a pinned OpenPGP key (where the key cannot be used, nothing is sent that way: it never falls back to clear
text). Other mail is clear text to us. From AMBER on it carries no content, only a link to the portal, whose page shows
it to one who signed in: so whether that way is encrypted is asked of the portal. RED is for a named person, and a
mailbox's key may be held by several: it is read on the portal whatever the mail.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from coordinator.accounts.models import User
from coordinator.markings import Tlp
from coordinator.partners.models import Channel, Contact, Endpoint, Organisation
from coordinator.sharing.inputs import by_portal
from coordinator.store import store_of

#: A contact that nobody verified for this long is stale: two of the half-yearly checks went by.
STALE_AFTER = timedelta(days=365)
PUBLIC = "PUBLIC"


@dataclass(frozen=True, kw_only=True)
class Addressee:
    """One recipient by one way. `recipient` is an organisation's code, `user:<id>` or PUBLIC; `person` what a list of
    named recipients would hold for the reader, "" where it is a desk or a system."""

    recipient: str
    channel_kind: str
    organisation_id: int | None = None
    contact_id: int | None = None
    user_id: int | None = None
    person: str = ""
    channel_id: int | None = None
    encrypted: bool = False
    exercise: str = ""
    poc_fresh: bool = True
    communities: tuple[str, ...] = ()
    client_of_own: bool = False


def is_fresh(verified_on: datetime | None, suspect_since: datetime | None, now: datetime) -> bool:
    """Whether a point of contact may be the only one told (R26): verified within a year and nobody said it is wrong."""
    return verified_on is not None and suspect_since is None and now - verified_on <= STALE_AFTER


def to_contact(
    tx: Session, contact: Contact, channel: Channel, *, organisation: Organisation, tlp: Tlp | None, now: datetime
) -> Addressee:
    """A contact by one of its channels. `tlp` is the effective label of what would go (None = strictest).

    A courier goes by the rules of voice: from person to person, over no wire.
    """
    kind = "voice" if channel.kind == "courier" else channel.kind
    return Addressee(
        recipient=organisation.code, organisation_id=organisation.id, contact_id=contact.id, channel_id=channel.id,
        channel_kind=kind, exercise=channel.exercise, person=_person(contact, channel),
        encrypted=_is_encrypted(tx, channel, tlp), poc_fresh=is_fresh(contact.verified_on, contact.suspect_since, now),
        communities=tuple(organisation.communities), client_of_own=organisation.client_of_own,
    )  # fmt: skip


def to_endpoint(organisation: Organisation, endpoint: Endpoint) -> Addressee:
    """A partner's system itself, for a machine's answer to a machine: nobody's point of contact is needed for it."""
    return Addressee(
        recipient=organisation.code, organisation_id=organisation.id, channel_kind="webhook",
        exercise=endpoint.exercise, encrypted=endpoint.url.lower().startswith("https://"),
        communities=tuple(organisation.communities), client_of_own=organisation.client_of_own,
    )  # fmt: skip


def to_user(user: User, *, exercise: str) -> Addressee:
    """One of our own people, by mail."""
    return Addressee(
        recipient=f"user:{user.id}", user_id=user.id, person=user.email, channel_kind="email", exercise=exercise
    )


def one_name(person: str, contact_code: str, named: Collection[str]) -> str:
    """The name under which a reader may stand in a list of named recipients: address or contact code."""
    for name in (person, contact_code):
        if name and name.casefold() in {each.casefold() for each in named}:
            return next(each for each in named if each.casefold() == name.casefold())
    return person


def _person(contact: Contact, channel: Channel) -> str:
    """A named person, where this way reaches that one alone: a shared mailbox or a system is an organisation (R02)."""
    if not contact.person_name or channel.kind == "webhook" or channel.kind == "mailing-list":
        return ""
    if channel.kind == "email" and channel.address.casefold() != contact.person_email.casefold():
        return ""
    return contact.person_email or contact.code


def _is_encrypted(tx: Session, channel: Channel, tlp: Tlp | None) -> bool:
    if channel.kind == "webhook":
        endpoint = tx.get(Endpoint, channel.endpoint_id) if channel.endpoint_id else None
        return endpoint is not None and endpoint.url.lower().startswith("https://")
    if channel.kind != "email":
        return False
    sealed = bool(channel.pgp_key)
    return store_of(tx).settings.https if by_portal(tlp, sealed=sealed) else sealed
