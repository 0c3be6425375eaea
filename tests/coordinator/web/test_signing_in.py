"""Signing in by link, by password and code; enrolling; ending sessions; tokens shown once."""

from __future__ import annotations

import re

import pyotp
import pytest

from coordinator.accounts import service
from tests.coordinator.web.conftest import Browser, Desk, visible_text

PASSWORD = "a long enough sentence"


def link_for(desk: Desk, role: str, *, enrolled: bool = False) -> str:
    principal = desk.who(role)
    with desk.store.unit_of_work() as tx:
        user = service.user_by_email(tx, f"{role.replace('-', '.')}@ee.example")
        if not enrolled:
            user.enrolled_at = None
        return f"/sign-in/{service.create_link(tx, principal.user_id, actor='cli:test')}"


def enrol(browser: Browser) -> pyotp.TOTP:
    page = browser.get("/account/second-factor").text
    key = re.search(r'class="secret">([A-Z2-7 ]+)<', page)
    assert key is not None and "<svg" in page
    totp = pyotp.TOTP(key[1].replace(" ", ""))
    answer = browser.post("/account/second-factor", {"code": totp.now(), "password": PASSWORD, "again": PASSWORD})
    assert answer.status_code == 303, visible_text(answer.text)
    return totp


def test_looking_at_a_link_does_not_spend_it(desk: Desk) -> None:
    path = link_for(desk, "liaison-officer")
    for _scanner in range(3):
        answer = desk.visitor().get(path)
        assert answer.status_code == 200
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
    person = desk.visitor()
    person.get(path)
    assert person.post(path).status_code == 303
    assert person.get("/board").status_code == 200


def test_a_link_works_once(desk: Desk) -> None:
    path = link_for(desk, "liaison-officer")
    first, second = desk.visitor(), desk.visitor()
    first.get(path), second.get(path)
    assert first.post(path).status_code == 303
    assert second.post(path).status_code == 410
    assert second.get(path).status_code == 410
    assert second.get("/board").status_code == 302


def test_roles_that_clear_are_led_to_their_second_factor(desk: Desk) -> None:
    path = link_for(desk, "coordinator")
    browser = desk.visitor()
    browser.get(path)
    assert browser.post(path).location == "/account/second-factor"


