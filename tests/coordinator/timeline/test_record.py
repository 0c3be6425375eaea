"""The record: what it keeps, what it refuses, what it proves."""

from __future__ import annotations

import json
import threading

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from coordinator import timeline
from coordinator.db import make_engine
from coordinator.errors import NotParseable
from coordinator.timeline.keys import Erased, destroy, new_key, seal, unseal
from coordinator.timeline.models import Chain, DataKey, Entry, Pending
from coordinator.timeline.queries import ERASED, entries
from coordinator.timeline.verify import checkpoint, newest_checkpoint, verify
from coordinator.vault import CannotOpen
from tests.alerting import put_incident


def write(store, count=3, **more):
    with store.unit_of_work() as tx:
        for number in range(count):
            timeline.append(tx, "note.added", f"entry {number}", actor="system", values={"number": number}, **more)


def kept_checkpoint(store):
    with store.unit_of_work() as tx:
        checkpoint(tx)
        tx.flush()
        return json.dumps(newest_checkpoint(tx)).encode()


def verdict_of(store, **more):
    with store.read() as tx:
        return verify(tx, **more)


def tamper(store, *statements):
    """Do what only the database's owner can do: take the triggers away, then change."""
    engine = make_engine(store.settings.owner_database_url or store.settings.database_url)
    with engine.begin() as connection:
        if store.one_machine:
            names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
            unguard = [f"DROP TRIGGER {name}" for name in names]
        else:
            tables = ("entries", "entry_values", "checkpoints", "checkpoint_heads")
            unguard = [f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in tables]
        for statement in [*unguard, *statements]:
            connection.execute(text(statement))
    engine.dispose()


def test_what_was_written_is_read_back_in_order_with_its_values(store):
    write(store)
    with store.read() as tx:
        found = entries(tx, incident_id=None)
    assert [(each["seq"], each["text"], each["values"]) for each in found] == [
        (1, "entry 0", {"number": 0}), (2, "entry 1", {"number": 1}), (3, "entry 2", {"number": 2}),
    ]  # fmt: skip


def test_an_untouched_record_verifies_and_says_what_it_does_not_prove(store):
    write(store)
    verdict = verdict_of(store)
    assert (verdict.broken, verdict.entries, verdict.chains) == ("", 3, 1)
    assert any("cut off" in note for note in verdict.notes)


@pytest.mark.parametrize(
    "statement",
    ["UPDATE entries SET kind = 'x'", "DELETE FROM entries", "UPDATE entry_values SET data_key_id = 7",
     "UPDATE checkpoints SET root = 'x'", "DELETE FROM checkpoint_heads"],
)  # fmt: skip
def test_the_database_itself_refuses_to_change_the_record(store, statement):
    write(store)
    kept_checkpoint(store)
    with pytest.raises(DBAPIError), store.unit_of_work() as tx:
        tx.execute(text(statement))
    assert verdict_of(store).broken == ""


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ("UPDATE entries SET kind = 'note.changed' WHERE seq = 2", "entry 2"),
        ("UPDATE entries SET actor = 'user:9' WHERE seq = 1", "entry 1"),
        ("UPDATE entries SET exercise = 'drill' WHERE seq = 3", "entry 3"),
        ("DELETE FROM entries WHERE seq = 2", "entry 2"),
        ("DELETE FROM entries WHERE seq = 3", "entry 3"),
        ("DELETE FROM entries", "missing"),
    ],
)
def test_a_changed_or_removed_entry_is_named(store, statement, where):
    write(store)
    tamper(store, statement)
    assert where in verdict_of(store).broken


def test_a_value_swapped_with_another_is_found(store):
    write(store, 2)
    tamper(
        store,
        "UPDATE entry_values SET sealed = (SELECT sealed FROM entry_values v WHERE v.entry_id = 2) WHERE entry_id = 1",
    )
    assert "value is not the one" in verdict_of(store).broken


def test_a_record_cut_off_at_its_end_is_found_against_a_kept_checkpoint(store):
    write(store, 3)
    kept = kept_checkpoint(store)
    with store.read() as tx:
        before = tx.execute(select(Entry.hash).where(Entry.seq == 2)).scalar_one()
    tamper(
        store, "DELETE FROM entries WHERE seq = 3", f"UPDATE chains SET length = 2, head = '{before}'",
        "DELETE FROM checkpoint_heads", "DELETE FROM checkpoints",
    )  # fmt: skip
    assert verdict_of(store).broken == "", "the chain alone cannot show that its end is missing"
    assert "gone" in verdict_of(store, against=kept).broken


def test_a_cut_that_leaves_the_checkpoints_is_found_without_the_kept_one(store):
    write(store, 3)
    kept_checkpoint(store)
    with store.read() as tx:
        before = tx.execute(select(Entry.hash).where(Entry.seq == 2)).scalar_one()
    tamper(store, "DELETE FROM entries WHERE seq = 3", f"UPDATE chains SET length = 2, head = '{before}'")
    assert "shorter" in verdict_of(store).broken


def test_a_kept_checkpoint_that_holds_is_said_to_hold(store):
    write(store)
    kept = kept_checkpoint(store)
    write(store)
    verdict = verdict_of(store, against=kept)
    assert verdict.broken == "" and any("Holds against checkpoint 1" in note for note in verdict.notes)


