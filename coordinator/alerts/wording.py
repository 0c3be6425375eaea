"""What alerts say around the text itself. Pure; neutral: facts and requests, no blame, nothing about motive.

The label stands in the subject and in the first and the last line (R05). A reader outside sees only the reference made
for that partner. From AMBER on a mail carries label, reference and link, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from coordinator.markings import Tlp
from coordinator.sharing.inputs import by_portal

KINDS = {
    "receipt": "Receipt",
    "initial": "Notification",
    "update": "Update",
    "correction": "Correction",
    "closure": "Closure",
    "recall": "Recall",
    "request": "Request",
    "check": "Communication check",
    "call-our-desk": "Please call our duty desk",
    "contact-change": "Change of how we reach you",
    "automatic": "Request to a service of yours",
    "notice": "Notice",
}

EXERCISE = "EXERCISE EXERCISE EXERCISE"
CHECK = "COMMUNICATION CHECK"


@dataclass(frozen=True)
class Letter:
    """A mail, as far as words go. Both in plain text."""

    subject: str
    body: str


@dataclass(frozen=True)
class Waiting:
    """A file that goes along and waits where the reader signs in. `size` in bytes."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a letter or a call is made from. `tlp` is the effective label of the release; `link` the answer page."""

    kind: str
    tlp: Tlp
    pap: str
    title: str
    body: str
    reference: str
    link: str
    handling: tuple[str, ...] = ()
    purpose: str = ""
    sender: str = ""
    exercise: str = ""
    reminder: bool = False
    reply_by: str = ""
    asks_answer: bool = False
    sealed: bool = False  # encrypted to the reader's own key, all but the subject
    files: tuple[Waiting, ...] = ()


#: The receipt and the closure hold no case content, whatever the case: they are TLP:CLEAR.
RECEIPT = (
    "Report received",
    "Your report was received and is being looked at. Please quote the reference in anything further.",
)
CLOSURE = (
    "Coordination closed",
    "The coordination under this reference is closed. If something new comes up, please report it and quote the"
    " reference.",
)
#: A recall holds no case content: it follows what it is about, and names it by nothing but that.
RECALL = (
    "Please delete what we sent you",
    "We take back the message that this one follows. Please delete it and everything made from it, do not use it, do"
    " not pass it on, and ask everybody you gave it to for the same. Then answer here: deleted, cannot be deleted (and"
    " why), or never received.",
)
CALL_OUR_DESK = (
    "Please call our duty desk",
    "Please call our duty desk on the number you have on file for us, and quote the reference. This message holds no"
    " details of any case.",
)
#: To the old channel, before a change of it is made. It holds no word of what the new one is.
CONTACT_CHANGE = (
    "Change of how we reach you",
    "Somebody asked us to change how we reach you, or the keys we use with you. If you know of this, nothing is to be"
    " done. If you do not, please call our duty desk at once on the number you have on file for us.",
)

#: To an originator: may what they told us go on? {about}: their own reference of it, {to} the party, {why} our reason.
CONSENT_REQUEST = (
    "Request for your consent",
    "May we pass on to {to} what you told us{about}? They would have it for this purpose: {purpose}; your consent would"
    " hold until {until}.\n\nWhy we ask: {why}\n\nPlease answer with granted or refused. If you do not answer, it stays"
    " with us. You can withdraw a consent at any time, by the same way.",
)

#: To whoever withdrew a consent, by what came of it.
_STOPPED = "Your withdrawal is on record. Nothing further goes out under your consent; what was waiting was stopped."
CONSENT_OUTCOME = {
    "nothing": ("Your withdrawal of consent", f"{_STOPPED} Nothing had been passed on under it."),
    "recall": (
        "Your withdrawal of consent",
        f"{_STOPPED} Whoever had received something under it has been asked to delete it.",
    ),
    "stands": (
        "Your withdrawal of consent",
        f"{_STOPPED} What had been passed on before was lawful when it was sent, and stands; its conditions bind on.",
    ),
}

#: Notices to our own people: title and body. No case content; {reference} is ours, "" for a restricted incident.
#: Among the facts of a notice's release: which of the fixed notices it is. One of them brings a one-time link.
NOTICE, INVITED = "notice", "invited"

