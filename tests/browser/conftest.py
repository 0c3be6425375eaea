"""A real Chromium before the real pages: served in this process on a free port, with people who sign in by link."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from coordinator.accounts import service
from coordinator.accounts.principal import Principal
from coordinator.app import create_app
from coordinator.store import Store
from tests.factories import World, person, small_world

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which(
    "google-chrome"
)  # fmt: skip
#: How long a page may take to show what a test waits for, in milliseconds. Only a failure waits to the end of it.
PATIENCE = 60_000
MOST_LINES = 25  # of the text of a page that are shown of a test that failed
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--lang=en-GB"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser" in str(item.path):
            item.add_marker(pytest.mark.browser)


_browsers: list[Any] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """With a test that fails stands what its windows show."""
    report: Any = yield
    stuck = call.excinfo is not None and "Timeout (>" in str(call.excinfo.value)  # then the browser may be, too
    if report.failed and not stuck:
        contexts = [context for browser in _browsers for context in browser.contexts]
        report.sections += [("window", shown(page)) for context in contexts for page in context.pages]
    return report


def shown(page: Any) -> str:
    """Address, title and visible text of a page, as far as it can be asked."""
    try:
        title, text = (page.locator(name).first.inner_text(timeout=2000) for name in ("title", "body"))
        lines = [line for line in text.splitlines() if line.strip()]
        return "\n".join([f"{page.url} · {title}", *lines[:MOST_LINES]])
    except Exception as fault:
        return f"{page.url}: {type(fault).__name__}"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One browser for the whole session; skipped where there is none, a failure with CI=1."""
    if not CHROMIUM:
        if os.environ.get("CI"):
            pytest.fail("Chromium is missing: with CI=1 every test runs")
        pytest.skip("Chromium is not installed")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        _browsers.append(browser)
        yield browser
        _browsers.remove(browser)
        browser.close()


class Site:
    """The pages at `url`, and windows in which somebody has signed in.

    What a click or a key begins is not over when the call returns, and the page may be half there: where it leads to
    another page, `with page.expect_navigation():` around it waits until that one is loaded; anything else is asked with
    `expect`, which looks again. Opening an address while a form is still on its way would call the form back.
    """

    def __init__(self, chromium: Any, store: Store, world: World, url: str) -> None:
        self.chromium, self.store, self.world, self.url = chromium, store, world, url
        self.people: dict[str, Principal] = {}
        self.windows: list[Any] = []
        self.faults: list[str] = []
        self.waiting = 0  # the decision that waits for a second person, in a furnished world

    def window(self, **how: Any) -> Any:
        """A fresh browser window (context and page); what its scripts complain about is a fault."""
        # Without motion nothing is measured in a colour that is on its way to another.
        usual = {"viewport": {"width": 1280, "height": 900}, "locale": "en-GB", "reduced_motion": "reduce"}
        context = self.chromium.new_context(**usual | how)
        context.set_default_timeout(PATIENCE)
        self.windows.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda said: self._heard(said))
        return page

    def _heard(self, said: Any) -> None:
        # Refusals of forms are answers, which the browser also writes to its console.
        if said.type == "error" and "the server responded with a status of" not in said.text:
            self.faults.append(said.text)

    def link(self, role: str) -> str:
        """A one-time sign-in link for somebody of this role."""
        if role not in self.people:
            self.people[role] = person(self.store, role)
        with self.store.unit_of_work() as tx:
            return f"{self.url}/sign-in/{service.create_link(tx, self.people[role].user_id, actor='cli:test')}"

    def sit(self, role: str, **how: Any) -> Any:
        """A window in which somebody of this role has signed in by link, with a fresh second factor."""
        page = self.window(**how)
        page.goto(self.link(role))
        with page.expect_navigation():
            page.click("main button[type=submit]")
        self.confirm(role)
        return page

    def confirm(self, role: str) -> None:
        """As if the second factor had just been given: browsers have no authenticator."""
        from sqlalchemy import update

        from coordinator import clock
        from coordinator.accounts.models import UserSession

        with self.store.unit_of_work() as tx:
            mine = UserSession.user_id == self.people[role].user_id
            tx.execute(update(UserSession).where(mine).values(second_factor_at=clock.now()))


class _Handler(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Only what was refused or went wrong: with a test that fails it stands beside what the window shows."""
        if str(code) >= "400":
            super().log_request(code, size)


@pytest.fixture
def site(chromium: Any, sqlite_store: Store) -> Iterator[Site]:
    world = small_world(sqlite_store)
    app = create_app(sqlite_store)
    app.config["LIVE_EVERY"] = 1
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made = Site(chromium, sqlite_store, world, f"http://127.0.0.1:{server.server_port}")
    yield made
    for context in made.windows:
        context.close()
    server.shutdown()
    thread.join()
    server.server_close()
    assert made.faults == []


@pytest.fixture
def fill() -> Callable[..., None]:
    """The few fields a report needs."""

    def fill_in(page: Any, **fields: str) -> None:
        page.get_by_label("In one line").fill(fields.get("title", "Ransomware at two hospitals"))
        page.get_by_label("Date", exact=True).first.fill("2026-11-22")
        page.get_by_label("Time", exact=True).first.fill("03:10")
        page.get_by_label("Ours: we saw it ourselves").check()
        page.locator(f"input[name=tlp][value='{fields.get('tlp', 'GREEN')}']").check()

    return fill_in
