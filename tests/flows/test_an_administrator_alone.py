"""An administrator, alone: tries to become release authority, to re-point a state's webhook, to read a case, to load an
agreement unseen. Each is refused or waits for a second person, the old channel is told, and all of it is on record."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from sqlalchemy import select

from coordinator import cli
from coordinator.accounts.models import User
from coordinator.agreements import queries as register
from coordinator.partners.models import Endpoint, Organisation
from coordinator.partners.signing import generate_secret
from coordinator.store import Store
from coordinator.timeline.models import Entry
from coordinator.timeline.queries import described
from coordinator.timeline.verify import verify
from tests.alerting import put_contact, put_system, webhook
from tests.coordinator.web.conftest import Browser, Desk, file_by_form, visible_text
from tests.factories import small_world
from tests.receiving import Receiver, run_due


@pytest.fixture
def old_system(httpserver: HTTPServer) -> Receiver:
    receiver = Receiver(httpserver.url_for("/hook"))
    httpserver.expect_request("/hook", method="POST").respond_with_handler(receiver.take)
    return receiver


@pytest.fixture
def desk(sqlite_store: Store, old_system: Receiver) -> Desk:
    """A desk with a state whose system takes our alerts, an administrator and a coordinator who have enrolled."""
    sqlite_store.settings = replace(sqlite_store.settings, outbound_allow_private=True)
    desk = Desk(sqlite_store, small_world(sqlite_store))
    with sqlite_store.unit_of_work() as tx:
        put_system(tx, old_system.url)
        put_contact(tx, webhook())
    for role in ("coordinator", "administrator", "legal-adviser"):
        desk.who(role)
    return desk


def test_an_administrator_alone_gets_nowhere_and_all_of_it_is_on_record(
    desk: Desk, old_system: Receiver, tmp_path: Path, capsys: Any
) -> None:
    administrator, coordinator = desk.sit("administrator"), desk.sit("coordinator")
    case = file_by_form(coordinator)

    # A role that clears, for themselves: it waits, and the one who asked cannot accept.
    own = desk.people["administrator"].user_id
    administrator.get(f"/users/{own}")
    first = asked(administrator, f"/users/{own}/role", {"role": "release-authority", "reason": "It is quicker."})
    assert administrator.post(f"/changes/{first}/accept").status_code == 409
    # A second account of their own, to read the case with: it waits as well, and there is no link to it.
    administrator.get("/users/new")
    second = asked(administrator, "/users/new", {"name": "Bo", "email": "bo@ee.example", "role": "duty-officer"})
    with desk.store.read() as tx:
        assert tx.get_one(User, own).role == "administrator"
        assert tx.execute(select(User).where(User.email == "bo@ee.example")).scalar_one_or_none() is None

    # The case itself.
    for path in (f"/incidents/{case}", f"/incidents/{case}/timeline", "/board"):
        assert administrator.get(path).status_code == 403

    # A state made our client, so that AMBER may go there.
    administrator.get("/partners/FI-CSIRT/edit")
    client = {"name": "FI-CSIRT", "kind": "ministry", "client_of_own": "on", "communities": "cyber-defence"}
    fourth = asked(administrator, "/partners/FI-CSIRT/edit", client)
    assert administrator.post(f"/changes/{fourth}/accept").status_code == 409

    # From the command line: the state's webhook, and an agreement that nobody has seen.
    assert cli.main(["load", str(world_file(tmp_path)), "--data", str(desk.store.settings.data_dir)]) == 0
    said = capsys.readouterr().out
    assert said.count("waits for a second person") == 2
    with desk.store.read() as tx:
        assert tx.execute(select(Endpoint.url).where(Endpoint.slug == "fi-out")).scalar_one() == old_system.url
        assert register.current(tx) == []

    # The old channel is told, before anybody can accept; it learns nothing of the new one.
    third = int(said.split("(change ")[1].split(")")[0])
    assert coordinator.post(f"/changes/{third}/accept").status_code == 409
    run_due(desk.store)
    [notice] = [json.loads(request.get_data()) for request in old_system.seen]
    assert notice["type"] == "coordination.check.ping" and "attacker" not in json.dumps(notice)
    assert "call our duty desk" in notice["data"]["body"]

    # Who asked at the command line is no second person as an administrator either.
    assert administrator.post(f"/changes/{third}/accept").status_code == 409
    page = coordinator.text(f"/changes/{third}")
    assert old_system.url in page and "https://attacker.example/hook" in page

    # The second person refuses.
    for number in (first, second, fourth, third, third + 1):
        coordinator.get(f"/changes/{number}")
        answer = coordinator.post(f"/changes/{number}/refuse", {"reason": "Nobody at FI-CSIRT knows of it."})
        assert answer.status_code == 303, visible_text(answer.text)
    with desk.store.read() as tx:
        assert tx.execute(select(Endpoint.url).where(Endpoint.slug == "fi-out")).scalar_one() == old_system.url
        assert register.current(tx) == []
        rows = tx.execute(select(Entry).where(Entry.kind.like("change.%")).order_by(Entry.id)).scalars().all()
        kinds = [row.kind for row in rows]
        assert kinds == ["change.asked"] * 5 + ["change.refused"] * 5
        assert rows[3].actor.startswith("cli:")
        state = tx.execute(select(Organisation).where(Organisation.code == "FI-CSIRT")).scalar_one()
        assert (state.client_of_own, state.communities) == (False, [])
        digest = hashlib.sha256((tmp_path / "world.json").read_bytes()).hexdigest()
        assert described(tx, rows[3:4])[0]["values"]["source"] == digest
        assert not verify(tx).broken


def asked(browser: Browser, path: str, data: dict[str, str]) -> int:
    """Ask for a change on a page; the number under which it waits."""
    answer = browser.post(path, data)
    assert answer.status_code == 303, visible_text(answer.text)
    assert answer.location.startswith("/changes/"), answer.location
    return int(answer.location.rsplit("/", 1)[1])


def world_file(tmp_path: Path) -> Path:
    parties = [{"party": code, "role": "both", "signed_on": "2025-01-10"} for code in ("EE-MFA", "FI-CSIRT")]
    world = {
        "endpoints": [{"id": "fi-out", "organisation": "FI-CSIRT", "direction": "out", "secret": generate_secret(),
                       "url": "https://attacker.example/hook"}],
        "agreements": [{
            "agreement_id": "MOU-UNSEEN", "kind": "mou-bilateral", "parties": parties, "tlp_ceiling": "RED",
            "info_categories_allowed": ["victim-identity"], "permitted_purposes": ["attribution"],
            "effective_from": "2025-01-15T00:00:00Z",
        }],
    }  # fmt: skip
    path = tmp_path / "world.json"
    path.write_text(json.dumps(world), "utf-8")
    return path
