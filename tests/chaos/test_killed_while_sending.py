"""The worst moment: a worker is killed after the partner got the alert and before anybody noted it."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from coordinator.alerts.models import Delivery, DeliveryAttempt
from tests.harness.installation import Installation, installation
from tests.harness.outcome import unsettled
from tests.harness.processes import PATIENCE, kill_hard, wait_for
from tests.harness.receiver import Arrival, Receiver
from tests.harness.sender import Sender
from workers.demo import world as fiction

pytestmark = pytest.mark.slow


class SlowReceiver(Receiver):
    """Takes everything in at once and lets nobody go before it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = threading.Event()
        self.before_answer = self._wait

    def _wait(self, _arrival: Arrival) -> None:
        self.may_answer.wait(PATIENCE)


@pytest.fixture
def receiver() -> Iterator[SlowReceiver]:
    with SlowReceiver() as made:
        yield made


@pytest.fixture
def machine() -> Iterator[Installation]:
    with tempfile.TemporaryDirectory(prefix="coordinator-kill-") as folder, installation(Path(folder) / "var") as made:
        yield made


def test_a_worker_killed_between_send_and_record_sends_again_under_the_same_id_and_the_record_is_right(
    machine: Installation, receiver: SlowReceiver
) -> None:
    reporter = receiver.partner(fiction.REPORTER, "fi-csirt")
    world = fiction.world([reporter, receiver.partner(fiction.AFFECTED, "lv-csirt")])
    machine.load(world | {"users": []})  # nobody of ours is told: the receipt is the only thing that leaves
    sent = Sender(machine.base_url, reporter).post(fiction.report(), "msg_1")
    wait_for(receiver.kept, what="the receipt to arrive")
    with machine.store.read() as tx:
        assert tx.execute(select(DeliveryAttempt.id)).all() == [], "nothing is noted while it is being sent"
    for pid in machine.pids("worker"):
        assert kill_hard(pid)
    receiver.may_answer.set()
    wait_for(lambda: len(receiver.kept()) > 1, what="the receipt to arrive again")
    wait_for(lambda: not unsettled_rows(machine), what="the delivery to be noted")
    first, second = receiver.kept()
    assert first.webhook_id == second.webhook_id
    assert first.raw == second.raw
    assert first.data["in_reply_to"] == sent.answer["report"]
    with machine.store.read() as tx:
        delivery = tx.execute(select(Delivery)).scalar_one()
        outcomes = tx.execute(select(DeliveryAttempt.outcome)).scalars().all()
    assert (delivery.webhook_id, delivery.state, delivery.fence) == (first.webhook_id, "delivered", 2)
    assert outcomes == ["delivered"]
    assert machine.run("record", "verify").startswith("ok ")


def unsettled_rows(machine: Installation) -> bool:
    with machine.store.read() as tx:
        return bool(unsettled(tx))
