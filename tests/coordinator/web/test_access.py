"""Who may open what: every page says it, and says no in the same way whether a thing is absent or hidden."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from coordinator import clock
from coordinator.accounts.models import User, UserSession
from coordinator.accounts.rules import Right
from coordinator.web.mounting import BLUEPRINTS
from tests.coordinator.web.conftest import Browser, Desk, visible_text
from tests.signing_in import with_password

PAGES = {blueprint.name for blueprint in BLUEPRINTS}


def test_every_page_declares_who_it_is_for(desk: Desk) -> None:
    views = {
        rule.endpoint: desk.app.view_functions[rule.endpoint]
        for rule in desk.app.url_map.iter_rules()
        if rule.endpoint.partition(".")[0] in PAGES
    }
    assert len(views) > 60
    undeclared = [name for name, view in views.items() if not getattr(view, "declares", None)]
    assert undeclared == []
    reasons = [view.declares for view in views.values() if not isinstance(view.declares, Right)]  # type: ignore[attr-defined]
    assert all(len(reason) > 10 for reason in reasons)


#: What releases, approves, takes files out, shows a secret, or changes who may do any of it.
STEP_UP = (
    "alerts.tell", "clearances.approve", "clearances.refuse", "ledger.file", "endpoints.make", "endpoints.rotate",
    "changes.accept", "changes.refuse", "partners.save",
    "users.add", "users.link", "users.role", "users.reset", "users.restore",
    "users.hand_over", "partners.save_contact", "agreements.save", "agreements.suspend", "agreements.end",
    "agreements.attach", "agreements.save_consent", "agreements.withdraw",
)  # fmt: skip


@pytest.mark.parametrize("name", STEP_UP)
def test_what_may_do_harm_asks_for_the_second_factor_again(desk: Desk, name: str) -> None:
    assert desk.app.view_functions[name].fresh  # type: ignore[attr-defined]


def test_a_second_factor_of_long_ago_has_to_be_given_again(desk: Desk) -> None:
    administrator = desk.sit("administrator")
    with desk.store.unit_of_work() as tx:
        tx.execute(update(UserSession).values(second_factor_at=clock.now() - timedelta(minutes=16)))
    assert administrator.get("/users/new").location.startswith("/account/step-up")
    administrator.get("/users")
    wanted = {"name": "Bo", "email": "bo@ee.example", "role": "analyst"}
    assert administrator.post("/users/new", wanted).status_code == 403


def long_ago(desk: Desk) -> tuple[Browser, str]:
    """An administrator whose code was given too long ago, and the code of the next half minute."""
    user_id = desk.who("administrator").user_id
    with desk.store.unit_of_work() as tx:
        tx.execute(update(User).where(User.id == user_id).values(enrolled_at=None))
    totp, _principal = with_password(desk.store, user_id)
    administrator = desk.sit("administrator")
    administrator.get("/users/new")
    with desk.store.unit_of_work() as tx:
        tx.execute(update(UserSession).values(second_factor_at=clock.now() - timedelta(minutes=16)))
    return administrator, totp.at(clock.now() + timedelta(seconds=30))


def test_what_was_typed_is_kept_while_the_second_factor_is_asked_and_sent_with_it(desk: Desk) -> None:
    administrator, code = long_ago(desk)
    wanted = {"name": "Bo </textarea><b>", "email": "bo@ee.example", "role": "analyst", "reason": "One\n\nmore."}
    asked = administrator.post("/users/new", wanted)
    assert asked.status_code == 403 and "kept on this page" in asked.text
    assert 'action="/users/new"' in asked.text and "Bo &lt;/textarea&gt;&lt;b&gt;" in asked.text
    wrong = administrator.post("/users/new", wanted | {"second_factor_code": "000000"})
    assert wrong.status_code == 403 and "The code is wrong" in wrong.text and "bo@ee.example" in wrong.text
    assert "000000" not in wrong.text
    sent = administrator.post("/users/new", wanted | {"second_factor_code": code})
    assert sent.status_code in (200, 303), visible_text(sent.text)
    with desk.store.read() as tx:
        assert tx.execute(select(User.email).where(User.email == "bo@ee.example")).scalar_one()


def test_whoever_has_no_second_factor_yet_is_led_to_setting_one_up(desk: Desk) -> None:
    user_id = desk.who("coordinator").user_id
    with desk.store.unit_of_work() as tx:
        tx.execute(update(User).where(User.id == user_id).values(enrolled_at=None))
    coordinator = desk.sit("coordinator", second_factor=False)
    answer = coordinator.get("/account/step-up?then=/board")
    assert answer.location == "/account/second-factor?then=/board"
    coordinator.get("/agreements")
    asked = coordinator.post("/consents/new", {"incident": "INC-2026-000001", "reason": "Because."})
    assert asked.status_code == 403 and "your account has none yet" in asked.text and "Because." in asked.text


def test_a_code_without_the_token_of_the_form_confirms_nothing(desk: Desk) -> None:
    administrator, code = long_ago(desk)
    assert administrator.client.post("/users/new", data={"second_factor_code": code}).status_code == 400
    assert administrator.get("/users/new").status_code == 302, "still to be confirmed"


def test_pages_for_people_with_a_right_send_others_to_sign_in(desk: Desk) -> None:
    rules = [
        rule for rule in desk.app.url_map.iter_rules()
        if rule.endpoint.partition(".")[0] in PAGES and "GET" in (rule.methods or ())
        and isinstance(getattr(desk.app.view_functions[rule.endpoint], "declares", None), Right)
    ]  # fmt: skip
    assert len(rules) > 30
    visitor = desk.visitor()
    for rule in rules:
        path = re.sub(r"<[^>]+>", "1", rule.rule)
        answer = visitor.get(path)
        assert answer.status_code == 302 and answer.location.startswith("/sign-in"), (path, answer.status_code)


@pytest.mark.parametrize(
    ("role", "path", "status"),
    [
        ("administrator", "/board", 403),
        ("administrator", "/report", 403),
        ("administrator", "/users", 200),
        ("administrator", "/partners", 200),
        ("liaison-officer", "/users", 403),
        ("liaison-officer", "/clearances", 403),
        ("liaison-officer", "/board", 200),
        ("auditor", "/record", 200),
        ("auditor", "/board", 200),
        ("auditor", "/report", 403),
        ("coordinator", "/record", 403),
        ("coordinator", "/clearances", 200),
        ("partner-user", "/board", 403),
        ("agreement-manager", "/board", 403),
        ("agreement-manager", "/agreements", 200),
    ],
)
def test_a_role_opens_what_the_table_of_rights_says(desk: Desk, role: str, path: str, status: int) -> None:
    assert desk.sit(role).get(path).status_code == status


def test_acts_that_clear_or_administer_ask_for_a_second_factor_first(desk: Desk) -> None:
    answer = desk.sit("coordinator", second_factor=False).get("/clearances")
    assert answer.status_code == 302 and answer.location.startswith("/account/second-factor")


def test_a_restricted_incident_is_not_there_for_those_who_need_not_know(
    desk: Desk, file_report: Callable[..., str]
) -> None:
    reference = file_report(
        desk.sit("liaison-officer"),
        tlp="RED",
        title="Only for the ones named",
        caveats_named_recipients="nobody@x.example",
    )
    coordinator, duty = desk.sit("coordinator"), desk.sit("duty-officer")
    absent = coordinator.get("/incidents/INC-2026-999999")
    for path in (
        "",
        "/timeline",
        "/edit",
        "/alerts/new",
        "/runs/new",
        "/live",
        "/status/triage",
        "/at?date=2026-11-22",
    ):
        assert coordinator.get(f"/incidents/{reference}{path}").status_code == 404, path
    hidden = coordinator.get(f"/incidents/{reference}")
    assert visible_text(hidden.text) == visible_text(absent.text)
    assert "Only for the ones named" not in coordinator.text("/board")
    assert "0 new, nobody on it yet" in coordinator.text("/board")
    assert "Only for the ones named" in duty.text("/board")
    assert "1 new, nobody on it yet" in duty.text("/board")
    assert coordinator.text(f"/board?q={reference}").count("Nothing fits") == 1


def test_a_form_without_its_token_does_nothing(desk: Desk) -> None:
    officer = desk.sit("liaison-officer")
    answer = officer.client.post("/report", data={"title": "x"})
    assert answer.status_code == 400
    assert "load the page anew" in visible_text(answer.text)


def test_pages_are_not_kept_by_browsers_and_bear_a_strict_policy(desk: Desk) -> None:
    answer = desk.sit("coordinator").get("/board")
    policy = answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert "<script>" not in answer.text and " style=" not in answer.text and " onclick=" not in answer.text


def test_an_unknown_address_is_a_page_of_ours(desk: Desk) -> None:
    answer = desk.visitor().get("/no/such/page")
    assert answer.status_code == 404
    assert "Not found" in visible_text(answer.text)