OWN_NOTICES = {
    INVITED: (
        "Your account: set your second factor",
        "An account was made for you, or its second factor was taken away. The link below opens it once, within 24"
        " hours: set your second factor then. Nobody else has it. If you did not expect this, tell your duty officer.",
    ),
    "new-incident": ("A new incident waits for triage", "A report opened an incident{reference}."),
    "life-at-risk": (
        "Life may be at risk: look now",
        "A report says that people may be in danger{reference}. Please look at it at once.",
    ),
    "task": ("A task waits for you", "There is an open task for your role{reference}."),
    "overdue": ("Something is overdue", "Work that was due is still open{reference}."),
    "duty-due": ("A deadline comes near", "A duty with a clock is still to be met{reference}."),
    "duty-overdue": ("A deadline has passed", "A duty with a clock was not met in time{reference}."),
    "reminder": ("Something still waits for you", "This is a reminder of open work{reference}."),
    "clearance": ("A clearance is wanted", "A release waits for a second person's answer{reference}."),
    "standing": ("A fixed text waits to be cleared", "A text was proposed for clearance beforehand."),
    "dead-letter": ("An alert could not be delivered", "An alert did not reach its recipient{reference}."),
    "withheld": ("An alert was withheld", "An alert was held back when it was about to be sent{reference}."),
    "new-incident-again": ("An incident still waits for triage", "Nobody has taken it up yet{reference}."),
    "life-at-risk-again": (
        "Life may be at risk and nobody has looked",
        "A report says that people may be in danger, and nobody has taken it up yet{reference}.",
    ),
    "clearance-waits": (
        "A clearance is not answered", "A release still waits for a second person: please reach one{reference}.",
    ),
    "notice-failed": (
        "A notice to a colleague did not arrive",
        "A mail to one of our own people could not be delivered{reference}. See that somebody has taken it up.",
    ),
    "unanswered": ("An alert is unanswered", "A partner has not answered an alert{reference}."),
    "quarantine": ("A report is in quarantine", "A report was put into quarantine and waits for a decision."),
    "quarantine-overdue": ("Quarantine is overdue", "A report in quarantine still waits for a decision."),
    "possibly-real": (
        "A report called an exercise may be real",
        "A report came as an exercise, and that does not fit what we know. Please look now.",
    ),
    "endpoint-disabled": ("A partner's endpoint was disabled", "A partner's system answered that it is gone."),
    "run-stopped": ("A playbook needs you", "A playbook run has stopped and needs a decision{reference}."),
    "clock": (
        "A clock cannot be trusted: sending to partners waits",
        "A clock of ours jumped or differs. Nothing goes to partners until it is right again or somebody confirms it.",
    ),
    "job-dead": ("A job was given up", "Something failed again and again and waits for a person to send it again."),
    "consent-granted": (
        "An originator's consent waits for a second person",
        "An originator answered a request for consent{reference}. It holds once somebody has confirmed it.",
    ),
    "label-waits": (
        "A lowered label waits for a second person",
        "Somebody recorded that a label was lowered{reference}. It holds once a second person has confirmed it.",
    ),
    "consent-answered": (
        "An originator answered a request for consent",
        "There is an answer to what you asked an originator{reference}.",
    ),
    "change-waits": (
        "A change waits for a second person",
        "Somebody asked for a change that two persons make. Please look at it and answer.",
    ),
    "account-change": (
        "A change of your account was asked for",
        "Somebody asked to change your role, or to reset your second factor. If you do not know of this, tell your duty"
        " officer at once.",
    ),
    "factor-reset": (
        "Your second factor was reset",
        "Your second factor was taken away, and your sessions and tokens have ended. For 24 hours you cannot approve"
        " anything. If you do not know of this, tell your duty officer at once.",
    ),
    "link-made": (
        "A sign-in link for your account was made",
        "Somebody made a one-time link that opens your account. If you did not ask for it, tell your duty officer at"
        " once.",
    ),
    "flood": (
        "Many reports at once", "One partner's system sends more than usual: what is over the limit waits as one task.",
    ),
}


