"""Rotating the master key: every data key is wrapped anew. Killed at any point, it goes on where it was.

On one machine the command does all of it: it makes the new key beside the old one, puts it in place, wraps, and takes
the old one away. With many machines the key is a secret of the operator's: `prepare` makes the new file; it is given to
every part as the master key, the old one as OLD_MASTER_KEY_FILE, and then `rotate` wraps.
"""

from __future__ import annotations

import base64
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from coordinator import clock, timeline
from coordinator.db import insert_or_ignore
from coordinator.errors import Misconfigured, Refused
from coordinator.store import Store, store_of
from coordinator.timeline.models import DataKey, SigningKey
from coordinator.timeline.verify import endorsement
from coordinator.vault import key_id_of, links_of, old_beside, write_key

AT_ONCE = 200
SETTLE = 0.2  # seconds between looks for transactions that began before the new key was in place


@dataclass(frozen=True)
class Rotated:
    """How many data keys were wrapped anew, the id of the key they are under, and a file the operator still keeps."""

    keys: int
    key_id: str
    left: Path | None = None


def prepare(store: Store, path: Path) -> str:
    """Make a new master key in `path`, for parts on many machines; returns its id. Raises Refused if it is there."""
    if path.exists():
        raise Refused("There is a file of that name: give another one.")
    write_key(path, os.urandom(32), links=links_of(store.settings.master_key_file))
    return key_id_of(path)


def rotate(store: Store, *, actor: str) -> Rotated:
    """Put the new master key in place (on one machine) and wrap every data key under it. On record.

    Raises Misconfigured where there is no former key to come from, or a file does not fit.
    """
    path, given = store.settings.master_key_file, store.settings.old_master_key_file
    if given is None and not store.one_machine and not old_beside(path).exists():
        raise Misconfigured(
            "Make the new key with `coordinator keys rotate --prepare FILE`, give every part the new file as "
            "COORDINATOR_MASTER_KEY_FILE and the old one as COORDINATOR_OLD_MASTER_KEY_FILE, and run this again"
        )
    if given is None:
        _put_in_place(path)
    store.vault.refresh()
    if not store.vault.links_agree():
        raise Misconfigured("The new key file lacks the line of the links: make it with `keys rotate --prepare FILE`")
    with store.unit_of_work() as tx:  # begun after the new key was in place: on SQLite nobody wrote before it since
        began = _begin(tx, actor)
    _wait_for_older(store)
    count = _wrap_all(store)
    with store.unit_of_work() as tx:
        left = _under_another(tx)
        if left:
            raise Misconfigured(f"{left} data keys are not under the new master key yet: run this again")
        if count or began:
            timeline.append(tx, "keys.rotated", "The master key was rotated: every data key is under the new one.",
                            actor=actor, values={"keys": count, "master_key": store.vault.key_id})  # fmt: skip
    if given is None:
        old_beside(path).unlink(missing_ok=True)
        store.vault.refresh()
    return Rotated(count, store.vault.key_id, given)


def state(tx: Session) -> tuple[str, int]:
    """The id of the master key in use, and how many data keys are not under it: a rotation that was not finished."""
    return store_of(tx).vault.key_id, _under_another(tx)


def _put_in_place(path: Path) -> None:
    """The new key where the old one was, the old one beside it. Each step is safe to be killed after."""
    new, old = path.with_name(f"{path.name}.next"), old_beside(path)
    if old.exists() and key_id_of(old) != key_id_of(path):
        return  # done before, and killed while wrapping
    if not new.exists():
        write_key(new, os.urandom(32), links=links_of(path))
    if not old.exists():
        os.link(path, old)
    os.replace(new, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _begin(tx: Session, actor: str) -> bool:
    """The new signing key endorses those before it, so that older checkpoints still verify. True when it is new."""
    vault, new = store_of(tx).vault, False
    signing = vault.signing_key()
    for former in vault.former_signing_keys():
        public = _public(former)
        row: dict[str, Any] = {
            "public_key": public, "endorsed_by": _public(signing), "at": clock.now(),
            "signature": base64.b64encode(signing.sign(endorsement(public))).decode(),
        }  # fmt: skip
        made: Any = tx.execute(insert_or_ignore(tx, SigningKey).values(row))
        new = new or made.rowcount == 1
    if new:
        timeline.append(tx, "keys.rotating", "A new master key is in place; data keys are wrapped anew.", actor=actor,
                        values={"master_key": vault.key_id})  # fmt: skip
    return new


def _wait_for_older(store: Store) -> None:
    """Until every transaction that may have wrapped under the former key is over."""
    if store.one_machine:
        return
    with store.unit_of_work() as tx:
        mine = tx.execute(text("SELECT pg_current_xact_id()::text::bigint")).scalar_one()
    while True:
        with store.read() as tx:
            oldest = tx.execute(text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")).scalar_one()
        if oldest > mine:
            return
        time.sleep(SETTLE)


def _wrap_all(store: Store) -> int:
    """In small transactions, so that nobody waits for long; what is done stays done."""
    count, last = 0, 0
    while True:
        with store.unit_of_work() as tx:
            query = select(DataKey.id, DataKey.wrapped).where(*_other(store), DataKey.id > last)
            rows = tx.execute(query.order_by(DataKey.id).limit(AT_ONCE).with_for_update()).all()
            for key_id, wrapped in rows:
                master, new = store.vault.rewrap(bytes(wrapped or b""))
                tx.execute(update(DataKey).where(DataKey.id == key_id).values(master_key_id=master, wrapped=new))
                count, last = count + 1, key_id
        if not rows:
            return count


def _other(store: Store) -> tuple[Any, Any]:
    return DataKey.wrapped.is_not(None), DataKey.master_key_id != store.vault.key_id


def _under_another(tx: Session) -> int:
    return tx.execute(select(func.count(DataKey.id)).where(*_other(store_of(tx)))).scalar_one()


def _public(key: Ed25519PrivateKey) -> str:
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return raw.hex()
