"""A store that may post to this machine, and a partner's system on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_httpserver import HTTPServer

from coordinator.store import Store
from tests.alerting import (
    put_organisation,
    put_system,
    settings_of,
)
from tests.factories import PARTNER, World
from tests.receiving import Receiver


@pytest.fixture
def receiver(httpserver: HTTPServer) -> Receiver:
    made = Receiver(httpserver.url_for("/hook"))
    httpserver.expect_request("/hook").respond_with_handler(made.take)
    return made


@pytest.fixture
def desk(store: Store, world: World, receiver: Receiver) -> Iterator[Store]:
    """A store that may post to this machine, with a partner whose system is the receiver."""
    with settings_of(store, outbound_allow_private=True, smtp_url="smtp://127.0.0.1:1"):
        with store.unit_of_work() as tx:
            put_organisation(tx, PARTNER)
            put_system(tx, receiver.url)
        yield store
