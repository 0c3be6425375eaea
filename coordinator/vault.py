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
from contextlib import suppress
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


class _Master:
    """One master key: what wraps under it, and what is derived from it."""

    def __init__(self, master: bytes, links: bytes | None = None) -> None:
        if len(master) != 32:
            raise Misconfigured("The master key must be 32 bytes")
        self._master = master
        self.key_id = hashlib.sha256(b"coordinator master key id" + master).hexdigest()[:16]
        self.wrapper = AESGCM(self.derive("wrap data keys"))
        self.links = links or self.derive("link tokens")
        self.signing = Ed25519PrivateKey.from_private_bytes(self.derive("record signing"))

    def derive(self, label: str) -> bytes:
        return HKDF(hashes.SHA256(), 32, salt=None, info=f"coordinator/1 {label}".encode()).derive(self._master)


class Vault:
    """Seals and opens with data keys; wraps data keys under the master key with id `key_id`.

    While the master key is being rotated there are former ones beside it, which open and never wrap. A process that
    runs through a rotation notices by itself: it looks at the file before it wraps a key, and when one does not open.
    """

    def __init__(self, master: bytes, *, links: bytes | None = None) -> None:
        self._ring: tuple[_Master, ...] = (_Master(master, links),)
        self._files: tuple[Path, ...] = ()
        self._seen: object = None
        self._unwrap = lru_cache(maxsize=4096)(self._unwrap_once)

    @classmethod
    def of_files(cls, path: Path, *former: Path) -> Vault:
        """The vault for the key in `path`; `former` ones are opened with as well, where they are there."""
        first = _read_key(path)
        vault = cls.__new__(cls)
        vault._ring, vault._files = (first,), (path, *former)
        vault._seen = None
        vault._unwrap = lru_cache(maxsize=4096)(vault._unwrap_once)
        vault.refresh()
        return vault

    @property
    def key_id(self) -> str:
        """The id of the key that wraps now."""
        return self._ring[0].key_id

    @property
    def key_ids(self) -> frozenset[str]:
        """The ids of all keys at hand."""
        return frozenset(one.key_id for one in self._ring)

    def refresh(self, *, always: bool = True) -> None:
        """Read the key files again; without `always` only if the first of them was changed."""
        if not self._files:
            return
        stat = os.stat(self._files[0])
        seen = (stat.st_ino, stat.st_mtime_ns)
        if always or seen != self._seen:
            self._ring = (_read_key(self._files[0]), *(_read_key(each) for each in self._files[1:] if each.exists()))
            self._seen = seen

    def derive(self, label: str) -> bytes:
        """32 bytes for one use, named by `label`."""
        return self._ring[0].derive(label)

    def derivations(self, label: str) -> list[bytes]:
        """`derive` for every key at hand, the one that wraps now first."""
        return [one.derive(label) for one in self._ring]

    def new_data_key(self) -> tuple[str, bytes]:
        """A fresh data key: the id of the key that wraps it, and its wrapped form, which alone is ever stored."""
        with suppress(OSError, Misconfigured):
            self.refresh(always=False)
        master = self._ring[0]
        return master.key_id, _wrap(master, os.urandom(32))

    def rewrap(self, wrapped: bytes) -> tuple[str, bytes]:
        """The same data key under the key that wraps now. Raises CannotOpen."""
        master = self._ring[0]
        return master.key_id, _wrap(master, self._plain_key(wrapped))

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
        """A 192-bit unguessable token that can be made again: for links that must stay the same on every attempt.

        Its key outlives a rotation, in the file of the new master key: links that are out stay good.
        """
        return base64.urlsafe_b64encode(_mac(self._ring[0].links, f"{purpose}\0{subject}")[:24]).decode()

    def signing_key(self) -> Ed25519PrivateKey:
        """The key that signs checkpoints of the record."""
        return self._ring[0].signing

    def former_signing_keys(self) -> list[Ed25519PrivateKey]:
        """Those of the former master keys at hand."""
        return [one.signing for one in self._ring[1:]]

    def links_agree(self) -> bool:
        """Whether links made under a former key at hand are made the same way now."""
        return len({one.links for one in self._ring}) == 1

    def _unwrap_once(self, wrapped: bytes) -> AESGCM:
        try:
            return AESGCM(self._plain_key(wrapped))
        except CannotOpen:
            with suppress(OSError, Misconfigured):  # perhaps the master key was rotated since this process began
                self.refresh()
            return AESGCM(self._plain_key(wrapped))

    def _plain_key(self, wrapped: bytes) -> bytes:
        for one in self._ring:
            with suppress(InvalidTag, ValueError):
                return one.wrapper.decrypt(wrapped[:NONCE], wrapped[NONCE:], b"data key")
        raise CannotOpen()


def _wrap(master: _Master, plain: bytes) -> bytes:
    nonce = os.urandom(NONCE)
    return nonce + master.wrapper.encrypt(nonce, plain, b"data key")


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def token_hash(token: str) -> str:
    """What is stored of a token: its SHA-256 as hex. Tokens have 128 bits or more, so a plain digest suffices."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def open_master_key(path: Path, *, create: bool, former: Path | None = None) -> Vault:
    """The vault for the key in `path` (base64, 32 bytes). `create`: make the file, 0600, when it is not there.

    `former`: a master key that is being rotated away; one beside the file, as `keys rotate` leaves it, is found by
    itself.
    """
    if not path.exists():
        if not create:
            raise Misconfigured("The master key file is not there: set COORDINATOR_MASTER_KEY_FILE")
        write_key(path, os.urandom(32))
    return Vault.of_files(path, old_beside(path), *([former] if former is not None else []))


def old_beside(path: Path) -> Path:
    """Where `keys rotate` keeps the former key until it is done."""
    return path.with_name(f"{path.name}.old")


def write_key(path: Path, master: bytes, *, links: bytes | None = None) -> None:
    """Make a key file, 0600, unless one is there. `links`: the key of links that are out, from the key before."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.making")
    lines = [base64.b64encode(master)] + ([b"links " + base64.b64encode(links)] if links else [])
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(b"\n".join(lines) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)  # the first of two starting processes wins; nobody overwrites a key
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def links_of(path: Path) -> bytes:
    """The key of links that belongs to the master key in this file."""
    return _read_key(path).links


def key_id_of(path: Path) -> str:
    """The id of the master key in this file. Raises Misconfigured."""
    return _read_key(path).key_id


def _read_key(path: Path) -> _Master:
    try:
        master, *more = path.read_bytes().split(b"\n")
        links = next((line[6:] for line in more if line.startswith(b"links ")), None)
        return _Master(
            base64.b64decode(master.strip(), validate=True),
            base64.b64decode(links.strip(), validate=True) if links else None,
        )
    except (OSError, ValueError) as error:
        raise Misconfigured("The master key file cannot be read: it must hold 32 bytes in base64") from error
