"""Who hears that a change was asked for: whoever is reached by the old channel, the owner of an account, and the people
who may answer. Fixed texts; no word of what the new value is."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.accounts.models import User
from coordinator.accounts.principal import SYSTEM
from coordinator.alerts.audience import system_of, usable, ways_to
from coordinator.alerts.models import Alert, Delivery
from coordinator.alerts.own import tell_own
from coordinator.alerts.telling import tell
from coordinator.alerts.wording import CONTACT_CHANGE
from coordinator.changes.models import ProposedChange
from coordinator.changes.rules import TOLD_FIRST, Kind, confirming_roles
from coordinator.markings import Marking, Tlp
from coordinator.partners.models import Channel, Contact, Endpoint, Organisation
from coordinator.partners.queries import channels_of, duty_role
from coordinator.sharing.addressees import Addressee, to_contact

PURPOSE, CATEGORY = "incident-response", "contact-check"


def tell_of(tx: Session, change: ProposedChange, wanted: dict[str, Any]) -> None:
    """Tell everybody who has to know, in the transaction that writes the change down; `notices` keeps the alerts to the
    old channel."""
    change.notices = [alert.id for alert in _tell_old_channel(tx, Kind(change.kind), wanted)]
    user = account_of(tx, change)
    if user is not None:
        tell_own(tx, key="account-change", user_id=user.id)
    asked = change.asked_by.removeprefix("user:")
    exclude = {int(asked)} if change.asked_by.startswith("user:") else set()
    roles = {str(role) for role in confirming_roles(Kind(change.kind))}
    if change.kind == Kind.SETTING:
        roles.add(duty_role(tx))  # who is told of everything new hears that this may end
    for role in sorted(roles):
        if tx.execute(select(User.id).where(User.role == role, User.state == "active").limit(1)).first():
            tell_own(tx, key="change-waits", role=role, exclude=exclude)


def account_of(tx: Session, change: ProposedChange) -> User | None:
    """The account a change is about, if it is about one that is there."""
    if change.kind == Kind.FACTOR_RESET:
        return tx.get(User, int(change.subject))
    if change.kind == Kind.ACCOUNT:
        return tx.execute(select(User).where(User.email == change.subject)).scalar_one_or_none()
    return None


def still_to_be_told(tx: Session, change: ProposedChange) -> bool:
    """Whether the old channel has not been tried yet. A channel that is dead does not hold a change up for long."""
    if not change.notices or clock.now() >= change.asked_at + TOLD_FIRST:
        return False
    untried = select(Delivery.id).where(
        Delivery.alert_id.in_(change.notices), Delivery.state == "queued", Delivery.attempts == 0
    )
    return tx.execute(untried.limit(1)).first() is not None


def _tell_old_channel(tx: Session, kind: Kind, wanted: dict[str, Any]) -> list[Alert]:
    own = select(Organisation.id).where(Organisation.is_own).limit(1)
    if tx.execute(own).first() is None:
        return []
    way, exercise = _old_way(tx, kind, wanted)
    if way is None:
        return []
    title, body = CONTACT_CHANGE
    told = tell(
        tx, incident=None, kind="contact-change", title=title, body=body, purpose=PURPOSE, info_category=CATEGORY,
        requested_by=SYSTEM, addressees=[way], marking=Marking(tlp=Tlp.CLEAR), ack="", ladder=(), exercise=exercise,
    )  # fmt: skip
    return list(told.permitted)


def _old_way(tx: Session, kind: Kind, wanted: dict[str, Any]) -> tuple[Addressee | None, str]:
    """The way that is about to change, as it is now, and its exercise; (None, "") where there is none to be told by."""
    if kind is Kind.CONTACT:
        contact = tx.execute(select(Contact).where(Contact.code == wanted["code"])).scalar_one_or_none()
        channels = channels_of(tx, contact.id) if contact is not None else []
    elif kind in (Kind.ENDPOINT, Kind.KEY):
        slug = wanted["id"] if kind is Kind.ENDPOINT else wanted["endpoint"]
        endpoint = tx.execute(select(Endpoint).where(Endpoint.slug == slug)).scalar_one_or_none()
        if endpoint is None:
            return None, ""
        query = select(Channel).where(Channel.endpoint_id == endpoint.id, Channel.active).order_by(Channel.id)
        channels = list(tx.execute(query).scalars())
        if not channels:
            return _any_way(tx, endpoint), endpoint.exercise
    else:
        return None, ""
    for channel in channels:
        if usable(tx, channel, tlp=Tlp.CLEAR):
            return _by_channel(tx, channel), channel.exercise
    return None, ""


def _by_channel(tx: Session, channel: Channel) -> Addressee:
    contact = tx.get_one(Contact, channel.contact_id)
    organisation = tx.get_one(Organisation, contact.organisation_id)
    return to_contact(tx, contact, channel, organisation=organisation, tlp=Tlp.CLEAR, now=clock.now())


def _any_way(tx: Session, endpoint: Endpoint) -> Addressee | None:
    """No contact uses the endpoint: its organisation is told as it would be of anything else."""
    organisation = tx.get_one(Organisation, endpoint.organisation_id)
    ways = ways_to(tx, organisation, exercise=endpoint.exercise, tlp=Tlp.CLEAR)
    ways = ways or system_of(tx, organisation, exercise=endpoint.exercise, tlp=Tlp.CLEAR)
    return ways[0] if ways else None
