"""Statements compiled once: the database holds what the same statement through SQLAlchemy would have put there."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import DataError, IntegrityError

from coordinator.prepared import Prepared, at_once, one_of, reserve, reserved, take_turns
from coordinator.timeline.models import DataKey, Heartbeat, Pending

AT = datetime(2026, 11, 22, 17, 53, 24, 5, tzinfo=UTC)


def test_what_is_written_reads_back_as_it_was_and_the_rest_has_its_default(store):
    rows = [
        {"name": "a", "kind": "é\U0001f600", "at": AT, "detail": {"x": [1, None, "y"]}},
        {"name": "b", "kind": "", "at": AT.astimezone(timezone(timedelta(hours=5))), "detail": {}},
    ]
    beats = Prepared(insert(Heartbeat.__table__).inline())
    pending = Prepared(insert(Pending.__table__).inline())
    with store.unit_of_work() as tx:
        assert beats.each(tx, rows).rowcount == 2
        assert beats.each(tx, []).rowcount == 0
        assert pending.each(tx, [{"kind": "k", "object_id": 1, "created_at": AT, "ready_at": AT}]).rowcount == 1
    with store.read() as tx:
        query = select(Heartbeat).where(Heartbeat.name.in_(["a", "b"])).order_by(Heartbeat.name)
        assert [(row.kind, row.at, row.detail) for row in tx.execute(query).scalars()] == [
            ("é\U0001f600", AT, {"x": [1, None, "y"]}), ("", AT, {})
        ]  # fmt: skip
        word = tx.execute(select(Pending)).scalar_one()
        assert (word.attempts, word.dead, word.exercise, word.lease_until) == (0, False, "", None)


def test_a_list_of_any_length_finds_its_rows(store):
    keys = DataKey.__table__
    found = Prepared(lambda dialect: select(keys.c.id).where(one_of(dialect, keys.c.master_key_id, "names")))
    with store.unit_of_work() as tx:
        for name in ("one", "two", "it's"):
            tx.add(DataKey(master_key_id=name, wrapped=b"", created_at=AT))
        tx.flush()
        for names, count in (([], 0), (["one"], 1), (["two", "it's", "none"], 2), ([f"n{n}" for n in range(2000)], 0)):
            assert len(found.rows(tx, names=names)) == count


def test_reserved_ids_are_nobody_elses_and_fit_what_the_table_counts_on_with(store):
    def one_more(tx):
        row = DataKey(master_key_id="m", wrapped=b"", created_at=AT)
        tx.add(row)
        tx.flush()
        return row.id

    keys = Prepared(insert(DataKey.__table__).inline())
    with store.unit_of_work() as tx:
        before = one_more(tx)
        (ids,) = reserve(tx, data_keys=3)
        keys.each(tx, [{"id": each, "master_key_id": "m", "wrapped": b"", "created_at": AT} for each in ids])
        after = one_more(tx)
        (more,) = reserve(tx, data_keys=2)
        assert len({before, *ids, after, *more}) == 7
        reports, chosen = reserve(tx, reports=2, data_keys=1)
        assert (len(reports), len(chosen)) == (2, 1)


def test_what_is_sent_at_once_is_counted_and_its_fault_is_told_as_any_other(store):
    beats = Prepared(insert(Heartbeat.__table__).inline())
    rows = [{"name": name, "kind": "", "at": AT, "detail": {}} for name in ("a", "b")]
    with store.unit_of_work() as tx:
        with at_once(tx):
            counts = [beats.each(tx, rows[:1]), beats.each(tx, rows[1:]), beats.each(tx, [])]
        assert [each.rowcount for each in counts] == [1, 1, 0]
    with pytest.raises(IntegrityError), store.unit_of_work() as tx, at_once(tx):
        beats.each(tx, [{**rows[0], "name": "c"}])
        beats.each(tx, rows)
    with store.unit_of_work() as tx:
        assert sorted(tx.execute(select(Heartbeat.name)).scalars()) == ["a", "b"]
        assert beats.each(tx, [{**rows[0], "name": "c"}]).rowcount == 1


HOSTILE = ('"', "\\", "{a,b}", "NULL", "null", "", " ", "a,b", "'; --", "\n\t", '\\"', "\\x00",
           "é\U0001f600", "%s", "(1)")  # fmt: skip


def test_many_rows_hold_any_text_and_bytes_to_the_character(store):
    beats, keys = Prepared(insert(Heartbeat.__table__).inline()), Prepared(insert(DataKey.__table__).inline())
    rows = [{"name": f"n{n}", "kind": text, "at": AT, "detail": {text: [text, None, 1.5, True]}}
            for n, text in enumerate(HOSTILE)]  # fmt: skip
    wrapped = [bytes(range(256)), b"", None, b'\\x00"']
    with store.unit_of_work() as tx:
        assert beats.each(tx, rows).rowcount == len(rows)
        (ids,) = reserve(tx, data_keys=len(wrapped))
        keys.each(tx, [{"id": each, "master_key_id": "m", "wrapped": one, "created_at": AT}
                       for each, one in zip(ids, wrapped, strict=True)])  # fmt: skip
    with store.read() as tx:
        found = {row.name: (row.kind, row.detail) for row in tx.execute(select(Heartbeat)).scalars()}
        assert found == {row["name"]: (row["kind"], row["detail"]) for row in rows}
        assert [row.wrapped for row in tx.execute(select(DataKey).order_by(DataKey.id)).scalars()] == wrapped


@pytest.mark.parametrize("rows", [1, 2])
def test_what_is_too_long_for_its_column_is_refused_or_kept_and_never_cut(store, rows):
    keys = Prepared(insert(DataKey.__table__).inline())
    lengths = nullcontext() if store.one_machine else pytest.raises(DataError)  # SQLite has none
    with lengths, store.unit_of_work() as tx:
        (ids,) = reserve(tx, data_keys=rows)
        keys.each(tx, [
            {"id": each, "master_key_id": "m" * 17, "wrapped": b"", "created_at": AT} for each in ids
        ])  # fmt: skip
    with store.read() as tx:
        kept = rows if store.one_machine else 0
        assert list(tx.execute(select(DataKey.master_key_id)).scalars()) == ["m" * 17] * kept


def test_a_question_sent_at_once_is_answered_when_that_ends(store):
    keys = DataKey.__table__
    named = Prepared(lambda dialect: select(keys.c.id, keys.c.master_key_id).where(
        one_of(dialect, keys.c.master_key_id, "names")))  # fmt: skip
    with store.unit_of_work() as tx:
        tx.add(DataKey(master_key_id="one", wrapped=b"", created_at=AT))
        tx.flush()
        with at_once(tx):
            take_turns(tx, ["b", "a", "b"])
            found, ids = named.asked(tx, names=["one"]), reserved(tx, data_keys=2, reports=1)
        assert [row.master_key_id for row in found.fetchall()] == ["one"]
        assert [len(each) for each in ids.fetchall()] == [2, 1]
