"""Two processes at the same instant: one answer, one approval, one worker."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import func, select

from coordinator import clock
from coordinator.alerts import rungs
from coordinator.alerts import service as alerts
from coordinator.alerts.models import Acknowledgement, Alert, Delivery
from coordinator.alerts.sending import Parcel, claim
from coordinator.errors import Refused
from coordinator.sharing.approvals import approve
from coordinator.sharing.models import Approval
from coordinator.store import Store
from tests.alerting import due, put_contact, put_incident, put_organisation, put_system, webhook
from tests.factories import OTHER, PARTNER, World, person


@pytest.fixture
def desk(store: Store, world: World) -> Store:
    with store.unit_of_work() as tx:
        for code, slug in ((PARTNER, "fi-out"), (OTHER, "lv-out")):
            put_organisation(tx, code)
            put_system(tx, f"https://{slug}.example/hook", code=code, slug=slug)
            put_contact(tx, webhook(slug), code=slug, organisation=code)
    return store


def tell(store: Store, world: World, *, foreign: bool = False) -> alerts.Told:
    with store.unit_of_work() as tx:
        incident = put_incident(tx, originator_id=world.partner_id if foreign else None)
        return alerts.tell(
            tx, incident=incident, kind="initial", title="T", body="B", purpose="network-defence",
            info_category="incident-notification", requested_by="user:99", audience={"organisations": [OTHER]},
            ack="person",
        )  # fmt: skip


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Start them together; what each gave, or the refusal it met."""
    gate = Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        gate.wait()
        try:
            return act()
        except Refused as refusal:
            return refusal

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def test_the_same_answer_twice_at_once_is_one_answer(desk: Store, world: World) -> None:
    told = tell(desk, world)
    with desk.read() as tx:
        token = rungs.ack_token(tx, tx.execute(select(Delivery)).scalar_one())

    def answer() -> Any:
        with desk.unit_of_work() as tx:
            return alerts.acknowledge(tx, token=token, kind="person", by="Aino", answer="acknowledged")

    results = at_once(*[answer] * 6)
    assert sorted(each.repeated for each in results) == [False] + [True] * 5
    assert len({each.at for each in results}) == 1
    with desk.read() as tx:
        assert tx.execute(select(func.count()).select_from(Acknowledgement)).scalar_one() == 1
    assert due(desk, "alert.acknowledged") == [told.permitted[0].id]


def test_two_approvals_at_once_are_one(desk: Store, world: World) -> None:
    [decision] = tell(desk, world, foreign=True).referred
    people = [person(desk, "release-authority", f"Release {number}") for number in ("One", "Two", "Three")]

    def give(principal: Any) -> Callable[[], Any]:
        def act() -> Any:
            with desk.unit_of_work() as tx:
                return approve(tx, decision.id, principal=principal).result

        return act

    results = at_once(*[give(each) for each in people])
    assert [each for each in results if not isinstance(each, Refused)] == ["permit"]
    with desk.read() as tx:
        assert tx.execute(select(func.count()).select_from(Approval)).scalar_one() == 1
    [approved] = due(desk, "decision.approved")
    with desk.unit_of_work() as tx:
        assert alerts.raise_approved(tx, approved) is not None
        assert alerts.raise_approved(tx, approved) is None  # the job runs twice, the alert is raised once
    with desk.read() as tx:
        assert tx.execute(select(func.count()).select_from(Alert)).scalar_one() == 1


def test_of_two_workers_one_gets_the_delivery(desk: Store, world: World) -> None:
    tell(desk, world)
    [delivery] = due(desk, "delivery.due")

    def take() -> Any:
        with desk.unit_of_work() as tx:
            return claim(tx, delivery, now=clock.now())

    results = at_once(*[take] * 4)
    assert sum(isinstance(each, Parcel) for each in results) == 1


def test_withdrawn_and_answered_at_once_it_is_one_of_the_two(desk: Store, world: World) -> None:
    [alert] = tell(desk, world).permitted
    officer = person(desk, "coordinator")
    with desk.read() as tx:
        token = rungs.ack_token(tx, tx.execute(select(Delivery)).scalar_one())

    def answer() -> Any:
        with desk.unit_of_work() as tx:
            try:
                return alerts.acknowledge(tx, token=token, kind="person", by="Aino", answer="acknowledged")
            except Exception as gone:
                return gone

    def withdraw() -> Any:
        with desk.unit_of_work() as tx:
            return alerts.withdraw(tx, alert.id, principal=officer, reason="Wrong.").state

    at_once(answer, withdraw)
    with desk.read() as tx:
        assert tx.get_one(Alert, alert.id).state == "withdrawn"  # an answer that came first stays on record
        assert tx.execute(select(Delivery.state)).scalars().all() == ["cancelled"]
