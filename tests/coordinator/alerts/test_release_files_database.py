"""What the database refuses whatever the program does: a file that leaves without its permit, or is changed later."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from coordinator.alerts.models import FileHandout, Handout
from coordinator.sharing.files import files_of
from coordinator.sharing.models import ReleaseFile
from coordinator.store import Store
from tests.factories import World
from tests.handing import two_partners
from tests.leaving import Desk


@pytest.fixture
def desk(store: Store, world: World) -> Iterator[Desk]:
    with two_partners(store):
        yield Desk(store, world)


@pytest.fixture
def sent(desk: Desk) -> Desk:
    desk.submit(desk.draft(desk.file(b"What we saw")))
    return desk

@pytest.mark.parametrize("change", [
    "UPDATE release_files SET sha256 = 'x'", "UPDATE release_files SET reason = 'x'", "DELETE FROM release_files",
    "UPDATE file_handouts SET sha256 = 'x'", "DELETE FROM file_handouts",
])  # fmt: skip
def test_it_refuses_a_change(sent: Desk, change: str) -> None:
    sent.take()
    with pytest.raises(DBAPIError), sent.store.unit_of_work() as tx:
        tx.execute(text(change))

@pytest.mark.parametrize("wrong", ["sha256", "release"])
def test_it_refuses_a_file_without_its_permit(sent: Desk, wrong: str) -> None:
    sent.take()
    other = sent.draft(sent.file(b"Another"))
    with sent.store.read() as tx:
        handout = tx.execute(select(Handout)).scalar_one()
        mine = tx.execute(select(ReleaseFile).order_by(ReleaseFile.id)).scalars().first()
        theirs = files_of(tx, other)[0]
        alert_id, decision_id, user_id, at = handout.alert_id, handout.decision_id, handout.user_id, handout.at
        assert mine is not None
        file_id, sha256 = (mine.id, "0" * 64) if wrong == "sha256" else (theirs.id, theirs.sha256)
    with pytest.raises(DBAPIError), sent.store.unit_of_work() as tx:
        made = Handout(alert_id=alert_id, decision_id=decision_id, user_id=user_id, way="page", format="file", at=at)
        tx.add(made)
        tx.flush()
        tx.add(FileHandout(handout_id=made.id, release_file_id=file_id, sha256=sha256))
        tx.flush()
