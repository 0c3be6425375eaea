"""What is done to somebody's account by others: its role, its second factor taken away, its way in closed at once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts import service
from coordinator.accounts.models import Passkey, User
from coordinator.accounts.rules import Role, Scope
from coordinator.errors import Fault, Invalid, NotFound, Refused
from coordinator.partners.queries import organisation_by_code

#: Whose second factor was reset approves nothing for so long: whoever had it reset may not be who it belongs to.
REST_AFTER_RESET = timedelta(hours=24)


def put_user(tx: Session, fields: dict[str, Any], *, actor: str) -> str:
    """Add an account, or change its name and role: email name role organisation? (a code). One line that says so, or
    "". Raises Invalid, Refused."""
    code = fields.get("organisation")
    organisation = organisation_by_code(tx, code) if code else None
    if code and organisation is None:
        raise Invalid([Fault("/organisation", "There is no organisation with this code: add it first.")])
    user = service.find_user(tx, fields["email"])
    if user is None:
        user = service.create_user(
            tx, email=fields["email"], name=fields["name"], role=fields["role"], actor=actor,
            organisation_id=organisation.id if organisation else None,
        )  # fmt: skip
        return f"user {user.id}: added"
    if (user.name, user.role) == (fields["name"], fields["role"]):
        return ""
    old = {"name": user.name, "role": user.role}
    user.name, user.role = fields["name"], fields["role"]
    if old["role"] != user.role:
        service.note_signer(tx, user.id, old["role"])
    timeline.append(
        tx, "user.changed", "An account was changed.", actor=actor, about=("user", user.id),
        values={"old": old, "new": {"name": user.name, "role": user.role}},
    )  # fmt: skip
    return f"user {user.id}: changed"


def check_address_free(tx: Session, email: str) -> None:
    """Raises Refused where there is an account with this address."""
    if service.find_user(tx, email) is not None:
        raise Refused("There is an account with this address already.")


def check_may_enrol(tx: Session, user_id: int) -> User:
    """The account, if a one-time link may open it. Raises NotFound, Refused."""
    user = tx.get(User, user_id)
    if user is None:
        raise NotFound()
    if user.enrolled_at is not None:
        raise Refused(
            "This account has a second factor: links are for accounts without. Where the factor is lost, have it reset."
        )
    return user


def make_link(tx: Session, user_id: int, *, actor: str) -> str:
    """A one-time link's token for an account without factors: it is how such an account enrols. Whoever used the
    account before is told. Raises NotFound, Refused."""
    user = check_may_enrol(tx, user_id)
    token = service.create_link(tx, user_id, actor=actor)
    if user.last_sign_in_at is not None:
        timeline.pending(tx, "link.made", user_id)
    return token


def check_token_here(tx: Session, scopes: Iterable[str]) -> None:
    """Raises Refused for a token that clears or administers, asked for at the command line, once an administrator has
    enrolled: whoever holds the machine would act in another person's name. Its owner makes it on their own page."""
    if not {str(Scope.DECIDE), str(Scope.ADMIN)}.isdisjoint(scopes) and service.administrator_enrolled(tx):
        raise Refused("A token that clears or administers is made by its owner, signed in, on the page API tokens.")


def reset_factors(tx: Session, user_id: int, *, actor: str) -> str:
    """Take password, authenticator and passkeys away: a new link enrols the account again. Sessions, links and tokens
    end, and it approves nothing for 24 h. Raises NotFound, Refused where there is nothing to reset."""
    user = tx.get(User, user_id, with_for_update=True, populate_existing=True)
    if user is None:
        raise NotFound()
    if user.enrolled_at is None:
        raise Refused("This account has no second factor: make a sign-in link instead.")
    user.password_hash, user.totp_sealed, user.totp_last_step, user.enrolled_at = "", None, None, None
    user.failed_sign_ins, user.locked_until = 0, None
    user.approves_from = clock.now() + REST_AFTER_RESET
    tx.execute(delete(Passkey).where(Passkey.user_id == user_id))
    service.end_ways_in(tx, user_id)
    timeline.append(
        tx, "user.factor-reset", "Password and second factor were taken away; sessions, links and tokens ended.",
        actor=actor, values={"approves_from": clock.rfc3339(user.approves_from)}, about=("user", user_id),
    )  # fmt: skip
    timeline.pending(tx, "user.factor-reset", user_id)
    return f"user {user_id}: second factor reset"


def deactivate(tx: Session, user_id: int, *, actor: str, note: str) -> None:
    """Close an account for good. Raises NotFound, Refused for one that is closed already and for the last administrator
    who can sign in."""
    user = tx.get(User, user_id, with_for_update=True, populate_existing=True)
    if user is None:
        raise NotFound()
    if user.state == "deactivated":
        raise Refused("This account is closed already.")
    if user.role == Role.ADMINISTRATOR and not _other_administrators(tx, user_id):
        raise Refused("This is the last administrator who can sign in: add another one first.")
    user.state = "deactivated"
    service.end_ways_in(tx, user_id)
    service.note_signer(tx, user_id, user.role)
    timeline.append(
        tx, "user.deactivated", "An account was closed; its sessions, links and tokens ended.", actor=actor,
        values={"note": note}, about=("user", user_id),
    )  # fmt: skip


def _other_administrators(tx: Session, user_id: int) -> bool:
    query = select(User.id).where(
        User.role == str(Role.ADMINISTRATOR), User.state == "active", User.enrolled_at.is_not(None), User.id != user_id
    )
    return tx.execute(query.limit(1)).first() is not None


def check_may_approve(tx: Session, user_id: int, *, now: datetime | None = None) -> None:
    """Raises Refused for 24 h after this account's second factor was reset."""
    user = tx.get(User, user_id)
    until = user.approves_from if user is not None else None
    if until is not None and (now or clock.now()) < until:
        raise Refused(
            "Your second factor was reset less than 24 hours ago: until that has passed another person has to answer."
        )
