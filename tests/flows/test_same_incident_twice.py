"""Two partners send the same incident with different dates and labels; one is marked a duplicate, and not the next day.

Facts stand side by side with their sources; what is open stands still at a safe point and comes back as it was.
"""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from coordinator.alerts import service as alerts
from coordinator.alerts.audience import told_so_far
from coordinator.alerts.models import Alert
from coordinator.errors import Refused
from coordinator.incidents.holds import lock_incident
from coordinator.incidents.models import Incident, Report
from coordinator.incidents.references import reference_of
from coordinator.runs.catalogue import ship_library
from coordinator.runs.queries import runs_of
from coordinator.runs.service import ask
from coordinator.sharing.models import ShareDecision
from coordinator.store import Store
from coordinator.tasks.models import Task
from coordinator.tasks.service import open_task
from coordinator.timeline.queries import entries
from coordinator.timeline.verify import verify
from tests.alerting import deliveries, put_contact, put_organisation, put_system, webhook
from tests.factories import PartnerSystem, World, inbound_endpoint, native, person, signed, token_for
from tests.workers.drained import drain

FI = native(external_id="fi-7", tlp="GREEN", noticed_at="2026-11-22T03:10:00Z", aware_at="2026-11-22T03:15:00Z",
            states_affected=["FI"], sectors=["health"], cross_border="yes",
            classification="malicious-code/infected-system")  # fmt: skip
LV = native(external_id="lv-9", tlp="AMBER", noticed_at="2026-11-21T23:40:00Z", aware_at="2026-11-22T01:00:00Z",
            states_affected=["LV", "FI"], sectors=["health"], cross_border="yes",
            classification="malicious-code/infected-system", title="Hospitals encrypted")  # fmt: skip


class Desk:
    """A coordinator's tool at the API."""

    def __init__(self, store: Store, client: Any) -> None:
        self.client = client
        self.headers = {"Authorization": f"Bearer {token_for(store)}"}
        self.second = {"Authorization": f"Bearer {token_for(store, 'release-authority')}"}

    def get(self, path: str) -> Any:
        return self.client.get(f"/api/v1/incidents/{path}", headers=self.headers)

    def post(self, reference: str, what: str, **said: Any) -> Any:
        match = {"If-Match": self.get(reference).headers["ETag"].removeprefix("W/")}
        return self.client.post(f"/api/v1/incidents/{reference}/{what}", json=said, headers=self.headers | match)


@pytest.fixture
def desk(store: Store, client: Any) -> Desk:
    with store.unit_of_work() as tx:
        ship_library(tx)
        put_system(tx, "https://fi.example/hook")
        for code in ("XX-CSIRT", "YY-CSIRT"):
            put_organisation(tx, code)
            name = code[:2].lower()
            put_system(tx, "https://partner.example/hook", code=code, slug=f"{name}-out")
            put_contact(tx, webhook(f"{name}-out"), code=f"{name}-duty", organisation=code)
    for role in ("duty-officer", "liaison-officer", "legal-adviser", "release-authority", "analyst"):
        person(store, role)
    return Desk(store, client)


@pytest.fixture
def latvia(store: Store, world: World, client: Any) -> Any:
    """What LV-MFA's system posts to its own endpoint."""
    with store.unit_of_work() as tx:
        _row, secret = inbound_endpoint(tx, world.other_id, "lv-in")

    def post(report: dict[str, Any], number: int) -> Any:
        system = PartnerSystem(client, world)
        body = system.client.application.json.dumps(report).encode()
        return client.post("/api/v1/intake/lv-in", data=body, headers=signed(secret, body, f"lv_{number}"))

    return post


def state(store: Store, incident_id: int) -> dict[str, Any]:
    """What is open on an incident: its status, its runs and tasks."""
    with store.read() as tx:
        incident = tx.get_one(Incident, incident_id)
        runs = {run["name"]: run["state"] for run in runs_of(tx, incident_id)}
        every = tx.execute(select(Task).where(Task.incident_id == incident_id)).scalars()
        tasks = {row.title: row.state for row in every}
        return {"status": incident.status, "aware_at": incident.aware_at, "runs": runs, "tasks": tasks}


