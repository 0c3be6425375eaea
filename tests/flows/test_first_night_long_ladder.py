"""A partner's system is down for days: sends go on by themselves while nothing has changed, and stop when it has.

Through the real pages, with a real system behind TLS under a private authority that answers 503; the jobs run as the
relay's table says, and the clock is moved from one attempt to the next.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
import trustme
from pytest_httpserver import HTTPServer
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from werkzeug import Request, Response

from coordinator.agreements.models import Consent
from coordinator.agreements.queries import current
from coordinator.agreements.service import record_agreement, record_consent, withdraw_consent
from coordinator.alerts.models import Alert, DeliveryAttempt
from coordinator.incidents.models import Incident
from coordinator.incidents.references import reference_of
from coordinator.partners.models import Endpoint
from coordinator.sharing.models import Approval, ShareDecision
from coordinator.store import Store
from coordinator.tasks.models import Task
from tests.alerting import (
    MailBox,
    agreement,
    deliveries,
    mail_server,
    mailbox,
    phone,
    put_contact,
    put_incident,
    put_organisation,
    put_system,
    settings_of,
    webhook,
)
from tests.asked import asked
from tests.coordinator.web.conftest import Desk, visible_text
from tests.factories import OTHER, PARTNER, World, small_world
from tests.workers.drained import drain

NIGHT = datetime(2026, 11, 22, 1, 10, tzinfo=UTC)


@dataclass
class Ladder:
    desk: Desk
    store: Store
    world: World
    tries: list[str] = field(default_factory=list)
    incident_id: int = 0

    def take(self, request: Request) -> Response:
        self.tries.append(str(request.headers["webhook-id"]))
        return Response(status=503)

    def follows(self) -> None:
        drain(self.store, leave=())

    def alert(self) -> Alert:
        with self.store.read() as tx:
            return tx.execute(select(Alert).where(Alert.kind == "initial")).scalar_one()

    def next_attempt(self) -> datetime | None:
        return deliveries(self.store, self.alert().id)[-1].next_attempt_at

    def outcomes(self) -> list[str]:
        ids = [each.id for each in deliveries(self.store, self.alert().id)]
        with self.store.read() as tx:
            query = select(DeliveryAttempt.outcome).where(DeliveryAttempt.delivery_id.in_(ids))
            return list(tx.execute(query.order_by(DeliveryAttempt.id)).scalars())

    def decisions(self) -> list[str]:
        with self.store.read() as tx:
            query = select(ShareDecision.result).where(ShareDecision.recipient == OTHER).order_by(ShareDecision.id)
            return list(tx.execute(query).scalars())

    def tasks(self) -> list[Task]:
        with self.store.read() as tx:
            return list(tx.execute(select(Task).where(Task.state == "open").order_by(Task.id)).scalars())


@pytest.fixture
def ladder(sqlite_store: Store, tmp_path: Path) -> Iterator[Ladder]:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    trusting = {"outbound_allow_private": True, "outbound_ca_file": str(bundle)}
    with (
        mail_server(MailBox()) as url,
        settings_of(sqlite_store, smtp_url=url, **trusting),
        HTTPServer(host="127.0.0.1", port=0, ssl_context=context) as server,
    ):
        world = small_world(sqlite_store)
        made = Ladder(Desk(sqlite_store, world), sqlite_store, world)
        server.expect_request("/hook").respond_with_handler(made.take)
        with time_machine.travel(NIGHT, tick=True):
            set_the_scene(made, f"https://localhost:{server.port}/hook")
        yield made


def set_the_scene(ladder: Ladder, url: str) -> None:
    """FI told us something as AMBER and consents that LV has it; there is an agreement with LV."""
    owner = ladder.desk.who("coordinator")
    with ladder.store.unit_of_work() as tx:
        put_organisation(tx, PARTNER)
        put_organisation(tx, OTHER, kind="ministry")
        put_system(tx, url, code=OTHER, slug="lv-out")
        put_contact(tx, webhook("lv-out"), mailbox("desk@lv.example"), phone(), code="lv", organisation=OTHER)
        agreement(tx, code=OTHER)
        record_consent(tx, {
            "from": PARTNER, "to": OTHER, "purpose": "*", "item": "*", "evidence": "mail of today",
            "valid_until": NIGHT + timedelta(days=30),
        }, actor="user:1")  # fmt: skip
        incident = put_incident(
            tx, tlp="AMBER", owner_id=owner.user_id, originator_id=ladder.world.partner_id,
            source_id=ladder.world.partner_id,
        )  # fmt: skip
        ladder.incident_id = incident.id


def sent_and_cleared(ladder: Ladder) -> str:
    """A coordinator looks and asks, the release authority clears it for three days; what the first page showed."""
    with ladder.store.read() as tx:
        path = f"/incidents/{reference_of(tx.get_one(Incident, ladder.incident_id))}/alerts/new"
    coordinator, authority = ladder.desk.sit("coordinator"), ladder.desk.sit("release-authority")
    written: dict[str, Any] = {
        "kind": "initial", "audience": "organisations", "organisations": [OTHER], "title": "Ransomware",
        "body": "What we heard.", "sources": "incident", "purpose": "incident-response", "ack": "none", "zone": "UTC",
        "info_category": "incident-notification",
    }  # fmt: skip
    coordinator.get(path)
    looked = coordinator.post(path, written | {"step": "look"})
    once = re.search(r'name="once" value="([^"]+)"', looked.text)
    assert once is not None, visible_text(looked.text)
    assert coordinator.post(path, written | {"step": "send", "once": once[1]}).status_code == 303
    ladder.follows()
    assert ladder.tries == []
    number = re.search(r'href="/clearances/(\d+)"', authority.get("/clearances").text)
    assert number is not None
    authority.get(f"/clearances/{number[1]}")
    assert authority.post(f"/clearances/{number[1]}/approve", {"hours": "72"}).status_code == 303
    ladder.follows()
    return visible_text(looked.text)


def go_on_until(ladder: Ladder, end: datetime) -> None:
    """Move the clock from attempt to attempt."""
    while (at := ladder.next_attempt()) is not None and at <= end:
        with time_machine.travel(at + timedelta(seconds=1), tick=True):
            ladder.follows()


def test_it_goes_on_for_days_without_anybody_and_stops_when_the_clearance_ends(ladder: Ladder) -> None:
    with time_machine.travel(NIGHT + timedelta(minutes=1), tick=True):
        shown = sent_and_cleared(ladder)
    assert re.search(r"E-mail – lv Refused Passed over: TLP:AMBER and stricter do not go in clear text", shown), shown
    assert [(each["channel"], each["result"]) for each in ladder.alert().plan or ()] == [
        ("webhook", "permit"), ("email", "deny"), ("voice", "permit")]  # fmt: skip

    go_on_until(ladder, NIGHT + timedelta(hours=71))
    assert len(ladder.tries) == 9 and set(ladder.outcomes()) == {"retry"}  # the last 51 hours after the first
    assert len(set(ladder.tries)) == 1
    assert len(ladder.decisions()) > 6 and ladder.decisions()[1:] == ["permit"] * (len(ladder.decisions()) - 1)
    with ladder.store.read() as tx:
        assert tx.execute(select(func.count()).select_from(Approval)).scalar_one() == 1
    assert ladder.tasks() == []

    go_on_until(ladder, NIGHT + timedelta(hours=90))
    assert ladder.outcomes()[-1] == "withheld" and len(ladder.tries) == 9
    (task,) = ladder.tasks()
    assert "held back" in task.title and "A second person has to approve" in asked(ladder.store, task).instructions
    with time_machine.travel(NIGHT + timedelta(hours=91), tick=True):
        assert "Ransomware" in ladder.desk.sit("release-authority").text("/clearances")  # and may be cleared again


def label_raised(tx: Session, ladder: Ladder) -> None:
    tx.get_one(Incident, ladder.incident_id).tlp = "AMBER+STRICT"


def agreement_suspended(tx: Session, ladder: Ladder) -> None:
    (row,) = current(tx)
    record_agreement(tx, row.terms | {"suspended": [{"from": "2026-11-22T00:00:00Z", "reason": "x"}]}, actor="cli:test")


def consent_withdrawn(tx: Session, ladder: Ladder) -> None:
    withdraw_consent(tx, tx.execute(select(Consent.id)).scalar_one(), actor="user:1", reason="They asked us to stop.")


def address_changed(tx: Session, ladder: Ladder) -> None:
    tx.execute(select(Endpoint).where(Endpoint.slug == "lv-out")).scalar_one().url = "https://elsewhere.example/hook"


@pytest.mark.parametrize(
    ("change", "said"),
    [(label_raised, "D-LABEL-RAISED"), (agreement_suspended, "D-NO-AGREEMENT"), (consent_withdrawn, "D-AMBER-ONWARD"),
     (address_changed, "ADDRESS-CHANGED")],
)  # fmt: skip
def test_it_stops_when_what_it_was_decided_on_changes_and_a_person_reads_why(
    ladder: Ladder, change: Callable[[Session, Ladder], None], said: str
) -> None:
    with time_machine.travel(NIGHT + timedelta(minutes=1), tick=True):
        sent_and_cleared(ladder)
    go_on_until(ladder, NIGHT + timedelta(hours=8))
    before = len(ladder.tries)
    with time_machine.travel(NIGHT + timedelta(hours=8), tick=True), ladder.store.unit_of_work() as tx:
        change(tx, ladder)
    go_on_until(ladder, NIGHT + timedelta(hours=70))
    assert ladder.outcomes()[-1] == "withheld" and len(ladder.tries) == before
    (task,) = [each for each in ladder.tasks() if each.kind != "decision"]  # what was tried may have arrived
    assert task.assignee_id == ladder.desk.who("coordinator").user_id
    assert f"({said})" in asked(ladder.store, task).instructions
