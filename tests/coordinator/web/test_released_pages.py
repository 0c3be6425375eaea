"""The partner view as a partner's person meets it: their way in, what stands there, and that nothing else opens."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlalchemy import select

from coordinator import clock
from coordinator.accounts.service import create_token
from coordinator.alerts.models import Alert, Delivery, DeliveryAttempt
from coordinator.timeline import sending_hold
from tests.coordinator.web.conftest import Desk
from tests.coordinator.web.test_telling import send, told_desk  # noqa: F401  a desk from which partners can be told
from tests.factories import person


def test_a_partners_person_reads_and_answers_and_opens_nothing_else(
    told_desk: Desk, file_report: Callable[..., str]  # noqa: F811
) -> None:
    coordinator = told_desk.sit("coordinator")
    reference = file_report(coordinator, tlp="GREEN")
    send(coordinator, reference)
    with told_desk.store.unit_of_work() as tx:
        alert = tx.execute(select(Alert).where(Alert.kind == "initial")).scalar_one()
        row = tx.execute(select(Delivery).where(Delivery.alert_id == alert.id)).scalar_one()
        tx.add(DeliveryAttempt(
            delivery_id=row.id, number=1, decision_id=row.decision_id, at=clock.now(), outcome="retry",
        ))  # fmt: skip
        public_id = alert.public_id
    told_desk.people["partner-user"] = person(told_desk.store, "partner-user", "Aino", told_desk.world.partner_id)
    reader = told_desk.sit("partner-user")
    assert reader.get("/").location == "/released"
    assert "Loader seen" in reader.text("/released") and reference not in reader.text("/released")
    assert "Nothing that was released to you fits" in reader.text("/released?q=INC-2026")
    said = reader.text(f"/released/{public_id}")
    assert "We saw a loader. Do you?" in said and reference not in said
    answer = reader.post(f"/released/{public_id}/answer", {"answer": "question", "note": ""})
    assert answer.status_code == 422 and "Write your question" in answer.text
    answer = reader.post(f"/released/{public_id}/answer", {"answer": "acknowledged"})
    assert answer.status_code == 303
    assert "Answered" in reader.text("/released")
    taken = reader.get(f"/released/{public_id}/file?as=pdf")
    assert (taken.status_code, taken.content_type, taken.data[:5]) == (200, "application/pdf", b"%PDF-")
    assert reader.get(f"/released/{public_id}/file?as=docx").status_code == 422
    for path in ("/board", f"/incidents/{reference}", "/ledger", "/tasks", "/partners", "/agreements", "/record"):
        assert reader.get(path).status_code in (403, 404), path
    assert coordinator.get(f"/released/{public_id}").status_code == 403


def test_a_partners_person_learns_no_number_of_ours(told_desk: Desk) -> None:  # noqa: F811
    """How many accounts, sessions and tokens there are, and what waits to be sent to others."""
    aino = person(told_desk.store, "partner-user", "Aino", told_desk.world.partner_id)
    told_desk.people["partner-user"] = aino
    reader, officer = told_desk.sit("partner-user"), told_desk.sit("coordinator")
    with told_desk.store.unit_of_work() as tx:
        token = create_token(tx, aino.user_id, name="x", scopes=["read"], actor="cli:test")
        sending_hold.begin(tx, sending_hold.EMERGENCY, actor="user:1", reason="We look at something.")
    assert "All sending is on hold" in officer.text("/board") and "on hold" not in reader.text("/released")
    mine = told_desk.app.test_client().get("/api/v1/me", headers={"Authorization": f"Bearer {token}"}).json
    assert (mine["id"], mine["organisation"], mine["name"]) == (None, None, "Aino")
    for path, name in (("/account", "sessions"), ("/account/tokens", "tokens")):
        [own] = re.findall(rf"/account/{name}/([\w-]+)/", reader.get(path).text)
        assert len(own) == 16 and not own.isdigit()
