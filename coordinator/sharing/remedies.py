"""Who can change what a decision was made on, and which field of an agreement a problem rests on.

A deny is never overruled: what stands here is who may change the input, on record. The clause of a field is in the
agreement's own `clause_refs`.
"""

from __future__ import annotations

ORIGINATOR = "The originator."
#: Where the item is our own.
ORIGINATOR_IS_US = "We ourselves: whoever may change its label and caveats."
CONSENT = "The originator, by a consent that two of us record."
_AGREEMENTS = "The agreement manager, with the other parties; two persons record it."
DIRECTORY = "A coordinator, in the partner's points of contact."
_WRITER = "Whoever writes the release."
_SECOND = "The release authority, another person than the one who asked."

#: Reason (D-, R-) or problem of an agreement (A-) -> who can change what it rests on.
CHANGED_BY = {
    "D-CLASSIFIED": "Nobody here: it does not belong in this system.",
    "D-TLP-UNKNOWN": ORIGINATOR,
    "D-EXERCISE-MIX": DIRECTORY,
    "D-EMBARGO": ORIGINATOR,
    "D-NO-PURPOSE": _WRITER,
    "D-PUBLIC": ORIGINATOR,
    "D-RED-ORGANISATION": _WRITER,
    "D-RED-NOT-NAMED": ORIGINATOR,
    "D-RED-CHANNEL": DIRECTORY,
    "D-ORCON": CONSENT,
    "D-GREEN-COMMUNITY": CONSENT,
    "D-AMBER-ONWARD": CONSENT,
    "D-STRICT-ONWARD": CONSENT,
    "D-RED-ONWARD": CONSENT,
    "D-NOT-RELEASABLE": ORIGINATOR,
    "D-REL-LIST": ORIGINATOR,
    "D-PERSONAL-DATA-BASIS": "Whoever writes the item, with a legal adviser.",
    "D-PERSONAL-DATA-DATE": "Whoever writes the item, with a legal adviser.",
    "D-AGREEMENT-PROHIBITS": _AGREEMENTS,
    "D-NO-AGREEMENT": _AGREEMENTS,
    "D-ENCRYPT": DIRECTORY,
    "D-SOURCE-NAMED": _WRITER,
    "D-SOURCE-WITHHELD": "Whose name is withheld, or the agreement manager with the other parties.",
    "D-FILE-UNCLEANED": _WRITER,
    "D-LABEL-RAISED": _WRITER,
    "D-RECALLED": _WRITER,
    "D-CHANNEL-CLEAR-TEXT": DIRECTORY,
    "R-UNMARKED": ORIGINATOR,
    "R-IEP-DATES": ORIGINATOR,
    "R-LEGAL": "A legal adviser.",
    "R-STALE-POC": DIRECTORY,
    "R-FILE-UNCLEANED": _SECOND,
    "R-FILE-UNREAD": _SECOND,
    "R-TWO-PERSON": _SECOND,
    "A-NOT-SIGNED": _AGREEMENTS,
    "A-NOT-YET": _AGREEMENTS,
    "A-EXPIRED": _AGREEMENTS,
    "A-TERMINATED": _AGREEMENTS,
    "A-SUSPENDED": _AGREEMENTS,
    "A-NOT-PARTY": _AGREEMENTS,
    "A-CATEGORY": _AGREEMENTS,
    "A-CATEGORY-EXCLUDED": _AGREEMENTS,
    "A-TLP-CEILING": _AGREEMENTS,
    "A-PURPOSE": _AGREEMENTS,
    "A-PURPOSE-PROHIBITED": _AGREEMENTS,
    "A-PERSONAL-DATA": _AGREEMENTS,
}

#: What is said of a reason that is not in the table, as one of another policy version.
UNKNOWN = "Whoever keeps these rules."

#: Problem of an agreement -> the field of the register it rests on, whose clause the agreement names.
RESTS_ON = {
    "A-NOT-SIGNED": "signed_on",
    "A-NOT-YET": "effective_from",
    "A-EXPIRED": "expires_on",
    "A-TERMINATED": "terminated_on",
    "A-SUSPENDED": "suspended",
    "A-NOT-PARTY": "parties",
    "A-CATEGORY": "info_categories_allowed",
    "A-CATEGORY-EXCLUDED": "info_categories_excluded",
    "A-TLP-CEILING": "tlp_ceiling",
    "A-PURPOSE": "permitted_purposes",
    "A-PURPOSE-PROHIBITED": "prohibited_uses",
    "A-PERSONAL-DATA": "personal_data",
}
#: Reason -> the field of the agreement it goes under that it rests on.
DEMANDED_BY = {"D-ENCRYPT": "encryption_in_transit", "D-SOURCE-WITHHELD": "attribution_rule"}
#: What a permit under an agreement rests on, and what that binds the recipient to.
PERMIT_RESTS_ON = ("parties", "info_categories_allowed", "tlp_ceiling", "permitted_purposes", "personal_data",
                   "encryption_in_transit", "onward_sharing", "third_party_rule", "attribution_rule",
                   "retention_max", "destruction_on")  # fmt: skip
