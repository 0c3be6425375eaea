"""What the script of passkeys says to the pages: JSON with the form's token, answered with the way on or a sentence."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from coordinator import clock
from coordinator.accounts.models import Passkey, SpentChallenge, User, UserSession
from tests.authenticator import Authenticator
from tests.coordinator.web.conftest import Browser, Desk, visible_text

ORIGIN = "https://coordinator.example"


@pytest.fixture
def home(desk: Desk) -> Desk:
    """The desk at an address that browsers allow passkeys at."""
    desk.store.settings = replace(desk.store.settings, base_url=ORIGIN)
    return desk


def say(browser: Browser, path: str, sent: Any = None, *, csrf: bool = True) -> Any:
    """As passkeys.js does: the token of the page looked at last, in a header."""
    token = {"X-CSRFToken": browser.hidden.get("csrf_token", "")} if csrf else {}
    body = sent if isinstance(sent, bytes) else json.dumps(sent if sent is not None else {}).encode()
    return browser.client.post(path, data=body, content_type="application/json", headers=token)


def newcomer(home: Desk, role: str = "coordinator") -> Browser:
    """Somebody who has no factor yet, signed in by link."""
    browser = home.sit(role, second_factor=False)
    with home.store.unit_of_work() as tx:
        tx.execute(update(User).where(User.id == home.who(role).user_id).values(enrolled_at=None))
    browser.get("/account/passkeys")
    return browser


def add(browser: Browser, name: str = "Blue key", then: str = "/clearances") -> tuple[Authenticator, Any]:
    device = Authenticator(ORIGIN)
    made = device.make(say(browser, "/account/passkeys/options").json)
    return device, say(browser, f"/account/passkeys?then={then}", {"name": name, "credential": made})


def prove(browser: Browser, device: Authenticator, then: str = "/tasks") -> Any:
    browser.get("/sign-in")
    proof = device.sign(say(browser, "/passkey/sign-in/options").json)
    return say(browser, f"/passkey/sign-in?then={then}", {"credential": proof})


def test_the_first_passkey_leads_on_to_where_one_wanted_to_go(home: Desk) -> None:
    browser = newcomer(home)
    _, answer = add(browser)
    assert (answer.status_code, answer.json) == (200, {"go": "/clearances"})
    assert "Your passkey is added." in browser.text("/clearances")
    assert "Blue key" in browser.text("/account/passkeys")


def test_signing_in_begins_the_session_anew_and_goes_only_to_pages_of_ours(home: Desk) -> None:
    device, _ = add(newcomer(home))
    for then, goes in (("/tasks", "/tasks"), ("https://evil.example", "/"), ("//evil.example", "/")):
        browser = home.visitor()
        assert prove(browser, device, then).json == {"go": goes}
        assert browser.get("/clearances").status_code == 200
        with browser.client.session_transaction() as session:
            assert set(session) <= {"token", "csrf_token"}


def test_every_wrong_passkey_gets_the_same_answer(home: Desk) -> None:
    device, _ = add(newcomer(home))
    forged, unknown = Authenticator(ORIGIN), Authenticator(ORIGIN)
    forged.id, forged.handle, unknown.handle = device.id, device.handle, b"x" * 32
    suspended, _ = add(newcomer(home, "release-authority"))
    with home.store.unit_of_work() as tx:
        tx.execute(update(User).where(User.role == "release-authority").values(state="suspended"))
    answers = [prove(home.visitor(), one) for one in (forged, unknown, suspended)]
    browser = home.visitor()
    browser.get("/sign-in")
    answers += [say(browser, "/passkey/sign-in", {"credential": one}) for one in (None, [], {}, "x")]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1


def test_an_answer_given_in_one_browser_does_not_count_in_another(home: Desk) -> None:
    device, _ = add(newcomer(home))
    one, other = home.visitor(), home.visitor()
    one.get("/sign-in"), other.get("/sign-in")
    proof = device.sign(say(one, "/passkey/sign-in/options").json)
    say(other, "/passkey/sign-in/options")
    assert say(other, "/passkey/sign-in", {"credential": proof}).status_code == 401
    assert say(one, "/passkey/sign-in", {"credential": proof}).status_code == 200


@pytest.mark.parametrize("path", [
    "/account/passkeys/options", "/account/passkeys", "/passkey/sign-in/options", "/passkey/sign-in",
    "/account/step-up/passkey/options", "/account/step-up/passkey",
])  # fmt: skip
def test_without_the_forms_token_nothing_happens(home: Desk, path: str) -> None:
    assert say(newcomer(home), path, csrf=False).status_code == 400


@pytest.mark.parametrize("path", ["/account/passkeys/options", "/account/passkeys", "/account/step-up/passkey"])
def test_ones_own_passkeys_need_a_session(home: Desk, path: str) -> None:
    visitor = home.visitor()
    visitor.get("/sign-in")
    assert say(visitor, path).status_code == 401


@pytest.mark.parametrize(
    ("body", "status"), [(b"{", 400), (b"[]", 400), (b"\xff", 400), (b'"' + b"x" * 70_000 + b'"', 413)]
)
def test_what_is_no_answer_is_refused_in_a_sentence(home: Desk, body: bytes, status: int) -> None:
    browser = newcomer(home)
    for path in ("/account/passkeys", "/passkey/sign-in", "/account/step-up/passkey"):
        answer = say(browser, path, body)
        assert answer.status_code == status and answer.json["error"], path


def test_an_old_confirmation_has_to_be_renewed_before_passkeys_change(home: Desk) -> None:
    browser = newcomer(home)
    device, _ = add(browser)
    with home.store.unit_of_work() as tx:
        tx.execute(update(UserSession).values(second_factor_at=clock.now() - timedelta(minutes=16)))
    assert browser.get("/account/passkeys").location == "/account/step-up?then=/account/passkeys"
    step_up = browser.get("/account/step-up?then=/account/passkeys")
    assert "Confirm with a passkey" in step_up.text and 'name="code"' not in step_up.text
    assert say(browser, "/account/passkeys/options").json == {"go": "/account/step-up?then=/account/passkeys"}
    assert browser.post("/account/passkeys/1/remove").status_code == 403
    proof = device.sign(say(browser, "/account/step-up/passkey/options").json)
    confirmed = say(browser, "/account/step-up/passkey?then=/account/passkeys", {"credential": proof})
    assert confirmed.json == {"go": "/account/passkeys"}
    assert browser.get("/account/passkeys").status_code == 200


def test_a_link_to_an_enrolled_account_changes_no_passkeys(home: Desk) -> None:
    browser = home.sit("coordinator", second_factor=False)
    browser.get("/account")
    assert say(browser, "/account/passkeys/options").json == {"go": "/account/step-up?then=/account/passkeys"}
    with home.store.read() as tx:
        assert not tx.execute(select(Passkey)).all()


def test_visitors_write_nothing(home: Desk) -> None:
    visitor = home.visitor()
    visitor.get("/sign-in")
    for _ in range(3):
        assert say(visitor, "/passkey/sign-in/options").status_code == 200
    with home.store.read() as tx:
        assert not tx.execute(select(SpentChallenge)).all()


def test_the_last_one_stays_and_anothers_is_not_there(home: Desk) -> None:
    browser = newcomer(home)
    add(browser)
    browser.get("/account/passkeys")
    [mine] = re.findall(r"/account/passkeys/([\w-]{16})/remove", browser.get("/account/passkeys").text)
    last = browser.post(f"/account/passkeys/{mine}/remove")
    assert last.status_code == 409 and "only way you can sign in" in visible_text(last.text)
    other = home.sit("release-authority")
    other.get("/account")
    assert other.post(f"/account/passkeys/{mine}/remove").status_code == 404


def test_names_are_text(home: Desk) -> None:
    browser = newcomer(home)
    add(browser, "<script>alert(1)</script>")
    assert "<script>alert" not in browser.get("/account/passkeys").text


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://coordinator.example"])
def test_where_browsers_allow_none_the_pages_say_so(desk: Desk, url: str) -> None:
    desk.store.settings = replace(desk.store.settings, base_url=url)
    assert "passkey" not in desk.visitor().get("/sign-in").text
    browser = newcomer(desk)
    assert "browsers allow no passkeys" in visible_text(browser.get("/account/passkeys").text)
    refused = say(browser, "/account/passkeys/options")
    assert refused.status_code == 409 and re.search("https", refused.json["error"])
