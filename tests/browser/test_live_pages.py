"""Open pages follow what others do, without taking away what one is writing."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from coordinator.incidents import service
from tests.browser.conftest import Site


def file(site: Site, fill: Callable[..., None], title: str) -> str:
    page = site.sit("liaison-officer")
    page.goto(f"{site.url}/report")
    fill(page, title=title)
    page.get_by_role("button", name="Send the report").click()
    return str(page.locator(".reference").inner_text())


def test_a_new_incident_appears_on_an_open_board(site: Site, fill: Callable[..., None]) -> None:
    board = site.sit("coordinator")
    board.goto(f"{site.url}/board")
    expect(board.get_by_text("Nothing is open.")).to_be_visible()
    file(site, fill, "Dark port")
    board.get_by_role("link", name="Dark port").wait_for()
    expect(board.locator("#announce")).to_have_text("The board was updated.")


def test_an_open_incident_follows_and_keeps_what_one_writes(site: Site, fill: Callable[..., None]) -> None:
    reference = file(site, fill, "Dark port")
    page = site.sit("coordinator")
    page.goto(f"{site.url}/incidents/{reference}")
    page.get_by_label("Add a note").fill("I am still writing")
    officer = site.people["liaison-officer"]
    with site.store.unit_of_work() as tx:
        service.add_note(tx, 1, "News from the port.", principal=officer)
    page.get_by_text("News from the port.").wait_for()
    expect(page.get_by_label("Add a note")).to_have_value("I am still writing")
    page.get_by_role("button", name="Add the note").click()
    page.get_by_text("I am still writing").wait_for()


def test_an_ended_session_empties_the_open_page(site: Site, fill: Callable[..., None]) -> None:
    file(site, fill, "Dark port")
    page = site.sit("coordinator")
    page.goto(f"{site.url}/board")
    page.get_by_role("link", name="Dark port").wait_for()
    other = page.context.new_page()
    other.goto(f"{site.url}/account")
    other.get_by_role("button", name="Sign out here").click()
    page.bring_to_front()
    page.get_by_text("You are no longer signed in.").wait_for()
    expect(page.get_by_role("link", name="Dark port")).to_have_count(0)
