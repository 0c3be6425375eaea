"""Filing a report as officers do at night: with the keyboard alone, without script, on a narrow screen, interrupted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.browser.conftest import Site


def focused(page: Any) -> str:
    return str(
        page.evaluate("document.activeElement.name || document.activeElement.id || document.activeElement.tagName")
    )


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
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
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
    page.keyboard.press("Enter")
    page.wait_for_selector(".reference, #summary")
    assert not page.locator("#summary").count(), page.locator("#summary").inner_text()
    assert page.locator(".reference").inner_text().startswith("INC-")
    page.get_by_role("link", name="Open the incident").click()
    assert "Estonia, Finland" in page.locator("dl.facts").first.inner_text()


def test_mistakes_take_the_focus_and_lead_to_their_fields(site: Site) -> None:
    page = site.sit("liaison-officer")
    page.goto(f"{site.url}/report")
    page.get_by_role("button", name="Send the report").click()
    page.wait_for_selector("#summary")
    assert page.title().startswith("Error: ")
    assert focused(page) == "summary"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    first = page.locator("#summary a").first.get_attribute("href")
    assert first is not None and focused(page) in (first[1:], first[1:].removesuffix("_date"))


def test_without_script(site: Site, fill: Callable[..., None]) -> None:
    page = site.sit("liaison-officer", java_script_enabled=False)
    page.goto(f"{site.url}/report")
    page.get_by_role("button", name="Send the report").click()
    assert page.locator("#summary").is_visible()
    fill(page, tlp="AMBER")
    page.get_by_role("button", name="Keep as a draft").click()
    assert page.get_by_text("The draft is kept").is_visible()
    assert page.get_by_label("In one line").input_value() == "Ransomware at two hospitals"
    page.locator("#states_affected").fill("Finland, EE")
    page.get_by_role("button", name="Send the report").click()
    assert page.locator(".reference").inner_text().startswith("INC-")
    page.get_by_role("link", name="Board", exact=True).click()
    assert page.get_by_role("link", name="Ransomware at two hospitals").is_visible()
    page.get_by_text("More", exact=True).click()
    assert page.get_by_role("link", name="Playbooks").is_visible()


def test_an_interrupted_report_is_there_again_and_not_in_the_browser(site: Site) -> None:
    page = site.sit("liaison-officer")
    page.goto(f"{site.url}/report")
    page.get_by_label("In one line").fill("Half a thought")
    page.get_by_text("Draft kept at").wait_for()
    assert page.evaluate("localStorage.length + sessionStorage.length") == 0
    page.goto(f"{site.url}/board")
    page.goto(f"{site.url}/report")
    page.get_by_role("link", name="Half a thought").click()
    assert page.get_by_label("In one line").input_value() == "Half a thought"


def test_the_label_red_asks_for_names(site: Site) -> None:
    page = site.sit("liaison-officer")
    page.goto(f"{site.url}/report")
    names = page.get_by_label("Named recipients of TLP:RED")
    assert not names.is_visible()
    page.locator("input[name=tlp][value=RED]").check()
    assert names.is_visible()
    told = page.get_by_label("Which organisation?")
    assert not told.is_visible()
    page.get_by_label("Told to us by somebody else").check()
    assert told.is_visible()


def test_now_fills_in_the_time_of_the_chosen_zone(site: Site) -> None:
    page = site.sit("liaison-officer")
    page.goto(f"{site.url}/report")
    page.get_by_label("Times are in").select_option("Pacific/Kiritimati")
    page.get_by_role("button", name="Now").click()
    expected = page.evaluate(
        "new Intl.DateTimeFormat('en-CA', {timeZone: 'Pacific/Kiritimati', year: 'numeric', month: '2-digit',"
        " day: '2-digit'}).format(new Date())"
    )
    assert page.locator("#noticed_at_date").input_value() == expected