def test_a_kept_checkpoint_that_was_edited_is_refused(store):
    write(store)
    document = json.loads(kept_checkpoint(store)) | {"entries": 99}
    assert "changed" in verdict_of(store, against=json.dumps(document).encode()).broken


@pytest.mark.parametrize("rubbish", [b"", b"[]", b"{}", b'{"number": "x"}', b"\xff"])
def test_a_file_that_is_no_checkpoint_is_refused_in_words(store, rubbish):
    with pytest.raises(NotParseable):
        verdict_of(store, against=rubbish)


def test_a_checkpoint_is_made_only_when_something_happened(store):
    write(store, 1)
    with store.unit_of_work() as tx:
        assert checkpoint(tx).number == 1
    with store.unit_of_work() as tx:
        assert checkpoint(tx) is None
    write(store, 1)
    with store.unit_of_work() as tx:
        assert checkpoint(tx).number == 2
    assert verdict_of(store).checkpoints == 2


def test_erasing_a_key_destroys_the_values_and_the_chain_still_verifies(store):
    write(store)
    with store.unit_of_work() as tx:
        destroy(tx, tx.execute(select(Chain.data_key_id)).scalar_one())
    with store.read() as tx:
        assert {each["text"] for each in entries(tx, incident_id=None)} == {ERASED}
    verdict = verdict_of(store)
    assert (verdict.broken, verdict.erased) == ("", 3)


def two_incidents(store):
    with store.unit_of_work() as tx:
        rows = [put_incident(tx), put_incident(tx)]
        for row in rows:
            timeline.append(tx, "note.added", f"of {row.id}", actor="system", incident=row)
        return [row.id for row in rows]


def test_each_incident_has_a_key_of_its_own_that_erases_it_and_nothing_else(store, world):
    first, second = two_incidents(store)
    write(store, 1)
    with store.unit_of_work() as tx:
        destroy(tx, tx.execute(select(Chain.data_key_id).where(Chain.name == f"incident/{first}")).scalar_one())
    with store.read() as tx:
        texts = [[each["text"] for each in entries(tx, incident_id=one)] for one in (first, second, None)]
    assert texts == [[ERASED], [f"of {second}"], ["entry 0"]]
    assert verdict_of(store).broken == ""


@pytest.mark.parametrize("statements", [
    ["DELETE FROM entry_values WHERE entry_id IN (SELECT id FROM entries WHERE chain = '{chain}')",
     "DELETE FROM entries WHERE chain = '{chain}'", "DELETE FROM chains WHERE name = '{chain}'"],
    ["UPDATE checkpoints SET signature = '{zeros}'"], ["UPDATE checkpoints SET root = '{zeros}'"],
    ["UPDATE checkpoints SET prev = '{others}'"], ["UPDATE checkpoint_heads SET head = '{zeros}'"],
    ["UPDATE checkpoint_heads SET length = length + 1"], ["DELETE FROM checkpoint_heads WHERE chain = '{chain}'"],
])  # fmt: skip
def test_a_checkpoint_is_signed_and_holds_every_chain_with_its_length_and_head(store, world, statements):
    first, _ = two_incidents(store)
    kept_checkpoint(store)
    assert verdict_of(store).broken == ""
    tamper(store, *(each.format(chain=f"incident/{first}", zeros="0" * 64, others="f" * 64) for each in statements))
    assert verdict_of(store).broken != ""


def test_an_error_leaves_neither_the_change_nor_its_entry_nor_what_should_follow(store):
    with pytest.raises(RuntimeError), store.unit_of_work() as tx:
        timeline.append(tx, "note.added", "never", actor="system")
        timeline.pending(tx, "note.added", 1)
        raise RuntimeError
    with store.read() as tx:
        assert tx.execute(select(Entry)).first() is None and tx.execute(select(Pending)).first() is None


def test_two_that_write_at_the_same_instant_both_stand_in_one_chain(store):
    faults = []

    def many():
        try:
            for _ in range(20):
                write(store, 1)
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    verdict = verdict_of(store)
    assert (verdict.broken, verdict.entries, verdict.chains) == ("", 80, 1)


def test_what_is_sealed_for_one_purpose_does_not_open_for_another(store):
    with store.unit_of_work() as tx:
        key = new_key(tx)
        sealed = seal(tx, key, b"plain", about="report")
        assert unseal(tx, key, sealed, about="report") == b"plain"
        with pytest.raises(CannotOpen):
            unseal(tx, key, sealed, about="entry")
        with pytest.raises(CannotOpen):
            unseal(tx, key, sealed[:-1] + bytes([sealed[-1] ^ 1]), about="report")


def test_a_destroyed_key_opens_nothing_and_keeps_its_row_as_a_tombstone(store):
    with store.unit_of_work() as tx:
        key = new_key(tx)
        sealed = seal(tx, key, b"plain", about="report")
        destroy(tx, key)
        with pytest.raises(Erased):
            unseal(tx, key, sealed, about="report")
        assert tx.get(DataKey, key).destroyed_at is not None


def test_the_database_file_holds_no_plain_text_of_the_record(store):
    if not store.one_machine:
        return
    write(store, 1)
    with store.unit_of_work() as tx:
        timeline.append(tx, "note.added", "canary-7d1f sentence", actor="system", values={"x": "canary-7d1f"})
    store.engine.dispose()
    for path in store.settings.data_dir.glob("coordinator.db*"):
        assert b"canary-7d1f" not in path.read_bytes()
