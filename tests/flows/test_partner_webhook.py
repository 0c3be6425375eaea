"""A partner's signed report, from the door to the incident and its record, with its refusals."""

from __future__ import annotations

import json

from sqlalchemy import select

from coordinator.incidents.models import Incident, Report, ReportBody
from coordinator.timeline import queries as record
from coordinator.timeline.keys import unseal
from coordinator.timeline.models import Pending
from coordinator.timeline.verify import verify
from tests.factories import native


def test_a_signed_report_becomes_an_incident_with_its_record(store, partner):
    answer = partner.post(native(severity=3, sectors=["health"], external_id="FI-2026-17"))

    assert answer.status_code == 202
    said = answer.get_json()
    assert said["disposition"] == "accepted"
    assert said["incident"].startswith("REF-")
    assert answer.headers["Location"] == said["status_url"]
    with store.read() as tx:
        incident = tx.execute(select(Incident)).scalar_one()
        assert (incident.title, incident.status, incident.tlp) == ("Ransomware at a hospital", "reported", "GREEN")
        assert (incident.severity, incident.sectors) == (3, ["health"])
        kinds = [entry["kind"] for entry in record.entries(tx, incident_id=incident.id)]
        assert kinds == ["report.received", "incident.opened"]
        left = {(row.kind, row.object_id) for row in tx.execute(select(Pending)).scalars()}
        report = tx.execute(select(Report)).scalar_one()
        assert left == {("incident.opened", incident.id), ("report.accepted", report.id)}
        assert not verify(tx).broken


def test_the_raw_bytes_are_kept_to_the_byte_and_sealed(store, partner):
    body = json.dumps(native(title="CANARY-TITLE")).encode() + b"\n  "
    assert partner.post(body).status_code == 202

    with store.read() as tx:
        report = tx.execute(select(Report)).scalar_one()
        sealed = tx.execute(select(ReportBody.sealed)).scalar_one()
        assert b"CANARY" not in sealed
        assert unseal(tx, report.data_key_id, sealed, about=f"report/{report.public_id}") == body


def test_the_status_link_shows_the_disposition_and_remarks_only(client, partner):
    url = partner.post(native()).get_json()["status_url"]
    answer = client.get(url.removeprefix("http://127.0.0.1:8080"))
    assert answer.get_json().keys() == {"report", "disposition", "remarks"}
    assert answer.headers["Cache-Control"] == "no-store"
    assert client.get("/api/v1/report-status/unknown").status_code == 404
