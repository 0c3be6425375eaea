"""The board and the pages that follow it: filters, pages, and word of changes without content."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import update

from coordinator.incidents import service
from coordinator.incidents.models import Incident
from coordinator.incidents.references import parse_reference
from coordinator.sharing.models import Release
from coordinator.sharing.service import settle_release
from coordinator.web.pulse import Pulse
from tests.coordinator.web.conftest import Browser, Desk
from tests.releasing import referred


def forget(desk: Desk) -> None:
    """What a process remembers for parts of a second is over."""
    desk.app.extensions["pulse"] = Pulse()


def poll(browser: Browser, path: str, tag: str = "") -> tuple[int, str]:
    answer = browser.client.get(path, headers={"If-None-Match": tag, "X-Live": "1"} if tag else {"X-Live": "1"})
    return answer.status_code, answer.headers.get("ETag", "")


def test_filters_stand_in_the_address(desk: Desk, file_report: Callable[..., str]) -> None:
    officer = desk.sit("liaison-officer")
    file_report(officer, title="Dark port", severity="4", states_affected="Finland", sectors=["transport"])
    file_report(officer, title="Loud portal", severity="1", tlp="GREEN")
    page = officer.text("/board?severity=3")
    assert "Dark port" in page and "Loud portal" not in page
    assert "Loud portal" in officer.text("/board?q=loud")
    assert "Dark port" in officer.text("/board?state=FI") and "Loud" not in officer.text("/board?sector=transport")
    assert "Nothing fits" in officer.text("/board?status=closed")
    assert "Dark port" in officer.text("/board?status=any&owner=none")
    assert officer.get("/board?severity=x&status=nonsense&owner=7&cursor=%00&state=%27").status_code == 200


def test_paging_shows_every_incident_once(desk: Desk, file_report: Callable[..., str]) -> None:
    officer = desk.sit("liaison-officer")
    filed = {file_report(officer, title=f"Case {number}") for number in range(35)}
    seen: list[str] = []
    path: str | None = "/board"
    while path:
        page = officer.get(path).text
        seen += re.findall(r'href="/incidents/(INC-\d+-\d+)"><bdi>', page)
        following = re.search(r'<a href="([^"]+)" rel="next">', page)
        path = following[1].replace("&amp;", "&") if following else None
    assert len(seen) == 35 and set(seen) == filed


def test_an_open_page_is_told_that_something_changed_and_never_what(
    desk: Desk, file_report: Callable[..., str]
) -> None:
    officer = desk.sit("liaison-officer")
    reference = file_report(officer)
    forget(desk)
    status, tag = poll(officer, "/board/live")
    assert status == 200 and tag
    assert poll(officer, "/board/live", tag)[0] == 304
    forget(desk)
    assert poll(officer, "/board/live", tag)[0] == 304
    of_incident = poll(officer, f"/incidents/{reference}/live")[1]
    coordinator = desk.who("coordinator")
    with desk.store.unit_of_work() as tx:
        service.transition(tx, parse_reference(reference) or 0, "triage", principal=coordinator)
    forget(desk)
    changed, newer = poll(officer, "/board/live", tag)
    assert changed == 200 and newer != tag
    assert poll(officer, f"/incidents/{reference}/live", of_incident)[0] == 200
    assert officer.client.get("/board/live").data == b""


def test_reading_an_incident_moves_nobodys_page(desk: Desk, file_report: Callable[..., str]) -> None:
    officer, coordinator = desk.sit("liaison-officer"), desk.sit("coordinator")
    reference = file_report(officer)
    forget(desk)
    board, incident = poll(officer, "/board/live")[1], poll(officer, f"/incidents/{reference}/live")[1]
    coordinator.text(f"/incidents/{reference}")
    forget(desk)
    assert poll(officer, "/board/live", board)[0] == 304
    assert poll(officer, f"/incidents/{reference}/live", incident)[0] == 304


def test_a_restricted_incident_moves_the_board_only_of_those_who_may_know(
    desk: Desk, file_report: Callable[..., str]
) -> None:
    coordinator, duty = desk.sit("coordinator"), desk.sit("duty-officer")
    file_report(desk.sit("liaison-officer"), title="Open")
    forget(desk)
    theirs, ours = poll(coordinator, "/board/live")[1], poll(duty, "/board/live")[1]
    file_report(desk.sit("liaison-officer"), tlp="RED", caveats_named_recipients="x@y.example")
    forget(desk)
    assert poll(coordinator, "/board/live", theirs)[0] == 304
    assert poll(duty, "/board/live", ours)[0] == 200


def test_asking_for_news_keeps_no_session_alive_and_needs_one(desk: Desk) -> None:
    assert desk.visitor().client.get("/board/live", headers={"X-Live": "1"}).status_code == 401
    assert desk.sit("administrator").client.get("/board/live", headers={"X-Live": "1"}).status_code == 403


def test_many_open_pages_ask_the_database_once(desk: Desk, file_report: Callable[..., str]) -> None:
    from sqlalchemy import event

    officer = desk.sit("liaison-officer")
    file_report(officer)
    poll(officer, "/board/live")
    asked: list[str] = []
    event.listen(desk.store.engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
    for _page in range(20):
        poll(officer, "/board/live")
    assert len(asked) <= 2, asked


#: Who reads the pages that not everybody does.
_READER = {"/users": "administrator", "/record": "auditor"}


def test_the_banner_says_that_clocks_are_not_watched(desk: Desk) -> None:
    from coordinator import clock
    from coordinator.timeline.models import Heartbeat

    officer = desk.sit("liaison-officer")
    paths = ("/board", "/report", "/tasks", "/partners", "/playbooks", "/account", "/users", "/record")
    seen = {path: desk.sit(_READER.get(path, "liaison-officer")).text(path) for path in paths}
    assert [path for path, text in seen.items() if "Clocks are not watched" not in text] == []
    with desk.store.unit_of_work() as tx:
        tx.add(Heartbeat(name="sweeper@here", kind="sweeper", at=clock.now(), detail={}))
    forget(desk)
    assert "not watched" not in officer.text("/board")
    with desk.store.unit_of_work() as tx:
        tx.execute(update(Heartbeat).values(at=clock.now() - timedelta(seconds=61)))
    forget(desk)
    assert "Clocks not watched since" in officer.text("/report")


def test_an_open_board_fetches_the_parts_alone_and_all_who_see_the_same_share_them(
    desk: Desk, file_report: Callable[..., str]
) -> None:
    first, second = desk.sit("liaison-officer"), desk.sit("liaison-officer")
    file_report(first, title="Dark port")
    live = {"X-Live": "1"}
    whole, parts = first.get("/board").text, first.get("/board", headers=live).text
    assert "<html" in whole and "<html" not in parts and "csrf" not in parts
    for html in (whole, parts):
        assert re.findall(r'data-part="(\w+)"', html) == ["tally", "rows", "due", "clearances"]
    assert second.get("/board", headers=live).text == parts
    assert "Dark port" not in second.get("/board?q=nothing", headers=live).text
    file_report(first, title="Loud portal")
    desk.app.extensions["pulse"].versions.forget()
    assert "Loud portal" in second.get("/board", headers=live).text  # another version: nothing older is shown for it
    assert "Dark port" in first.get("/board?owner=none", headers=live).text
    assert "Dark port" not in first.get("/board?owner=me", headers=live).text
    file_report(first, title="Named only", tlp="RED", caveats_named_recipients="x@y.example")
    desk.app.extensions["pulse"].versions.forget()
    duty, coordinator = desk.sit("duty-officer"), desk.sit("coordinator")
    assert "Named only" in duty.get("/board", headers=live).text
    assert "Named only" not in coordinator.get("/board", headers=live).text

def test_what_waits_for_a_second_person_stands_on_the_board_with_its_age(desk: Desk) -> None:
    with desk.store.unit_of_work() as tx:
        decision = referred(tx, desk.world)
        settle_release(tx, tx.get_one(Release, decision.release_id))
        tx.get_one(Incident, decision.incident_id).title = "Ransomware"
    board = desk.sit("release-authority").text("/board")
    assert ("Waiting for a second person Somebody answers who may clear it and did not ask for it. "
            "TLP:GREEN to LV-MFA Look at it asked now") in board  # fmt: skip
    assert "Look at it" not in desk.sit("duty-officer").text("/board")
    with desk.store.unit_of_work() as tx:
        tx.get_one(Incident, decision.incident_id).restricted = True
    assert "No release waits for a clearance" in desk.sit("analyst").text("/board")
