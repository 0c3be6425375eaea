"""Every code of a decision in plain words: what it means and, for a reason, what would have to change.

A reason never tells a way round itself. What can change is an input: the originator's label or consent, an agreement, a
basis, a channel, a second person. Texts are shown to officers and go into the record; they name no content.
"""

from __future__ import annotations

from coordinator.vocabulary import PURPOSES
from coordinator.vocabulary.spans import in_words

REASONS = {
    "D-CLASSIFIED": (
        "It bears a secrecy marking. This system takes unclassified information only: use the channels meant for"
        " classified material."
    ),
    "D-TLP-UNKNOWN": (
        "The label is none of TLP 2.0, so it is treated as RED. Ask the originator which label is meant."
    ),
    "D-EXERCISE-MIX": "Exercise and real traffic never mix. Use a channel of the same exercise, or one of none.",
    "D-EMBARGO": (
        "It is under embargo and this party is not among those who may have it earlier. Wait for the end of the"
        " embargo, or ask the originator to add the party."
    ),
    "D-NO-PURPOSE": "No purpose is stated. Say what the recipient is to use it for.",
    "D-PUBLIC": "Only TLP:CLEAR may be published. The originator would have to lower the label.",
    "D-RED-ORGANISATION": (
        "TLP:RED goes to named persons, never to an organisation. Choose a person whom the originator named."
    ),
    "D-RED-NOT-NAMED": "This person is not among the named recipients of TLP:RED. Only the originator can add one.",
    "D-RED-CHANNEL": (
        "TLP:RED does not go through webhooks or mailing lists. Choose a channel that reaches the person."
    ),
    "D-ORCON": (
        "The originator keeps control of every onward step, whatever the label, by a caveat or by an agreement with us."
        " Ask for consent, and record it."
    ),
    "D-GREEN-COMMUNITY": (
        "It was received as TLP:GREEN and the recipient is not known to belong to the community it was given to."
        " Ask the originator for consent, and record it."
    ),
    "D-AMBER-ONWARD": (
        "It was received as TLP:AMBER, which stays within our organisation and its clients. Ask the originator"
        " for consent, and record it."
    ),
    "D-STRICT-ONWARD": (
        "It was received as TLP:AMBER+STRICT, which stays within our organisation. Ask the originator for"
        " consent, and record it."
    ),
    "D-RED-ONWARD": (
        "It was received as TLP:RED, which was for the named persons only. Ask the originator for consent, and"
        " record it."
    ),
    "D-NOT-RELEASABLE": "The originator excluded this party by name. Only the originator can change that.",
    "D-REL-LIST": (
        "The item has a list of parties it may be released to and this party is not on it. Only the originator"
        " can add one."
    ),
    "D-PERSONAL-DATA-BASIS": (
        "It holds personal data and no legal basis is recorded. Record the basis, or take the personal data out."
    ),
    "D-PERSONAL-DATA-DATE": (
        "It holds personal data, and no day by which it is to be deleted is recorded, or that day is past. Record one,"
        " take the personal data out, or send it under an agreement that says how long it may be kept."
    ),
    "D-AGREEMENT-PROHIBITS": (
        "An agreement in force with this party prohibits this category or this purpose, and that binds us even"
        " where another agreement would allow it."
    ),
    "D-NO-AGREEMENT": (
        "No agreement in force covers this party, category, label and purpose together. See what is missing in"
        " each agreement; a consent of the originator does not replace one."
    ),
    "D-ENCRYPT": (
        "Its exchange policy, or the agreement it goes under, demands encryption in transit. Choose an encrypted"
        " channel."
    ),
    "D-SOURCE-NAMED": (
        "An agreement with whom it came from says not to name them, and this text was written without regard to that."
        " Write it anew: their names are taken out then."
    ),
    "D-SOURCE-WITHHELD": (
        "The agreement it goes under demands that the source is named, and the source must not be. The source would"
        " have to agree to be named, or the parties to another clause."
    ),
    "D-LABEL-RAISED": (
        "The label, a caveat or the kind of information of what the text was made from was changed after it was"
        " written. Write it anew: it is bound by what holds now."
    ),
    "D-RECALLED": (
        "This recipient was asked to delete it. What is to be known instead is a new text, decided as such."
    ),
    "D-CHANNEL-CLEAR-TEXT": "TLP:AMBER and stricter do not go in clear text. Choose an encrypted channel, or voice.",
    "D-FILE-UNCLEANED": (
        "A file goes along as it came, and the source must not be named: what the file says of itself may name it."
        " Leave it out, or add it in a form that can be cleaned."
    ),
    "R-UNMARKED": "It has no label and is treated as TLP:AMBER+STRICT. A person has to find out how it is meant.",
    "R-IEP-DATES": (
        "Its exchange policy does not apply today: it has not started or has ended. A person has to ask the"
        " originator what holds now."
    ),
    "R-LEGAL": "It is sensitive for law enforcement. A legal adviser has to look at it and approve.",
    "R-STALE-POC": (
        "The point of contact has not been verified for long or failed the last check. Verify the contact first."
    ),
    "R-FILE-UNCLEANED": (
        "A file goes along as it came, with everything it says of itself. A second person has to open it and approve."
    ),
    "R-FILE-UNREAD": (
        "The source must not be named, and what is drawn in a picture or PDF cannot be searched. A second person has"
        " to read it and approve."
    ),
    "R-TWO-PERSON": (
        "A second person has to approve: the label is AMBER+STRICT or RED, it is an attribution, it came from"
        " somebody else, it is for the public, or it is a fixed text. Whoever asked cannot approve."
    ),
}

