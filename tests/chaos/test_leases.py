"""Who holds a delivery: a send that takes long keeps it, a worker that is gone loses it soon, one that wakes late gives
way."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from pytest_httpserver import HTTPServer
from sqlalchemy import func, select, update
from werkzeug import Request, Response

from coordinator import clock
from coordinator.alerts import sending
from coordinator.store import Store
from coordinator.timeline.models import Pending
from tests.alerting import deliveries, put_organisation, put_system, settings_of
from tests.factories import PARTNER, World
from tests.harness.processes import PATIENCE, wait_for
from tests.receiving import Receiver, attempts, told
from workers import deliver, jobs, relay
from workers.channels import webhook


class SlowReceiver(Receiver):
    """Keeps everybody waiting until it may answer."""

    may_answer: threading.Event

    def take(self, request: Request) -> Response:
        answer = super().take(request)
        self.may_answer.wait(PATIENCE)
        return answer


@pytest.fixture
def slow(httpserver: HTTPServer, store: Store, world: World, monkeypatch: pytest.MonkeyPatch) -> SlowReceiver:
    for name in ("READ_SECONDS", "WHOLE_SECONDS"):
        monkeypatch.setattr(webhook, name, PATIENCE)  # nobody gives up waiting for it
    made = SlowReceiver(httpserver.url_for("/hook"))
    made.may_answer = threading.Event()
    httpserver.expect_request("/hook").respond_with_handler(made.take)
    with store.unit_of_work() as tx:
        put_organisation(tx, PARTNER)
        put_system(tx, made.url)
    return made


def claimed(store: Store) -> relay.Claimed:
    """The relay's message for the one delivery that is due."""
    [found] = [each for each in relay.claim(store) if each.job.name == "deliver"]
    return found


def work(store: Store, message: relay.Claimed) -> threading.Thread:
    thread = threading.Thread(
        target=jobs.run, args=(store, message.pending_id, clock.rfc3339(message.lease), relay.JOBS), daemon=True
    )
    thread.start()
    return thread


def rows_left(store: Store) -> int:
    with store.read() as tx:
        return tx.execute(select(func.count()).where(Pending.kind == "delivery.due")).scalar_one()


def end_leases_of_rows(store: Store) -> None:
    with store.unit_of_work() as tx:
        tx.execute(update(Pending).values(lease_until=clock.now()))


def test_a_send_that_takes_longer_than_a_lease_stays_with_its_worker(
    store: Store, slow: SlowReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "RENEW_SECONDS", 0.2)
    ahead, real = [timedelta(0)], clock.now
    monkeypatch.setattr(clock, "now", lambda: real() + ahead[0])
    with settings_of(store, outbound_allow_private=True):
        alert = told(store)
        first = work(store, claimed(store))
        wait_for(lambda: slow.seen, what="the delivery to arrive")
        ahead[0] = 2 * sending.LEASE
        wait_for(lambda: deliveries(store, alert)[0].lease_until > clock.now(), what="the lease to be renewed")
        end_leases_of_rows(store)
        work(store, claimed(store)).join()  # the second worker finds it held and sends nothing
        slow.may_answer.set()
        first.join()
    assert len(slow.seen) == 1
    assert attempts(store, alert) == ["delivered"]


def test_a_worker_that_wakes_late_does_not_take_away_the_row_of_the_one_that_has_the_delivery_now(
    store: Store, slow: SlowReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "LEASE", timedelta(seconds=0.1))
    monkeypatch.setattr(deliver, "RENEW_SECONDS", 60.0)  # as of a process that is stopped
    with settings_of(store, outbound_allow_private=True):
        alert = told(store)
        first = work(store, claimed(store))
        wait_for(lambda: slow.seen, what="the delivery to arrive")
        end_leases_of_rows(store)
        message = claimed(store)
        monkeypatch.setattr(deliver, "deliver", lambda *_: first_ends(slow, first))  # the second: killed as it sends
        jobs.handler_of.cache_clear()
        with pytest.raises(Killed):
            jobs._run(store, message.pending_id, message.lease, relay.JOBS)
        jobs.handler_of.cache_clear()
    assert rows_left(store) == 1, "nobody would ever look at the delivery again"
    assert attempts(store, alert) == ["delivered"]


class Killed(BaseException):
    """Stands for the end of a process."""


def first_ends(slow: SlowReceiver, first: threading.Thread) -> None:
    slow.may_answer.set()
    first.join()
    raise Killed()
