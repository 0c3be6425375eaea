"""A playbook's alert step: the rules, a second person, the partner's system, its answer by machine, the run goes on.

Every job runs as the relay's table says, in this process, without a broker.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from pytest_httpserver import HTTPServer
from sqlalchemy import select
from werkzeug import Request, Response

from coordinator import clock
from coordinator.alerts.models import Alert
from coordinator.incidents.holds import lock_incident, open_holds
from coordinator.incidents.models import Incident
from coordinator.incidents.references import reference_of
from coordinator.runs.activation import activate
from coordinator.runs.catalogue import import_playbook
from coordinator.runs.models import PlaybookVersion, Run
from coordinator.runs.service import start_run
from coordinator.store import Store
from coordinator.timeline import queries as timeline
from tests.alerting import put_contact, put_incident, put_organisation, put_system, settings_of, webhook
from tests.factories import OTHER, PARTNER, World, person, token_for
from workers import jobs, relay

EXTENSION = "extension-definition--93c45aca-cdb1-4181-af53-8f822de738cc"
START, TELL, END = (
    "start--00000000-0000-4000-8000-000000000001", "action--00000000-0000-4000-8000-000000000002",
    "end--00000000-0000-4000-8000-000000000003",
)  # fmt: skip
DESK = "group--00000000-0000-4000-8000-000000000004"


def playbook(**alert: Any) -> bytes:
    """One alert step to LV that waits for an acknowledgement by its system."""
    step = {
        "kind": "alert", "message": "initial", "audience": {"organisations": [OTHER]}, "purpose": "network-defence",
        "category": "incident-notification", "ack": {"from": "each", "by": "system", "within": "PT4H"}, **alert,
    }  # fmt: skip
    return json.dumps({
        "type": "playbook", "spec_version": "cacao-2.0", "id": "playbook--00000000-0000-4000-8000-000000000000",
        "name": "Tell LV", "created_by": "identity--00000000-0000-4000-8000-000000000005",
        "created": "2026-11-22T09:00:00.000Z", "modified": "2026-11-22T09:00:00.000Z",
        "playbook_types": ["notification"], "playbook_activities": ["compose-content", "deliver-content"],
        "workflow_start": START,
        "workflow": {
            START: {"type": "start", "on_completion": TELL},
            TELL: {
                "type": "action", "name": "Tell LV", "agent": DESK, "on_completion": END,
                "commands": [{"type": "manual", "command": "Tell LV.", "playbook_activity": "deliver-content"}],
                "step_extensions": {EXTENSION: step},
            },
            END: {"type": "end"},
        },
        "agent_definitions": {DESK: {"type": "group", "name": "Desk"}},
        "extension_definitions": {EXTENSION: {
            "type": "extension-definition", "name": "Coordination", "version": "1.0.0",
            "created_by": "identity--00000000-0000-4000-8000-000000000005", "schema": "coordination.schema.json",
        }},
    }).encode()  # fmt: skip


def run_all(store: Store) -> None:
    """Do every job that is due, and what follows from it, until nothing is."""
    for _ in range(50):
        claimed = relay.claim(store)
        if not claimed:
            return
        for each in claimed:
            jobs.run(store, each.pending_id, clock.rfc3339(each.lease), relay.JOBS)
    raise AssertionError("there is always something more to do")


class Partner:
    """LV's system: keeps what it got and, if told so, acknowledges through our door from another connection later."""

    def __init__(self, client: Any) -> None:
        self.client, self.got = client, list[dict[str, Any]]()

    def take(self, request: Request) -> Response:
        self.got.append(request.get_json(force=True))
        return Response(status=200)

    def acknowledge(self) -> Any:
        path = self.got[-1]["data"]["acknowledge_api"].split("127.0.0.1:8080", 1)[1]
        return self.client.post(path, json={"kind": "system", "by": "lv-system", "answer": "acknowledged"})


@pytest.fixture
def lv(store: Store, world: World, client: Any, httpserver: HTTPServer) -> Iterator[Partner]:
    partner = Partner(client)
    httpserver.expect_request("/hook").respond_with_handler(partner.take)
    with settings_of(store, outbound_allow_private=True):
        with store.unit_of_work() as tx:
            put_organisation(tx, PARTNER)
            put_organisation(tx, OTHER, kind="ministry")
            put_system(tx, httpserver.url_for("/hook"), code=OTHER, slug="lv-out")
            put_contact(tx, webhook("lv-out"), code="lv", organisation=OTHER)
        yield partner


def begin(store: Store, world: World, document: bytes) -> tuple[int, int]:
    """An incident that FI told us of, and a run for it; their ids."""
    officer = person(store, "coordinator", "Owner")
    with store.unit_of_work() as tx:
        import_playbook(tx, document, actor="cli:test")
        version = tx.execute(select(PlaybookVersion)).scalar_one()
        if version.state != "active":
            activate(tx, version.id, actor="cli:test")
        made = put_incident(tx, originator_id=world.partner_id, source_id=world.partner_id, owner_id=officer.user_id)
        incident = lock_incident(tx, made.id)
        run = start_run(tx, version.id, incident=incident, started_by=officer.actor)
        return incident.id, run.id


