"""The pages and the API of lowered labels: recorded with evidence by one, confirmed by another."""

from __future__ import annotations

import io
import re

import pytest

from coordinator import clock
from coordinator.accounts.service import create_token
from coordinator.incidents.items import newest_version
from tests.alerting import put_incident
from tests.coordinator.alerts.test_lowering import told, word
from tests.coordinator.web.conftest import Desk, visible_text
from tests.factories import PARTNER


@pytest.fixture
def told_by_fi(desk: Desk) -> tuple[str, str]:
    """(path of an incident that FI told us of as AMBER+STRICT, the key of what it said)."""
    with desk.store.unit_of_work() as tx:
        incident = put_incident(tx, tlp="AMBER+STRICT", originator_id=desk.world.partner_id)
        return f"/incidents/INC-{clock.now().year}-{incident.id:06d}", told(tx, incident).item


def label(desk: Desk, item: str) -> str | None:
    with desk.store.read() as tx:
        return newest_version(tx, item).tlp


def test_a_lowered_label_from_the_form_to_the_second_person(desk: Desk, told_by_fi: tuple[str, str]) -> None:
    path, item = told_by_fi
    officer, second = desk.sit("coordinator"), desk.sit("release-authority")
    assert "FI-CSIRT : TLP:AMBER+STRICT" in officer.text(f"{path}/lowered-labels")
    wrong = officer.post(f"{path}/lowered-labels", {"from": PARTNER, "tlp": "GREEN", "reason": "They wrote."})
    assert wrong.status_code == 422 and 'href="#said_by"' in wrong.text and 'href="#said_at_date"' in wrong.text
    now = clock.now()
    given = {
        "from": PARTNER, "tlp": "GREEN", "channel": "email", "said_by": "Duty desk", "reason": "They wrote.",
        "said_at_date": f"{now:%Y-%m-%d}", "said_at_time": f"{now:%H:%M}",
        "file": (io.BytesIO(b"From: duty@fi.example"), "letter.eml"),
    }  # fmt: skip
    made = officer.post(f"{path}/lowered-labels", given)
    assert made.status_code == 303, visible_text(made.text)
    where = made.location
    assert "recorded this yourself" in officer.text(where) and label(desk, item) == "AMBER+STRICT"
    assert officer.post(f"{where}/confirm", {}).status_code == 409
    analyst = desk.sit("analyst")
    assert "Lower the label" not in analyst.text(where)
    assert analyst.post(f"{where}/confirm", {}).status_code == 403
    assert "FI-CSIRT lowered its label" in second.text("/clearances")
    page = second.get(where).text
    assert "Lower the label" in page and re.search(r"[0-9a-f]{64}", page)
    assert second.get(f"{where}/evidence").data == b"From: duty@fi.example"
    assert second.post(f"{where}/confirm", {}).status_code == 303
    assert label(desk, item) == "GREEN"
    assert "confirmed that an originator lowered its label" in officer.text(path)


def test_the_api_does_the_same_and_refuses_the_same(desk: Desk, told_by_fi: tuple[str, str]) -> None:
    path, item = told_by_fi
    tokens, people = {}, {role: desk.who(role) for role in ("coordinator", "release-authority")}
    with desk.store.unit_of_work() as tx:
        for role, who in people.items():
            tokens[role] = create_token(tx, who.user_id, name="tool", scopes=["read", "decide"] + (
                ["coordinate"] if role == "coordinator" else []), actor="cli:test")  # fmt: skip
    client, said = desk.app.test_client(), word() | {"said_at": clock.rfc3339(clock.now())}

    def post(role: str, where: str, data: object = None) -> tuple[int, dict[str, object]]:
        answer = client.post(f"/api/v1{where}", json=data, headers={"Authorization": f"Bearer {tokens[role]}"})
        return answer.status_code, answer.json

    assert post("release-authority", f"{path}/lowered-labels", said)[0] == 403
    assert post("coordinator", f"{path}/lowered-labels", said | {"from": "LV-MFA"})[0] == 409
    status, made = post("coordinator", f"{path}/lowered-labels", said | {"items": [item]})
    assert (status, made["state"], made["items"]) == (201, "waiting", [item])
    number = made["id"]
    assert post("coordinator", f"/lowered-labels/{number}/confirm")[0] == 409
    assert post("coordinator", "/lowered-labels/999/confirm")[0] == 404
    assert post("release-authority", f"/lowered-labels/{number}/refuse", {})[0] == 422
    assert label(desk, item) == "AMBER+STRICT"
    status, made = post("release-authority", f"/lowered-labels/{number}/confirm")
    assert (status, made["state"], label(desk, item)) == (200, "effective", "GREEN")
    assert post("release-authority", f"/lowered-labels/{number}/refuse", {"reason": "Late."})[0] == 409
