"""The plain lists. Countries are data (a file); the others are short enough to be read here."""

from __future__ import annotations

from coordinator.vocabulary.vocabulary import Vocabulary, load

# ISO 3166-1 alpha-2, officially assigned codes only: no XK, EU or UN, which are user-assigned or reserved.
COUNTRIES: Vocabulary[str] = Vocabulary(load("countries")["codes"])

# Directive (EU) 2022/2555 (NIS2), Annexes I and II, as coded in the MISP taxonomy nis2 v5.
SECTORS: Vocabulary[str] = Vocabulary(
    {
        "energy": "Energy",
        "transport": "Transport",
        "banking": "Banking",
        "financial": "Financial market infrastructures",
        "health": "Health",
        "drinking-water": "Drinking water",
        "waste-water": "Waste water",
        "digital-infrastructure": "Digital infrastructure",
        "ict-services": "ICT service management",
        "public-administration": "Public administration",
        "space": "Space",
        "courier": "Postal and courier services",
        "waste-management": "Waste management",
        "chemical": "Chemicals",
        "food": "Food",
        "manufacturing": "Manufacturing",
        "digital-providers": "Digital providers",
        "research": "Research",
    }
)

# The United States Cyber Incident Severity Schema: six levels, 0 to 5. The one scale that is stored.
SEVERITIES: Vocabulary[int] = Vocabulary(
    {0: "Baseline", 1: "Low", 2: "Medium", 3: "High", 4: "Severe", 5: "Emergency"}
)

INFO_CATEGORIES: Vocabulary[str] = Vocabulary(
    {
        "incident-notification": "Incident notification",
        "situational-report": "Situational report",
        "technical-indicators": "Technical indicators",
        "malware-sample": "Malware sample",
        "vulnerability": "Vulnerability",
        "mitigation-guidance": "Mitigation guidance",
        "victim-identity": "Identity of the victim",
        "attribution-assessment": "Attribution assessment",
        "impact-assessment": "Impact assessment",
        "request": "Request",
        "assistance-logistics": "Logistics of assistance",
        "legal-evidence": "Legal evidence",
        "personal-data": "Personal data",
        "diplomatic-correspondence": "Diplomatic correspondence",
        "exercise-material": "Exercise material",
        "contact-check": "Communication check",
        "statistics": "Statistics",
    }
)

PURPOSES: Vocabulary[str] = Vocabulary(
    {
        "network-defence": "Network defence",
        "incident-response": "Incident response",
        "victim-notification": "Notification of victims",
        "situational-awareness": "Situational awareness",
        "crisis-management": "Crisis management",
        "diplomatic-consultation": "Diplomatic consultation",
        "attribution": "Attribution",
        "law-enforcement": "Law enforcement",
        "judicial-proceedings": "Judicial proceedings",
        "humanitarian-protection": "Humanitarian protection",
        "capacity-building": "Capacity building",
        "exercise": "Exercise",
        "research-statistics": "Research and statistics",
        "public-communication": "Public communication",
        "commercial": "Commercial use",
    }
)

ORGANISATION_KINDS: Vocabulary[str] = Vocabulary(
    {
        "state": "State",
        "ministry": "Ministry",
        "national-csirt": "National CSIRT",
        "csirt": "CSIRT",
        "agency": "Agency",
        "international-organisation": "International organisation",
        "alliance": "Alliance",
        "isac": "Information sharing and analysis centre",
        "operator": "Operator",
        "vendor": "Vendor",
        "ngo": "Non-governmental organisation",
        "military-cert": "Military CERT",
    }
)

CONTACT_KINDS: Vocabulary[str] = Vocabulary(
    {
        "diplomatic": "Diplomatic",
        "technical": "Technical",
        "cyber-policy": "Cyber policy",
        "foreign-affairs": "Foreign affairs",
        "legal-24x7": "Legal, 24/7",
        "law-enforcement-24x7": "Law enforcement, 24/7",
        "single-point-of-contact": "Single point of contact",
        "csirt": "CSIRT",
        "crisis-duty": "Crisis duty",
        "press": "Press",
    }
)

CHANNEL_KINDS: Vocabulary[str] = Vocabulary(
    {
        "portal": "Portal",
        "web": "Public web page",
        "email": "E-mail",
        "webhook": "Webhook",
        "mailing-list": "Mailing list",
        "voice": "Voice",
    }
)

ROLES: Vocabulary[str] = Vocabulary(
    {
        "liaison-officer": "Liaison officer",
        "coordinator": "Coordinator",
        "duty-officer": "Duty officer",
        "release-authority": "Release authority",
        "legal-adviser": "Legal adviser",
        "agreement-manager": "Agreement manager",
        "exercise-controller": "Exercise controller",
        "analyst": "Analyst",
        "auditor": "Auditor",
        "partner-user": "Partner user",
        "partner-system": "Partner system",
        "administrator": "Administrator",
    }
)

AGREEMENT_KINDS: Vocabulary[str] = Vocabulary(
    {
        "mou-bilateral": "Bilateral memorandum of understanding",
        "treaty-multilateral": "Multilateral treaty",
        "cert-cert": "Arrangement between CSIRTs",
        "isac-membership": "Membership of an ISAC",
        "alliance-mou": "Memorandum of understanding with an alliance",
        "eu-network": "EU network",
        "mlat": "Mutual legal assistance treaty",
        "security-of-information": "Security of information agreement",
        "assistance-pact": "Assistance arrangement",
        "vendor-nda": "Arrangement with a vendor",
        "ad-hoc-consent": "One-off written consent",
    }
)

LEGAL_STATUSES: Vocabulary[str] = Vocabulary(
    {"binding": "Binding", "political": "Political", "operational": "Operational", "contract": "Contract"}
)

ONWARD_SHARING: Vocabulary[str] = Vocabulary(
    {
        "none": "Nobody else",
        "originator-consent": "With the originator's consent",
        "own-organisation": "Within the recipient's organisation",
        "clients": "The recipient's clients",
        "community": "The recipient's community",
        "free": "Anyone",
    }
)

PERSONAL_DATA: Vocabulary[str] = Vocabulary(
    {"none": "No personal data", "minimised": "Minimised personal data", "full": "Personal data"}
)
