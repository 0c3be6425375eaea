"""Users and their API tokens. Secrets are made here, shown once and stored as digests."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from zoneinfo import available_timezones

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts import rules
from coordinator.accounts.models import ApiToken, SignInLink, User, UserSession
from coordinator.accounts.principal import Principal
from coordinator.errors import Fault, Invalid, NotFound, Refused
from coordinator.vault import token_hash
from coordinator.vocabulary import ROLES

EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,189}")
TOKEN_PREFIX = "ct_"


def create_user(
    tx: Session, *, email: str, name: str, role: str, actor: str, organisation_id: int | None = None
) -> User:
    """Add an account without any way to sign in yet. Raises Invalid, or Refused when the address is taken."""
    email = email.strip().lower()
    faults = []
    if not EMAIL.fullmatch(email):
        faults.append(Fault("/email", "Give an e-mail address such as name@ministry.example."))
    if not name.strip() or len(name) > 200:
        faults.append(Fault("/name", "Give a name of at most 200 characters."))
    if role not in ROLES or role == "partner-system":
        faults.append(Fault("/role", f"Choose one of: {', '.join(code for code in ROLES.codes)}."))
    if faults:
        raise Invalid(faults)
    user = User(email=email, name=name.strip(), role=role, organisation_id=organisation_id, created_at=clock.now())
    if find_user(tx, email) is not None:
        raise Refused("There is an account with this address already.")
    tx.add(user)
    try:
        tx.flush()
    except IntegrityError as error:
        raise Refused("There is an account with this address already.") from error
    timeline.append(
        tx, "user.added", f"An account with the role {ROLES.label(role)} was added.", actor=actor,
        values={"email": email, "name": user.name, "role": role}, about=("user", user.id),
    )  # fmt: skip
    return user


def find_user(tx: Session, email: str) -> User | None:
    return tx.execute(select(User).where(User.email == email.strip().lower())).scalar_one_or_none()


def user_by_email(tx: Session, email: str) -> User:
    """Raises NotFound."""
    user = find_user(tx, email)
    if user is None:
        raise NotFound("There is no account with this address.")
    return user


def users_with_role(tx: Session, role: str) -> list[User]:
    """Active accounts that hold a role, by name."""
    query = select(User).where(User.role == role, User.state == "active").order_by(User.name, User.id)
    return list(tx.execute(query).scalars())


def suspend_user(tx: Session, user_id: int, *, actor: str, reason: str) -> None:
    """Stop an account now: sessions, links and tokens are dead in the same transaction. Approvals stay on record."""
    user = tx.get(User, user_id)
    if user is None:
        raise NotFound()
    user.state = "suspended"
    end_ways_in(tx, user_id)
    note_signer(tx, user_id, user.role)
    timeline.append(
        tx, "user.suspended", "An account was suspended; its sessions, links and tokens ended.", actor=actor,
        values={"reason": reason}, about=("user", user_id),
    )  # fmt: skip


def note_signer(tx: Session, user_id: int, role: str) -> None:
    """Somebody who could clear may not any more: what they cleared beforehand needs a second look."""
    if rules.may(rules.Role(role), rules.Right.DECIDE):
        timeline.pending(tx, "signer.changed", user_id)


def end_ways_in(tx: Session, user_id: int) -> None:
    """Sessions, links and tokens are dead from this transaction on."""
    now = clock.now()
    tx.execute(update(UserSession).where(UserSession.user_id == user_id, UserSession.ended_at.is_(None)).values(
        ended_at=now))  # fmt: skip
    tx.execute(update(SignInLink).where(SignInLink.user_id == user_id, SignInLink.used_at.is_(None)).values(
        used_at=now))  # fmt: skip
    tx.execute(update(ApiToken).where(ApiToken.user_id == user_id, ApiToken.revoked_at.is_(None)).values(
        revoked_at=now))  # fmt: skip


def restore_user(tx: Session, user_id: int, *, actor: str, reason: str) -> None:
    """Let a suspended account in again; it has to sign in anew, old tokens stay dead."""
    user = tx.get(User, user_id)
    if user is None:
        raise NotFound()
    if user.state != "suspended":
        raise Refused("Only a suspended account can be restored.")
    user.state = "active"
    timeline.append(tx, "user.restored", "An account was restored.", actor=actor, values={"reason": reason},
                    about=("user", user_id))  # fmt: skip


def users(tx: Session) -> list[User]:
    """Every account, by name."""
    return list(tx.execute(select(User).order_by(User.name, User.id)).scalars())


def set_time_zone(tx: Session, principal: Principal, zone: str) -> None:
    """In which zone this person reads times. Raises Invalid."""
    if zone not in available_timezones():
        raise Invalid([Fault("/time_zone", "Choose an IANA time zone, like Europe/Tallinn.")])
    tx.execute(update(User).where(User.id == principal.user_id).values(time_zone=zone))


def administrator_enrolled(tx: Session) -> bool:
    """Whether somebody can administer already: until then the first-start link is open."""
    query = select(func.count()).where(User.role == "administrator", User.enrolled_at.is_not(None))
    return bool(tx.execute(query).scalar_one())


def create_token(
    tx: Session, user_id: int, *, name: str, scopes: Iterable[str], actor: str, expires_at: datetime | None = None
) -> str:
    """A new API token, returned once. Raises Invalid for a scope beyond the user's role, Refused for a dead account."""
    user = tx.get(User, user_id)
    if user is None:
        raise NotFound()
    if user.state != "active":
        raise Refused("The account is not active.")
    wanted, allowed = list(dict.fromkeys(scopes)), rules.scopes_allowed(rules.Role(user.role))
    faults = [
        Fault(f"/scopes/{place}", f"The role {user.role} may have: {', '.join(sorted(allowed)) or 'no scope'}.")
        for place, scope in enumerate(wanted)
        if scope not in allowed
    ]
    if not wanted:
        faults.append(Fault("/scopes", f"Choose at least one of: {', '.join(sorted(allowed))}."))
    if not name.strip() or len(name) > 100:
        faults.append(Fault("/name", "Give the token a name of at most 100 characters."))
    if faults:
        raise Invalid(faults)
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    row = ApiToken(
        user_id=user_id, name=name.strip(), token_hash=token_hash(token), scopes=wanted, created_at=clock.now(),
        expires_at=expires_at,
    )  # fmt: skip
    tx.add(row)
    tx.flush()
    timeline.append(
        tx, "token.added", "An API token was made.", actor=actor,
        values={"user": user_id, "name": row.name, "scopes": wanted}, about=("token", row.id),
    )  # fmt: skip
    return token


