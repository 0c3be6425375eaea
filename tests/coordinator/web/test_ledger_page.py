"""The ledger's page and file, as people meet them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable

from sqlalchemy import select

from coordinator import clock
from coordinator.alerts.models import Alert, Delivery, DeliveryAttempt, Handout
from tests.coordinator.web.conftest import Desk
from tests.coordinator.web.test_telling import send, told_desk  # noqa: F401  a desk from which partners can be told


def test_nothing_has_left_and_the_page_says_so(desk: Desk) -> None:
    assert "Nothing has left yet" in desk.sit("coordinator").text("/ledger")


def test_an_incident_one_may_not_know_of_is_answered_like_none(desk: Desk) -> None:
    assert "no such incident" in desk.sit("coordinator").text("/ledger?incident=INC-2026-000077")


def test_what_left_is_a_line_and_a_file_for_those_who_may(
    told_desk: Desk, file_report: Callable[..., str]  # noqa: F811
) -> None:
    coordinator = told_desk.sit("coordinator")
    reference = file_report(coordinator, tlp="GREEN")
    send(coordinator, reference)
    with told_desk.store.unit_of_work() as tx:
        query = select(Delivery).join(Alert, Alert.id == Delivery.alert_id).where(Alert.kind == "initial")
        row = tx.execute(query).scalar_one()
        tx.add(DeliveryAttempt(
            delivery_id=row.id, number=1, decision_id=row.decision_id, at=clock.now(), outcome="delivered",
        ))  # fmt: skip
    said = coordinator.text(f"/ledger?incident={reference}")
    assert "Loader seen" in said and "FI-CSIRT" in said and "MOU-1" in said and "Delivered" in said
    answer = coordinator.post("/ledger/file")
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert [(line["recipient"], line["incident"], line["sure"]) for line in rows] == [
        ("FI-CSIRT", reference, "delivered")]  # fmt: skip
    coordinator.get(f"/ledger?incident={reference}&partner=FI-CSIRT")
    taken = coordinator.post("/ledger/released", {"form": "stix"})
    assert taken.content_type == "application/stix+json;version=2.1" and "We saw a loader" in taken.text
    assert reference not in taken.text
    refused = coordinator.post("/ledger/released", {"form": "stix", "partner": "NO-SUCH"})
    assert refused.status_code == 409
    with told_desk.store.read() as tx:
        assert tx.execute(select(Handout.way)).scalars().all() == ["officer"]
    officer = told_desk.sit("liaison-officer")
    assert "Loader seen" in officer.text("/ledger")
    assert officer.post("/ledger/released", {"form": "stix"}).status_code == 403
    assert officer.post("/ledger/file").status_code == 403
