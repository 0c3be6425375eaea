"""Doors, held to the whole of what is promised of them: the proxy's word, limits with the broker away, logs, links."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from coordinator import cli
from coordinator.accounts.models import UserSession
from coordinator.accounts.service import create_link
from coordinator.alerts.rungs import ack_token, newest_delivery
from coordinator.alerts.telling import tell
from coordinator.app import create_app
from coordinator.store import Store
from tests.alerting import put_contact, put_incident, put_organisation, put_system, webhook
from tests.factories import PARTNER, native, person, signed, small_world

BEHIND = {"base_url": "https://coordinator.example", "trusted_proxies": 1}


def said_by_proxy(*hops: str) -> dict[str, str]:
    return {"X-Forwarded-For": ", ".join(hops), "X-Forwarded-Proto": "https"}


def behind_a_proxy(store: Store) -> Any:
    store.settings = replace(store.settings, **BEHIND)
    return create_app(store)


def test_limits_count_the_hop_that_the_proxy_states_and_not_what_came_with_the_request(sqlite_store: Store) -> None:
    app = behind_a_proxy(sqlite_store)
    app.config["LIMIT_GUESSES"] = "5 per minute"
    client = app.test_client()

    def guess(*hops: str) -> int:
        return int(client.get("/api/v1/incidents", headers=said_by_proxy(*hops)).status_code)

    assert [guess(f"198.51.100.{number}", "203.0.113.9") for number in range(6)] == [401] * 5 + [429]
    assert guess("203.0.113.9", "203.0.113.10") == 401, "somebody else is not kept out by naming them"


def test_the_address_that_is_recorded_is_the_one_the_proxy_states(sqlite_store: Store) -> None:
    small_world(sqlite_store)
    client = behind_a_proxy(sqlite_store).test_client()
    user = person(sqlite_store, "coordinator").user_id
    with sqlite_store.unit_of_work() as tx:
        path = f"/sign-in/{create_link(tx, user, actor='cli:test')}"
    headers = said_by_proxy("198.51.100.7", "203.0.113.9") | {"Referer": f"https://coordinator.example{path}"}
    page = client.get(path, headers=headers, base_url="https://coordinator.example").text
    form = {"csrf_token": page.split('name="csrf_token" value="')[1].split('"')[0]}
    answer = client.post(path, data=form, headers=headers, base_url="https://coordinator.example")
    assert answer.status_code == 303, answer.text
    with sqlite_store.read() as tx:
        assert tx.execute(select(UserSession.address)).scalars().all() == ["203.0.113.9"]


@pytest.mark.parametrize("redis_url", ["", "redis://127.0.0.1:1/0"], ids=["no broker", "the broker is away"])
def test_limits_hold_before_the_signature_and_each_process_counts_alone_without_the_broker(
    sqlite_store: Store, redis_url: str
) -> None:
    world = small_world(sqlite_store)
    sqlite_store.settings = replace(sqlite_store.settings, redis_url=redis_url)
    app = create_app(sqlite_store, pages=False)
    app.config["LIMIT_GUESSES"], app.config["LIMIT_PARTNER"] = "3 per minute", "2 per minute"
    client, door = app.test_client(), f"/api/v1/intake/{world.endpoint}"

    def send(number: int, *, secret: str = world.secret, hop: str = "192.0.2.1") -> int:
        body = json.dumps(native(title=f"Report {number}")).encode()
        headers = signed(secret, body, f"message-{number}")
        return int(client.post(door, data=body, headers=headers, environ_base={"REMOTE_ADDR": hop}).status_code)

    wrong = "whsec_" + "A" * 43 + "="
    assert [send(number, secret=wrong) for number in range(3)] == [401] * 3
    assert send(10) == 429, "from this address not even a right signature is looked at now"
    assert [send(number, hop="192.0.2.2") for number in (11, 12, 13)] == [202, 202, 429], "its share"
    tokens = [client.get("/api/v1/incidents", environ_base={"REMOTE_ADDR": "192.0.2.3"}) for _ in range(4)]
    assert [each.status_code for each in tokens] == [401] * 3 + [429]


def test_links_are_made_of_the_configured_address_whatever_a_request_claims(sqlite_store: Store) -> None:
    world = small_world(sqlite_store)
    client, body = behind_a_proxy(sqlite_store).test_client(), json.dumps(native()).encode()
    claims = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    answer = client.post(
        f"/api/v1/intake/{world.endpoint}", data=body,
        headers=signed(world.secret, body, "one") | said_by_proxy("203.0.113.9") | claims,
    )  # fmt: skip
    assert answer.status_code == 202 and b"evil" not in answer.data
    assert answer.get_json()["status_url"].startswith("https://coordinator.example/api/v1/report-status/")


def test_no_link_that_opens_something_reaches_the_log(sqlite_store: Store, capfd: Any) -> None:
    """Real ones, used, misspelt and posted to: of a sign-in, of an alert for people, of an alert for machines."""
    small_world(sqlite_store)
    client, user = create_app(sqlite_store).test_client(), person(sqlite_store, "coordinator").user_id
    with sqlite_store.unit_of_work() as tx:
        sign_in = create_link(tx, user, actor="cli:test")
        put_organisation(tx, PARTNER)
        put_system(tx, "https://hooks.csirt.example/coordinator")
        put_contact(tx, webhook())
        told = tell(
            tx, incident=put_incident(tx), kind="initial", title="T", body="B", purpose="network-defence",
            info_category="incident-notification", requested_by="user:99", audience={"organisations": [PARTNER]},
        )  # fmt: skip
        alert = ack_token(tx, newest_delivery(tx, told.permitted[0]))
    ways = (f"/sign-in/{sign_in}", f"/a/{alert}", f"/a/{alert}x", f"/a/{alert}/x", f"/api/v1/acknowledgements/{alert}")
    for path in ways:
        client.get(path)
        client.post(path, data={"answer": "acknowledged", "by": ""})
        client.post(f"{path}?again={sign_in}", json={"kind": "person", "by": alert, "answer": "x"})
    said = capfd.readouterr()
    assert sign_in not in said.out + said.err and alert not in said.out + said.err
    assert "/sign-in/<token>" in said.err and "/a/<token>" in said.err


@pytest.mark.parametrize("command", ["up", "web"])
def test_the_commands_that_listen_refuse_to_begin_beyond_this_machine(
    command: str, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("COORDINATOR_BASE_URL", "COORDINATOR_TRUSTED_PROXIES"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    assert cli.main([command, "--host", "0.0.0.0", "--port", "0", "--data", str(home)]) != 0
    assert "COORDINATOR_BASE_URL with https" in capsys.readouterr().err
    assert not home.exists(), "nothing was begun"