#: Each cause for a second person, where a decision is explained that has it.
CAUSES = {
    "label": "Here: the label.",
    "attribution": "Here: it is an attribution assessment.",
    "public": "Here: it is for the public.",
    "fixed": "Here: it is a text cleared beforehand.",
}

AGREEMENT_PROBLEMS = {
    "A-NOT-SIGNED": "It is not signed by everyone it needs and does not apply provisionally.",
    "A-NOT-YET": "It has not taken effect.",
    "A-EXPIRED": "It has expired.",
    "A-TERMINATED": "It was terminated.",
    "A-SUSPENDED": "It is suspended.",
    "A-NOT-PARTY": "This party does not receive under it.",
    "A-CATEGORY": "It does not allow this category of information.",
    "A-CATEGORY-EXCLUDED": "It excludes this category of information.",
    "A-TLP-CEILING": "The label is stricter than the strictest that may flow under it.",
    "A-PURPOSE": "It does not permit this purpose.",
    "A-PURPOSE-PROHIBITED": "It prohibits this purpose.",
    "A-PERSONAL-DATA": "It allows no personal data.",
}

_PAP = {
    "RED": "Act only where nobody outside can notice it: passive work on your own logs.",
    "AMBER": "Check passively, also through third parties; do not act on the network.",
    "GREEN": "Active measures such as blocking are allowed.",
    "CLEAR": "There is no limit on what may be done with it.",
}
_ONWARD = {
    "none": "Do not pass it on.",
    "originator-consent": "Pass it on only with the originator's consent.",
    "own-organisation": "Keep it within your organisation.",
    "clients": "Keep it within your organisation and its clients.",
    "community": "Keep it within your community.",
    "free": "The agreement does not limit passing it on; the label may.",
}
_DESTROY = {
    "expiry": "Destroy it when the agreement is over.",
    "termination": "Destroy it when the agreement is terminated.",
    "request": "Destroy it when asked to.",
    "certificate": "Certify that it was destroyed.",
}
_ACTIONS = {
    "none": "Do not act on it at all.",
    "contact-for-instruction": "Ask the originator before acting on it.",
}
_FIXED = {
    "O-NO-ATTRIBUTION": "Do not name the source.",
    "O-ATTRIBUTE": "Name the source.",
    "O-ENCRYPT": "Send and pass it on encrypted only.",
    "O-NO-VICTIM-NOTIFICATION": "Do not notify the affected parties.",
    "O-EXERCISE-BANNER": "Bear the banner of the exercise on everything.",
}


def explain(code: str) -> str:
    """The sentence for a reason (D-, R-), an agreement problem (A-) or an obligation (O-). Else KeyError."""
    for sentences in (REASONS, AGREEMENT_PROBLEMS, _FIXED):
        if code in sentences:
            return sentences[code]
    kind, _, value = code.removeprefix("O-").partition("-")
    if not code.startswith("O-") or not value:
        raise KeyError(code)
    return _obligation(kind, value, code)


def _obligation(kind: str, value: str, code: str) -> str:
    if kind == "TLP":
        return f"Handle it as TLP:{value}."
    if kind == "PURPOSE":
        return f"Use it for this purpose only: {PURPOSES.label(value) if value in PURPOSES else value}."
    if kind == "DELETE" and value.startswith("BY-"):
        return f"It holds personal data: delete it by {value.removeprefix('BY-')}."
    if kind == "RETAIN":
        return f"Keep it no longer than {in_words(value)}."
    sentences = {"PAP": _PAP, "ONWARD": _ONWARD, "ACTIONS": _ACTIONS, "DESTROY": _DESTROY}.get(kind)
    if sentences is None or value not in sentences:
        raise KeyError(code)
    return sentences[value]