def kinds(store: Store, incident_id: int) -> list[str]:
    with store.read() as tx:
        return [entry["kind"] for entry in timeline.entries(tx, incident_id=incident_id)]


def state(store: Store, run_id: int) -> str:
    with store.read() as tx:
        return tx.get_one(Run, run_id).state


def test_a_step_waits_for_the_second_person_then_for_the_partner(
    store: Store, world: World, client: Any, lv: Partner
) -> None:
    incident_id, run_id = begin(store, world, playbook())
    run_all(store)
    assert lv.got == [] and "alert.raised" not in kinds(store, incident_id)
    with store.read() as tx:
        reference = reference_of(tx.get_one(Incident, incident_id))

    headers = {"Authorization": f"Bearer {token_for(store, 'release-authority')}"}
    listed = client.get(f"/api/v1/incidents/{reference}/decisions", headers=headers).get_json()["items"]
    assert [each["reasons"] for each in listed] == [["R-TWO-PERSON"]]
    answer = client.post(f"/api/v1/decisions/{listed[0]['id']}/approve", json={}, headers=headers)
    assert (answer.status_code, answer.get_json()["result"]) == (200, "permit")
    run_all(store)
    assert [event["type"] for event in lv.got] == ["coordination.alert.initial"]
    assert state(store, run_id) == "waiting"

    first, second = lv.acknowledge(), lv.acknowledge()
    assert first.status_code == second.status_code == 200
    assert first.get_json() == second.get_json()
    run_all(store)
    assert state(store, run_id) == "completed"
    seen = kinds(store, incident_id)
    wanted = ["run.started", "decision.made", "decision.approved", "decision.made", "alert.raised", "alert.attempted",
              "alert.acknowledged", "run.ended"]  # fmt: skip
    assert [kind for kind in seen if kind in wanted] == wanted
    with store.read() as tx:
        assert open_holds(tx, incident_id) == []


def test_a_refused_clearance_tells_nobody(store: Store, world: World, client: Any, lv: Partner) -> None:
    incident_id, _ = begin(store, world, playbook())
    run_all(store)
    headers = {"Authorization": f"Bearer {token_for(store, 'release-authority')}"}
    with store.read() as tx:
        reference = reference_of(tx.get_one(Incident, incident_id))
    listed = client.get(f"/api/v1/incidents/{reference}/decisions", headers=headers).get_json()["items"]
    path = f"/api/v1/decisions/{listed[0]['id']}"
    assert client.post(f"{path}/refuse", json={"reason": "Not now."}, headers=headers).status_code == 200
    assert client.post(f"{path}/approve", json={}, headers=headers).status_code == 409
    run_all(store)
    assert lv.got == []
    with store.read() as tx:
        assert tx.execute(select(Alert)).first() is None


def test_nobody_clears_their_own_request_through_the_door(
    store: Store, world: World, client: Any, lv: Partner
) -> None:
    """A release authority that owns the run asked for it: another one has to answer."""
    headers = {"Authorization": f"Bearer {token_for(store, 'release-authority', name='Rita')}"}
    asker = client.get("/api/v1/me", headers=headers).get_json()["id"]
    with store.unit_of_work() as tx:
        import_playbook(tx, playbook(), actor="cli:test")
        version = tx.execute(select(PlaybookVersion)).scalar_one()
        if version.state != "active":
            activate(tx, version.id, actor="cli:test")
        made = put_incident(tx, originator_id=world.partner_id, source_id=world.partner_id)
        start_run(tx, version.id, incident=lock_incident(tx, made.id), started_by=f"user:{asker}")
        reference = reference_of(made)
    run_all(store)
    listed = client.get(f"/api/v1/incidents/{reference}/decisions", headers=headers).get_json()["items"]
    answer = client.post(f"/api/v1/decisions/{listed[0]['id']}/approve", json={}, headers=headers)
    assert answer.status_code == 409
    assert lv.got == []


def test_silence_does_not_pass_for_an_answer(store: Store, world: World, client: Any, lv: Partner) -> None:
    """R28: when the time for the acknowledgement is over the run goes on, and the alert stays unanswered."""
    incident_id, run_id = begin(store, world, playbook())
    run_all(store)
    headers = {"Authorization": f"Bearer {token_for(store, 'release-authority')}"}
    with store.read() as tx:
        reference = reference_of(tx.get_one(Incident, incident_id))
    listed = client.get(f"/api/v1/incidents/{reference}/decisions", headers=headers).get_json()["items"]
    client.post(f"/api/v1/decisions/{listed[0]['id']}/approve", json={}, headers=headers)
    run_all(store)
    with time_machine.travel(clock.now() + timedelta(hours=5), tick=True):
        run_all(store)
    assert state(store, run_id) == "completed"
    assert "alert.acknowledged" not in kinds(store, incident_id)
    with store.read() as tx:
        assert [hold.kind for hold in open_holds(tx, incident_id)] == ["alert"]
