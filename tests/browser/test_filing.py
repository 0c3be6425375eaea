"""Filing a report as officers do at night: with the keyboard alone, without script, on a narrow screen, interrupted."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import expect

from tests.browser.conftest import Site


def tab_to(page: Any, name: str, *, value: str = "") -> None:
    """Press Tab until the field has the focus; fails when it cannot be reached."""
    for _press in range(150):
        page.keyboard.press("Tab")
        at = page.evaluate("[document.activeElement.name || '', document.activeElement.value || '']")
        if at[0] == name and (not value or at[1] == value):
            return
    raise AssertionError(f"{name} cannot be reached with Tab")


def test_with_the_keyboard_alone(site: Site) -> None:
    page = site.window()
    page.goto(site.link("liaison-officer"))
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("#"))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/board*")
    page.goto(f"{site.url}/report")
    tab_to(page, "title")
    page.keyboard.type("Ransomware at two hospitals")
    tab_to(page, "noticed_at_date")
    page.keyboard.type("11112026")  # the same day whichever way round this browser asks for it
    tab_to(page, "noticed_at_time")
    page.keyboard.type("0310a")
    tab_to(page, "source")
    page.keyboard.press("Space")
    tab_to(page, "tlp")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    tab_to(page, "states_affected")
    page.keyboard.type("esto")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.type("finl")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page.locator(".reference")).to_have_text(re.compile("^INC-"))
    expect(page.locator("#summary")).to_have_count(0)
    page.get_by_role("link", name="Open the incident").click()
    expect(page.locator("dl.facts").first).to_contain_text("Estonia, Finland")


def test_mistakes_take_the_focus_and_lead_to_their_fields(site: Site) -> None:
    page = site.sit("liaison-officer")
    page.goto(f"{site.url}/report")
    page.get_by_role("button", name="Send the report").click()
    expect(page.locator("#summary")).to_be_focused()
    expect(page).to_have_title(re.compile("^Error: "))
    page.wait_for_load_state()
    page.keyboard.press("Tab")
    expect(page.locator("#summary a").first).to_be_focused()
    page.keyboard.press("Enter")
    first = page.locator("#summary a").first.get_attribute("href")
    expect(page.locator(f":is([name={str(first)[1:]}], {first}):focus")).to_have_count(1)


def test_without_script(site: Site, fill: Callable[..., None]) -> None:
    page = site.sit("liaison-officer", java_script_enabled=False)
    page.goto(f"{site.url}/report")
    page.get_by_role("button", name="Send the report").click()
    expect(page.locator("#summary")).to_be_visible()
    fill(page, tlp="AMBER")
    page.get_by_role("button", name="Keep as a draft").click()
    expect(page.get_by_text("The draft is kept")).to_be_visible()
    expect(page.get_by_label("In one line")).to_have_value("Ransomware at two hospitals")
    page.locator("#states_affected").fill("Finland, EE")
    page.get_by_role("button", name="Send the report").click()
    expect(page.locator(".reference")).to_have_text(re.compile("^INC-"))
    page.get_by_role("link", name="Board", exact=True).click()
    expect(page.get_by_role("link", name="Ransomware at two hospitals")).to_be_visible()
    page.get_by_text("More", exact=True).click()
    expect(page.get_by_role("link", name="Playbooks")).to_be_visible()


def test_an_interrupted_report_is_there_again_and_not_in_the_browser(site: Site) -> None:
    page = site.sit("liaison-officer")
    page.goto(f"{site.url}/report")
    page.get_by_label("In one line").fill("Half a thought")
    page.get_by_text("Draft kept at").wait_for()
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    page.goto(f"{site.url}/board")
    page.goto(f"{site.url}/report")
    page.get_by_role("link", name="Half a thought").click()
    expect(page.get_by_label("In one line")).to_have_value("Half a thought")


def test_the_label_red_asks_for_names(site: Site) -> None:
    page = site.sit("liaison-officer")
    page.goto(f"{site.url}/report")
    names = page.get_by_label("Named recipients of TLP:RED")
    expect(names).to_be_hidden()
    page.locator("input[name=tlp][value=RED]").check()
    expect(names).to_be_visible()
    told = page.get_by_label("Which organisation?")
    expect(told).to_be_hidden()
    page.get_by_label("Told to us by somebody else").check()
    expect(told).to_be_visible()


def test_now_fills_in_the_time_of_the_chosen_zone(site: Site) -> None:
    page = site.sit("liaison-officer")
    page.clock.set_fixed_time("2026-11-11T10:30:00Z")
    page.goto(f"{site.url}/report")
    page.get_by_label("Times are in").select_option("Pacific/Kiritimati")
    page.get_by_role("button", name="Now").click()
    expect(page.locator("#noticed_at_date")).to_have_value("2026-11-12")
    expect(page.locator("#noticed_at_time")).to_have_value("00:30")
