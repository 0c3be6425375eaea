"""Several transactions in one commit: each for itself where it fails, nobody answered before the disk has it."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import event, select

from coordinator.errors import Refused
from coordinator.partners.models import Setting
from coordinator.together import Together


def at_once(together, works):
    """Run all `works` while the first holds the turn; (results, errors) in the order of `works`."""
    results, errors = [None] * len(works), [None] * len(works)
    held, go_on = threading.Event(), threading.Event()

    def hold(tx):
        held.set()
        assert go_on.wait(10)

    def run(place, work):
        try:
            results[place] = together.run(work)
        except Exception as error:
            errors[place] = error

    threads = [threading.Thread(target=together.run, args=(hold,))]
    threads += [threading.Thread(target=run, args=(place, work)) for place, work in enumerate(works)]
    threads[0].start()
    assert held.wait(10)
    for thread in threads[1:]:
        thread.start()
    while len(together._waiting) < len(works):
        pass
    go_on.set()
    for thread in threads:
        thread.join()
    return results, errors


def put(name):
    def work(tx):
        tx.add(Setting(name=name, value=1))
        return name

    return work


def put_and_fail(name):
    def work(tx):
        tx.add(Setting(name=name, value=1))
        tx.flush()
        raise Refused(name)

    return work


def kept(store):
    with store.read() as tx:
        return set(tx.execute(select(Setting.name)).scalars())


def test_those_who_wait_are_done_in_one_commit(sqlite_store):
    commits = []
    event.listen(sqlite_store.engine, "commit", lambda connection: commits.append(1))
    results, errors = at_once(Together(sqlite_store), [put(f"n{number}") for number in range(6)])
    assert results == [f"n{number}" for number in range(6)] and errors == [None] * 6
    assert kept(sqlite_store) == set(results)
    assert len(commits) == 2  # the one that held the turn, and the six together


def test_one_that_fails_undoes_only_itself(sqlite_store):
    results, errors = at_once(Together(sqlite_store), [put("a"), put_and_fail("b"), put("c"), put("a")])
    assert kept(sqlite_store) == {"a", "c"}
    assert isinstance(errors[1], Refused) and errors[1].detail == "b"
    assert [error is None for error in errors].count(True) == 2  # the second "a" is there already


def test_when_the_commit_fails_it_failed_for_everybody(sqlite_store):
    together = Together(sqlite_store)

    def refuse(connection):
        raise OSError("the disk is full")

    event.listen(sqlite_store.engine, "commit", refuse)
    errors = at_once_without_holder(together, [put("a"), put("b")])
    event.remove(sqlite_store.engine, "commit", refuse)
    assert None not in errors
    assert kept(sqlite_store) == set()


def at_once_without_holder(together, works):
    errors = [None] * len(works)

    def run(place, work):
        try:
            together.run(work)
        except Exception as error:
            errors[place] = error

    threads = [threading.Thread(target=run, args=(place, work)) for place, work in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_a_single_one_is_a_transaction_like_any_other(store):
    together = Together(store)
    assert together.run(put("a")) == "a"
    with pytest.raises(Refused):
        together.run(put_and_fail("b"))
    assert kept(store) == {"a"}
