"""The register and its waiting changes through the API: the same use cases as the pages."""

from __future__ import annotations

import hashlib
from typing import Any

from coordinator.agreements.schema import load_agreement
from coordinator.agreements.service import LARGEST_DOCUMENT, record_agreement
from tests.factories import person, token_for

TERMS = {
    "agreement_id": "MOU-FI", "kind": "cert-cert", "tlp_ceiling": "AMBER", "effective_from": "2025-01-15T00:00:00Z",
    "parties": [{"party": code, "role": "both", "signed_on": "2025-01-10"} for code in ("EE-MFA", "FI-CSIRT")],
    "info_categories_allowed": ["incident-notification"], "permitted_purposes": ["network-defence"],
    "clause_refs": {"tlp_ceiling": "Art. 4"},
}  # fmt: skip


def bearer(store: Any, role: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token_for(store, role)}"}


def test_an_agreement_is_asked_for_accepted_by_another_and_read(store: Any, world: Any, client: Any) -> None:
    person(store, "administrator")
    manager, coordinator = bearer(store, "agreement-manager"), bearer(store, "coordinator")
    purple = {"terms": TERMS | {"tlp_ceiling": "PURPLE"}, "reason": "Signed"}
    wrong = client.post("/api/v1/agreements", json=purple, headers=manager)
    assert wrong.status_code == 422 and wrong.json["errors"][0]["pointer"] == "/terms/tlp_ceiling"
    asked = client.post("/api/v1/agreements", json={"terms": TERMS, "reason": "Signed"}, headers=manager)
    assert asked.status_code == 201
    silent = client.post("/api/v1/agreements", json={"terms": TERMS}, headers=manager)
    assert silent.status_code == 422 and silent.json["errors"][0]["pointer"] == "/reason"
    number = asked.json["change"]
    assert client.get("/api/v1/agreements", headers=coordinator).json["items"] == []
    assert client.post(f"/api/v1/changes/{number}/accept", headers=manager).status_code == 409
    [waiting] = client.get("/api/v1/changes", headers=coordinator).json["items"]
    assert waiting["id"] == number and waiting["why_not"] == ""
    assert client.post(f"/api/v1/changes/{number}/accept", headers=coordinator).json["state"] == "accepted"
    shown = client.get("/api/v1/agreements/MOU-FI", headers=coordinator).json
    assert shown["status"] == "in-force" and shown["used"]["count"] == 0
    assert shown["sentences"][0]["text"].startswith("We may give FI-CSIRT: incident notification")
    [version] = shown["versions"]
    assert (version["version"], version["reason"]) == (1, "Signed")
    gaps = client.get("/api/v1/agreements", headers=coordinator).json["gaps"]
    assert "incident-notification" not in gaps["FI-CSIRT"] and "incident-notification" in gaps["LV-MFA"]


def test_its_text_comes_through_the_api_with_the_checks_of_the_page(store: Any, world: Any, client: Any) -> None:
    with store.unit_of_work() as tx:
        record_agreement(tx, load_agreement(TERMS), actor="cli:test")
    person(store, "administrator")
    manager, coordinator = bearer(store, "agreement-manager"), bearer(store, "coordinator")
    path, content = "/api/v1/agreements/MOU-FI/document", b"%PDF-1.7 the arrangement"

    def sent(query: str, data: bytes = content, headers: Any = manager) -> Any:
        return client.post(f"{path}?{query}", data=data, headers=headers, content_type="application/octet-stream")

    def pointer(answer: Any) -> Any:
        return answer.status_code, answer.json["errors"][0]["pointer"]

    assert pointer(sent("name=mou.pdf")) == (422, "/tlp")
    assert pointer(sent("tlp=AMBER")) == pointer(sent("name=mou.pdf&tlp=AMBER", b"")) == (422, "/document")
    assert sent("name=mou.pdf&tlp=AMBER", b"x" * (LARGEST_DOCUMENT + 1)).status_code == 413
    assert sent("name=mou.pdf&tlp=AMBER", headers=coordinator).status_code == 403
    asked = sent("name=../mou.pdf&tlp=AMBER&reason=The+signed+copy")
    digest = hashlib.sha256(content).hexdigest()
    assert asked.status_code == 201
    assert asked.json["document"] == {"name": "mou.pdf", "sha256": digest, "size": len(content), "tlp": "AMBER"}
    assert sent("name=mou.pdf&tlp=AMBER").json["change"] == asked.json["change"], "twice is once"
    assert client.post(f"/api/v1/changes/{asked.json['change']}/accept", headers=coordinator).status_code == 200
    shown = client.get("/api/v1/agreements/MOU-FI", headers=coordinator).json
    assert shown["terms"]["instrument_text_ref"] == {"document": "mou.pdf", "sha256": digest}
    assert [(one["version"], one["reason"]) for one in shown["versions"]] == [(2, "The signed copy"), (1, "")]


def test_a_consent_waits_and_a_refusal_and_a_withdrawal_do_not(store: Any, world: Any, client: Any) -> None:
    person(store, "administrator")
    manager, coordinator = bearer(store, "agreement-manager"), bearer(store, "coordinator")
    said = {"from": "FI-CSIRT", "to": "LV-MFA", "purpose": "network-defence", "item": "*", "evidence": "Mail",
            "valid_until": "2099-01-01T00:00:00Z"}  # fmt: skip
    refused = client.post("/api/v1/consents", json={"consent": said, "answer": "refused"}, headers=manager)
    assert (refused.status_code, refused.json["change"]) == (201, None)
    granted = client.post("/api/v1/consents", json={"consent": said, "answer": "granted"}, headers=manager)
    number = granted.json["change"]
    assert client.post(f"/api/v1/changes/{number}/accept", headers=coordinator).status_code == 200
    newest = client.get("/api/v1/consents", headers=coordinator).json["items"][0]
    assert newest["state"] == "standing"
    path = f"/api/v1/consents/{newest['id']}/withdraw"
    assert client.post(path, json={"reason": "They wrote"}, headers=manager).status_code == 200
    assert [one["state"] for one in client.get("/api/v1/consents", headers=coordinator).json["items"]] == [
        "withdrawn", "refused"]  # fmt: skip
    assert client.post("/api/v1/consents/999999/withdraw", json={"reason": "x"}, headers=manager).status_code == 404
