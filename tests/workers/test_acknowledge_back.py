"""Our system's answer to another coordinator's alert: sent to its registered origin and nowhere else."""

from __future__ import annotations

import pytest
from pytest_httpserver import HTTPServer
from sqlalchemy import select
from werkzeug import Response

from coordinator.alerts.acknowledge_back import origin
from coordinator.incidents.models import Incident, Report
from coordinator.store import Store
from coordinator.timeline import queries as record
from coordinator.timeline.models import Pending
from tests.alerting import put_system, settings_of
from tests.coordinator.incidents.test_other_coordinators import event
from tests.factories import PartnerSystem
from workers import deliver

PATH = "/api/v1/acknowledgements/a-token"


def arrived(store: Store, partner: PartnerSystem, url: str) -> int:
    said = event("initial", acknowledge_api=url)
    assert partner.post(said, content_type="application/cloudevents+json").get_json()["disposition"] == "accepted"
    with store.read() as tx:
        return tx.execute(select(Pending.object_id).where(Pending.kind == "alert.arrived")).scalar_one()


def kinds(store: Store) -> list[str]:
    with store.read() as tx:
        incident = tx.execute(select(Incident.id)).scalar_one()
        return [entry["kind"] for entry in record.entries(tx, incident_id=incident)]


def test_it_says_system_and_goes_to_the_registered_origin(
    store: Store, partner: PartnerSystem, httpserver: HTTPServer
) -> None:
    httpserver.expect_request(PATH, method="POST").respond_with_response(Response(status=200))
    with store.unit_of_work() as tx:
        put_system(tx, httpserver.url_for("/hooks"))
    report = arrived(store, partner, httpserver.url_for(PATH))
    with settings_of(store, outbound_allow_private=True):
        deliver.acknowledge(store, report)
    [(request, _)] = httpserver.log
    assert request.get_json() == {"kind": "system", "by": "EE-MFA", "answer": "acknowledged"}
    assert "acknowledgement.sent" in kinds(store)


def test_it_never_goes_where_the_message_alone_wants_it(
    store: Store, partner: PartnerSystem, httpserver: HTTPServer
) -> None:
    with store.unit_of_work() as tx:
        put_system(tx, "https://csirt.fi.example/hooks")
    report = arrived(store, partner, httpserver.url_for(PATH))
    with settings_of(store, outbound_allow_private=True):
        deliver.acknowledge(store, report)
    assert httpserver.log == []
    assert "acknowledgement.withheld" in kinds(store) and "acknowledgement.sent" not in kinds(store)


def test_it_is_tried_again_where_the_other_side_is_down_and_given_up_where_it_refuses(
    store: Store, partner: PartnerSystem, httpserver: HTTPServer
) -> None:
    httpserver.expect_ordered_request(PATH).respond_with_response(Response(status=503))
    httpserver.expect_ordered_request(PATH).respond_with_response(Response(status=410))
    with store.unit_of_work() as tx:
        put_system(tx, httpserver.url_for("/hooks"))
    report = arrived(store, partner, httpserver.url_for(PATH))
    with settings_of(store, outbound_allow_private=True):
        with pytest.raises(deliver.NotAnswered):
            deliver.acknowledge(store, report)
        deliver.acknowledge(store, report)
    assert kinds(store).count("acknowledgement.sent") == 1


def test_a_native_report_and_one_in_quarantine_are_not_answered(store: Store, partner: PartnerSystem) -> None:
    said = event("closure", acknowledge_api="https://csirt.fi.example/a")
    assert partner.post(said, content_type="application/cloudevents+json").get_json()["disposition"] == "quarantined"
    with store.read() as tx:
        assert tx.execute(select(Pending.id).where(Pending.kind == "alert.arrived")).first() is None
        report = tx.execute(select(Report.id)).scalar_one()
    deliver.acknowledge(store, report)


@pytest.mark.parametrize("one, other, same", [
    ("https://a.example/x", "https://A.example:443/y?z", True), ("https://a.example", "http://a.example", False),
    ("https://a.example", "https://a.example.evil", False), ("https://a.example", "https://a.example:444", False),
    ("https://a.example", "https://u@a.example", False), ("https://a.example", "https://a.example\\@evil", False),
    ("https://a.example", "//a.example", False), ("https://a.example", "https://[", False), ("x", "x", False),
])  # fmt: skip
def test_what_is_one_origin(one: str, other: str, same: bool) -> None:
    assert (origin(one) is not None and origin(one) == origin(other)) is same
