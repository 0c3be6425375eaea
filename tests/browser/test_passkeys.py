"""Passkeys in a real browser with a virtual authenticator: added behind a link, used to sign in, clear and confirm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import expect
from sqlalchemy import delete, update

from coordinator import clock
from coordinator.accounts.models import Passkey, User, UserSession
from tests.browser.conftest import Site
from tests.browser.test_everyone_can_use_it import findings
from tests.releasing import referred

AUTHENTICATOR = {
    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
    "isUserVerified": True, "automaticPresenceSimulation": True,
}  # fmt: skip


@pytest.fixture
def home(site: Site) -> Site:
    """The pages at an address with a name, as passkeys need it."""
    site.url = site.url.replace("127.0.0.1", "localhost")
    site.store.settings = replace(site.store.settings, base_url=site.url)
    return site


def device_for(page: Any, **how: Any) -> Callable[[str, dict[str, Any]], Any]:
    """Plug a virtual authenticator into the window; gives a way to tell it things."""
    line = page.context.new_cdp_session(page)
    line.send("WebAuthn.enable")
    made = line.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR | how})
    return lambda method, more: line.send(f"WebAuthn.{method}", {"authenticatorId": made["authenticatorId"]} | more)


def newcomer(home: Site, role: str, **how: Any) -> tuple[Any, Any]:
    """Somebody without any factor who used a one-time link, in a window with an authenticator."""
    link = home.link(role)
    with home.store.unit_of_work() as tx:
        tx.execute(update(User).where(User.id == home.people[role].user_id).values(enrolled_at=None))
    page = home.window()
    device = device_for(page, **how)
    page.goto(link)
    with page.expect_navigation():
        page.get_by_role("button", name="Sign in", exact=True).click()
    return page, device


def add(page: Any, name: str = "Blue key") -> None:
    """By the keyboard: name, Enter."""
    page.get_by_label("Name").fill(name)
    page.get_by_label("Name").press("Enter")


def enrolled(home: Site, role: str) -> tuple[Any, Any]:
    page, device = newcomer(home, role)
    page.goto(f"{home.url}/account/passkeys")
    add(page)
    page.get_by_text("Your passkey is added.").wait_for()
    return page, device


def sign_out(page: Any) -> None:
    page.locator("details.menu summary").last.click()
    with page.expect_navigation():
        page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()


def sign_in(page: Any) -> None:
    button = page.get_by_role("button", name="Sign in with a passkey")
    button.focus()
    page.keyboard.press("Enter")


def test_from_the_link_to_a_clearance_without_a_password(home: Site) -> None:
    with home.store.unit_of_work() as tx:
        decision = referred(tx, home.world).id
    page, _ = newcomer(home, "release-authority")
    page.get_by_role("link", name="Use a passkey instead").click()
    add(page)
    page.get_by_text("Your passkey is added.").wait_for()
    sign_out(page)
    page.goto(f"{home.url}/clearances/{decision}")
    sign_in(page)
    page.get_by_role("button", name="Approve the release").click()
    page.get_by_text("Approved: it is on its way.").wait_for()
    expect(page).to_have_url(f"{home.url}/clearances")


def test_what_was_confirmed_too_long_ago_is_confirmed_with_the_passkey(home: Site) -> None:
    page, _ = enrolled(home, "release-authority")
    with home.store.unit_of_work() as tx:
        tx.execute(update(UserSession).values(second_factor_at=clock.now() - timedelta(minutes=20)))
    page.goto(f"{home.url}/account/passkeys")
    page.get_by_role("heading", name="Confirm it is you").wait_for()
    expect(page.get_by_label("Code"), "this account has no code to give").to_have_count(0)
    page.get_by_role("button", name="Confirm with a passkey").click()
    page.get_by_role("heading", name="Your passkeys").wait_for()


def test_only_the_last_one_stays(home: Site) -> None:
    page, device = enrolled(home, "coordinator")
    page.goto(f"{home.url}/account/passkeys")
    page.get_by_role("button", name="Remove Blue key").click()
    expect(page.locator("#summary")).to_contain_text("only way you can sign in")
    device("clearCredentials", {})  # as another device
    add(page, "Phone")
    page.get_by_role("button", name="Remove Phone").wait_for()
    with page.expect_navigation():
        page.get_by_role("button", name="Remove Blue key").click()
    expect(page.get_by_text("The passkey no longer works.")).to_be_visible()
    expect(page.get_by_text("Blue key")).to_have_count(0)


def test_a_removed_passkey_is_refused_in_words_that_take_the_focus(home: Site) -> None:
    page, _ = enrolled(home, "coordinator")
    with home.store.unit_of_work() as tx:
        tx.execute(delete(Passkey))
    sign_out(page)
    sign_in(page)
    expect(page.locator("#summary")).to_contain_text("The passkey was not accepted")
    expect(page.locator("#summary")).to_be_focused()
    expect(page.locator("#announce")).to_have_text("")


def test_a_person_the_device_does_not_recognise_gets_nowhere_and_can_try_again(home: Site) -> None:
    page, device = enrolled(home, "coordinator")
    sign_out(page)
    device("setUserVerified", {"isUserVerified": False})
    sign_in(page)
    expect(page.locator("#summary")).to_contain_text("Nothing was confirmed")
    device("setUserVerified", {"isUserVerified": True})
    sign_in(page)
    page.wait_for_url("**/board*")


def test_a_device_that_holds_one_already_says_so(home: Site) -> None:
    page, _ = enrolled(home, "coordinator")
    page.goto(f"{home.url}/account/passkeys")
    add(page, "The same again")
    expect(page.locator("#summary")).to_contain_text("holds a passkey for your account already")


def test_without_a_name_the_summary_leads_to_the_field(home: Site) -> None:
    page, _ = newcomer(home, "coordinator")
    page.goto(f"{home.url}/account/passkeys")
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_role("link", name="Give the passkey a name first.").press("Enter")
    expect(page.locator("[name=name]:focus")).to_have_count(1)


@pytest.mark.parametrize(("how", "host"), [({"java_script_enabled": False}, "localhost"), ({}, "127.0.0.1")])
def test_nothing_is_offered_where_it_cannot_work(home: Site, how: dict[str, Any], host: str) -> None:
    page = home.window(**how)
    page.goto(f"{home.url.replace('localhost', host)}/sign-in")  # and its scripts have run: they belong to the load
    expect(page.locator("form[data-passkey]")).to_have_count(1)
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_the_pages_with_passkeys(home: Site, scheme: str) -> None:
    page, _ = enrolled(home, "coordinator")
    page.emulate_media(color_scheme=scheme)
    found = []
    for path in ("/account/step-up", "/sign-in", "/account/passkeys"):
        page.goto(f"{home.url}{path}")
        page.locator("form[data-passkey]").wait_for()
        found += findings(page)
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.locator("#summary")).to_be_focused()
    assert found + findings(page) == []
