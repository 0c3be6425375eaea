"""OpenPGP keys of points of contact: read when they are pinned, used when a mail is sealed (RFC 9580).

A key is pinned by people (two of them, as any change of who is reached and how): nothing is looked up and no web of
trust is asked. What is too weak by today's measure (Sequoia's standard policy) does not encrypt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parseaddr
from typing import TYPE_CHECKING

from coordinator import clock
from coordinator.errors import CoordinatorError

if TYPE_CHECKING:
    from pysequoia import Cert

LONGEST = 50_000
_BLOCK = re.compile(r"-----BEGIN PGP [A-Z ]+-----.*?-----END PGP [A-Z ]+-----", re.DOTALL)


class BadKey(CoordinatorError):
    """This is no key mail can be sealed to; the text says why, in words for the person who pasted it."""

    status = 422
    title = "This OpenPGP key cannot be used"


@dataclass(frozen=True, kw_only=True)
class Key:
    """`fingerprint`: 40 or 64 hex digits; `addresses` as its user ids name them; `expires_at`: None is never."""

    fingerprint: str
    addresses: tuple[str, ...]
    expires_at: datetime | None

    @property
    def in_groups(self) -> str:
        """The fingerprint as people read it out: groups of four."""
        digits = self.fingerprint.upper()
        return " ".join(digits[at:at + 4] for at in range(0, len(digits), 4))  # fmt: skip


def blocks(text: str) -> list[str]:
    """The armoured blocks in a text somebody pasted; what stands around them is left out."""
    return _BLOCK.findall(text)


def look_at(armoured: str) -> Key:
    """What a key says of itself, whether it can be used today or not. Raises BadKey where it is none."""
    return _read(armoured)[1]


def fingerprint_of(armoured: str) -> str:
    """The fingerprint, or "" where what is stored is no key (it was pinned before keys were looked at)."""
    try:
        return look_at(armoured).fingerprint
    except BadKey:
        return ""


def usable(armoured: str, *, in_days: int = 0) -> bool:
    """Whether mail can be sealed to it, now or so many days from now."""
    try:
        ends = check(armoured).expires_at
    except BadKey:
        return False
    return ends is None or ends > clock.now() + timedelta(days=in_days)


def check(armoured: str) -> Key:
    """A key that mail can be sealed to now. Raises BadKey: no key, a private one, revoked, expired, or too weak."""
    key = look_at(armoured)
    seal(b"", [armoured])
    return key


def seal(content: bytes, armoured: Sequence[str]) -> bytes:
    """`content` encrypted to these keys, armoured. Raises BadKey where one of them cannot be used now."""
    from pysequoia import encrypt

    certs = []
    for cert, key in map(_read, armoured):  # the library looks at neither
        if cert.is_revoked:
            raise BadKey("Its owner revoked this key. Ask for the one that is in use.")
        if key.expires_at is not None and key.expires_at <= clock.now():
            raise BadKey("This key has expired. Ask its owner for the renewed one.")
        certs.append(cert)
    try:
        return encrypt(bytes=content, recipients=certs)
    except RuntimeError:  # its text is a stack trace
        raise BadKey("This key has no part to encrypt to that is strong enough by today's measure.") from None


def _read(armoured: str) -> tuple[Cert, Key]:
    if len(armoured) > LONGEST or len(blocks(armoured)) != 1:
        raise BadKey("Send one public key, from -----BEGIN PGP PUBLIC KEY BLOCK----- to its end.")
    if "PRIVATE KEY BLOCK" in armoured:
        raise BadKey("This is a private key, which nobody but its owner may hold. Its owner should replace it.")
    from pysequoia import Cert

    try:
        found = Cert.split_bytes(armoured.encode())
        keys = [_said_by(each) for each in found]
    except RuntimeError:  # its text is a stack trace
        raise BadKey("This key cannot be read: parts of it are missing or changed. Ask for it anew.") from None
    if len(found) != 1:
        raise BadKey("Send one public key, not several in one block.")
    return found[0], keys[0]


def _said_by(cert: Cert) -> Key:
    named = (parseaddr(str(each))[1] for each in cert.user_ids)
    return Key(
        fingerprint=cert.fingerprint, addresses=tuple(each.casefold() for each in named if each),
        expires_at=cert.expiration,
    )  # fmt: skip
