"""From telling a partner to its answer: rules, a real receiver, the worker, the link."""

from __future__ import annotations

import json

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from coordinator import clock
from coordinator.alerts import service as alerts
from coordinator.partners.signing import verify
from coordinator.store import Store
from coordinator.timeline import queries as timeline
from tests.alerting import (
    alert_of,
    deliveries,
    due,
    put_contact,
    put_incident,
    put_organisation,
    put_system,
    settings_of,
    webhook,
)  # fmt: skip
from tests.factories import PARTNER, World
from workers.deliver import deliver


def test_a_partner_is_told_and_answers(store: Store, world: World, httpserver: HTTPServer) -> None:
    seen: list[Request] = []

    def take(request: Request) -> Response:
        seen.append(request)
        return Response(status=202)

    httpserver.expect_request("/hook", method="POST").respond_with_handler(take)
    with settings_of(store, outbound_allow_private=True):
        with store.unit_of_work() as tx:
            put_organisation(tx, PARTNER)
            secret = put_system(tx, httpserver.url_for("/hook"))
            put_contact(tx, webhook())
            incident = put_incident(tx)
            told = alerts.tell(
                tx, incident=incident, kind="initial", title="Ransomware at a hospital", body="What we saw.",
                purpose="network-defence", info_category="incident-notification", requested_by="user:1",
                audience={"organisations": [PARTNER]},
            )  # fmt: skip
            assert [alert.recipient for alert in told.permitted] == [PARTNER]
            alert, incident_id = told.permitted[0].id, incident.id

        for delivery_id in due(store, "delivery.due"):
            deliver(store, delivery_id)
        assert alert_of(store, alert).state == "delivered"

        request = seen[0]
        body = request.get_data()
        assert verify([secret], request.headers, body, clock.now()) == 0
        event = json.loads(body)
        assert request.headers["webhook-id"] == event["id"] == deliveries(store, alert)[0].webhook_id
        assert event["type"] == "coordination.alert.initial"
        assert event["data"]["tlp"] == "GREEN"
        token = event["data"]["acknowledge_api"].rsplit("/", 1)[1]
        assert event["data"]["acknowledge_url"].endswith(f"/a/{token}")

        with store.unit_of_work() as tx:
            answer = alerts.acknowledge(tx, token=token, kind="system", by="FI desk", answer="acknowledged")
        assert not answer.repeated
        assert alert_of(store, alert).state == "acknowledged"
        with store.read() as tx:
            kinds = [entry["kind"] for entry in timeline.entries(tx, incident_id=incident_id)]
        assert kinds == ["decision.made", "alert.raised", "alert.attempted", "alert.acknowledged"]
        assert due(store, "alert.acknowledged") == [alert]
