"""The register's fields in the form of an agreement: each is asked for, written back as it was, read on its page."""

from __future__ import annotations

from typing import Any

from werkzeug.datastructures import MultiDict

from coordinator.agreements.schema import AgreementSchema, load_agreement
from coordinator.web import agreement_form

#: Everything a register can hold of an agreement.
TERMS: dict[str, Any] = load_agreement({
    "agreement_id": "MOU-FI", "reference": "MOU-2026-014", "title": "Arrangement", "kind": "cert-cert",
    "legal_status": "operational", "depositary_or_holder": "The ministry", "scope_description": "Cyber incidents.",
    "parties": [
        {"party": "EE-MFA", "role": "both", "signed_on": "2025-01-10", "signatory": "K. Tamm", "capacity": "head"},
        {"party": "FI-CSIRT", "role": "recipient", "capacity": "director"}, {"party": "LV-MFA", "role": "provider"},
    ],
    "instrument_text_ref": {"document": "mou.pdf", "sha256": "a" * 64}, "classification_ceiling": "UNCLASSIFIED",
    "clause_refs": {"tlp_ceiling": "Art. 4", "channels": "Annex B", "suspended": "Art. 11", "legal_basis": "Art. 6"},
    "info_categories_allowed": ["incident-notification"], "info_categories_excluded": ["victim-identity"],
    "tlp_ceiling": "AMBER", "personal_data": "minimised", "legal_basis": "Section 14", "third_party_rule": True,
    "permitted_purposes": ["network-defence"], "prohibited_uses": ["commercial"], "onward_sharing": "clients",
    "attribution_rule": "must-not", "encryption_in_transit": "must", "notification_duties": ["duty-1", "duty-2"],
    "request_answer_due": "PT4H", "retention_max": "P1Y", "destruction_on": "request", "destruction_certificate": True,
    "breach_report_due": "P1D", "signed_on": "2025-01-10", "effective_from": "2025-01-15T00:00:00Z",
    "provisional": True, "expires_on": "2027-01-15T12:30:00Z", "renewal": "automatic", "renewal_period": "P2Y",
    "termination_notice": "P3M", "terminated_on": "2026-12-01T00:00:00Z", "survives_termination": ["retention"],
    "suspended": [{"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z", "reason": "Talks", "by": "Ann"}],
    "points_of_contact": ["fi-duty"], "channels": ["The portal", "By telephone"], "languages": ["en", "fi"],
    "review_due": "2026-11-30", "last_reviewed": {"on": "2026-05-01", "by": "A. Virtanen"},
    "dispute_settlement": "consultation", "supersedes": "MOU-OLD",
})  # fmt: skip
#: Which follows from the dates, and the clauses, which stand beside their fields.
NOT_BY_THEMSELVES = {"status", "clause_refs"}


def test_every_field_of_the_register_is_in_the_example() -> None:
    assert set(TERMS) == set(AgreementSchema().fields) - {"status"}


def test_what_the_form_shows_is_read_back_as_it_was() -> None:
    shown = agreement_form.written(TERMS)
    sent = MultiDict([
        (name, each)
        for name, value in shown.items() if value is not False
        for each in (value if isinstance(value, list) else ["1" if value is True else value])
    ])  # fmt: skip
    assert load_agreement(agreement_form.read(sent, kept=TERMS)) == TERMS


def test_every_field_is_read_on_the_page_with_its_clause() -> None:
    rows = [row for _title, rows in agreement_form.recorded(TERMS) for row in rows]
    assert len(rows) == len(set(AgreementSchema().fields) - NOT_BY_THEMSELVES)
    assert all(value for _label, value, _clause in rows)
    said = {str(label): (value, clause) for label, value, clause in rows}
    assert said["Channels"] == ("The portal\nBy telephone", "Annex B")
    assert said["Suspended"] == ("2026-01-01 – 2026-02-01 Talks", "Art. 11")
    assert "FI-CSIRT recipient; ; director" in said["Parties"][0] and "K. Tamm; head" in said["Parties"][0]
    nothing = [row for _title, rows in agreement_form.recorded({}) for row in rows]
    assert [value for _label, value, _clause in nothing if value] == ["UNCLASSIFIED"]
