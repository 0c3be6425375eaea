"""Passkeys (W3C WebAuthn level 2): added, listed, removed, and used to sign in or to confirm.

The authenticator itself asks for a finger, face or PIN (user verification is required), so a passkey is both factors at
once. They are discoverable: nobody types an address, and an account that does not exist is asked like one that does.
Site and origin come from COORDINATOR_BASE_URL only, never from the request.
"""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts import ceremonies, challenges, factors, sessions
from coordinator.accounts.ceremonies import Answer, Site
from coordinator.accounts.challenges import Purpose
from coordinator.accounts.models import Passkey, User
from coordinator.accounts.principal import Principal
from coordinator.errors import Fault, Invalid, NotFound, Refused, StepUpNeeded
from coordinator.store import store_of

#: Passkeys one account may have: a few devices each, and nobody fills the table.
MOST = 20
LONGEST_NAME = 100
_SECONDS = int(challenges.LIFE.total_seconds())


def passkeys_of(tx: Session, user_id: int) -> list[Passkey]:
    """An account's passkeys, oldest first."""
    return list(tx.execute(select(Passkey).where(Passkey.user_id == user_id).order_by(Passkey.id)).scalars())


# ---------------------------------------------------------------- adding and removing


def begin_adding(tx: Session, principal: Principal) -> dict[str, Any]:
    """What the browser needs to make a passkey (PublicKeyCredentialCreationOptions as JSON). Raises Refused where this
    site can have none, StepUpNeeded for an enrolled account in a session without second factor."""
    site, user = _site(tx), _may_add(tx, principal)
    if not user.passkey_handle:
        user.passkey_handle = secrets.token_urlsafe(32)
    return ceremonies.ask_for_new(
        site, issuer=factors.ISSUER, handle=user.passkey_handle, email=user.email, name=user.name,
        challenge=challenges.issue(tx, Purpose.ADD, bound_to=_session(principal)), known=_ids(tx, user),
        seconds=_SECONDS,
    )  # fmt: skip


def finish_adding(tx: Session, principal: Principal, *, name: str, credential: Any) -> Passkey:
    """Keep the passkey a browser made. The first factor of an account enrols it and confirms this session.

    `credential` is the browser's answer as JSON data. Raises Invalid, Refused, StepUpNeeded.
    """
    user, name = _may_add(tx, principal), name.strip()
    if not name or len(name) > LONGEST_NAME:
        raise Invalid([Fault("/name", f"Give the passkey a name of at most {LONGEST_NAME} characters.")])
    if len(_ids(tx, user)) >= MOST:
        raise Refused(f"An account can have {MOST} passkeys: remove one that is not used.")
    row = _made(tx, principal, user, name, credential)
    if row is None:
        raise Invalid([Fault("/credential", "The passkey could not be checked, or it took over 5 minutes: try again.")])
    timeline.append(tx, "passkey.added", "A passkey was added.", actor=principal.actor, values={"name": name},
                    about=("passkey", row.id))  # fmt: skip
    if user.enrolled_at is None:
        _enrol(tx, principal, user)
    return row


def remove(tx: Session, principal: Principal, passkey_id: int) -> None:
    """Take one's own passkey away; it opens nothing from now on. Raises NotFound, StepUpNeeded, and Refused for the
    last way to sign in."""
    user = factors.own(tx, principal)
    row = tx.get(Passkey, passkey_id, populate_existing=True)
    if row is None or row.user_id != user.id:
        raise NotFound()
    if principal.second_factor_at is None:
        raise StepUpNeeded()
    if len(_ids(tx, user)) == 1 and not (user.password_hash and user.totp_sealed):
        raise Refused("This is the only way you can sign in: add another passkey first.")
    tx.delete(row)
    tx.flush()
    timeline.append(tx, "passkey.removed", "A passkey was removed.", actor=principal.actor, values={"name": row.name},
                    about=("passkey", passkey_id))  # fmt: skip


# ---------------------------------------------------------------- using


def begin_sign_in(tx: Session, *, bound_to: str) -> dict[str, Any]:
    """What the browser `bound_to` needs to ask for a passkey (PublicKeyCredentialRequestOptions as JSON), the same for
    everybody. Raises Refused where this site can have none."""
    challenge = challenges.issue(tx, Purpose.SIGN_IN, bound_to=bound_to)
    return ceremonies.ask_for_proof(_site(tx), challenge=challenge, known=(), seconds=_SECONDS)


def sign_in(tx: Session, credential: Any, *, bound_to: str, browser: str = "", address: str = "") -> str | None:
    """A session's token, or None. The caller commits either way (wrong tries are counted) and then says one thing."""
    answer = ceremonies.read_proof(credential)
    if answer is None or not challenges.is_ours(tx, answer.challenge, Purpose.SIGN_IN, bound_to=bound_to):
        return None
    user = _owner(tx, answer)
    if user is None or user.state != "active" or not _proves(tx, user, answer):
        return None
    return sessions.open_session(tx, user, how="passkey", browser=browser, address=address, second_factor=True)


