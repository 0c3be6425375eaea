"""The broker is away, the clock jumps two hours, the disk runs full, the sweeper hangs: intake answers or says 503
before damage, sends wait, pages say what is not watched, and nothing happens twice afterwards."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from sqlalchemy import select, update

from coordinator.alerts.models import DeliveryAttempt
from coordinator.incidents.models import Report
from coordinator.timeline import sending_hold
from coordinator.timeline.models import Heartbeat
from tests.factories import signed
from tests.harness.installation import ROOT, Installation
from tests.harness.processes import PATIENCE, free_port, wait_for
from tests.harness.receiver import Receiver
from workers.broker import Broker, find_broker
from workers.children import die_with_parent, is_ready
from workers.demo import world as fiction

TWO_HOURS = 7200


class House:
    """One machine with a broker of its own that can be taken away, and a clock that can be set."""

    def __init__(self, folder: Path, receiver: Receiver) -> None:
        self.receiver, self._clock, self._count = receiver, folder / "clock", 0
        self._found: Broker = find_broker(data_dir=folder / "broker")
        self._broker: subprocess.Popen[bytes] | None = None
        self.reporter = receiver.partner(fiction.REPORTER, "fi-csirt")
        self.up = Installation(folder / "var", redis_url=self._found.url)
        self.up.env |= {
            "TEST_CLOCK_FILE": str(self._clock),
            "PYTHONPATH": os.pathsep.join([str(ROOT / "tests/harness/shifted"), str(ROOT)]),
        }

    def start_broker(self) -> None:
        child = self._found.child
        assert child is not None
        self._broker = subprocess.Popen(
            child.argv, cwd=child.cwd, stdin=subprocess.DEVNULL, preexec_fn=lambda: die_with_parent(signal.SIGKILL)
        )
        wait_for(lambda: is_ready(child.ready), what="the broker")

    def take_broker_away(self) -> None:
        assert self._broker is not None
        self._broker.kill()
        self._broker.wait()

    def set_clock(self, seconds: float) -> None:
        new = self._clock.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self._clock)

    def post(self, message_id: str, base_url: str = "") -> requests.Response:
        """One signed report, once; a report of its own for each message id."""
        body = json.dumps(fiction.report() | {"external_id": message_id, "title": f"Report {message_id}"}).encode()
        url = f"{base_url or self.up.base_url}/api/v1/intake/{self.reporter.intake}"
        headers = signed(self.reporter.in_secret, body, message_id)
        return requests.post(url, data=body, headers=headers, timeout=60)

    def receipts(self) -> list[str]:
        return [each.webhook_id for each in self.receiver.kept("receipt")]

    def until_receipts(self, count: int) -> None:
        wait_for(lambda: len(self.receipts()) >= count, what=f"{count} receipts")

    def holds(self) -> frozenset[str]:
        with self.up.store.read() as tx:
            return sending_hold.kinds(tx)

    def ready(self) -> dict[str, bool]:
        return requests.get(f"{self.up.base_url}/readyz", timeout=60).json()["parts"]

    def board(self) -> requests.Session:
        """A browser in which the duty officer has signed in by link."""
        browser = requests.Session()
        printed = self.up.run("user", "link", fiction.PEOPLE["duty-officer"][0]).strip()
        link = self.up.base_url + urlsplit(printed).path
        token = re.search(r'name="csrf_token" value="([^"]+)"', browser.get(link, timeout=60).text)
        assert token is not None
        assert browser.post(link, data={"csrf_token": token[1]}, timeout=60).ok
        return browser

    def close(self) -> None:
        self.up.stop()
        if self._broker is not None:
            self._broker.kill()
            self._broker.wait()


@pytest.fixture
def house() -> Iterator[House]:
    with tempfile.TemporaryDirectory(prefix="coordinator-house-") as folder, Receiver() as receiver:
        made = House(Path(folder), receiver)
        try:
            made.start_broker()
            made.up.start()
            made.up.load(fiction.world([made.reporter]))
            yield made
        finally:
            made.close()


@contextmanager
def second_web(house: House, **more: str) -> Iterator[str]:
    """Another web on the same store with other settings; its address."""
    port = free_port()
    env = house.up.env | {f"COORDINATOR_{name.upper()}": value for name, value in more.items()}
    process = subprocess.Popen(
        house.up._command("web", "--port", str(port)), env=env, cwd=ROOT, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=lambda: die_with_parent(signal.SIGTERM),
    )  # fmt: skip
    try:
        wait_for(lambda: is_ready(f"http://127.0.0.1:{port}/healthz"), what="the second web")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(PATIENCE)


def stop_at_rest(house: House, pid: int) -> None:
    """Stop this process at a moment at which it does not write: stopped while it has its turn, it lets nobody write."""

    def rests() -> bool:
        os.kill(pid, signal.SIGSTOP)
        with (house.up.folder / "coordinator.db.queue").open() as line, suppress(BlockingIOError):
            fcntl.flock(line, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        os.kill(pid, signal.SIGCONT)
        return False

    wait_for(rests, what="the relay to be between two writes")


@pytest.mark.slow
def test_the_house_shakes_and_nothing_is_lost_or_done_twice(house: House) -> None:
    # The broker is away: intake answers, and what is to be sent waits.
    house.take_broker_away()
    assert [house.post(f"away-{number}").status_code for number in range(3)] == [202] * 3
    wait_for(lambda: not house.ready()["broker"], what="the broker to be missed")
    assert house.receipts() == []
    house.start_broker()
    house.until_receipts(3)

    # The clock jumps two hours: it is noticed, sends and timers wait, and no genuine report is turned away for good.
    house.set_clock(TWO_HOURS)
    wait_for(lambda: house.holds() == {"clock"}, what="the jump to be noticed")
    assert not house.ready()["clock"]
    answer = house.post("jump")
    assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0
    house.set_clock(0)
    wait_for(lambda: not house.holds(), what="the hold to be lifted by itself")
    assert house.ready()["clock"]
    assert house.post("jump").status_code == 202
    house.until_receipts(4)

    # The disk runs full: 503 before anything is written; with room again the same report is taken.
    with second_web(house, disk_reserve_bytes=str(2**62)) as full:
        answer = house.post("full", full)
        assert answer.status_code == 503 and int(answer.headers["Retry-After"]) >= 30
    assert house.post("full").status_code == 202
    house.until_receipts(5)

    # The sweeper hangs: intake answers, and every page says since when nobody watches the clocks.
    browser = house.board()
    [relay] = house.up.pids("relay")
    stop_at_rest(house, relay)
    try:
        with house.up.store.unit_of_work() as tx:  # instead of waiting for a minute
            row = tx.execute(select(Heartbeat).where(Heartbeat.kind == "sweeper")).scalar_one()
            tx.execute(update(Heartbeat).where(Heartbeat.name == row.name).values(at=row.at - timedelta(minutes=2)))
        assert house.post("hangs").status_code == 202
        wait_for(lambda: "Clocks not watched since" in page(browser, house), what="the page to say so", pause=0.5)
    finally:
        os.kill(relay, signal.SIGCONT)
    house.until_receipts(6)
    wait_for(lambda: "Clocks not watched" not in page(browser, house), what="the clocks to be watched", pause=0.5)

    # Each report once, each receipt once, under an id of its own; the record holds and says that the clock jumped.
    with house.up.store.read() as tx:
        ids = sorted(tx.execute(select(Report.message_id)).scalars())
        outcomes = tx.execute(
            select(DeliveryAttempt.outcome).where(DeliveryAttempt.outcome == "delivered")
        ).scalars().all()  # fmt: skip
    assert ids == ["away-0", "away-1", "away-2", "full", "hangs", "jump"]
    assert len(house.receipts()) == len(set(house.receipts())) == len(outcomes) == 6
    assert house.up.run("record", "verify").startswith("ok ")


def page(browser: requests.Session, house: House) -> str:
    answer: Any = browser.get(f"{house.up.base_url}/board", timeout=60)
    assert answer.status_code == 200
    return answer.text
