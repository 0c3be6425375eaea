"""A small fictional world: a ministry, two national CSIRTs, one arrangement between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from coordinator import clock
from coordinator.partners.signing import generate_secret

OWN = "EE-MFA"
REPORTER = "FI-CSIRT"
AFFECTED = "LV-CSIRT"
#: Role -> (address, name). One person a role: clearance needs two different people.
PEOPLE = {
    "duty-officer": ("duty@ee.example", "Duty officer"),
    "coordinator": ("coordinator@ee.example", "Coordinator"),
    "liaison-officer": ("liaison@ee.example", "Liaison officer"),
    "release-authority": ("release@ee.example", "Release authority"),
    "legal-adviser": ("legal@ee.example", "Legal adviser"),
    "analyst": ("analyst@ee.example", "Analyst"),
    "auditor": ("auditor@ee.example", "Auditor"),
}
#: Who plays no part in the story, for whoever looks around afterwards.
BESIDE = {
    "agreement-manager": ("agreements@ee.example", "Agreement manager"),
    "exercise-controller": ("exercises@ee.example", "Exercise controller"),
    "administrator": ("admin@ee.example", "Administrator"),
}


@dataclass(frozen=True)
class Partner:
    """A partner system: where it reports to us and where we tell it, each with a secret of its own."""

    code: str
    intake: str
    url: str
    in_secret: str = field(default_factory=generate_secret, repr=False)
    out_secret: str = field(default_factory=generate_secret, repr=False)


def world(partners: list[Partner]) -> dict[str, Any]:
    """The world file (contract of `coordinator load`) for these partners."""
    return {
        "settings": {"own_organisation": OWN, "community": "cyber-defence", "duty_role": "duty-officer"},
        "organisations": [
            _organisation(OWN, "Foreign ministry (fictional desk)", "ministry", own=True),
            *(_organisation(each.code, f"{each.code} (fictional)", "national-csirt") for each in partners),
        ],
        "endpoints": [endpoint for each in partners for endpoint in _endpoints(each)],
        "contacts": [_contact(each) for each in partners],
        "agreements": [_agreement(each) for each in partners],
        "users": [
            {"email": email, "name": name, "role": role, "organisation": OWN}
            for role, (email, name) in (PEOPLE | BESIDE).items()
        ] + [
            {"email": email_of(each), "name": f"A person of {each.code}", "role": "partner-user",
             "organisation": each.code}
            for each in partners
        ],
    }  # fmt: skip


def email_of(partner: Partner) -> str:
    """Of the partner's person who looks at what was released to them."""
    return f"person@{partner.intake}.example"


def report() -> dict[str, Any]:
    """What the reporting partner found: GREEN, hospitals on both sides of a border."""
    return {
        "title": "Ransomware in hospital networks on both sides of the border",
        "description": "Two hospital groups report encrypted file servers since this night. Emergency rooms work on "
        "paper. The same remote-access gateway is in use on both sides of the border.",
        "external_id": "FI-2026-0417",
        "tlp": "GREEN",
        "noticed_at": "2026-11-22T01:10:00Z",
        "noticed_at_fidelity": "minute",
        "classification": "information-content-security/data-loss",
        "severity": 3,
        "sectors": ["health"],
        "states_affected": ["FI", "LV"],
        "suspected_malicious": "yes",
        "cross_border": "yes",
        "humanitarian_flags": ["hospital-or-medical"],
        "asks": "Please tell the Latvian side and let us know who coordinates.",
        "language": "en",
    }


def report_to_try() -> dict[str, Any]:
    """What another partner reports after the story: it waits on the board for whoever looks around."""
    return {
        "title": "Denial of service against the electricity exchange",
        "description": "Trading screens are unreachable since this morning. Control systems are not affected so far.",
        "external_id": "LV-2026-0112",
        "tlp": "AMBER",
        "noticed_at": clock.rfc3339(clock.now() - timedelta(minutes=40)),
        "severity": 3,
        "sectors": ["energy"],
        "states_affected": ["LV", "EE"],
        "suspected_malicious": "unknown",
        "cross_border": "yes",
        "asks": "Do you see the same? Please call us.",
        "language": "en",
    }


def _organisation(code: str, name: str, kind: str, *, own: bool = False) -> dict[str, Any]:
    return {
        "code": code, "name": name, "kind": kind, "country": code[:2], "communities": ["cyber-defence"], "own": own
    }  # fmt: skip


def _endpoints(partner: Partner) -> list[dict[str, Any]]:
    return [
        {"id": partner.intake, "organisation": partner.code, "direction": "in", "secret": partner.in_secret},
        {"id": f"{partner.intake}-out", "organisation": partner.code, "direction": "out", "url": partner.url,
         "secret": partner.out_secret},
    ]  # fmt: skip


def _contact(partner: Partner) -> dict[str, Any]:
    return {
        "code": f"{partner.intake}-duty", "organisation": partner.code, "kind": "technical", "person": None,
        "function": "Duty desk", "languages": ["en"], "time_zone": "UTC", "hours": "24x7", "order": 1,
        "verified_on": "2026-11-01T08:00:00Z", "tlp_max": "AMBER",
        "channels": [
            {"kind": "webhook", "endpoint": f"{partner.intake}-out"},
            {"kind": "email", "address": f"duty@{partner.intake}.example"},
            # What is AMBER or stricter goes no other way from here: nothing of the demo is encrypted on its way.
            {"kind": "voice", "number": "+000 0000 0000"},
        ],
    }  # fmt: skip


def _agreement(partner: Partner) -> dict[str, Any]:
    return {
        "agreement_id": f"MOU-EE-{partner.code[:2]}", "reference": f"MOU-2026-{partner.code[:2]}",
        "title": "Arrangement on the exchange of cyber incident information", "kind": "cert-cert",
        "legal_status": "operational",
        "parties": [
            {"party": OWN, "role": "both", "signed_on": "2026-01-10"},
            {"party": partner.code, "role": "both", "signed_on": "2026-01-12"},
        ],
        "info_categories_allowed": ["incident-notification", "situational-report", "technical-indicators",
                                    "mitigation-guidance"],
        "info_categories_excluded": ["victim-identity"], "tlp_ceiling": "AMBER", "personal_data": "none",
        "permitted_purposes": ["network-defence", "incident-response", "situational-awareness",
                               "humanitarian-protection"],
        "prohibited_uses": ["commercial"], "onward_sharing": "own-organisation", "retention_max": "P1Y",
        "effective_from": "2026-01-15T00:00:00Z", "expires_on": "2030-01-15T00:00:00Z",
        "clause_refs": {"tlp_ceiling": "Art. 4(2)", "permitted_purposes": "Art. 3", "onward_sharing": "Art. 6"},
    }  # fmt: skip
