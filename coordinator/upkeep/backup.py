"""Backups: everything in the database, while it runs, compressed and sealed to a public key before it touches a disk.

The container is an age file (age-encryption.org/v1, X25519): the holder of the private key opens it with this program
or with `age`. It never holds the master key: what is sealed in the database stays sealed in the backup.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyrage
from sqlalchemy import select

from coordinator import clock, migrations, timeline
from coordinator.config import Settings
from coordinator.db import insert_or_ignore
from coordinator.errors import Misconfigured, Refused
from coordinator.store import Store
from coordinator.timeline.models import DataKey, Heartbeat
from coordinator.timeline.verify import checkpoint, newest_checkpoint
from coordinator.upkeep import dump

BACKUP = "backup"
OWN_KEY = "backup.key"


@dataclass(frozen=True)
class Made:
    """A backup: where, how large, its SHA-256, the number of its checkpoint, and whether our own pair seals it."""

    path: Path
    size: int
    digest: str
    checkpoint: int
    own_pair: bool


def make_backup(store: Store, path: Path | None, *, actor: str) -> Made:
    """Write a sealed backup to `path` (default: the folder `backups` of the data directory). On record.

    Raises Refused where the file is there already, Misconfigured without a key to seal to, OSError.
    """
    recipients, own_pair = _recipients(store)
    path = path or _usual_path(store.settings)
    if path.exists():
        raise Refused("There is a file of that name: give another one.")
    with store.unit_of_work() as tx:
        checkpoint(tx)
    with store.read() as tx:
        signed = newest_checkpoint(tx)
        ids = select(DataKey.master_key_id).where(DataKey.wrapped.is_not(None)).distinct()
        header = {
            "made_at": clock.rfc3339(clock.now()), "revision": migrations.newest_revision(), "checkpoint": signed,
            "master_keys": sorted({store.vault.key_id, *tx.execute(ids).scalars()}),
        }  # fmt: skip
        size, digest = _write(path, _compressed(dump.lines(tx, header)), recipients)
    made = Made(path, size, digest, signed["number"] if signed else 0, own_pair)
    _note(store, made, actor=actor)
    return made


def _note(store: Store, made: Made, *, actor: str) -> None:
    values = {"digest": made.digest, "size": made.size, "checkpoint": made.checkpoint}
    row: dict[str, Any] = {"kind": BACKUP, "at": clock.now(), "detail": values}
    with store.unit_of_work() as tx:
        timeline.append(tx, "backup.made", "A sealed backup was made.", actor=actor, values=values)
        tx.execute(insert_or_ignore(tx, Heartbeat).values(name=BACKUP, **row))
        tx.get_one(Heartbeat, BACKUP, populate_existing=True).at = row["at"]
        tx.get_one(Heartbeat, BACKUP).detail = values


def _write(path: Path, chunks: Iterator[bytes], recipients: list[Any]) -> tuple[int, str]:
    """Seal and write under another name, then take the name: a file that has it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with open(partial, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            out = _Counting(file)
            pyrage.encrypt_io(_Reader(chunks), out, recipients)
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, path)  # refuses where somebody else took the name meanwhile
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return out.size, out.digest.hexdigest()


class _Reader:
    """What an iterator yields, as a file to read from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, b""

    def read(self, size: int = -1) -> bytes:
        while not self._rest:
            try:
                self._rest = next(self._chunks)
            except StopIteration:
                return b""
        size = len(self._rest) if size < 0 else size
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


class _Counting:
    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.size, self.digest = file, 0, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.size += len(data)
        self.digest.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()


def _compressed(lines: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(3)
    for line in lines:
        if packed := packer.compress(line):
            yield packed
    yield packer.flush()


def _usual_path(settings: Settings) -> Path:
    return settings.data_dir / "backups" / f"coordinator-{clock.now():%Y%m%dT%H%M%SZ}.age"


def _recipients(store: Store) -> tuple[list[Any], bool]:
    """The public keys to seal to, and whether it is the pair that was made on this machine."""
    wanted = store.settings.backup_key.replace(",", " ").split()
    if wanted:
        try:
            return [pyrage.x25519.Recipient.from_str(each) for each in wanted], False
        except pyrage.RecipientError:
            raise Misconfigured("COORDINATOR_BACKUP_KEY must hold public keys that begin with age1") from None
    if not store.one_machine:
        raise Misconfigured("Set COORDINATOR_BACKUP_KEY to the public key (age1…) that backups are sealed to")
    return [_own_pair(store.settings.data_dir / "keys" / OWN_KEY).to_public()], True


def _own_pair(path: Path) -> Any:
    """The pair of this machine, made when it is first needed."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(path, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            made = pyrage.x25519.Identity.generate()
            file.write(f"# public key: {made.to_public()}\n{made}\n")
    return read_identity(path)


def read_identity(path: Path) -> Any:
    """The private key in a file as `age-keygen` writes it. Raises Misconfigured, OSError."""
    words = [line.strip() for line in path.read_text("utf-8", "replace").splitlines()]
    try:
        return pyrage.x25519.Identity.from_str(next(word for word in words if word.startswith("AGE-SECRET-KEY-")))
    except (StopIteration, pyrage.IdentityError):
        raise Misconfigured("The key file must hold a private key that begins with AGE-SECRET-KEY-") from None
