"""Two coordinators tell each other: an alert of one is a report at the other, is acknowledged, and its threads stay
together. The out endpoint of one is the in endpoint of the other; nothing else joins them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import select

from coordinator.alerts.models import Alert, Delivery
from coordinator.incidents.envelope import Received
from coordinator.incidents.models import Report, ReportBody
from coordinator.interchange import cloudevents
from coordinator.partners.signing import generate_secret
from coordinator.timeline.keys import unseal
from tests.harness.installation import Installation, installation
from tests.harness.mail import MailServer
from tests.harness.outcome import unsettled
from tests.harness.processes import PATIENCE, wait_for
from workers.demo.officers import Officers
from workers.demo.world import PEOPLE

pytestmark = pytest.mark.slow
ESTONIA, LATVIA = "EE-MFA", "LV-MFA"


@dataclass
class Ministry:
    """One of the two, with its officers."""

    code: str
    machine: Installation
    officers: Officers

    def incidents(self) -> list[dict[str, Any]]:
        return self.officers.get("coordinator", "/incidents")["items"]

    def the_incident(self) -> str:
        """The reference of its one incident, as soon as there is one."""
        found = wait_for(self.incidents, what=f"an incident at {self.code}")
        assert len(found) == 1, found
        return str(found[0]["reference"])

    def reports(self) -> list[tuple[str, str, str]]:
        """What came in: door, disposition, reason."""
        with self.machine.store.read() as tx:
            query = select(Report.via, Report.disposition, Report.reason).order_by(Report.id)
            return [tuple(row) for row in tx.execute(query)]

    def settle(self) -> None:
        def rest() -> Any:
            with self.machine.store.read() as tx:
                return unsettled(tx)

        wait_for(lambda: not rest(), what=f"{self.code} to be done ({rest()})")


@pytest.fixture(scope="module")
def ministries() -> Iterator[tuple[Ministry, Ministry]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="coordinator-two-")))
        mail = stack.enter_context(MailServer()).url
        machines = {code: stack.enter_context(installation(folder / code, mail=mail)) for code in (ESTONIA, LATVIA)}
        secrets = {code: generate_secret() for code in machines}  # by who posts with it
        made = []
        for own, other in ((ESTONIA, LATVIA), (LATVIA, ESTONIA)):
            machines[own].load(world(own, other, machines[other].base_url, secrets))
            officers = Officers(machines[own].base_url, machines[own].tokens(), say=lambda line: None)
            made.append(Ministry(own, machines[own], officers))
        yield made[0], made[1]


def world(own: str, other: str, url: str, secrets: dict[str, str]) -> dict[str, Any]:
    """A ministry, the other one with an endpoint each way, and their arrangement."""
    both = [{"code": code, "name": code, "kind": "ministry", "country": code[:2], "communities": [], "own": code == own}
            for code in (own, other)]  # fmt: skip
    return {
        "settings": {"own_organisation": own, "duty_role": "duty-officer"},
        "organisations": both,
        "endpoints": [
            {"id": f"from-{other}".lower(), "organisation": other, "direction": "in", "secret": secrets[other]},
            {"id": f"to-{other}".lower(), "organisation": other, "direction": "out", "secret": secrets[own],
             "url": f"{url}/api/v1/intake/from-{own}".lower()},
        ],
        "contacts": [{
            "code": f"{other}-duty".lower(), "organisation": other, "kind": "technical", "function": "Duty desk",
            "languages": ["en"], "time_zone": "UTC", "hours": "24x7", "order": 1, "tlp_max": "AMBER",
            "verified_on": "2026-11-01T08:00:00Z",
            "channels": [{"kind": "webhook", "endpoint": f"to-{other}".lower()}],
        }],
        "agreements": [{
            "agreement_id": "MOU-EE-LV", "reference": "MOU-2026-1", "title": "Arrangement", "kind": "mou-bilateral",
            "legal_status": "operational", "tlp_ceiling": "AMBER", "personal_data": "none",
            "parties": [{"party": code, "role": "both", "signed_on": "2026-01-10"} for code in (ESTONIA, LATVIA)],
            "info_categories_allowed": ["incident-notification", "situational-report"],
            "permitted_purposes": ["network-defence", "incident-response", "situational-awareness"],
            "onward_sharing": "own-organisation", "effective_from": "2026-01-15T00:00:00Z",
        }],
        "users": [{"email": email, "name": name, "role": role} for role, (email, name) in PEOPLE.items()],
    }  # fmt: skip


def tell(ministry: Ministry, reference: str, **said: Any) -> dict[str, Any]:
    """A release by the liaison officer, cleared by those who clear where the rules ask for it."""
    body = {"purpose": "network-defence", **said}
    answer = ministry.officers.send("coordinator", "POST", f"/incidents/{reference}/alerts", body)
    assert answer.status_code == 201, answer.text
    for decision in answer.json()["decisions"]:
        assert decision["result"] in ("permit", "refer"), decision
    for decision in ministry.officers.get("coordinator", f"/incidents/{reference}/decisions")["items"]:
        if decision["result"] == "refer":
            for role in ("release-authority", "legal-adviser"):
                ministry.officers.send(role, "POST", f"/decisions/{decision['id']}/approve", {})
    return answer.json()


def received(ministry: Ministry) -> list[Received]:
    """The events that came in, read again from the bytes that were kept."""
    with ministry.machine.store.read() as tx:
        query = select(Report, ReportBody.sealed).join(ReportBody, ReportBody.report_id == Report.id)
        rows = tx.execute(query.where(Report.via == "webhook").order_by(Report.id)).all()
        raws = [unseal(tx, report.data_key_id, sealed, about=f"report/{report.public_id}") for report, sealed in rows]
    return [cloudevents.read(raw, None) for raw in raws]


def test_an_alert_of_one_is_a_report_at_the_other_and_everything_after_it_stays_on_that_incident(
    ministries: tuple[Ministry, Ministry],
) -> None:
    estonia, latvia = ministries
    report = {"title": "Power station: control room without sight", "tlp": "GREEN", "description": "As seen at 03:10.",
              "noticed_at": "2026-11-22T03:10:00Z", "states_affected": ["LV"]}  # fmt: skip
    filed = estonia.officers.send("duty-officer", "POST", "/reports", report)
    assert filed.status_code == 202, filed.text
    here = estonia.the_incident()
    for status in ("triage", "active"):
        estonia.officers._move(here, "coordinator", status, reason="Plausible.")

    tell(estonia, here, kind="initial", audience=[LATVIA], title="Control room without sight", body="Please look.",
         ack="person")  # fmt: skip
    there = latvia.the_incident()
    [event] = received(latvia)
    seen = latvia.officers.get("coordinator", f"/incidents/{there}")
    assert (seen["title"], seen["tlp"]) == ("Control room without sight", "GREEN")
    assert here not in event.report["external_id"], "our own reference never leaves"
    assert event.report["external_id"].startswith("REF-")
    latvia.settle()
    assert latvia.reports() == [("webhook", "accepted", "")]

    _acknowledge(latvia, event)
    with estonia.machine.store.read() as tx:
        alert = tx.execute(select(Alert).where(Alert.kind == "initial")).scalar_one()
    assert alert.state == "acknowledged"

    for kind, title in (("update", "More is known"), ("correction", "It was the other control room")):
        tell(estonia, here, kind=kind, title=title, body="Details follow by telephone.")
        wait_for(lambda title=title: title in _titles(latvia), what=f"{title} to arrive")
    latvia.settle()
    for event in received(latvia)[1:]:
        _acknowledge(latvia, event)
    assert latvia.the_incident() == there
    assert [row[1] for row in latvia.reports()] == ["accepted", "update", "update"]

    _close(estonia, here)
    wait_for(lambda: len(latvia.reports()) == 4, what="the closure to arrive")
    for each in ministries:
        each.settle()
    assert [row[1] for row in latvia.reports()] == ["accepted", "update", "update", "update"]
    assert [one.kind for one in received(latvia)] == ["initial", "update", "correction", "closure"]
    assert latvia.the_incident() == there
    assert latvia.officers.get("coordinator", f"/incidents/{there}")["status"] != "closed", "that is for Latvia to say"

    # Each message that Latvia took was answered with a receipt, and no receipt with anything.
    assert [one.kind for one in received(estonia)] == ["receipt"] * 4
    assert len(estonia.incidents()) == 1
    for each in ministries:
        with each.machine.store.read() as tx:
            states = set(tx.execute(select(Delivery.state).where(Delivery.kind == "webhook")).scalars())
        assert states <= {"delivered", "cancelled"}, (each.code, states)
        assert each.machine.run("record", "verify").startswith("ok ")


def test_what_the_other_closes_on_its_side_attaches_to_the_incident_it_was_told_of(
    ministries: tuple[Ministry, Ministry],
) -> None:
    """Its receipts named its reference for our incident, and so its closure finds it; ours stays as we left it."""
    estonia, latvia = ministries
    there, here = latvia.the_incident(), estonia.the_incident()
    before = len(estonia.reports())
    for status in ("triage", "active"):
        latvia.officers._move(there, "coordinator", status, reason="Plausible.")
    _close(latvia, there)
    wait_for(lambda: len(estonia.reports()) > before, what="the closure to arrive")
    for each in ministries:
        each.settle()
    assert received(estonia)[-1].kind == "closure"
    assert estonia.reports()[-1] == ("webhook", "update", "")
    assert [one["reference"] for one in estonia.incidents()] == [here]
    answered = ("webhook", "accepted", "receipt")  # and the answer is not answered
    wait_for(lambda: latvia.reports()[-1] == answered, what="the closure to be answered")
    for each in ministries:
        assert each.machine.run("record", "verify").startswith("ok ")


def _acknowledge(ministry: Ministry, event: Received) -> None:
    said = {"kind": "person", "by": f"Duty officer of {ministry.code}", "answer": "acknowledged"}
    answer = requests.post(event.alert["acknowledge_api"], json=said, timeout=20)
    assert answer.status_code == 200, answer.text


def _titles(ministry: Ministry) -> list[str]:
    return [one.report["title"] for one in received(ministry)]


def _close(ministry: Ministry, reference: str) -> None:
    """Every task done, resolved, closed."""
    officers = ministry.officers
    wait_for(lambda: _nothing_open(ministry, reference), what="every task and run to be over")
    officers.resolve_and_close(reference, seconds=PATIENCE)


def _nothing_open(ministry: Ministry, reference: str) -> bool:
    ministry.officers._do_tasks(reference)
    runs = ministry.officers.get("coordinator", f"/incidents/{reference}/runs")["items"]
    tasks = ministry.officers.get("coordinator", f"/incidents/{reference}/tasks")["items"]
    ended = bool(runs) and all(run["state"] == "completed" for run in runs)  # the first one begins by itself
    return ended and all(task["state"] != "open" for task in tasks)
