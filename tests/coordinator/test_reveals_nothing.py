"""Whatever else there is, somebody outside gets the very same answers: two worlds, the same questions, compared."""

from __future__ import annotations

import difflib
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from coordinator import clock, config
from coordinator.store import Store
from tests.alerting import MailBox, agreement, mail_server, put_organisation
from tests.coordinator.two_worlds import HTTPS, Hands, Seen, Story
from tests.factories import OTHER, PARTNER, native
from tests.harness.receiver import Receiver

Said = list[tuple[str, str]]


def _nothing(world: Seen) -> None:
    """The plain world."""


def _told_too(world: Seen) -> None:
    """The same text, and another, go to a second partner of the same incident."""
    world.tell(world.reference, OTHER)
    world.tell(world.reference, OTHER, kind="update", title="For you alone", tlp="AMBER")
    world.send()


def _reported_too(world: Seen) -> None:
    """Another partner reports the same, by the same reference of theirs and with the same file; it is a duplicate."""
    file = {"name": "a.txt", "media_type": "text/plain", "sha256": hashlib.sha256(b"x").hexdigest(), "size": 1}
    answer = world.others.post(native(title="Ransomware at a hospital", external_id="T-1", attachments=[file]))
    assert answer.status_code == 202, answer.text
    other = world.newest()
    assert world.others.put(file["sha256"], b"x").status_code in (200, 201)
    world.change(
        "duty-officer",
        "POST",
        f"/incidents/{other}/status",
        {"status": "duplicate", "duplicate_of": world.reference, "reason": "the same"},
        f"/incidents/{other}",
    )


def _kept_from_them(world: Seen) -> None:
    """A restricted incident, one in quarantine, and on their own incident a STRICT note and a draft that waits."""
    for more in ({"tlp": "RED"}, {"exercise": "NO-SUCH"}):
        assert world.others.post(native(**more)).status_code == 202
    at = f"/incidents/{world.reference}"
    world.do("duty-officer", "POST", f"{at}/notes", {"text": "Who it is.", "tlp": "AMBER+STRICT"})
    world.tell(world.reference, PARTNER, tlp="AMBER+STRICT", title="Waits for a second person")
    world.do(
        "coordinator",
        "POST",
        f"{at}/releases",
        {"kind": "update", "title": "A draft", "tlp": "GREEN", "body": "Not said.", "purpose": "network-defence"},
    )


def _more_people(world: Seen) -> None:
    """Others sign in, make tokens, are told of changes; another organisation and agreement are there."""
    for _ in range(3):
        world.sign_in(world.liga.user_id)
        world.tokens["Liga"] = world._token(world.liga.user_id)
    with world.store.unit_of_work() as tx:
        put_organisation(tx, "NO-CSIRT")
        agreement(tx, code="NO-CSIRT", agreement_id="MOU-no")


STORIES = (_told_too, _reported_too, _kept_from_them, _more_people)


def _all_of_it(world: Seen) -> None:
    """All of these; where it differs, STORIES one by one in its place say which it was."""
    for story in STORIES:
        story(world)


def _said(story: Story, folder: Path, template: Path, hands: Hands) -> Said:
    folder.mkdir()
    shutil.copy(template, folder / "coordinator.db")
    box = MailBox()
    with mail_server(box) as url, Receiver(acknowledge=False) as receiver:
        store = Store(replace(config.load({}, data_dir=folder), smtp_url=url, base_url=HTTPS))
        try:
            world = Seen(store, hands, box, receiver)
            world.begin()
            hands.set(30)
            story(world)
            world.go_on()
            return world.said
        finally:
            store.close()


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sqlite_template: Path) -> Callable[[Story], Said]:
    """What is said in the world with this story, told by the same clock as the other."""
    hands = Hands()
    monkeypatch.setattr(clock, "now", hands.now)
    return lambda story: _said(story, tmp_path / story.__name__, sqlite_template, hands)


def test_every_answer_is_the_same_to_the_byte(said: Callable[[Story], Said]) -> None:
    plain, other = said(_nothing), said(_all_of_it)
    assert [asked for asked, _ in other] == [asked for asked, _ in plain]
    differing = [
        "\n".join([asked, *difflib.unified_diff(one.splitlines(), two.splitlines(), lineterm="", n=0)])
        for (asked, one), (_, two) in zip(plain, other, strict=True)
        if one != two
    ]
    assert not differing, f"{len(differing)} of {len(plain)}:\n" + "\n".join(differing[:12])