#: For a restricted incident a mail says that somebody should sign in, not what for.
_SILENT = ("Something waits for you", "Something waits for you here.")
_SILENT_URGENT = ("Urgent: sign in now", "Something urgent waits for you here.")
_URGENT = ("life-at-risk", "life-at-risk-again")


def own_notice(key: str, reference: str, *, silent: bool = False) -> tuple[str, str]:
    """Title and body of a notice to our own people; `silent`: not even what it is about. Raises KeyError for a key
    that is not known."""
    title, body = OWN_NOTICES[key]
    if key == INVITED:
        return title, body
    if silent:
        title, body = _SILENT_URGENT if key in _URGENT else _SILENT
    return title, body.format(reference=f" ({reference})" if reference else "") + " Sign in to see it."


def letter(said: Said) -> Letter:
    """The mail for a release. From AMBER on it carries no title and no text, unless it is sealed; nor for RED then.

    A subject is never sealed: it names nothing where the rest is.
    """
    quiet = by_portal(said.tlp, sealed=said.sealed)
    lines = [*_banners(said), _label_line(said), ""]
    if said.reminder:
        lines += ["Reminder: we have no answer to this yet.", ""]
    lines += _quiet_text(said) if quiet else _full_text(said)
    lines += ["", _label_line(said)]
    return Letter(subject=_subject(said, quiet=quiet or said.sealed), body="\n".join(lines) + "\n")


def call_script(said: Said) -> str:
    """What is read out on the phone; the label first and last."""
    lines = [*_banners(said), _label_line(said), "", said.title, "", said.body, ""]
    return "\n".join([*lines, *_named("Our reference for you", said.reference), "", _label_line(said)])


def _subject(said: Said, *, quiet: bool) -> str:
    parts = [f"[{said.tlp.label}]"]
    if said.exercise:
        parts.insert(0, "EXERCISE")
    if said.kind == "check":
        parts.append(CHECK)
    if said.reminder:
        parts.append("Reminder:")
    if quiet:
        parts.append("Message for you")
    elif said.kind in ("notice", "check", "receipt", "call-our-desk", "contact-change"):
        parts.append(said.title)
    else:
        parts.append(f"{KINDS[said.kind]}: {said.title}")
    if said.reference:
        parts.append(f"({said.reference})")
    return one_line(" ".join(parts))[:250]


def _full_text(said: Said) -> list[str]:
    lines = [said.title, "", said.body, ""]
    lines += _named("Reference", said.reference) + _named("From", said.sender) + _named("Purpose", said.purpose)
    lines += _named("Handling", "; ".join(said.handling)) + _named("Please answer by", said.reply_by)
    return lines + _files(said) + _link(said)


def _files(said: Said) -> list[str]:
    """What waits for whoever signs in; the files themselves are never in a mail."""
    lines = [f"{each.name}, {each.size} bytes, SHA-256 {each.sha256}" for each in said.files]
    return ["", f"Files ({said.tlp.label}), to be taken where you sign in:", *lines] if lines else []


def _quiet_text(said: Said) -> list[str]:
    return _named("Reference", said.reference) + _link(said)


def _link(said: Said) -> list[str]:
    if not said.link:
        return []
    if said.kind == "notice":
        return ["", "Here:", said.link]
    asking = "Please acknowledge, or say that it is not for you, here:"
    return ["", asking if said.asks_answer else "More, and your answer:", said.link]


def _named(name: str, value: str) -> list[str]:
    return [f"{name}: {value}"] if value else []


def _label_line(said: Said) -> str:
    return said.tlp.label + (f" PAP:{said.pap}" if said.pap else "")


def _banners(said: Said) -> Iterable[str]:
    if said.exercise:
        yield EXERCISE
    if said.kind == "check":
        yield CHECK


def one_line(text: str) -> str:
    """Text without line breaks, control or direction characters: fit for a header, and not able to dress up as one."""
    return " ".join("".join(" " if _unfit(each) else each for each in text).split())


def _unfit(character: str) -> bool:
    number = ord(character)
    return number < 32 or 127 <= number < 160 or number in (0x2028, 0x2029, 0x061C) or 0x200E <= number <= 0x200F \
        or 0x202A <= number <= 0x202E or 0x2066 <= number <= 0x2069
