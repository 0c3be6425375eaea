"""Many machines, without an engine: every service of docker-compose.yml as a process, and the main job across them."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import select

from coordinator.accounts import service as accounts
from coordinator.alerts.wording import CLOSURE
from coordinator.incidents.models import Incident, Report
from coordinator.incidents.references import reference_of
from coordinator.store import Store
from coordinator.timeline.models import Heartbeat
from tests.harness.installation import SCOPES
from tests.harness.machines import BASE_URL, Machines, machines
from tests.harness.mail import MailServer
from tests.harness.officers import PatientOfficers
from tests.harness.outcome import unsettled
from tests.harness.processes import wait_for
from tests.harness.receiver import Receiver
from tests.harness.sender import Sender
from tests.postgres import NoPostgres, find_programs
from workers.demo import world as fiction

pytestmark = [pytest.mark.slow, pytest.mark.postgresql]


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with MailServer() as made:
        yield made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


@pytest.fixture
def composition(mail: MailServer) -> Iterator[Machines]:
    try:
        find_programs()
    except NoPostgres:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is missing: with CI=1 every test runs")
        pytest.skip("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory(prefix="coordinator-many-") as folder:
        Path(folder).chmod(0o711)
        with machines(Path(folder), mail=mail.url) as made:
            yield made


def small_world(receiver: Receiver) -> tuple[dict[str, Any], fiction.Partner]:
    """The world of the demo; its endpoints are on this machine, which their two persons allowed for each of them."""
    reporter = receiver.partner(fiction.REPORTER, "fi-csirt")
    world = fiction.world([reporter, receiver.partner(fiction.AFFECTED, "lv-csirt")])
    for endpoint in world["endpoints"]:
        if endpoint["direction"] == "out":
            endpoint["allow_private"] = ["127.0.0.0/8"]
    return world, reporter


def tokens(store: Store) -> dict[str, str]:
    made = {}
    with store.unit_of_work() as tx:
        for role, (email, _) in fiction.PEOPLE.items():
            user = accounts.user_by_email(tx, email)
            allowed = {str(scope) for scope in accounts.rules.scopes_allowed(accounts.rules.Role(role))}
            made[role] = accounts.create_token(
                tx, user.id, name="test", scopes=sorted(SCOPES & allowed), actor="cli:test"
            )
    return made


def start_all(composition: Machines) -> list[str]:
    """In the order the composition asks for: migrate once, then two webs, three workers, two relays."""
    assert "up to date" in composition.run("migrate")
    webs = [composition.start_web("web-1"), composition.start_web("web-2")]
    for name in ("worker-1", "worker-2"):
        composition.start("worker", name)
    composition.start("worker-alerts")
    for name in ("relay-1", "relay-2"):
        composition.start("relay", name)
    for web in webs:
        wait_for(lambda web=web: is_ready(web), what=f"{web} to be ready")
    for service in ("worker", "worker-alerts", "relay"):
        wait_for(lambda service=service: composition.is_healthy(service), what=f"{service} to be healthy")
    return webs


def is_ready(web: str) -> bool:
    try:
        return requests.get(f"{web}/readyz", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def test_the_services_of_the_composition_do_the_main_job_together(
    composition: Machines, receiver: Receiver, mail: MailServer, tmp_path: Path
) -> None:
    webs = start_all(composition)
    receiver.reach = lambda address: address.replace(BASE_URL, webs[1])
    world, reporter = small_world(receiver)
    load_world(composition, world, tmp_path / "world.json")
    with closing(composition.store()) as store:
        sent = [Sender(web, reporter).post(fiction.report() | {"external_id": web}, f"msg_{at}")
                for at, web in enumerate(webs)]  # fmt: skip
        assert [(each.status, each.answer["disposition"]) for each in sent] == [(202, "accepted")] * 2
        assert all(each.answer["status_url"].startswith(f"{BASE_URL}/") for each in sent)
        officers = PatientOfficers(webs[0], tokens(store), say=lambda line: None)
        for each in sent:
            officers.close_incident(reference(store, each.answer["report"]), seconds=300)
        wait_for(lambda: not left(store), what="everything that follows")
        kinds = {each.path: sorted(one.kind for one in receiver.kept() if one.path == each.path)
                 for each in receiver.kept()}  # fmt: skip
        assert kinds["/fi-csirt"].count("receipt") == 2
        assert kinds["/lv-csirt"].count("initial") == 2
        over = [each.path for each in receiver.kept() if each.kind == "closure" and each.data["title"] == CLOSURE[0]]
        assert over.count("/lv-csirt") == over.count("/fi-csirt") == 2
        ids = [each.webhook_id for each in receiver.kept()]
        assert len(ids) == len(set(ids)), "undisturbed, nothing is sent twice"
        assert receiver.refused == 0
        assert len(mail.ids()) == len(set(mail.ids())) > 4
        with store.read() as tx:
            assert tx.execute(select(Incident.status)).scalars().all() == ["closed", "closed"]
            alive = sorted(tx.execute(select(Heartbeat.kind).where(Heartbeat.name.contains("@"))).scalars())
        assert {kind: alive.count(kind) for kind in ("worker", "relay")} == {"worker": 3, "relay": 2}
    verified = composition.run("web", sys.executable, "-m", "coordinator.cli", "record", "verify")
    assert verified.startswith("ok ")
    assert composition.ended() == {}
    codes = composition.stop()
    assert set(codes.values()) == {0}, codes


def load_world(composition: Machines, world: dict[str, Any], file: Path) -> None:
    file.write_text(json.dumps(world))
    composition.run("web", sys.executable, "-m", "coordinator.cli", "load", str(file))


def reference(store: Store, report: str) -> str:
    with store.read() as tx:
        query = select(Incident).join(Report, Report.incident_id == Incident.id).where(Report.public_id == report)
        return reference_of(tx.execute(query).scalar_one())


def left(store: Store) -> bool:
    with store.read() as tx:
        return bool(unsettled(tx))
