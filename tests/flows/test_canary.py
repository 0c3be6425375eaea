"""Every field of a random world carries a word of its own; every exit is walked as everybody, and a word comes out only
where a permit or the role's need-to-know says so. The long form by hand: `python -m tests.canary --worlds N --seed S`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest

from coordinator import live
from tests.canary.__main__ import walked
from tests.canary.exits import EXITS, OURS
from tests.canary.model import Left, Reader, Word
from tests.canary.said import NOT_HERE, fields
from tests.canary.walk import Walk
from tests.harness.processes import wait_for
from tests.hostile.looking import Overhearing
from tests.unfolded import unfolded


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    with walked(tmp_path_factory.mktemp("canary") / "var", seed=1, full=False) as made:
        yield made


def test_no_word_comes_out_where_it_may_not_be(walk: Walk) -> None:
    assert walk.faults == []


def test_the_walk_saw_what_there_is_to_see(walk: Walk) -> None:
    """Nothing leaks from an empty world either: what has to be there was there."""
    assert len(walk.model.words) > 150 and sum(walk.found.values()) > 1000
    assert len(walk.mail.letters) > 5 and len(walk.receiver.kept()) > 3
    assert walk.broker.commands > 100 and len(walk.built.machine.output) > 50
    told = {one.partner for one in walk.model.left}
    assert len(told) > 1 and len({one.tlp for one in walk.model.left}) > 1
    assert {one.release for one in walk.model.left} - {0} != set()
    for name in ("page public.listed", "page public.one", "page public.feed"):
        assert "public" in walk.theirs[name], name
    for name in ("mail", "webhook", "page released.list", "tool api.released.one", "page acknowledge.show"):
        assert any(exit_.startswith(name) for exit_ in walk.theirs), name
    done = set(walk.built.afterwards.done)
    assert {"recall", "wrong-release", "told: correction", "a consent asked", "a duty", "an assessment", "a run",
            "told: initial", "told in versions", "for the public: published and withdrawn"} <= done  # fmt: skip
    assert any(one.over for one in walk.model.left)
    assert walk.found["PDF"] > walk.looks["PDF"] > 3
    assert walk.looks["mail, opened"] and walk.looks["service"] and walk.looks["database"] > 100
    assert {"page incidents.incident", "tool api.incidents.timeline", "page quarantine.one"} <= set(walk.ours)


def test_a_word_is_heard_whatever_it_is_wrapped_in(walk: Walk) -> None:
    """Celery sends base64, a key holds kinds of values, a large one is compressed where it is dumped."""
    word = "zqkabcdefghijkl"
    wrapped = base64.urlsafe_b64encode(json.dumps({"args": [word]}).encode()).decode().rstrip("=")
    assert word in unfolded(f"/a/{wrapped}?x") and word in unfolded(base64.b64encode(wrapped.encode()).decode())
    client = live.connect(walk.built.machine.broker_url)
    with Overhearing(walk.built.machine.broker_url) as broker:
        broker.watch([word])
        wait_for(lambda: client.get("quiet") is None and broker.commands, what="the listener")
        client.set("canary-1", json.dumps({"body": wrapped}))
        wait_for(lambda: broker.heard == {word}, what="the word")
    for kind, write in {
        "string": lambda key: client.set(key, f"{wrapped} " * 200), "list": lambda key: client.rpush(key, wrapped),
        "hash": lambda key: client.hset(key, "a", word), "set": lambda key: client.sadd(key, word),
        "zset": lambda key: client.zadd(key, {word: 1}), "stream": lambda key: client.xadd(key, {"a": word}),
    }.items():
        client.delete("canary-1")
        assert word not in broker.left()
        write("canary-1")
        assert word in broker.left(), kind
    client.delete("canary-1")


def test_fields_of_the_api_that_take_words_held_one(walk: Walk) -> None:
    """Nearly all but those it cannot have (NOT_HERE); the command names each that did not, and ends with 1."""
    described = walk.built.app.test_client().get("/api/v1/openapi.json").get_json()
    wanted = sum(len(pointers) for pointers in fields(described).values())
    assert wanted > 90 and len(set(walk.built.unsaid()) - set(NOT_HERE)) < wanted // 10


def test_every_exit_that_shows_what_was_said_is_on_the_list(walk: Walk) -> None:
    """A new one is entered in tests/canary/exits.py; one to partners with how it reaches them, and is tried there."""
    assert walk.unlisted() == set()
    routes = {rule.endpoint for rule in walk.built.app.url_map.iter_rules()}
    assert {one.route for one in EXITS.values()} - {""} | OURS <= routes


def test_a_leak_would_be_seen(walk: Walk) -> None:
    theirs = next(word for word in walk.model.words if word.area == "case" and word.what.startswith("title of case 4"))
    analyst = next(one for one in walk.built.people if one.name == "analyst-0")
    before = list(walk.faults)
    walk._look("page planted", analyst, f"<p>{theirs.text}</p>", "", "/planted")
    found, walk.faults = walk.faults[len(before):], before
    assert found == [f"  page planted /planted: analyst-0 came across the {theirs.what}"]


LEFT = Left(partner="FI", release=7, tlp="GREEN", person="aino@fi.example", token="t", attributed="SE")
TEXT = Word("zqkx", "body", "alert", case="c", release=7)


@pytest.mark.parametrize(("reader", "tlp", "token", "may"), [
    (Reader("of fi", "partner-user", partner="FI", email="eero@fi.example"), "GREEN", "", True),
    (Reader("of fi", "partner-user", partner="FI", email="eero@fi.example"), "RED", "", False),
    (Reader("of fi", "partner-user", partner="FI", email="Aino@fi.example"), "RED", "", True),
    (Reader("of lv", "partner-user", partner="LV"), "GREEN", "", False),
    (Reader("of lv", "partner-user", partner="LV"), "GREEN", "t", True),
    (Reader("of lv", "partner-user", partner="LV"), "AMBER", "t", False),
    (Reader("visitor"), "GREEN", "", False), (Reader("visitor"), "GREEN", "other", False),
    (Reader("admin", "administrator"), "CLEAR", "", False), (Reader("analyst", "analyst"), "AMBER", "", True),
])  # fmt: skip
def test_the_model_says_who_may_read_what_was_told(
    walk: Walk, reader: Reader, tlp: str, token: str, may: bool
) -> None:
    model = type(walk.model)(left=[Left(**vars(LEFT) | {"tlp": tlp})])
    assert model.may(reader, TEXT, token=token) is may
