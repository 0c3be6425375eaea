"""Who asks when a run asks: a person, so that whoever clears it is a second one."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.runs import duplicates, matching
from coordinator.store import Store
from tests.alerting import put_incident
from tests.factories import small_world
from tests.releasing import clearing


@pytest.mark.parametrize("owned", [True, False])
def test_after_a_duplicate_was_unmarked_the_owner_asks_and_not_the_system(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch, owned: bool
) -> None:
    small_world(sqlite_store)
    asked: dict[bool, str] = {}
    monkeypatch.setattr(
        matching, "start_matching", lambda *_, internal, started_by, arms: asked.update({internal: started_by})
    )
    with sqlite_store.unit_of_work() as tx:
        owner = clearing(tx, "coordinator")
        incident = put_incident(tx, owner_id=owner.user_id if owned else None)
        arms: Any = None
        duplicates._start_what_never_did(tx, incident, arms=arms)
    assert asked == {True: "system", False: owner.actor if owned else "system"}
