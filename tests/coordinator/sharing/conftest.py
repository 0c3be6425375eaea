"""A transaction in a world with partners that have systems."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy.orm import Session

from coordinator.store import Store
from tests.alerting import put_organisation, put_system
from tests.factories import OTHER, PARTNER, World


@pytest.fixture
def tx(store: Store, world: World) -> Iterator[Session]:
    """A transaction in a world with a partner that has a system and a mailbox."""
    with store.unit_of_work() as tx:
        put_organisation(tx, PARTNER)
        put_organisation(tx, OTHER, kind="ministry")
        put_system(tx, "https://csirt.fi.example/hook")
        yield tx
