"""The register's fields as outside data."""

import json
from datetime import UTC, datetime

import pytest

from coordinator.agreements.schema import load_agreement, load_consent
from coordinator.errors import Invalid

LEAST = {
    "agreement_id": "MOU-1", "kind": "cert-cert", "tlp_ceiling": "WHITE",
    "parties": [{"party": "ee-mfa", "role": "both"}, {"party": "FI-CSIRT", "role": "recipient"}],
    "info_categories_allowed": ["incident-notification"], "permitted_purposes": ["incident-response"],
}  # fmt: skip
MORE = LEAST | {
    "reference": "MOU-2026-001", "title": "Arrangement", "legal_status": "operational", "signed_on": "2026-01-12",
    "effective_from": "2026-01-15T02:00:00+02:00", "expires_on": None, "provisional": False, "retention_max": "P1Y",
    "request_answer_due": "PT4H", "suspended": [{"from": "2026-05-01T00:00:00Z", "reason": "review"}],
    "instrument_text_ref": {"document": "D-7", "sha256": "AB" * 32}, "languages": ["en", "fi"],
    "clause_refs": {"tlp_ceiling": "Art. 4(2)"}, "last_reviewed": {"on": "2026-06-01", "by": "M. Manager"},
    "points_of_contact": ["fi-duty"], "survives_termination": ["confidentiality"], "supersedes": "MOU-0",
    "classification_ceiling": "UNCLASSIFIED", "onward_sharing": "own-organisation", "personal_data": "none",
}  # fmt: skip
CONSENT = {"from": "FI-CSIRT", "to": "lv-mfa", "purpose": "*", "item": "*", "valid_until": "2026-12-01T00:00:00Z",
           "evidence": "Note verbale 12/2026"}  # fmt: skip


def faults_of(load, data):
    with pytest.raises(Invalid) as refused:
        load(data)
    return [fault.pointer for fault in refused.value.errors]


def test_terms_come_out_canonical_and_as_plain_json():
    terms = load_agreement(MORE)
    assert json.loads(json.dumps(terms)) == terms
    assert terms["tlp_ceiling"] == "CLEAR" and terms["parties"][0]["party"] == "EE-MFA"
    assert terms["effective_from"] == "2026-01-15T00:00:00Z"
    assert terms["suspended"] == [{"from": "2026-05-01T00:00:00Z", "reason": "review"}]
    assert "expires_on" not in terms


def test_terms_taken_once_are_taken_again_unchanged():
    assert load_agreement(load_agreement(MORE)) == load_agreement(MORE)


def test_what_the_decision_cannot_do_without_is_required():
    assert faults_of(load_agreement, {}) == [f"/{name}" for name in sorted(LEAST)]


@pytest.mark.parametrize(
    "change, pointers",
    [
        ({"status": "in-force"}, ["/status"]),
        ({"status": "draft", "colour": "red"}, ["/colour", "/status"]),
        ({"classification_ceiling": "SECRET"}, ["/classification_ceiling"]),
        ({"parties": [{"party": "A"}, {"party": "OWN", "role": "both"}]}, ["/parties/0/role", "/parties/1/party"]),
        ({"parties": [{"party": "A", "role": "both"}]}, ["/parties"]),
        ({"parties": [{"party": "A", "role": "both"}] * 2}, ["/parties"]),
        ({"expires_on": "2026-01-01T00:00:00Z", "effective_from": "2026-01-01T00:00:00Z"}, ["/expires_on"]),
        ({"effective_from": "2026-01-01"}, ["/effective_from"]),
        ({"effective_from": "2026-01-01T00:00:00"}, ["/effective_from"]),
        ({"signed_on": "2026-02-30"}, ["/signed_on"]),
        ({"signed_on": "2026-02-03T00:00:00Z"}, ["/signed_on"]),
        ({"retention_max": "1 year"}, ["/retention_max"]),
        ({"retention_max": "P"}, ["/retention_max"]),
        ({"retention_max": "P1YT"}, ["/retention_max"]),
        ({"clause_refs": {"colour": "Art. 1", "title": 7}}, ["/clause_refs/colour", "/clause_refs/title"]),
        ({"suspended": [{"to": "2026-01-01T00:00:00Z"}]}, ["/suspended/0/from"]),
        ({"info_categories_allowed": ["gossip"]}, ["/info_categories_allowed/0"]),
        ({"permitted_purposes": "incident-response"}, ["/permitted_purposes"]),
        ({"supersedes": "MOU-1"}, ["/supersedes"]),
        ({"provisional": "no"}, ["/provisional"]),
    ],
)
def test_what_does_not_fit_the_register_is_refused_at_its_pointer(change, pointers):
    assert faults_of(load_agreement, LEAST | change) == pointers


def test_a_consent_says_who_to_whom_for_what_until_when_and_by_what():
    assert load_consent(CONSENT) == CONSENT | {"to": "LV-MFA", "valid_until": datetime(2026, 12, 1, tzinfo=UTC)}
    assert faults_of(load_consent, {}) == [f"/{name}" for name in sorted(CONSENT)]
    assert faults_of(load_consent, CONSENT | {"purpose": "gossip", "from": "OWN"}) == ["/from", "/purpose"]
