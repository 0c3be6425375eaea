"""Alerts of another coordinator come in as reports: what they open, what attaches, and what its receipts teach us."""

from __future__ import annotations

from sqlalchemy import func, select

from coordinator.incidents.items import read_item
from coordinator.incidents.models import Incident, ItemVersion
from coordinator.incidents.references import partner_reference
from coordinator.timeline import queries as record
from coordinator.timeline.models import Pending
from tests.factories import native


def count(store, model):
    with store.read() as tx:
        return tx.execute(select(func.count()).select_from(model)).scalar_one()


def event(kind, reference="REF-THEIRS", **data):
    return {
        "specversion": "1.0", "id": f"evt-{kind}", "source": "https://coordinator.fi.example",
        "type": f"coordination.alert.{kind}", "time": "2026-11-22T04:00:00Z",
        "data": {"alert": "alr-1", "kind": kind, "reference": reference, "title": "Wiper seen", "body": "Details.",
                 "tlp": "AMBER", "states_affected": ["FI"],
                 "acknowledge_api": "https://coordinator.fi.example/a"} | data,
    }  # fmt: skip


def post_event(partner, kind, **more):
    return partner.post(event(kind, **more), content_type="application/cloudevents+json").get_json()


def test_an_alert_of_another_coordinator_is_a_report_and_its_update_attaches(store, partner):
    assert post_event(partner, "initial")["disposition"] == "accepted"
    for kind in ("update", "correction", "closure", "recall"):
        assert post_event(partner, kind)["disposition"] == "update"
    with store.read() as tx:
        incident = tx.execute(select(Incident)).scalar_one()
        assert (incident.title, incident.tlp, incident.states_affected) == ("Wiper seen", "AMBER", ["FI"])
        details = tx.execute(select(ItemVersion).where(ItemVersion.kind == "details").order_by(ItemVersion.id))
        said = [read_item(tx, one)["alert"] for one in details.scalars()]
        assert [one["kind"] for one in said] == ["initial", "update", "correction", "closure", "recall"]
        assert said[0]["acknowledge_api"] == "https://coordinator.fi.example/a"


def test_a_closure_of_what_we_never_heard_of_is_set_aside_and_an_update_is_not(store, partner):
    assert post_event(partner, "closure", reference="REF-A")["disposition"] == "quarantined"
    assert post_event(partner, "update", reference="REF-B")["disposition"] == "accepted"


def test_a_receipt_is_no_incident_and_is_not_answered_with_a_receipt(store, partner):
    assert post_event(partner, "receipt")["disposition"] == "accepted"
    assert (count(store, Incident), count(store, Pending)) == (0, 0)


def test_a_receipt_names_the_senders_reference_for_our_incident_and_its_closure_attaches(store, partner, world):
    partner.post(native())
    with store.unit_of_work() as tx:
        incident = tx.execute(select(Incident)).scalar_one()
        ours, before = partner_reference(tx, incident, world.partner_id), incident.version
    for number in (1, 2):
        said = event("receipt", reference="REF-THEIRS", in_reply_to=ours) | {"id": f"evt-{number}"}
        answer = partner.post(said, content_type="application/cloudevents+json").get_json()
        assert (answer["disposition"], answer["incident"]) == ("accepted", ours)
    with store.read() as tx:
        incident = tx.execute(select(Incident)).scalar_one()
        titles = tx.execute(select(ItemVersion.id).where(ItemVersion.kind == "title")).scalars().all()
        assert (incident.version, len(titles)) == (before, 1), "a receipt changes nothing of the case"
        kinds = tx.execute(select(Pending.kind)).scalars().all()
        assert kinds.count("report.accepted") == 1 and "report.updated" not in kinds
        said = [entry["values"] for entry in record.entries(tx, incident_id=incident.id)]
        assert [one["learnt"] for one in said if one.get("kind") == "receipt"] == [True, False]
    assert post_event(partner, "closure", reference="REF-THEIRS")["disposition"] == "update"
    assert count(store, Incident) == 1


def test_a_receipt_does_not_learn_by_the_reference_of_another_partner(store, partner, world):
    partner.post(native())
    with store.unit_of_work() as tx:
        theirs = partner_reference(tx, tx.execute(select(Incident)).scalar_one(), world.other_id)
    assert post_event(partner, "receipt", in_reply_to=theirs)["incident"] is None
    assert post_event(partner, "closure")["disposition"] == "quarantined"


def test_an_envelope_from_another_source_is_set_aside(store, partner):
    post_event(partner, "initial")
    other = event("initial", reference="REF-OTHER") | {"source": "https://evil.example"}
    said = partner.post(other, content_type="application/cloudevents+json").get_json()
    assert said["disposition"] == "quarantined"
