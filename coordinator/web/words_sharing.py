"""What answers, consents and recalls are called on pages (see words)."""

from __future__ import annotations

from flask_babel import gettext
from flask_babel import lazy_gettext as _

from coordinator.alerts.telling import Told

ANSWER = {
    "acknowledged": (_("Acknowledged"), "good"),
    "not-for-me": (_("Not for me"), "warn"),
    "question": (_("Question"), "warn"),
    "deleted": (_("Deleted there"), "good"),
    "cannot-delete": (_("Cannot be deleted there"), "warn"),
    "not-received": (_("Was not received there"), "plain"),
    "could-not": (_("Nobody could say"), "warn"),
    "granted": (_("Granted"), "good"),
    "refused": (_("Refused"), "bad"),
    "withdrawn": (_("Withdrawn"), "bad"),
}
#: On the buttons of whoever answers.
ANSWER_BUTTON = {
    "acknowledged": _("Acknowledge"),
    "not-for-me": _("Not for me"),
    "question": _("I have a question"),
    "deleted": _("We have deleted it"),
    "cannot-delete": _("We cannot delete it"),
    "not-received": _("We never received it"),
    "could-not": _("Nobody could say"),
    "granted": _("We consent"),
    "refused": _("We do not consent"),
    "withdrawn": _("We withdraw our consent"),
}
THANKS = {
    "acknowledged": _("Thank you. Your acknowledgement is recorded."),
    "not-for-me": _("Thank you. We look for the right person."),
    "question": _("Thank you. Your question is with our duty desk."),
    "deleted": _("Thank you. It is recorded that you deleted it."),
    "cannot-delete": _("Thank you. Your reason is with our duty desk."),
    "not-received": _("Thank you. It is recorded that you never received it."),
    "could-not": _("Thank you. It is recorded."),
    "granted": _("Thank you. Your consent is recorded; it holds once one of us has confirmed it."),
    "refused": _("Thank you. Your refusal is recorded: it stays with us."),
    "withdrawn": _("Your withdrawal is recorded. Nothing further goes out under this consent."),
}
#: What became of a consent.
CONSENT = {
    "standing": (_("Granted"), "good"),
    "over": (_("Over"), "plain"),
    "withdrawn": (_("Withdrawn"), "bad"),
    "refused": (_("Refused"), "bad"),
}
#: How far a request for a consent is.
CONSENT_REQUEST = {
    "asked": (_("Asked, no answer yet"), "busy"),
    "overdue": (_("No answer in time: no consent"), "warn"),
    "not-sent": (_("Not on its way"), "warn"),
    "granted": (_("Granted, to be confirmed"), "warn"),
    "effective": (_("Granted"), "good"),
    "refused": (_("Refused"), "bad"),
    "withdrawn": (_("Withdrawn"), "bad"),
    "declined": (_("Not confirmed"), "bad"),
}
#: How far one recipient's answer to a recall is.
RECALL = {
    "open": (_("Recalled, no answer yet"), "warn"),
    "not-sent": (_("Recalled, not told yet"), "bad"),
    "deleted": (_("Recalled: deleted there"), "good"),
    "cannot-delete": (_("Recalled: cannot be deleted there"), "bad"),
    "not-received": (_("Recalled: was not received there"), "plain"),
    "could-not": (_("Recalled: nobody there could say what became of it"), "bad"),
    "withdrawn": (_("Withdrawn before it left"), "plain"),
}
CAUSE = {
    "asked": _("Asked back by a person"),
    "consent-withdrawn": _("The originator withdrew its consent"),
    "label-raised": _("Its label or a caveat was raised"),
    "wrong-release": _("It should not have gone there"),
}
#: What a release is composed from (sharing/parts).
PART = {
    "title": _("Title"), "description": _("Text"), "status": _("Status"), "classification": _("Type of incident"),
    "severity": _("Severity"), "outlook": _("Outlook for the next six hours"), "sectors": _("Sectors affected"),
    "states_affected": _("States affected"), "occurred_at": _("When it happened"),
    "detected_at": _("When it was detected"), "noticed_at": _("When it was noticed"),
    "suspected_malicious": _("Suspected malicious"), "cross_border": _("Across borders"),
    "humanitarian_flags": _("Humanitarian"), "asks": _("What we ask"), "observables": _("Indicators"),
    "originator": _("Whose information it is"),
}  # fmt: skip


#: The statements of an exchange policy (FIRST IEP 2.0), strictest first.
IEP = {
    "encrypt_in_transit": {"must": _("Must be encrypted"), "may": _("May be encrypted")},
    "permitted_actions": {
        "none": _("Nothing at all"),
        "contact-for-instruction": _("Ask the originator first"),
        "internally-visible-actions": _("Only what nobody outside can see"),
        "externally-visible-indirect-actions": _("Also passive checks that others can see"),
        "externally-visible-direct-actions": _("Anything"),
    },
    "affected_party_notifications": {"must-not": _("They must not be told"), "may": _("They may be told")},
    "attribution": {
        "must-not": _("The source must not be named"),
        "must": _("The source must be named"),
        "may": _("The source may be named"),
    },
    "unmodified_resale": {"must-not": _("It must not be resold"), "may": _("It may be resold")},
    "tlp": {"red": "RED", "amber": "AMBER", "green": "GREEN", "white": _("WHITE (TLP:CLEAR)")},
}


def what_became_of(told: Told) -> str:
    """What pressing the button did, of what the rules permit, refer to a person and refuse."""
    if told.permitted and not (told.referred or told.denied):
        return gettext("It is on its way; what becomes of it stands here.")
    if told.permitted:
        return gettext("What is permitted is on its way; see what waits or was refused.")
    if told.referred:
        return gettext("Nothing has left: it waits for a second person.")
    return gettext("Nothing has left: see what was refused, and why.")
#: How far the record of a lowered label is.
LABEL_WORD = {
    "waiting": (_("Waits for a second person"), "warn"),
    "effective": (_("Confirmed"), "good"),
    "refused": (_("Not confirmed"), "bad"),
    "withdrawn": (_("Withdrawn"), "plain"),
}
#: How an originator said that it lowered its label.
LABEL_CHANNEL = {
    "email": _("By mail"),
    "voice": _("On the telephone"),
    "letter": _("By letter"),
    "meeting": _("In a meeting"),
    "message": _("In a message of their system"),
    "other": _("In another way"),
}