def tell(store: Store, desk: Desk, incident_id: int, code: str) -> ShareDecision:
    """Ask to tell one partner, with a second person's word where the rules refer it; the newest decision."""
    with store.unit_of_work() as tx:
        told = alerts.tell(
            tx, incident=lock_incident(tx, incident_id), kind="initial", title="Hospitals", body="What is known.",
            purpose="network-defence", info_category="incident-notification", requested_by="user:1",
            audience={"organisations": [code]},
        )  # fmt: skip
        waiting = [decision.id for decision in told.referred]
        release = told.release.id
    for decision in waiting:
        desk.client.post(f"/api/v1/decisions/{decision}/approve", json={}, headers=desk.second)
    drain(store)
    with store.read() as tx:
        query = select(ShareDecision).where(ShareDecision.release_id == release).order_by(ShareDecision.id.desc())
        return tx.execute(query).scalars().first()


def sent(store: Store, code: str) -> list[str]:
    """How it stands with the deliveries of first alerts to a partner."""
    with store.read() as tx:
        query = select(Alert.id).where(Alert.recipient == code, Alert.kind == "initial")
        ids = tx.execute(query).scalars().all()
    return [row.state for alert_id in ids for row in deliveries(store, alert_id)]


def test_two_partners_send_the_same_incident_and_one_is_marked_and_unmarked(
    store: Store, world: World, partner: PartnerSystem, desk: Desk, latvia: Any
) -> None:
    assert partner.post(FI).status_code == 202
    assert latvia(LV, 1).status_code == 202
    drain(store)
    with store.read() as tx:
        first, second = tx.execute(select(Incident).order_by(Incident.id)).scalars().all()
    fi, lv = reference_of(first), reference_of(second)

    # Nobody has noticed yet: both are accepted, playbooks run, a partner is told of the one from Finland.
    for reference in (fi, lv):
        for status in ("triage", "active"):
            assert desk.post(reference, "status", status=status).status_code == 200
    drain(store)
    assert tell(store, desk, first.id, "XX-CSIRT").result == "permit"
    assert sent(store, "XX-CSIRT") == ["queued"]
    with store.unit_of_work() as tx:
        open_task(tx, title="Call the ministry back", role="coordinator", created_by="user:1",
                  incident=lock_incident(tx, first.id), blocks="close")  # fmt: skip
    before = state(store, first.id)
    assert before["runs"]["Cross-border ransomware on health care"] == "waiting"

    # A coordinator sees that they are one: Latvia's, which knew earlier and is stricter, is the one that stays.
    marked = desk.post(fi, "status", status="duplicate", duplicate_of=lv, reason="The same hospitals.")
    assert marked.status_code == 200, marked.json
    assert (marked.json["duplicate_of"], marked.json["next_statuses"]) == (lv, ["active"])
    drain(store)
    stopped = state(store, first.id)
    assert set(stopped["runs"].values()) == {"paused"}
    assert set(stopped["tasks"].values()) == {"set-aside"}
    assert "Call the ministry back" not in stopped["tasks"]
    assert state(store, second.id)["tasks"]["Call the ministry back"] == "open"
    assert sent(store, "XX-CSIRT") == ["withheld"]
    with store.read() as tx:
        assert "XX-CSIRT" not in told_so_far(tx, tx.get_one(Incident, second.id)), "nothing has left yet"
        assert "FI-CSIRT" in told_so_far(tx, tx.get_one(Incident, second.id)), "it has our receipt: that stays known"
    run = next(run for run in desk.get(f"{fi}/runs").json["items"] if run["state"] == "paused")
    somebody = person(store, name="In Haste")
    with pytest.raises(Refused), store.unit_of_work() as tx:
        ask(tx, run["id"], "resume", principal=somebody, reason="")

    # What both say stands side by side, under each one's own label, until a person chooses, with a reason.
    facts = {fact["name"]: fact for fact in desk.get(f"{lv}/facts").json["items"]}
    noticed = facts["noticed_at"]
    assert noticed["conflict"] and noticed["chosen"] is None
    assert noticed["now"] == LV["noticed_at"], "nothing was written over"
    assert {(one["originator"], one["tlp"], one["value"]) for one in noticed["said"]} == {
        ("FI-CSIRT", "GREEN", FI["noticed_at"]), ("LV-MFA", "AMBER", LV["noticed_at"]),
    }  # fmt: skip
    assert not facts["sectors"]["conflict"]
    theirs = next(one["version"] for one in noticed["said"] if one["originator"] == "FI-CSIRT")
    assert desk.post(lv, "facts", name="noticed_at", version=theirs, reason=" ").status_code == 422
    assert desk.post(lv, "facts", name="noticed_at", version=theirs, reason="Their logs say so.").status_code == 200
    assert desk.get(lv).json["noticed_at"] == FI["noticed_at"]

    # Word from Finland goes to the incident that stays, while this lasts; its clock is the earliest of the two.
    assert partner.post(FI | {"description": "A third hospital."}).json["disposition"] == "update"
    drain(store)
    assert state(store, second.id)["aware_at"].isoformat() == "2026-11-22T01:00:00+00:00"

    # The next day: it is another attack. Everything is as it was, and nothing was lost.
    wrong = desk.post(fi, "status", status="triage", reason="Another gang.")
    assert wrong.status_code == 409
    assert desk.post(fi, "status", status="active", reason="").status_code == 422
    assert desk.post(fi, "status", status="active", reason="Another gang.").status_code == 200
    drain(store)
    assert state(store, first.id) == before
    assert "Call the ministry back" not in state(store, second.id)["tasks"]
    assert sent(store, "XX-CSIRT") == ["queued"]
    with store.read() as tx:
        assert set(tx.execute(select(Report.incident_id).where(Report.external_id == "fi-7")).scalars()) == {first.id}
        assert [item["content"] for item in desk.get(f"{fi}/items").json["items"] if item["kind"] == "summary"] == [
            "A third hospital."]  # fmt: skip
        kinds = [entry["kind"] for entry in entries(tx, incident_id=first.id, limit=500)]
        assert not verify(tx).broken
    for kind in ("incident.duplicate", "task.set-aside", "task.moved", "alert.withheld", "incident.stopped",
                 "incident.reinstated", "task.brought-back", "incident.goes-on"):  # fmt: skip
        assert kind in kinds, kind


