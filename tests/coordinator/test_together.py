"""Several transactions in one commit: each for itself where it fails, nobody answered before the disk has it."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import event, select

from coordinator.errors import Refused
from coordinator.partners.models import Setting
from coordinator.together import Together, Work
from tests.harness.processes import PATIENCE, wait_for


def at_once(together, works):
    """Run all `works` while the first holds the turn; (results, errors) in the order of `works`. Each is a
    function, or a tuple of what `run` takes."""
    results, errors = [None] * len(works), [None] * len(works)
    held, go_on = threading.Event(), threading.Event()

    def hold(tx):
        held.set()
        assert go_on.wait(PATIENCE)

    def run(place, work):
        try:
            results[place] = together.run(*work) if isinstance(work, tuple) else together.run(Work(work))
        except Exception as error:
            errors[place] = error

    threads = [threading.Thread(target=together.run, args=(Work(hold, lambda tx, items: [None]),))]
    threads += [threading.Thread(target=run, args=(place, work)) for place, work in enumerate(works)]
    threads[0].start()
    assert held.wait(PATIENCE)
    for thread in threads[1:]:
        thread.start()
    wait_for(lambda: len(together._waiting) >= len(works), what="everybody to stand in line", pause=0.001)
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
            together.run(Work(work))
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
    assert together.run(Work(put("a"))) == "a"
    with pytest.raises(Refused):
        together.run(Work(put_and_fail("b")))
    assert kept(store) == {"a"}


# ---------------------------------------------------------------- as a set


def put_all(tx, names):
    """All of these in one statement; what bears a number it leaves to be put alone."""
    mine = [name for name in names if not name.isdigit()]
    tx.add_all([Setting(name=name, value=2) for name in mine])
    tx.flush()
    return [name.upper() if name in mine else None for name in names]


def one_of_a_set(name):
    return (Work(put(name), put_all, name),)


def values(store):
    with store.read() as tx:
        return {name: value for name, value in tx.execute(select(Setting.name, Setting.value))}


def test_alike_work_is_done_as_a_set_and_what_it_leaves_is_done_alone(store):
    works = [one_of_a_set("a"), one_of_a_set("7"), one_of_a_set("b")]
    results, errors = at_once(Together(store), works)
    assert errors == [None] * 3
    assert results == ["A", "7", "B"]
    assert values(store) == {"a": 2, "7": 1, "b": 2}


def test_where_a_set_fails_each_is_done_alone(store):
    with store.unit_of_work() as tx:
        tx.add(Setting(name="b", value=0))
    results, errors = at_once(Together(store), [one_of_a_set(name) for name in ("a", "b", "c")])
    assert [error is None for error in errors] == [True, False, True]
    assert results == ["a", None, "c"]
    assert values(store) == {"a": 1, "b": 0, "c": 1}


def test_where_one_of_two_sets_fails_the_other_is_done_again_and_once(sqlite_store):
    def fails(tx, names):
        tx.add(Setting(name="half", value=1))
        tx.flush()
        raise Refused("no")

    works = [one_of_a_set("a"), (Work(put("x"), fails, "x"),), one_of_a_set("b")]
    results, errors = at_once(Together(sqlite_store), works)
    assert (results, errors) == (["a", "x", "b"], [None] * 3)
    assert set(values(sqlite_store)) == {"a", "x", "b"}


def test_a_set_commits_once_on_either_store(store):
    commits = []
    event.listen(store.engine, "commit", lambda connection: commits.append(1))
    at_once(Together(store), [one_of_a_set(name) for name in "abcdef"])
    assert len(commits) == 2


def test_who_comes_while_the_database_is_taken_goes_along(sqlite_store):
    """The turn is filled when the database is ours, not when the waiting for it begins."""
    together, commits = Together(sqlite_store), []
    event.listen(sqlite_store.engine, "commit", lambda connection: commits.append(1))
    with sqlite_store.unit_of_work():
        threads = [threading.Thread(target=together.run, args=(Work(put(name)),)) for name in "abc"]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(together._waiting) >= 3, what="everybody to stand in line", pause=0.001)
    for thread in threads:
        thread.join()
    assert kept(sqlite_store) == {"a", "b", "c"}
    assert len(commits) == 2


# ---------------------------------------------------------------- what follows from a result


def second(result):
    if result == "b":
        raise Refused("nothing follows from b")
    return None if result == "c" else Work(put(f"{result}-again"))


def test_what_follows_is_done_in_a_second_transaction_for_all_of_a_turn(sqlite_store):
    commits = []
    event.listen(sqlite_store.engine, "commit", lambda connection: commits.append(1))
    results, errors = at_once(Together(sqlite_store), [(Work(put(name)), second) for name in "abcd"])
    assert results == ["a-again", None, "c", "d-again"]
    assert [type(error).__name__ for error in errors] == ["NoneType", "Refused", "NoneType", "NoneType"]
    assert kept(sqlite_store) == {"a", "b", "c", "d", "a-again", "d-again"}
    assert len(commits) == 3


def test_what_follows_is_done_on_either_store_and_alone_too(store):
    together = Together(store)
    assert together.run(Work(put("x")), second) == "x-again"
    works = [(Work(put(name), put_all, name), lambda result: Work(put(f"{result}2"), put_all, "9")) for name in "pqr"]
    results, errors = at_once(together, works)
    assert errors == [None] * 3 and results == ["P2", "Q2", "R2"]
    assert values(store) == {"x": 1, "x-again": 1, "p": 2, "q": 2, "r": 2, "P2": 1, "Q2": 1, "R2": 1}
