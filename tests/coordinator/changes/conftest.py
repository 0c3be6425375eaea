"""A desk at which two persons are needed: an administrator enrolled, and a coordinator who could answer."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from coordinator.accounts.principal import Principal
from coordinator.store import Store
from tests.factories import World, person


@dataclass(frozen=True)
class Pair:
    store: Store
    world: World
    administrator: Principal
    coordinator: Principal


@pytest.fixture
def pair(store: Store, world: World) -> Pair:
    return Pair(store, world, person(store, "administrator"), person(store, "coordinator"))