def begin_step_up(tx: Session, principal: Principal) -> dict[str, Any]:
    """What the browser needs to ask for one of this account's passkeys. Raises Refused."""
    challenge = challenges.issue(tx, Purpose.STEP_UP, bound_to=_session(principal))
    known = _ids(tx, factors.own(tx, principal))
    return ceremonies.ask_for_proof(_site(tx), challenge=challenge, known=known, seconds=_SECONDS)


def step_up(tx: Session, principal: Principal, credential: Any) -> bool:
    """Confirm in this session with one's own passkey. The caller commits either way."""
    user, answer = factors.own(tx, principal), ceremonies.read_proof(credential)
    if answer is None or not challenges.is_ours(tx, answer.challenge, Purpose.STEP_UP, bound_to=_session(principal)):
        return False
    if not _proves(tx, user, answer):
        return False
    factors.confirm(tx, principal)
    return True


# ---------------------------------------------------------------- the parts


def _site(tx: Session) -> Site:
    site = ceremonies.site_of(store_of(tx).settings)
    if site is None:
        raise Refused("Passkeys need an https address with a name (or localhost) in COORDINATOR_BASE_URL.")
    return site


def _session(principal: Principal) -> str:
    return f"session {principal.session_id}"


def _ids(tx: Session, user: User) -> list[str]:
    return [row.credential_id for row in passkeys_of(tx, user.id)]


def _may_add(tx: Session, principal: Principal) -> User:
    """An account without factors is enrolled by whoever holds its link; an enrolled one asks for its second factor."""
    user = factors.own(tx, principal)
    if user.enrolled_at is not None and principal.second_factor_at is None:
        raise StepUpNeeded()
    return user


def _made(tx: Session, principal: Principal, user: User, name: str, credential: Any) -> Passkey | None:
    """The row of a passkey made for this session just now; None for anything else."""
    answer = ceremonies.read_new(credential)
    if answer is None or not challenges.is_ours(tx, answer.challenge, Purpose.ADD, bound_to=_session(principal)):
        return None
    made = ceremonies.check_new(_site(tx), answer)
    if made is None or not challenges.spend(tx, answer.challenge):
        return None
    row = Passkey(
        user_id=user.id, name=name, credential_id=made.credential_id, public_key=made.public_key,
        sign_count=made.sign_count, created_at=clock.now(),
    )  # fmt: skip
    tx.add(row)
    try:
        tx.flush()
    except IntegrityError as error:
        raise Refused("This passkey is in use already.") from error
    return row


def _enrol(tx: Session, principal: Principal, user: User) -> None:
    user.enrolled_at = clock.now()
    user.totp_sealed = user.totp_last_step = None  # begun and never proven: it must not count as a factor
    factors.confirm(tx, principal)
    timeline.append(tx, "user.enrolled", "A passkey was set as second factor.", actor=principal.actor,
                    about=("user", user.id))  # fmt: skip


def _owner(tx: Session, answer: Answer) -> User | None:
    """The account whose passkey and handle the answer names, locked until the transaction ends."""
    query = select(Passkey.user_id).where(Passkey.credential_id == answer.credential_id)
    user_id = tx.execute(query).scalar_one_or_none()
    if user_id is None or answer.handle is None:
        return None
    return tx.get(User, user_id, with_for_update=True, populate_existing=True)


def _proves(tx: Session, user: User, answer: Answer) -> bool:
    """Whether the answer was made by one of this account's passkeys, once, and the account is not resting. Counts a
    wrong try. The account's row is locked: no other answer is looked at meanwhile."""
    if factors.resting(user):
        return False
    if not _used(tx, user, answer):
        factors.count_wrong(tx, user)
        return False
    user.failed_sign_ins = 0
    return True


def _used(tx: Session, user: User, answer: Answer) -> bool:
    query = select(Passkey).where(Passkey.credential_id == answer.credential_id, Passkey.user_id == user.id)
    row = tx.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()
    if row is None or answer.handle not in (None, user.passkey_handle):
        return False
    count = ceremonies.check_proof(_site(tx), answer, public_key=row.public_key)
    if count is None or not challenges.spend(tx, answer.challenge):
        return False
    if (count or row.sign_count) and count <= row.sign_count:
        timeline.append(
            tx, "passkey.suspect", "A passkey was refused: its count went back, so it may have been copied.",
            actor="system", values={"count": count, "before": row.sign_count}, about=("passkey", row.id),
        )  # fmt: skip
        return False
    row.sign_count, row.last_used_at = count, clock.now()
    return True