def test_what_one_partner_said_never_leaves_under_the_label_of_another(
    store: Store, world: World, partner: PartnerSystem, desk: Desk, latvia: Any
) -> None:
    """The other way round: what is chosen from the stricter source binds the incident, its texts and its envelope."""
    partner.post(FI)
    latvia(LV, 1)
    drain(store)
    with store.read() as tx:
        first, second = tx.execute(select(Incident).order_by(Incident.id)).scalars().all()
    fi, lv = reference_of(first), reference_of(second)
    desk.post(fi, "status", status="triage")
    desk.post(fi, "status", status="active")
    assert desk.post(lv, "status", status="duplicate", duplicate_of=fi).status_code == 200
    drain(store)
    assert desk.get(fi).json["tlp"] == "GREEN", "a duplicate alone changes no label"
    with store.read() as tx:
        assert tx.get_one(Incident, first.id).aware_at.isoformat() == "2026-11-22T01:00:00+00:00"
    assert tell(store, desk, first.id, "XX-CSIRT").result == "permit"

    states = next(fact for fact in desk.get(f"{fi}/facts").json["items"] if fact["name"] == "states_affected")
    theirs = next(one["version"] for one in states["said"] if one["originator"] == "LV-MFA")
    chosen = desk.post(fi, "facts", name="states_affected", version=theirs, reason="Two states.")
    assert (chosen.json["tlp"], sorted(chosen.json["states_affected"])) == ("AMBER", ["FI", "LV"])
    decision = tell(store, desk, first.id, "YY-CSIRT")
    assert (decision.result == "permit", decision.effective_tlp) == (False, "AMBER")
    assert "LV-MFA" in str(decision.inputs["items"]), "its originator is asked about as well"
    assert sent(store, "YY-CSIRT") == []
