"""Data keys as rows: make one, seal and open under it, destroy it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from coordinator import clock
from coordinator.errors import CoordinatorError
from coordinator.prepared import Prepared
from coordinator.store import store_of
from coordinator.timeline.models import DataKey
from coordinator.vault import Vault

_keys: Any = DataKey.__table__
_ADD = insert(_keys).returning(_keys.c.id)
_ADD_ALL = Prepared(insert(_keys).inline())
_WRAPPED = select(_keys.c.wrapped).where(_keys.c.id == bindparam("key"))


class Erased(CoordinatorError):
    """The data key was destroyed on purpose; what it sealed is gone for good."""

    status = 410
    title = "This was erased"


def new_key(tx: Session) -> int:
    """Make a data key; returns its id."""
    master, wrapped = store_of(tx).vault.new_data_key()
    row = {"master_key_id": master, "wrapped": wrapped, "created_at": clock.now()}
    key_id: int = tx.execute(_ADD, row).scalar_one()
    remember(tx, key_id, wrapped)
    return key_id


def new_keys(tx: Session, ids: Sequence[int]) -> None:
    """Make data keys with these ids, which are reserved for them, in one statement."""
    vault, now = store_of(tx).vault, clock.now()
    rows = []
    for key_id in ids:
        master, wrapped = vault.new_data_key()
        rows.append({"id": key_id, "master_key_id": master, "wrapped": wrapped, "created_at": now})
        remember(tx, key_id, wrapped)
    _ADD_ALL.each(tx, rows)


def seal(tx: Session, key_id: int, plain: bytes, *, about: str) -> bytes:
    """Encrypt under data key `key_id`. `about` names what it belongs to, e.g. `report`; give the same to open it."""
    return store_of(tx).vault.seal(_wrapped(tx, key_id), plain, about=f"{about}/{key_id}")


def sealing(vault: Vault, key_id: int, wrapped: bytes) -> Callable[[bytes, str], bytes]:
    """`seal` under one key that is at hand, without a transaction: a function of the plain bytes and `about`."""
    return lambda plain, about: vault.seal(wrapped, plain, about=f"{about}/{key_id}")


def unseal(tx: Session, key_id: int, sealed: bytes, *, about: str) -> bytes:
    """The plain bytes. Raises Erased when the key was destroyed, CannotOpen when the bytes were altered."""
    return store_of(tx).vault.open(_wrapped(tx, key_id), sealed, about=f"{about}/{key_id}")


def destroy(tx: Session, key_id: int) -> None:
    """Erase everything sealed under the key."""
    tx.execute(update(DataKey).where(DataKey.id == key_id).values(wrapped=None, destroyed_at=clock.now()))
    _cache(tx).pop(key_id, None)


def remember(tx: Session, key_id: int, wrapped: bytes | None) -> None:
    """Spare a look-up: the caller has read this key's row already."""
    if wrapped is not None:
        _cache(tx)[key_id] = wrapped


def look_up(tx: Session, ids: Iterable[int | None]) -> None:
    """Read these keys' rows at once, for the many values of a list that are opened one by one."""
    wanted = {each for each in ids if each is not None} - _cache(tx).keys()
    if len(wanted) > 1:
        for row in tx.execute(select(_keys.c.id, _keys.c.wrapped).where(_keys.c.id.in_(wanted))):
            remember(tx, row.id, row.wrapped)


def _cache(tx: Session) -> dict[int, bytes]:
    return tx.info.setdefault("data_keys", {})


def _wrapped(tx: Session, key_id: int) -> bytes:
    cache = _cache(tx)
    if key_id not in cache:
        wrapped = tx.execute(_WRAPPED, {"key": key_id}).scalar_one_or_none()
        if wrapped is None:
            raise Erased()
        cache[key_id] = wrapped
    return cache[key_id]