def test_enrolling_then_signing_in_with_password_and_code(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    path = link_for(desk, "coordinator")
    browser = desk.visitor()
    browser.get(path), browser.post(path)
    totp = enrol(browser)
    assert browser.get("/clearances").status_code == 200
    again = desk.visitor()
    again.get("/sign-in?then=/tasks")
    monkeypatch.setattr("coordinator.accounts.factors.STEP", 30)
    with desk.store.unit_of_work() as tx:  # the code of this very step was used to enrol: a code is taken once
        service.user_by_email(tx, "coordinator@ee.example").totp_last_step = None
    given = {"email": "Coordinator@ee.example ", "password": PASSWORD, "code": totp.now()}
    wrong = again.post("/sign-in", given | {"password": "something else"})
    assert wrong.status_code == 401
    right = again.post("/sign-in", given)
    assert right.status_code == 303 and right.location == "/tasks"
    assert again.get("/tasks").status_code == 200


def test_two_different_passwords_and_a_wrong_code_are_said_beside_their_fields(desk: Desk) -> None:
    browser = desk.visitor()
    path = link_for(desk, "coordinator")
    browser.get(path), browser.post(path), browser.get("/account/second-factor")
    differ = browser.post("/account/second-factor", {"code": "123456", "password": PASSWORD, "again": "x"})
    assert "The two passwords differ" in visible_text(differ.text)
    short = browser.post("/account/second-factor", {"code": "000000", "password": "x", "again": "x"})
    assert short.status_code == 422
    assert 'id="password-wrong"' in short.text and 'id="code-wrong"' in short.text
    assert "<title>Error:" in short.text


def test_nobody_learns_whether_an_address_is_known(desk: Desk) -> None:
    desk.who("coordinator")
    answers = []
    for email in ("coordinator@ee.example", "nobody@ee.example"):
        browser = desk.visitor()
        browser.get("/sign-in")
        answer = browser.post("/sign-in", {"email": email, "password": "wrong", "code": "000000"})
        answers.append((answer.status_code, visible_text(answer.text)))
    assert answers[0] == answers[1]


@pytest.mark.parametrize("where", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_signing_in_leads_to_pages_of_ours_only(desk: Desk, where: str) -> None:
    assert "evil" not in desk.visitor().get("/sign-in", query_string={"then": where}).text


@pytest.mark.parametrize("broken", ["http://[0:0:0:0:0:ffff:127.0.0.1", "//[", "http://[::1"])
def test_an_address_that_is_none_leads_nowhere_and_breaks_nothing(desk: Desk, broken: str) -> None:
    assert desk.visitor().get("/sign-in", query_string={"then": broken}).status_code == 200
    browser = desk.sit("administrator", second_factor=False)
    browser.get("/users/new")
    answer = browser.post("/users/new", {"email": "a@ee.example", "name": "A", "role": "analyst"},
                          headers={"Referer": broken})  # fmt: skip
    assert answer.status_code < 500


def test_signing_out_ends_the_session_on_the_server(desk: Desk) -> None:
    browser = desk.sit("coordinator")
    browser.get("/board")
    with browser.client.session_transaction() as session:
        token = session["token"]
    assert browser.post("/sign-out").status_code == 303
    with browser.client.session_transaction() as session:
        session["token"] = token
    assert browser.get("/board").status_code == 302


def test_one_can_end_another_of_ones_own_sessions_and_nobody_elses(desk: Desk) -> None:
    first, second, other = desk.sit("coordinator"), desk.sit("coordinator"), desk.sit("liaison-officer")
    page = first.get("/account").text
    ids = re.findall(r"/account/sessions/([\w-]+)/end", page)
    assert len(ids) == 2 and not any(each.isdigit() for each in ids), "numbers would tell how many sign in here"
    other.get("/account")
    assert other.post(f"/account/sessions/{ids[0]}/end").status_code == 404
    for number in ids:
        first.post(f"/account/sessions/{number}/end")
    assert second.get("/board").status_code == 302


def test_a_token_is_shown_once_and_can_be_revoked(desk: Desk) -> None:
    browser = desk.sit("coordinator")
    browser.get("/account/tokens")
    made = browser.post("/account/tokens", {"name": "script", "scopes": ["read"]})
    token = re.search(r"ct_[\w-]+", made.text)
    assert token is not None and made.headers["Cache-Control"] == "no-store"
    assert token[0] not in browser.get("/account/tokens").text
    headers = {"Authorization": f"Bearer {token[0]}"}
    assert desk.app.test_client().get("/api/v1/incidents", headers=headers).status_code == 200
    number = re.search(r"/account/tokens/([\w-]{16})/revoke", browser.get("/account/tokens").text)
    assert number is not None
    browser.post(f"/account/tokens/{number[1]}/revoke")
    assert desk.app.test_client().get("/api/v1/incidents", headers=headers).status_code == 401


def test_scopes_beyond_the_role_are_refused(desk: Desk) -> None:
    browser = desk.sit("liaison-officer")
    browser.get("/account/tokens")
    answer = browser.post("/account/tokens", {"name": "x", "scopes": ["decide"]})
    assert answer.status_code == 422 and "There is a problem" in visible_text(answer.text)


def test_times_are_shown_in_ones_own_zone(desk: Desk) -> None:
    browser = desk.sit("liaison-officer")
    browser.get("/account")
    browser.post("/account/zone", {"zone": "Europe/Tallinn"})
    assert "Times are shown in Europe/Tallinn" in browser.text("/board")
    browser.get("/account")
    browser.post("/account/zone", {"zone": "Mars/Olympus"})
    assert "Times are shown in Europe/Tallinn" in browser.text("/board")
