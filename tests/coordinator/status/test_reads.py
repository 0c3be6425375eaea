"""The read side on both stores: the same answers, bounded, and nothing for those who need not know."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from coordinator import clock
from coordinator.accounts.principal import Principal
from coordinator.errors import Invalid
from coordinator.incidents import intake
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.models import Incident
from coordinator.status import board, incident_page, people, task_lists
from coordinator.status.board import Filters
from coordinator.status.paging import from_cursor, to_cursor
from coordinator.store import Store
from coordinator.tasks.service import open_task
from tests.factories import World, native, person


def file(store: Store, officer: Principal, number: int, **fields: object) -> int:
    raw = json.dumps(native(title=f"Case {number}", **fields)).encode()
    with store.unit_of_work() as tx:
        kept = intake.keep_raw(
            tx, via="form", media_type="application/json", raw=raw, message_id=f"m{number}", principal=officer
        )
    with store.unit_of_work() as tx:
        assert intake.read_report(tx, kept.report_id).refusal is None
    return number


@pytest.fixture
def officer(store: Store, world: World) -> Principal:
    return person(store, "liaison-officer")


def test_pages_of_the_board_hold_every_incident_once_in_order(store: Store, officer: Principal) -> None:
    for number in range(1, 13):
        file(store, officer, number)
    with store.read() as tx:
        seen, cursor = [], ""
        for _page in range(10):
            shown = board.board(tx, principal=officer, cursor=cursor, limit=5)
            seen += [one["updated_at"] for one in shown["items"]]
            cursor = shown["next"] or ""
            if not cursor:
                break
        assert len(seen) == 12 and seen == sorted(seen, reverse=True)


def test_filters_find_codes_in_lists(store: Store, officer: Principal) -> None:
    file(store, officer, 1, states_affected=["FI", "EE"], sectors=["health"], severity=4)
    file(store, officer, 2, states_affected=["LV"], sectors=["energy"], severity=1)
    with store.read() as tx:

        def found(filters: Filters) -> list[str]:
            return [one["title"] for one in board.board(tx, principal=officer, filters=filters)["items"]]

        assert found(Filters(state="EE")) == found(Filters(sector="health")) == found(Filters(severity=3)) == ["Case 1"]
        assert found(Filters(q="CASE 2")) == ["Case 2"]
        assert found(Filters(statuses=("closed",))) == []
        assert len(found(Filters(owner=0, every_status=True))) == 2


def test_counts_and_lists_leave_out_what_one_need_not_know(store: Store, officer: Principal) -> None:
    coordinator, duty = person(store, "coordinator"), person(store, "duty-officer")
    file(store, officer, 1, tlp="RED", caveats={"named_recipients": ["nobody@x.example"]})
    file(store, officer, 2)
    with store.unit_of_work() as tx:
        for number in (1, 2):
            open_task(
                tx, title="Call", role="coordinator", created_by="system", incident=lock_incident(tx, number),
                due_at=clock.now() - timedelta(minutes=1),
            )  # fmt: skip
    with store.read() as tx:
        seen = {one.name: board.counts(tx, principal=one) for one in (coordinator, duty)}
        assert (seen["Coordinator"]["reported"], seen["Coordinator"]["overdue"]) == (1, 1)
        assert (seen["Duty Officer"]["reported"], seen["Duty Officer"]["overdue"]) == (2, 2)
        assert len(board.due_next(tx, principal=coordinator)) == 1
        assert len(task_lists.my_tasks(tx, principal=coordinator)["items"]) == 1
        assert task_lists.counts(tx, principal=coordinator) == {"tasks": 1, "overdue": 1}
        titles = {one["title"] for one in board.board(tx, principal=duty)["items"]}
        assert titles == {"Case 1", "Case 2"}  # the sealed title is opened for those who may


def test_counts_stop_at_their_bound(store: Store, officer: Principal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "MOST", 3)
    for number in range(1, 7):
        file(store, officer, number)
    with store.read() as tx:
        assert board.counts(tx, principal=officer)["reported"] == 4


def test_the_whole_page_of_an_incident_is_plain_data(store: Store, officer: Principal) -> None:
    file(store, officer, 1, attachments=[{"name": "a.txt", "media_type": "text/plain", "sha256": "a" * 64, "size": 3}])
    with store.read() as tx:
        row = tx.get_one(Incident, 1)
        shown = incident_page.incident_page(tx, row, principal=officer)
        assert shown["attachments"][0]["state"] == "awaited"
        assert [entry["kind"] for entry in shown["timeline"]["items"]] == ["incident.opened", "report.received"]
        assert {item["kind"] for item in shown["items"]} == {"title", "details"}
        json.dumps(shown, default=str)


@pytest.mark.parametrize("cursor", ["x", "e30", to_cursor("a"), to_cursor(1, 2), "💥", "A" * 5000])
def test_a_cursor_of_somebody_else_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid):
        from_cursor(cursor, str, int)


def test_a_cursor_comes_back_as_it_was() -> None:
    assert from_cursor(to_cursor("2026-11-22T00:00:00Z", 7), str, int) == ("2026-11-22T00:00:00Z", 7)
    assert from_cursor("", str, int) is None


def test_the_timeline_names_who_of_us_was_told_and_leaves_codes_of_partners(store: Store, officer: Principal) -> None:
    entries = [
        {"actor": "system", "values": {"recipient": f"user:{officer.user_id}"}},
        {"actor": f"user:{officer.user_id}", "values": {"recipient": "FI-CSIRT"}},
        {"actor": "user:99999", "values": {}},
    ]
    with store.read() as tx:
        told = people.of_entries(tx, entries)
        name = people.names(tx, [officer.actor])[officer.actor]
    assert [(one["by"], one["to"]) for one in told] == [("the system", name), (name, "FI-CSIRT"), ("somebody", "")]
