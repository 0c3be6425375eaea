"""Signed-in browsers: opened by a one-time link or by password and second factor; they end by themselves."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts import service
from coordinator.accounts.models import SignInLink, User, UserSession
from coordinator.accounts.principal import Principal
from coordinator.errors import Gone, NotFound
from coordinator.vault import token_hash

IDLE = timedelta(minutes=15)
ABSOLUTE = timedelta(hours=12)
#: `seen_at` is written at most this often: a page that polls must not write every second.
TOUCH = timedelta(seconds=60)


def link_user(tx: Session, token: str) -> User:
    """Whose unused, unexpired link this is; looking does not use it up. Raises Gone."""
    query = select(SignInLink, User).join(User, User.id == SignInLink.user_id)
    found = tx.execute(query.where(SignInLink.token_hash == token_hash(token))).one_or_none()
    if found is None or not _usable(tx, found.SignInLink, found.User):
        raise Gone("This link was used or has expired. Ask for a new one.")
    return found.User


def use_link(tx: Session, token: str, *, browser: str = "", address: str = "") -> str:
    """Spend a link and open a session without second factor; returns the session's token. Raises Gone.

    The race of two clicks is closed by one conditional UPDATE.
    """
    user = link_user(tx, token)
    spent = tx.execute(
        update(SignInLink)
        .where(SignInLink.token_hash == token_hash(token), SignInLink.used_at.is_(None))
        .values(used_at=clock.now())
        .returning(SignInLink.id)
    )
    if spent.scalar_one_or_none() is None:
        raise Gone("This link was used or has expired. Ask for a new one.")
    return open_session(tx, user, how="link", browser=browser, address=address)


def open_session(
    tx: Session, user: User, *, how: str, browser: str = "", address: str = "", second_factor: bool = False
) -> str:
    """A new session's token (stored as a digest)."""
    token, now = secrets.token_urlsafe(32), clock.now()
    row = UserSession(
        user_id=user.id, token_hash=token_hash(token), created_at=now, seen_at=now, expires_at=now + ABSOLUTE,
        second_factor_at=now if second_factor else None, browser=browser[:200], address=address[:60],
    )  # fmt: skip
    tx.add(row)
    user.last_sign_in_at = now
    tx.flush()
    timeline.append(
        tx, "session.opened", f"Signed in by {how}.", actor=f"user:{user.id}", values={"address": row.address},
        about=("session", row.id),
    )  # fmt: skip
    return token


def session_principal(tx: Session, token: str) -> tuple[Principal, bool] | None:
    """Who is signed in, and whether `touch` is due; None when the session ended, idled out or the account is
    stopped."""
    query = select(UserSession, User).join(User, User.id == UserSession.user_id)
    found = tx.execute(query.where(UserSession.token_hash == token_hash(token))).one_or_none()
    now = clock.now()
    if found is None or not _alive(found.UserSession, now) or found.User.state != "active":
        return None
    row, user = found
    principal = Principal(
        user_id=user.id, name=user.name, role=user.role, organisation_id=user.organisation_id, session_id=row.id,
        second_factor_at=row.second_factor_at,
    )  # fmt: skip
    return principal, now - row.seen_at > TOUCH


def touch(tx: Session, session_id: int) -> None:
    """The person is still there."""
    tx.execute(update(UserSession).where(UserSession.id == session_id).values(seen_at=clock.now()))


def end_session(tx: Session, session_id: int, *, user_id: int, actor: str) -> None:
    """End one of a user's sessions. Raises NotFound for somebody else's."""
    row = tx.get(UserSession, session_id)
    if row is None or row.user_id != user_id:
        raise NotFound()
    if row.ended_at is None:
        row.ended_at = clock.now()
        timeline.append(tx, "session.ended", "A session was ended.", actor=actor, about=("session", session_id))


def sessions_of(tx: Session, user_id: int, *, over: bool = False) -> list[UserSession]:
    """A user's sessions that are still open, newest first; `over`: those that ended as well."""
    query, now = select(UserSession).where(UserSession.user_id == user_id), clock.now()
    return [row for row in tx.execute(query.order_by(UserSession.id.desc())).scalars() if over or _alive(row, now)]


def _alive(row: UserSession, now: datetime) -> bool:
    return row.ended_at is None and now < row.expires_at and now - row.seen_at < IDLE


def _usable(tx: Session, link: SignInLink, user: User) -> bool:
    """The first administrator's link is void once any administrator is enrolled."""
    if link.used_at is not None or clock.now() >= link.expires_at or user.state != "active":
        return False
    return link.purpose != "first-administrator" or not service.administrator_enrolled(tx)
