"""Who is who, and how they are reached: reads that return plain data. Secrets are opened only where they are needed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, literal_column, or_, select
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.errors import Misconfigured, NotFound
from coordinator.partners.models import Channel, Contact, Endpoint, EndpointKey, Organisation, Setting
from coordinator.prepared import Prepared, one_of
from coordinator.timeline.keys import remember, unseal
from coordinator.timeline.models import DataKey


@dataclass(frozen=True)
class IntakeEndpoint:
    """Where a partner system posts. `keys` are (key id, secret), newest first; retired and revoked ones are absent."""

    id: int
    slug: str
    organisation_id: int
    organisation_code: str
    organisation_active: bool
    organisation_is_own: bool
    exercise: str
    restricted: bool
    stix_asks: str
    state: str
    keys: tuple[tuple[int, str], ...] = field(repr=False)


@dataclass(frozen=True)
class OutEndpoint:
    """Where we post. `allow_private` are CIDR ranges two persons allowed for this endpoint alone."""

    id: int
    slug: str
    organisation_id: int
    url: str
    state: str
    exercise: str
    tlp_max: str
    allow_private: tuple[str, ...]
    secrets: tuple[str, ...]


_in: Any = Endpoint.__table__
_of: Any = Organisation.__table__
_key: Any = EndpointKey.__table__
_wrap: Any = DataKey.__table__
# Asked for each report that comes in: built once, and plain columns.
_SEEN = (
    _in.c.id, _in.c.slug, _in.c.organisation_id, _in.c.exercise, _in.c.restricted, _in.c.stix_asks, _in.c.state,
    _of.c.code, _of.c.active, _of.c.is_own, _key.c.id.label("key_id"),
)  # fmt: skip
#: Takes `keys`, ids, and `now`; those that prove nothing any more (`usable`) are absent.
_STILL = Prepared(
    lambda dialect: select(*_SEEN)
    .join(_of, _of.c.id == _in.c.organisation_id)
    .join(_key, _key.c.endpoint_id == _in.c.id)
    .where(
        one_of(dialect, _key.c.id, "keys"), _in.c.direction == literal_column("'in'"), _key.c.revoked_at.is_(None),
        or_(_key.c.not_after.is_(None), _key.c.not_after > bindparam("now", type_=_key.c.not_after.type)),
    )
)  # fmt: skip
_INTAKE = (
    select(*_SEEN, _key.c.not_after, _key.c.revoked_at, _key.c.data_key_id, _key.c.sealed, _wrap.c.wrapped)
    .join(_of, _of.c.id == _in.c.organisation_id)
    .outerjoin(_key, _key.c.endpoint_id == _in.c.id)
    .outerjoin(_wrap, _wrap.c.id == _key.c.data_key_id)
    .where(_in.c.slug == bindparam("slug"), _in.c.direction == "in")
    .order_by(_key.c.id.desc())
)  # fmt: skip


def setting(tx: Session, name: str, default: Any = None) -> Any:
    """A setting kept in the database: own_organisation, community, duty_role."""
    found = tx.execute(select(Setting.value).where(Setting.name == name)).scalar_one_or_none()
    return default if found is None else found


def own_organisation(tx: Session) -> Organisation:
    """Our own organisation. Raises Misconfigured until a world file named it."""
    found = tx.execute(select(Organisation).where(Organisation.is_own).order_by(Organisation.id).limit(1)).scalar()
    if found is None:
        raise Misconfigured("No organisation is marked as our own: load a world file with settings.own_organisation")
    return found


def duty_role(tx: Session) -> str:
    """The role that is told of everything new."""
    return setting(tx, "duty_role", "duty-officer")


def desk_numbers(tx: Session) -> list[str]:
    """Telephone numbers of our own points of contact, the first to call first; none where none is known."""
    query = (
        select(Channel.number)
        .join(Contact, Contact.id == Channel.contact_id)
        .join(Organisation, Organisation.id == Contact.organisation_id)
        .where(Organisation.is_own, Contact.active, Channel.active, Channel.kind == "voice", Contact.exercise == "",
               Channel.number.is_not(None), Channel.number != "")
        .order_by(Contact.position, Contact.id, Channel.position)
    )  # fmt: skip
    return list(dict.fromkeys(number for number in tx.execute(query).scalars() if number))


def organisation_by_code(tx: Session, code: str) -> Organisation | None:
    return tx.execute(select(Organisation).where(Organisation.code == code)).scalar_one_or_none()


def organisations(tx: Session) -> list[Organisation]:
    """All of them, our own first, then by code."""
    return list(tx.execute(select(Organisation).order_by(Organisation.is_own.desc(), Organisation.code)).scalars())


def intake_endpoint(tx: Session, slug: str) -> IntakeEndpoint | None:
    """The inbound endpoint with this name and its usable secrets, in one query; None when there is none."""
    rows = tx.execute(_INTAKE, {"slug": slug}).all()
    if not rows:
        return None
    held = [row for row in rows if row.key_id is not None]
    for row in held:
        remember(tx, row.data_key_id, row.wrapped)
    return _endpoint(rows[0], tuple((row.key_id, open_secret(tx, row)) for row in held if usable(row)))


def still_the_same(tx: Session, used: Collection[tuple[IntakeEndpoint, int]]) -> Callable[[], bool]:
    """Whether all these endpoints are what they were when they were looked up, and in use, and the keys (by their ids)
    that proved a message of theirs still prove something. To be called after `prepared.at_once`, where it is within."""
    if not used:
        return lambda: True
    found = _STILL.asked(tx, keys=[key for _, key in used], now=clock.now())

    def same() -> bool:
        rows = {row.key_id: row for row in found.fetchall()}
        return all(
            key in rows and endpoint.state == "active"
            and _endpoint(rows[key], endpoint.keys) == endpoint
            for endpoint, key in used
        )  # fmt: skip

    return same


def _endpoint(row: Any, keys: tuple[tuple[int, str], ...]) -> IntakeEndpoint:
    return IntakeEndpoint(
        id=row.id, slug=row.slug, organisation_id=row.organisation_id, organisation_code=row.code,
        organisation_active=row.active, organisation_is_own=row.is_own, exercise=row.exercise,
        restricted=row.restricted, stix_asks=row.stix_asks, state=row.state, keys=keys,
    )  # fmt: skip


def out_endpoint(tx: Session, endpoint_id: int) -> OutEndpoint:
    """An outbound endpoint with its current and previous secret, newest first. Raises NotFound."""
    endpoint = tx.get(Endpoint, endpoint_id)
    if endpoint is None or endpoint.direction != "out":
        raise NotFound()
    query = select(EndpointKey).where(EndpointKey.endpoint_id == endpoint_id).order_by(EndpointKey.id.desc())
    secrets = tuple(open_secret(tx, key) for key in tx.execute(query).scalars() if usable(key))
    return OutEndpoint(
        id=endpoint.id, slug=endpoint.slug, organisation_id=endpoint.organisation_id, url=endpoint.url,
        state=endpoint.state, exercise=endpoint.exercise, tlp_max=endpoint.tlp_max,
        allow_private=tuple(endpoint.allow_private), secrets=secrets,
    )  # fmt: skip


def endpoints(tx: Session, organisation_id: int | None = None) -> list[Endpoint]:
    """Endpoints by name, of one organisation or of all."""
    query = select(Endpoint).order_by(Endpoint.slug)
    if organisation_id is not None:
        query = query.where(Endpoint.organisation_id == organisation_id)
    return list(tx.execute(query).scalars())


def endpoint_by_slug(tx: Session, slug: str) -> Endpoint:
    """The endpoint with this name, either direction. Raises NotFound."""
    found = tx.execute(select(Endpoint).where(Endpoint.slug == slug)).scalar_one_or_none()
    if found is None:
        raise NotFound("There is no endpoint with this name.")
    return found


def keys_of(tx: Session, endpoint_id: int) -> list[EndpointKey]:
    """All keys an endpoint ever had, newest first; never the secrets."""
    query = select(EndpointKey).where(EndpointKey.endpoint_id == endpoint_id).order_by(EndpointKey.id.desc())
    return list(tx.execute(query).scalars())


def contacts(tx: Session, organisation_id: int | None = None, *, active: bool = True) -> list[Contact]:
    """Points of contact in the order they are to be tried, by organisation."""
    query = select(Contact).order_by(Contact.organisation_id, Contact.position, Contact.id)
    if organisation_id is not None:
        query = query.where(Contact.organisation_id == organisation_id)
    return list(tx.execute(query.where(Contact.active) if active else query).scalars())


def channels_of(tx: Session, contact_id: int, *, exercise: str | None = None) -> list[Channel]:
    """A contact's channels in order, those in use only; with `exercise`, those of that exercise ("" is real)."""
    query = select(Channel).where(Channel.contact_id == contact_id, Channel.active).order_by(Channel.position)
    if exercise is not None:
        query = query.where(Channel.exercise == exercise)
    return list(tx.execute(query).scalars())


def pinned_keys(tx: Session) -> list[tuple[str, str]]:
    """The OpenPGP keys in use: contact's code and armoured key."""
    query = select(Contact.code, Channel.pgp_key).join(Channel, Channel.contact_id == Contact.id)
    found = tx.execute(query.where(Contact.active, Channel.active, Channel.pgp_key != ""))
    return [(code, key) for code, key in found]


def usable(key: Any, now: datetime | None = None) -> bool:
    """Whether a key still proves or signs something now."""
    return key.revoked_at is None and (key.not_after is None or (now or clock.now()) < key.not_after)


def state_of(key: EndpointKey) -> str:
    """current, previous (it goes on until `not_after`), over, or revoked."""
    if key.revoked_at is not None:
        return "revoked"
    return "over" if not usable(key) else "previous" if key.not_after is not None else "current"


def open_secret(tx: Session, key: Any) -> str:
    """The secret itself. Only signing and verifying need it."""
    return unseal(tx, key.data_key_id, key.sealed, about="endpoint key").decode()
