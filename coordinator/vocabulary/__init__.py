"""The closed lists of the field: codes, their order and their English names. Data and look-ups only, no policy.

Sources are named beside each list. Codes are what is stored and sent; labels are for people and may be translated.
"""

from __future__ import annotations

from coordinator.vocabulary.humanitarian import HUMANITARIAN_FLAGS, severity_floor, tlp_floor
from coordinator.vocabulary.incident_types import INCIDENT_TYPES
from coordinator.vocabulary.languages import language_name, valid_language
from coordinator.vocabulary.lists import (
    AGREEMENT_KINDS,
    CHANNEL_KINDS,
    CONTACT_KINDS,
    COUNTRIES,
    INFO_CATEGORIES,
    LEGAL_STATUSES,
    ONWARD_SHARING,
    ORGANISATION_KINDS,
    PERSONAL_DATA,
    PURPOSES,
    ROLES,
    SECTORS,
    SEVERITIES,
)
from coordinator.vocabulary.vocabulary import Vocabulary

__all__ = [
    "AGREEMENT_KINDS",
    "CHANNEL_KINDS",
    "CONTACT_KINDS",
    "COUNTRIES",
    "HUMANITARIAN_FLAGS",
    "INCIDENT_TYPES",
    "INFO_CATEGORIES",
    "LEGAL_STATUSES",
    "ONWARD_SHARING",
    "ORGANISATION_KINDS",
    "PERSONAL_DATA",
    "PURPOSES",
    "ROLES",
    "SECTORS",
    "SEVERITIES",
    "Vocabulary",
    "language_name",
    "severity_floor",
    "tlp_floor",
    "valid_language",
]
