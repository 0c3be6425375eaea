"""Rotating the master key: nothing is lost, whenever it is killed, and older checkpoints still verify."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import func, select

from coordinator import timeline
from coordinator.errors import Misconfigured
from coordinator.store import Store
from coordinator.timeline.keys import new_key, seal, unseal
from coordinator.timeline.models import DataKey, SigningKey
from coordinator.timeline.queries import entries
from coordinator.timeline.verify import checkpoint, newest_checkpoint, verify
from coordinator.upkeep import rotation
from coordinator.vault import Vault, old_beside


def say(store: Store, text: str = "Something.") -> None:
    with store.unit_of_work() as tx:
        timeline.append(tx, "test.said", text, actor="system", values={"text": text})


def kept(store: Store) -> bytes:
    with store.unit_of_work() as tx:
        checkpoint(tx)
        tx.flush()
        return json.dumps(newest_checkpoint(tx)).encode()


def make_keys(store: Store, count: int) -> dict[int, bytes]:
    with store.unit_of_work() as tx:
        made = [new_key(tx) for _ in range(count)]
        return {key: seal(tx, key, b"secret", about="test") for key in made}


def all_open(store: Store, sealed: dict[int, bytes]) -> bool:
    with store.read() as tx:
        return all(unseal(tx, key, value, about="test") == b"secret" for key, value in sealed.items())


def masters(store: Store) -> dict[str, int]:
    with store.read() as tx:
        query = select(DataKey.master_key_id, func.count()).group_by(DataKey.master_key_id)
        return {row[0]: row[1] for row in tx.execute(query)}


def test_all_is_readable_under_the_new_key_and_the_old_one_is_gone(sqlite_store: Store) -> None:
    say(sqlite_store)
    sealed, before, link = make_keys(sqlite_store, 450), kept(sqlite_store), sqlite_store.vault.token("a", "b")
    old = sqlite_store.vault.key_id
    running = Store(sqlite_store.settings)  # a process that runs through it
    done = rotation.rotate(sqlite_store, actor="cli:test")
    assert done.keys == 451 and masters(sqlite_store) == {done.key_id: 451} and done.key_id != old
    assert not old_beside(sqlite_store.settings.master_key_file).exists()
    fresh = Store(sqlite_store.settings)
    for each in (fresh, running, sqlite_store):
        say(each)
        assert all_open(each, sealed) and each.vault.token("a", "b") == link
        assert all_open(each, make_keys(each, 1)) and set(masters(each)) == {done.key_id}
        after = kept(each)
        with each.read() as tx:
            assert [verify(tx, against=one).broken for one in (before, after)] == ["", ""]
    with fresh.read() as tx:
        assert "keys.rotated" in [entry["kind"] for entry in entries(tx, incident_id=None)]
    for each in (fresh, running):
        each.close()


def test_a_second_rotation_endorses_the_chain_of_former_keys(sqlite_store: Store) -> None:
    say(sqlite_store)
    first = kept(sqlite_store)
    for _ in range(2):
        rotation.rotate(sqlite_store, actor="cli:test")
        say(sqlite_store)
        kept(sqlite_store)
    with sqlite_store.read() as tx:
        assert verify(tx).broken == "" and verify(tx, against=first).broken == ""
    with sqlite_store.unit_of_work() as tx:  # one who writes rows but holds no key endorses nobody
        row = tx.execute(select(SigningKey).limit(1)).scalar_one()
        row.signature = row.signature[:-8] + "AAAAAAA="
    with sqlite_store.read() as tx:
        assert "another key" in verify(tx).broken


@pytest.mark.parametrize("when", ["_begin", "_wait_for_older", "_wrap_all", "_under_another"])
def test_killed_at_any_point_it_goes_on_where_it_was(
    sqlite_store: Store, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(sqlite_store)
    sealed = make_keys(sqlite_store, 30)
    monkeypatch.setattr(rotation, "AT_ONCE", 7)

    class Killed(BaseException):
        pass

    def die(*_args: object) -> None:
        raise Killed

    with monkeypatch.context() as until, pytest.raises(Killed):
        until.setattr(rotation, when, die)
        rotation.rotate(sqlite_store, actor="cli:test")
    between = Store(sqlite_store.settings)
    assert all_open(between, sealed)
    sealed |= make_keys(between, 3)
    with between.read() as tx:
        assert verify(tx).broken == "" or when in ("_begin",)
    done = rotation.rotate(between, actor="cli:test")
    assert masters(between) == {done.key_id: 34} and all_open(between, sealed)
    assert not old_beside(between.settings.master_key_file).exists()
    between.close()


def test_with_many_machines_the_operator_places_both_files(store: Store, tmp_path: Path) -> None:
    if store.one_machine:
        return
    say(store)
    sealed, before, link = make_keys(store, 3), kept(store), store.vault.token("a", "b")
    with pytest.raises(Misconfigured, match="--prepare"):
        rotation.rotate(store, actor="cli:test")
    new = tmp_path / "new.key"
    rotation.prepare(store, new)
    settings = replace(store.settings, master_key_file=new, old_master_key_file=store.settings.master_key_file)
    moved = Store(settings)
    assert all_open(moved, sealed)
    done = rotation.rotate(moved, actor="cli:test")
    assert done.left == settings.old_master_key_file and set(masters(moved)) == {done.key_id}
    moved.close()
    alone = Store(replace(settings, old_master_key_file=None))
    assert all_open(alone, sealed) and alone.vault.token("a", "b") == link
    with alone.read() as tx:
        assert verify(tx, against=before).broken == ""
    alone.close()


def test_a_vault_of_another_key_opens_nothing() -> None:
    one, other = Vault(b"1" * 32), Vault(b"2" * 32)
    _, wrapped = one.new_data_key()
    with pytest.raises(Exception, match="could not be opened"):
        other.seal(wrapped, b"x", about="y")
