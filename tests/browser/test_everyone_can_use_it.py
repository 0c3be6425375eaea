"""Every page, measured with axe (WCAG 2.2 AA): light and dark, both directions, and at 320 pixels without a sideways
scroll."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import expect

from tests.browser.conftest import Site
from tests.browser.everything import PAGES, furnish, paths
from tests.harness.processes import wait_for

#: Only faults are asked for, with one example each: axe describes everything that is right too, for most of its time.
_HOW = {"resultTypes": ["violations"], "preload": False, "iframes": False, "elementRef": False}
RULES = _HOW | {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
#: What colours and direction can change in a page that has been looked at whole.
LOOKS = _HOW | {"runOnly": {"type": "rule", "values": ["color-contrast", "target-size", "link-in-text-block"]}}
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 320, "height": 640}


@pytest.fixture
def busy(site: Site) -> Site:
    """Something on every page."""
    furnish(site)
    return site


def findings(page: Any, rules: dict[str, Any] = RULES) -> list[str]:
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found = page.evaluate("async rules => (await axe.run(rules)).violations", rules)
    return [f"{page.url}: {each['id']}: {each['nodes'][0]['html']}" for each in found]


def faults(page: Any) -> list[str]:
    """What is wrong with the page that is open: by every rule, as it looks in the dark and from right to left, and as
    wide as a telephone."""
    found = findings(page)
    page.emulate_media(color_scheme="dark")
    page.evaluate("document.documentElement.dir = 'rtl'")
    found += [f"dark rtl {each}" for each in findings(page, LOOKS)]
    page.set_viewport_size(NARROW)
    for direction in ("rtl", "ltr"):
        page.evaluate(f"document.documentElement.dir = '{direction}'")
        if (over := page.evaluate(SIDEWAYS)) > 0:
            found.append(f"{page.url}: {direction}: {over} pixels too wide")
    page.set_viewport_size(WIDE)
    page.emulate_media(color_scheme="light")
    return found


def test_nothing_is_wrong_with_any_page_for_anybody(busy: Site) -> None:
    found: list[str] = []
    for role in PAGES:
        page = busy.sit(role) if role else busy.window()
        for path in paths(role, busy):
            page.goto(f"{busy.url}{path}")
            page.evaluate("for (const fold of document.querySelectorAll('main details')) fold.open = true")
            found += faults(page)
    assert found == []


def test_nothing_is_wrong_with_a_form_with_mistakes_and_behind_open_menus(busy: Site) -> None:
    page = busy.sit("liaison-officer")
    page.goto(f"{busy.url}/report")
    page.get_by_role("button", name="Send the report").click()
    expect(page.locator("#summary")).to_be_focused()
    found = findings(page)
    page.locator("details.menu summary").first.click()
    found += findings(page)
    page.keyboard.press("Escape")
    expect(page.locator("details.menu[open]")).to_have_count(0)
    page.get_by_role("combobox", name="States affected").fill("est")
    page.locator(".combo [role=option]").first.wait_for()
    assert found + findings(page) == []


def test_what_is_wider_scrolls_by_itself_and_with_the_keyboard(busy: Site) -> None:
    page = busy.sit("coordinator", viewport=NARROW)
    page.goto(f"{busy.url}/playbooks/3")
    box = page.locator(".scroll").first
    box.focus()
    page.keyboard.press("ArrowRight")
    # Not wait_for_function: it evaluates text inside the page, which the page's own policy refuses.
    wait_for(lambda: box.evaluate("element => element.scrollLeft") > 0, what="the box to move")


def test_text_can_be_twice_as_large(site: Site) -> None:
    page = site.sit("liaison-officer", viewport={"width": 640, "height": 900})
    page.goto(f"{site.url}/report")
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert page.evaluate(SIDEWAYS) <= 0
