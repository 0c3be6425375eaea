"""A desk with people in every role, and a browser that keeps cookies and fills in forms as they stand on the page."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from coordinator.accounts import sessions
from coordinator.accounts.principal import Principal
from coordinator.app import Application, create_app
from coordinator.store import Store
from tests.factories import World, person, small_world, user_row


class _Forms(HTMLParser):
    """The hidden fields of every form on a page."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "input" and values.get("type") == "hidden":
            self.hidden.setdefault(values["name"] or "", values.get("value") or "")


class Browser:
    """A signed-in (or not) person in front of the pages."""

    def __init__(self, app: Application, principal: Principal | None = None) -> None:
        self.app, self.principal, self.client = app, principal, app.test_client()
        self.hidden: dict[str, str] = {}

    def get(self, path: str, **more: Any) -> Any:
        answer = self.client.get(path, **more)
        if answer.mimetype == "text/html":
            forms = _Forms()
            forms.feed(answer.text)
            self.hidden = forms.hidden
        return answer

    def post(self, path: str, data: dict[str, Any] | None = None, **more: Any) -> Any:
        """Post `data` with the hidden fields of the page looked at last."""
        return self.client.post(path, data=self.hidden | (data or {}), **more)

    def text(self, path: str) -> str:
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return visible_text(answer.text)


def visible_text(html: str) -> str:
    """What a page says, on one line."""
    body = re.sub(r"<(script|style|head)\b.*?</\1>", " ", html, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body)).strip()


class Desk:
    """The pages on a store, and how to sit down in front of them."""

    def __init__(self, store: Store, world: World) -> None:
        self.store, self.world = store, world
        self.app = create_app(store)
        self.app.config["TESTING"] = False
        self.people: dict[str, Principal] = {}

    def who(self, role: str) -> Principal:
        if role not in self.people:
            self.people[role] = person(self.store, role)
        return self.people[role]

    def sit(self, role: str, *, second_factor: bool = True) -> Browser:
        """A browser in which somebody of this role has signed in."""
        principal = self.who(role)
        with self.store.unit_of_work() as tx:
            token = sessions.open_session(tx, user_row(tx, principal.user_id), how="test", second_factor=second_factor)
        browser = Browser(self.app, principal)
        with browser.client.session_transaction() as session:
            session["token"] = token
        return browser

    def visitor(self) -> Browser:
        return Browser(self.app)


@pytest.fixture
def desk(sqlite_store: Store) -> Desk:
    return Desk(sqlite_store, small_world(sqlite_store))


REPORT = {
    "title": "Ransomware at two hospitals", "tlp": "AMBER", "source": "ours", "noticed_at_date": "2026-11-22",
    "noticed_at_time": "05:10", "zone": "Europe/Tallinn", "description": "File servers are encrypted.",
}  # fmt: skip


def file_by_form(browser: Browser, **fields: Any) -> str:
    """File a report by the form; returns the reference on the receipt."""
    browser.get("/report")
    answer = browser.post("/report", REPORT | fields)
    assert answer.status_code == 303, visible_text(answer.text)
    found = re.search(r"INC-\d{4}-\d{6}", browser.text(answer.location))
    assert found is not None
    return found[0]


@pytest.fixture
def file_report() -> Callable[..., str]:
    """File a report by the form; returns the reference on the receipt."""
    return file_by_form
