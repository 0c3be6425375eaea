"""Envelope encryption: a data key for each incident or report, wrapped by a master key from a file outside the
database.

AES-256-GCM (NIST SP 800-38D) with 96-bit random nonces; a data key seals far fewer than 2^32 messages. What a sealed
value belongs to is bound in as additional data, so that a value moved to another row does not open. Other keys
(signing, tokens, cookies) are derived from the master key with HKDF-SHA-256 (RFC 5869), one label each.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from coordinator.errors import CoordinatorError, Misconfigured

NONCE = 12


class CannotOpen(CoordinatorError):
    """A sealed value does not open: wrong key, wrong place, or altered bytes."""

    title = "A sealed value could not be opened"


class Vault:
    """Seals and opens with data keys; wraps data keys under the master key with id `key_id`."""

    def __init__(self, master: bytes) -> None:
        if len(master) != 32:
            raise Misconfigured("The master key must be 32 bytes")
        self._master = master
        self.key_id = hashlib.sha256(b"coordinator master key id" + master).hexdigest()[:16]
        self._wrapper = AESGCM(self.derive("wrap data keys"))
        self._unwrap = lru_cache(maxsize=4096)(self._unwrap_once)

    def derive(self, label: str) -> bytes:
        """32 bytes for one use, named by `label`."""
        return HKDF(hashes.SHA256(), 32, salt=None, info=f"coordinator/1 {label}".encode()).derive(self._master)

    def new_data_key(self) -> bytes:
        """A fresh data key, wrapped. Only the wrapped form is ever stored."""
        nonce = os.urandom(NONCE)
        return nonce + self._wrapper.encrypt(nonce, os.urandom(32), b"data key")

    def seal(self, wrapped: bytes, plain: bytes, *, about: str) -> bytes:
        """Encrypt `plain` under a wrapped data key; `about` says what it belongs to and must be given again to open."""
        nonce = os.urandom(NONCE)
        return nonce + self._unwrap(wrapped).encrypt(nonce, plain, about.encode())

    def open(self, wrapped: bytes, sealed: bytes, *, about: str) -> bytes:
        """The plain bytes of a sealed value. Raises CannotOpen."""
        try:
            return self._unwrap(wrapped).decrypt(sealed[:NONCE], sealed[NONCE:], about.encode())
        except (InvalidTag, ValueError) as error:
            raise CannotOpen() from error

    def token(self, purpose: str, subject: str) -> str:
        """A 192-bit unguessable token that can be made again: for links that must stay the same on every attempt."""
        return base64.urlsafe_b64encode(_mac(self._token_key, f"{purpose}\0{subject}")[:24]).decode()

    @property
    def _token_key(self) -> bytes:
        return _derived(self, "link tokens")

    def signing_key(self) -> Ed25519PrivateKey:
        """The key that signs checkpoints of the record."""
        return Ed25519PrivateKey.from_private_bytes(_derived(self, "record signing"))

    def _unwrap_once(self, wrapped: bytes) -> AESGCM:
        try:
            return AESGCM(self._wrapper.decrypt(wrapped[:NONCE], wrapped[NONCE:], b"data key"))
        except (InvalidTag, ValueError) as error:
            raise CannotOpen() from error


@lru_cache(maxsize=64)
def _derived(vault: Vault, label: str) -> bytes:
    return vault.derive(label)


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def token_hash(token: str) -> str:
    """What is stored of a token: its SHA-256 as hex. Tokens have 128 bits or more, so a plain digest suffices."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def open_master_key(path: Path, *, create: bool) -> Vault:
    """The vault for the key in `path` (base64, 32 bytes). `create`: make the file, 0600, when it is not there."""
    if not path.exists():
        if not create:
            raise Misconfigured("The master key file is not there: set COORDINATOR_MASTER_KEY_FILE")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_suffix(f".{os.getpid()}.new")
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(base64.b64encode(os.urandom(32)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # the first of two starting processes wins; nobody overwrites a key
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    try:
        return Vault(base64.b64decode(path.read_bytes().strip(), validate=True))
    except (OSError, ValueError) as error:
        raise Misconfigured("The master key file cannot be read: it must hold 32 bytes in base64") from error
