"""Quarantine: what waits, who may see it, and what a person makes of it. Each decision is made once and on record."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from coordinator import clock
from coordinator.errors import Invalid, NotFound, Refused
from coordinator.incidents import quarantine, quarantine_queries
from coordinator.incidents.attachments import attachments_of
from coordinator.incidents.models import Incident, ItemVersion, Quarantined, Report
from coordinator.incidents.references import reference_of
from coordinator.incidents.setting_aside import LATER, SOON
from coordinator.timeline import queries as record
from coordinator.timeline.models import Pending
from coordinator.timeline.verify import verify
from tests.factories import at_endpoint, inbound_endpoint, native, person, running_exercise
from workers import tell


def count(store, model, *where):
    with store.read() as tx:
        return tx.execute(select(func.count()).select_from(model).where(*where)).scalar_one()


def set_aside(partner, **fields):
    """A report in quarantine; its id."""
    said = partner.post(native(**{"originator": "NOBODY-KNOWN"} | fields)).get_json()
    assert said["disposition"] == "quarantined"
    return said["report"]


def do(store, act, *args, **more):
    with store.unit_of_work() as tx:
        return act(tx, *args, **more)


@pytest.fixture
def officer(store, world):
    return person(store, "duty-officer")


def test_what_waits_has_a_reason_and_a_due_time_and_the_one_who_takes_it(store, partner, officer):
    later, soon = set_aside(partner), set_aside(partner, humanitarian_flags=["life-at-risk"])
    do(store, quarantine.take, later, principal=officer)
    with store.read() as tx:
        first, second = quarantine_queries.waiting(tx, principal=officer)
        assert [first["report"], second["report"]] == [soon, later], "soonest due first"
        assert (first["urgent"], first["owner"], first["due_at"] - first["since"]) == (True, None, SOON)
        assert (second["reason"], second["owner_name"]) == ("originator-unknown", "Duty Officer")
        assert second["due_at"] - second["since"] == LATER
        assert quarantine_queries.counts(tx, principal=officer) == {
            "waiting": 2, "overdue": 0, "possibly_real": 0, "floods": 0}  # fmt: skip


def test_what_is_released_is_filed_as_if_it_had_just_come_with_its_time_and_its_files(store, partner, officer):
    body = b"log line"
    digest = hashlib.sha256(body).hexdigest()
    files = [{"name": "a.log", "media_type": "text/plain", "sha256": digest, "size": len(body)}]
    report = set_aside(partner, attachments=files)
    assert partner.put(digest, body).status_code == 200
    filed = do(store, quarantine.release, report, principal=officer, reason="I called them.")
    assert filed.disposition == "accepted"
    with store.read() as tx:
        incident, row = tx.execute(select(Incident)).scalar_one(), tx.execute(select(Report)).scalar_one()
        assert (incident.aware_at, row.incident_id, row.disposition) == (row.received_at, incident.id, "accepted")
        [file] = attachments_of(tx, incident.id)
        assert (file["name"], file["state"]) == ("a.log", "stored")
        kinds = tx.execute(select(ItemVersion.kind)).scalars().all()
        assert sorted(kinds) == ["attachment", "details", "title"]
        entries = record.entries(tx, incident_id=incident.id)
        assert [entry["kind"] for entry in entries][-1] == "report.released"
        assert entries[-1]["values"]["why"] == "I called them." and entries[-1]["actor"] == officer.actor
        follows = set(tx.execute(select(Pending.kind)).scalars())
        assert follows >= {"incident.opened", "report.accepted"}
        assert not verify(tx).broken
    for again in (quarantine.release, quarantine.this_is_real):
        with pytest.raises(Refused):
            do(store, again, report, principal=officer)
    assert count(store, Incident) == 1


def test_what_is_refused_needs_a_reason_opens_nothing_and_keeps_its_bytes(store, partner, officer):
    report = set_aside(partner)
    with pytest.raises(Invalid):
        do(store, quarantine.refuse, report, principal=officer, reason=" ")
    do(store, quarantine.refuse, report, principal=officer, reason="A test that went astray.")
    with store.read() as tx:
        said = quarantine_queries.one(tx, report, principal=officer)
        assert (said["state"], said["title"]) == ("refused", "Ransomware at a hospital")
        assert quarantine_queries.waiting(tx, principal=officer) == []
    assert (count(store, Incident), count(store, Report, Report.disposition == "rejected")) == (0, 1)


def test_it_can_be_attached_to_an_incident_that_the_person_may_know_of(store, partner, officer):
    partner.post(native(title="The first"))
    report = set_aside(partner, title="More of it")
    with store.read() as tx:
        incident = tx.execute(select(Incident)).scalar_one()
    with pytest.raises(Invalid):
        do(store, quarantine.attach, report, "INC-2026-999999", principal=officer)
    filed = do(store, quarantine.attach, report, reference_of(incident), principal=officer)
    assert (filed.disposition, filed.incident_id) == ("update", incident.id)
    assert count(store, Incident) == 1
    assert count(store, ItemVersion, ItemVersion.kind == "title", ItemVersion.incident_id == incident.id) == 2


def test_red_in_quarantine_is_for_the_duty_roster(store, partner, officer):
    report = set_aside(partner, tlp="RED", title="CANARY")
    coordinator = person(store, "coordinator")
    with store.read() as tx:
        assert quarantine_queries.waiting(tx, principal=coordinator) == []
        assert quarantine_queries.counts(tx, principal=coordinator)["waiting"] == 0
        assert len(quarantine_queries.waiting(tx, principal=officer)) == 1
    for act in (quarantine.release, quarantine.take, quarantine.note_read):
        with pytest.raises(NotFound):
            do(store, act, report, principal=coordinator)
    do(store, quarantine.release, report, principal=officer)
    with store.read() as tx:
        assert tx.execute(select(Incident)).scalar_one().restricted


def test_opening_it_is_on_record_once_a_quarter_of_an_hour(store, partner, officer):
    report = set_aside(partner)
    for _ in range(3):
        do(store, quarantine.note_read, report, principal=officer)
    with store.read() as tx:
        kinds = [entry["kind"] for entry in record.entries(tx, incident_id=None)]
        assert kinds.count("quarantine.read") == 1


def test_our_people_are_told_once_an_hour_for_each_endpoint_and_when_it_is_overdue(store, partner, officer):
    reports = [set_aside(partner, title=f"Number {number}") for number in range(3)]
    urgent = set_aside(partner, humanitarian_flags=["life-at-risk"])
    with store.unit_of_work() as tx:
        ids = {public: number for public, number in tx.execute(select(Report.public_id, Report.id))}
        told = [quarantine.to_tell(tx, ids[report]) is not None for report in (*reports, urgent, urgent)]
        assert told == [True, False, False, True, False]
        assert quarantine.note_overdue(tx, ids[reports[0]]) is None
        tx.get_one(Quarantined, ids[reports[0]]).due_at = clock.now() - timedelta(seconds=1)
        tell.quarantine_due(tx, ids[reports[0]])
        assert quarantine.note_overdue(tx, ids[reports[0]]) is None, "told once"
        assert tx.get_one(Quarantined, ids[reports[0]]).overdue_told_at is not None


# ---------------------------------------------------------------- exercises


@pytest.mark.parametrize("enrolled, said, reason", [
    ([], "EX-1", "exercise-unknown"), (["LV-MFA"], "EX-1", "exercise-not-enrolled"),
    (["FI-CSIRT"], "EX-1", "exercise-mismatch"), (["FI-CSIRT"], "EX-2", "exercise-unknown"),
])  # fmt: skip
def test_a_name_that_is_no_running_exercise_of_the_sender_may_be_real(store, partner, officer, enrolled, said, reason):
    if enrolled:
        do(store, running_exercise, "EX-1", *enrolled)
    report = set_aside(partner, originator="FI-CSIRT", exercise=said)
    with store.read() as tx:
        [one] = quarantine_queries.waiting(tx, principal=officer)
        assert (one["reason"], one["possibly_real"], one["says_exercise"]) == (reason, True, said)
    with pytest.raises(Refused):
        do(store, quarantine.release, report, principal=officer)
    do(store, quarantine.this_is_real, report, principal=officer, reason="Nobody exercises today.")
    with store.read() as tx:
        incident, row = tx.execute(select(Incident)).scalar_one(), tx.execute(select(Report)).scalar_one()
        assert (incident.exercise, incident.aware_at, row.flags) == ("", row.received_at, ["exercise-dropped"])
        [details] = tx.execute(select(ItemVersion).where(ItemVersion.kind == "details")).scalars()
        assert details.exercise == ""
        assert record.entries(tx, incident_id=incident.id)[-1]["kind"] == "report.refiled"


def test_a_real_report_at_an_endpoint_of_an_exercise_is_kept_again_outside_of_it(store, client, world, officer):
    with store.unit_of_work() as tx:
        _, secret = inbound_endpoint(tx, world.partner_id, "fi-ex", exercise="EX-1")
        running_exercise(tx, "EX-1")
    body = b"pcap"
    digest = hashlib.sha256(body).hexdigest()
    system = at_endpoint(client, world, "fi-ex", secret)
    files = [{"name": "x.pcap", "media_type": "application/x-pcap", "sha256": digest, "size": len(body)}]
    report = set_aside(system, originator="FI-CSIRT", title="NO DUFF: this is no drill", attachments=files)
    assert system.put(digest, body).status_code == 200
    do(store, quarantine.this_is_real, report, principal=officer)
    with store.read() as tx:
        incident = tx.execute(select(Incident)).scalar_one()
        came, kept = tx.execute(select(Report).order_by(Report.id)).scalars()
        assert (came.exercise, came.disposition, came.incident_id) == ("EX-1", "refiled", None)
        assert (kept.exercise, kept.disposition, kept.incident_id) == ("", "accepted", incident.id)
        assert (kept.received_at, kept.endpoint_key_id, kept.raw_digest) == (
            came.received_at, came.endpoint_key_id, came.raw_digest)  # fmt: skip
        assert kept.endpoint_id == world.endpoint_id, "its receipt goes the real way"
        assert (incident.exercise, incident.aware_at) == ("", came.received_at)
        assert [file["state"] for file in attachments_of(tx, incident.id)] == ["stored"]
        assert {row.kind for row in tx.execute(select(Pending).where(Pending.exercise == "")).scalars()} >= {
            "incident.opened", "report.accepted"}  # fmt: skip
        assert not verify(tx).broken
