"""Password and second factor. A password alone opens nothing; a wrong try says the same whatever was wrong.

TOTP is RFC 6238: 30 s steps, one step of drift either way, each step accepted once (so that a code cannot be replayed).
"""

from __future__ import annotations

from datetime import timedelta

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from sqlalchemy import update
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.accounts import service, sessions
from coordinator.accounts.models import User, UserSession
from coordinator.accounts.principal import Principal
from coordinator.errors import Fault, Invalid, NotSignedIn, Refused, StepUpNeeded
from coordinator.timeline.keys import new_key, seal, unseal

ISSUER = "Coordinator"
STEP = 30
SHORTEST = 12
LONGEST = 200
#: After this many wrong tries in a row the account rests, so that guessing codes is hopeless.
TRIES = 5
REST = timedelta(minutes=15)

_hasher = PasswordHasher()
#: Compared against when there is no such account, so that both cases take the same time: of the same parameters, and
#: made beforehand, because making it takes every process a third of a second.
_NOBODY = (
    "$argon2id$v=19$m=65536,t=3,p=4$ofUOzEZg62WibJj9+tVs4Q$81qQXONr/YHJFdYmeU0vQCH0Vmwocr5J/LIUP/mCvIw"
)
_WRONG = "E-mail address, password or code is wrong, or the account is resting after wrong tries."


def begin_enrolment(tx: Session, principal: Principal) -> str:
    """A TOTP secret for an account without one, as an otpauth:// URI. Raises Refused where it has one, StepUpNeeded
    where the account is enrolled by passkey and this session did not show it."""
    user = _may_set(tx, principal)
    if user.data_key_id is None:
        user.data_key_id = new_key(tx)
    if user.totp_sealed is None:
        secret = pyotp.random_base32()
        user.totp_sealed = seal(tx, user.data_key_id, secret.encode(), about="totp")
    return pyotp.TOTP(_secret(tx, user)).provisioning_uri(name=user.email, issuer_name=ISSUER)


def finish_enrolment(tx: Session, principal: Principal, *, password: str, code: str) -> None:
    """Set the password and prove the authenticator; this session then counts as confirmed. Raises Invalid, and as
    `begin_enrolment`."""
    user = _may_set(tx, principal)
    faults = []
    if not SHORTEST <= len(password) <= LONGEST:
        faults.append(Fault("/password", f"Choose a password of {SHORTEST} to {LONGEST} characters."))
    if user.totp_sealed is None or not _code_fits(tx, user, code):
        faults.append(Fault("/code", "The code is wrong: enter the newest six digits your authenticator shows."))
    if faults:
        raise Invalid(faults)
    user.password_hash = _hasher.hash(password)
    user.enrolled_at = user.enrolled_at or clock.now()
    confirm(tx, principal)
    timeline.append(tx, "user.enrolled", "Password and second factor were set.", actor=principal.actor,
                    about=("user", user.id))  # fmt: skip


def sign_in(tx: Session, *, email: str, password: str, code: str, browser: str = "", address: str = "") -> str | None:
    """A session's token, or None. The caller commits either way (wrong tries are counted) and then says one thing."""
    user = service.find_user(tx, email)
    right = _password_fits(user.password_hash if user and user.password_hash else _NOBODY, password)
    if user is None or not user.password_hash:
        return None
    tx.refresh(user, with_for_update=True)  # two tries at once must not both use one code, nor count as one
    if user.state != "active" or resting(user):
        return None
    if not right or not _code_fits(tx, user, code):
        count_wrong(tx, user)
        return None
    user.failed_sign_ins = 0
    return sessions.open_session(
        tx, user, how="password and code", browser=browser, address=address, second_factor=True
    )


def step_up(tx: Session, principal: Principal, *, code: str) -> bool:
    """Confirm the second factor again in this session. The caller commits either way."""
    user = own(tx, principal)
    if user.enrolled_at is None or not user.password_hash or resting(user):  # without one the secret is not proven yet
        return False
    if not _code_fits(tx, user, code):
        count_wrong(tx, user)
        return False
    user.failed_sign_ins = 0
    confirm(tx, principal)
    return True


def prove_code(tx: Session, user: User, code: str) -> bool:
    """Whether this is the newest code of that person's authenticator. The caller commits either way."""
    tx.refresh(user, with_for_update=True)
    if user.enrolled_at is None or user.state != "active" or resting(user) or user.totp_sealed is None:
        return False
    if not _code_fits(tx, user, code):
        count_wrong(tx, user)
        return False
    user.failed_sign_ins = 0
    return True


def wrong() -> NotSignedIn:
    """The one answer to every failed sign-in."""
    return NotSignedIn(_WRONG)


def resting(user: User) -> bool:
    """Whether wrong tries closed this account for a while; even the right factor has to wait."""
    return user.locked_until is not None and clock.now() < user.locked_until


def own(tx: Session, principal: Principal) -> User:
    """The account of whoever is signed in in this browser, locked until the transaction ends. Raises NotSignedIn."""
    user = tx.get(User, principal.user_id, with_for_update=True, populate_existing=True)
    if user is None or principal.session_id is None:
        raise NotSignedIn()
    return user


def confirm(tx: Session, principal: Principal) -> None:
    """This session proved a second factor just now."""
    mine = UserSession.id == principal.session_id
    tx.execute(update(UserSession).where(mine).values(second_factor_at=clock.now()))


def count_wrong(tx: Session, user: User) -> None:
    """One more wrong try; the account rests after `TRIES` in a row. The caller commits."""
    user.failed_sign_ins += 1
    if user.failed_sign_ins >= TRIES:
        user.failed_sign_ins, user.locked_until = 0, clock.now() + REST
        timeline.append(tx, "user.resting", "Sign-in rests for 15 minutes after wrong tries.", actor="system",
                        about=("user", user.id))  # fmt: skip


def _may_set(tx: Session, principal: Principal) -> User:
    user = own(tx, principal)
    if user.password_hash:
        raise Refused("This account has an authenticator already; resetting it needs another person.")
    if user.enrolled_at is not None and principal.second_factor_at is None:
        raise StepUpNeeded()
    return user


def _password_fits(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, password[:LONGEST])
    except (Argon2Error, InvalidHashError):
        return False


def _code_fits(tx: Session, user: User, code: str) -> bool:
    """Whether `code` is this account's for now or a step beside it, and was not used before. Spends the step."""
    digits = "".join(code.split())
    if not (len(digits) == 6 and digits.isascii() and digits.isdigit()) or user.totp_sealed is None:
        return False
    totp, step = pyotp.TOTP(_secret(tx, user)), int(clock.now().timestamp()) // STEP
    for candidate in (step, step - 1, step + 1):
        fresh = user.totp_last_step is None or candidate > user.totp_last_step
        if fresh and pyotp.utils.strings_equal(totp.at(candidate * STEP), digits):
            user.totp_last_step = candidate
            return True
    return False


def _secret(tx: Session, user: User) -> str:
    assert user.data_key_id is not None and user.totp_sealed is not None
    return unseal(tx, user.data_key_id, user.totp_sealed, about="totp").decode()
