"""What PostgreSQL gives up for another's sake (a deadlock) is done again, once, and not where part of it had stayed."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from flask import request
from psycopg import errors
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from coordinator import db
from coordinator.api.access import open_to
from coordinator.incidents.models import Incident
from coordinator.partners.models import Setting
from coordinator.store import Store
from coordinator.timeline.models import Entry
from coordinator.together import Together, Work
from tests.factories import PartnerSystem, World, native, token_for


class Rival:
    """Another connection: it holds the row that a request needs second, and waits for the one the request has first."""

    def __init__(self, url: str, held: str, wanted: str) -> None:
        self._connection = psycopg.connect(url)
        self._connection.execute("SET deadlock_timeout = '1h'")  # so that it is never the one to be given up
        self._connection.execute(held)
        self._wanted = wanted
        self._thread = threading.Thread(target=self._wait, daemon=True)

    def want(self) -> None:
        """Ask for the second row, and come back once it has to wait for it."""
        if self._thread.ident is not None:
            return
        self._thread.start()
        query = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
        with psycopg.connect(self._connection.info.dsn, autocommit=True) as looking:
            while looking.execute(query, (self._connection.info.backend_pid,)).fetchone() is None:
                pass

    def _wait(self) -> None:
        self._connection.execute(self._wanted)
        self._connection.rollback()

    def first(self) -> None:
        """Wait until it has had what it wanted, if it asked: whoever was given up would meet it again otherwise."""
        if self._thread.ident is not None:
            self._thread.join()

    def done(self) -> None:
        self._thread.join()
        self._connection.close()


@contextmanager
def before(store: Store, part: str, act: Any) -> Iterator[None]:
    """Call `act` before each statement that holds `part`."""

    def look(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if part in statement:
            act()

    event.listen(store.engine, "before_cursor_execute", look)
    try:
        yield
    finally:
        event.remove(store.engine, "before_cursor_execute", look)


@pytest.mark.postgresql
@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
def test_a_call_that_meets_a_deadlock_is_answered_as_if_there_had_been_none(
    store: Store, world: World, client: Any, partner: PartnerSystem, postgres_server: Any, postgres_database: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    reference = partner.post(native()).json["incident"]
    assert reference
    with store.read() as tx:
        incident = tx.execute(select(Incident.id)).scalar_one()
    bearer = {"Authorization": f"Bearer {token_for(store, 'coordinator')}"}
    [shown] = client.get("/api/v1/incidents", headers=bearer).json["items"]
    path = f"/api/v1/incidents/{shown['reference']}"
    match = client.get(path, headers=bearer).headers["ETag"]
    url = postgres_server.superuser_url.replace("/postgres?", f"/{postgres_database.name}?")
    rival = Rival(url, f"SELECT 1 FROM chains WHERE name = 'incident/{incident}' FOR UPDATE",
                  f"SELECT 1 FROM incidents WHERE id = {incident} FOR UPDATE")  # fmt: skip
    event.listen(store.engine, "rollback", lambda _connection: rival.first())
    with before(store, "chains", rival.want):
        answer = client.post(f"{path}/notes", json={"text": "Once."}, headers=bearer | {"If-Match": match})
    rival.done()
    assert answer.status_code in (200, 201), answer.json
    assert "a transaction is done again: 40P01" in caplog.text
    with store.read() as tx:
        assert len(tx.execute(select(Entry).where(Entry.kind == "note.added")).scalars().all()) == 1


def given_up() -> OperationalError:
    return OperationalError("", (), errors.DeadlockDetected())


def test_a_view_is_begun_anew_with_its_files_and_no_more_than_three_times(store: Store, app: Any) -> None:
    read = []

    @open_to("a test")
    def view() -> str:
        read.append(request.files["document"].read())
        if len(read) < int(request.args["works"]):
            raise given_up()
        return "done"

    app.add_url_rule("/again", view_func=view, methods=["POST"])

    def ask(works: int) -> int:
        return app.test_client().post(
            f"/again?works={works}", data={"document": (io.BytesIO(b"all of it"), "a.txt")}
        ).status_code  # fmt: skip

    assert ask(3) == 200 and read == [b"all of it"] * 3
    read.clear()
    assert ask(9) == 503 and len(read) == db.TRIES


@pytest.mark.parametrize(
    "fault", [given_up(), OperationalError("", (), errors.LockNotAvailable()), OperationalError("", (), Exception())]
)
def test_what_had_stayed_or_failed_for_another_reason_is_not_done_again(store: Store, fault: OperationalError) -> None:
    tries = []

    def work() -> None:
        tries.append(1)
        if db.code_of(fault) == "40P01":
            with store.unit_of_work() as tx:
                tx.merge(Setting(name="stayed", value=1))
        raise fault

    with pytest.raises(OperationalError):
        db.again(work)
    assert tries == [1]


@pytest.mark.postgresql
@pytest.mark.parametrize("store", ["postgresql"], indirect=True)
def test_work_of_a_request_that_is_done_by_itself_is_done_again(store: Store) -> None:
    tries = []

    def work(tx: Any) -> str:
        tx.add(Setting(name="twice", value=1))
        tx.flush()
        tries.append(1)
        if len(tries) == 1:
            raise given_up()
        return "done"

    assert Together(store).run(Work(work)) == "done" and len(tries) == 2