def revoke_token(tx: Session, token_id: int, *, user_id: int, actor: str) -> None:
    """End one of a user's tokens now. Raises NotFound for somebody else's."""
    row = tx.get(ApiToken, token_id)
    if row is None or row.user_id != user_id:
        raise NotFound()
    if row.revoked_at is None:
        row.revoked_at = clock.now()
        timeline.append(tx, "token.revoked", "An API token was revoked.", actor=actor, about=("token", token_id))


def token_principal(tx: Session, token: str) -> Principal | None:
    """Who a bearer token speaks for, or None. The token's maker proved the second factor when making it."""
    if not token.startswith(TOKEN_PREFIX) or len(token) > 100:
        return None
    query = (
        select(ApiToken, User)
        .join(User, User.id == ApiToken.user_id)
        .where(ApiToken.token_hash == token_hash(token), ApiToken.revoked_at.is_(None), User.state == "active")
    )
    found = tx.execute(query).one_or_none()
    if found is None or (found.ApiToken.expires_at and found.ApiToken.expires_at <= clock.now()):
        return None
    row, user = found
    return Principal(
        user_id=user.id, name=user.name, role=user.role, organisation_id=user.organisation_id,
        scopes=frozenset(row.scopes) & rules.scopes_allowed(rules.Role(user.role)), token_id=row.id,
        second_factor_at=row.created_at,
    )  # fmt: skip


def tokens_of(tx: Session, user_id: int, *, revoked: bool = False) -> list[ApiToken]:
    """A user's live tokens, newest first (never the tokens themselves); `revoked`: those as well."""
    query = select(ApiToken).where(ApiToken.user_id == user_id)
    query = query if revoked else query.where(ApiToken.revoked_at.is_(None))
    return list(tx.execute(query.order_by(ApiToken.id.desc())).scalars())


#: How long a sign-in link lives.
LINK_LIFE = timedelta(minutes=15)


def create_link(
    tx: Session, user_id: int, *, actor: str, purpose: str = "sign-in", life: timedelta = LINK_LIFE, token: str = ""
) -> str:
    """A one-time sign-in link's token, returned once: this one, or a random one.

    Raises Refused for an account that is not active.
    """
    user = tx.get(User, user_id)
    if user is None:
        raise NotFound()
    if user.state != "active":
        raise Refused("The account is not active.")
    token, now = token or secrets.token_urlsafe(24), clock.now()
    row = SignInLink(
        user_id=user_id, token_hash=token_hash(token), purpose=purpose, created_at=now, expires_at=now + life
    )
    tx.add(row)
    tx.flush()
    timeline.append(tx, "link.made", "A one-time sign-in link was made.", actor=actor, about=("user", user_id))
    return token
