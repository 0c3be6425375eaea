"""What may be answered to an alert of each kind, and which answers end the asking. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from coordinator.errors import Fault

#: To any alert: received, not for this reader, or something is to be asked first.
ANSWERS = ("acknowledged", "not-for-me", "question")
#: To a recall: what became of it there. That the recall itself was received ends nothing.
GONE = ("deleted", "cannot-delete", "not-received")
#: Noted by whoever was to ask about what a system holds: nobody there could be reached, or could say.
COULD_NOT = "could-not"
#: To a request for a consent. A consent is withdrawn by the same way as it was given.
SAID = ("granted", "refused", "withdrawn")

_OF = {
    "recall": (*GONE, "acknowledged", "question", "not-for-me"),
    "request": (*SAID, "acknowledged", "question", "not-for-me"),
    "automatic": (*GONE, COULD_NOT),  # nobody reads a request to a system: a person asks what became of it there
}
#: Every answer there is.
EVERY = (*ANSWERS, *GONE, COULD_NOT, *SAID)
SENTENCES = {
    "acknowledged": "An alert was acknowledged.",
    "not-for-me": "The reader of an alert says that it is not for them.",
    "question": "The reader of an alert has a question.",
    "deleted": "What was recalled was deleted, its reader says.",
    "cannot-delete": "What was recalled cannot be deleted, its reader says.",
    "not-received": "What was recalled was never received, its reader says.",
    COULD_NOT: "Nobody could say whether what was recalled was deleted.",
    "granted": "An originator grants the consent that was asked for.",
    "refused": "An originator refuses the consent that was asked for.",
    "withdrawn": "An originator withdraws a consent.",
}


def answers_to(alert_kind: str) -> tuple[str, ...]:
    """The answers that an alert of this kind takes, the most wanted first."""
    return _OF.get(alert_kind, ANSWERS)


def offered(alert_kind: str, given: Sequence[str]) -> tuple[str, ...]:
    """The answers to offer whoever reads it now, after those in `given` (oldest first). One that asks for what became
    of a thing, or for a consent, offers no mere acknowledgement."""
    if alert_kind == "automatic":
        return answers_to(alert_kind)
    if alert_kind == "recall":
        return (*GONE, "question")
    if alert_kind != "request":
        return ("acknowledged", "question", "not-for-me")
    last = next((each for each in reversed(given) if each in SAID), "")
    return ("withdrawn", "question") if last == "granted" else ("granted", "refused", "question", "not-for-me")


def ends_it(alert_kind: str, answer: str) -> bool:
    """Whether this answer is the one that was asked for: then nobody is reminded any more."""
    if alert_kind == "recall":
        return answer in GONE
    return answer == "acknowledged" or (alert_kind == "request" and answer in SAID)


def faults_of(alert_kind: str, kind: str, answer: str, note: str) -> list[Fault]:
    """What keeps this answer of a `kind` (person, system) from being one to an alert of this kind."""
    if answer not in answers_to(alert_kind):
        return [Fault("/answer", f"Send one of: {', '.join(answers_to(alert_kind))}.")]
    if answer == "cannot-delete" and not note.strip():
        return [Fault("/note", "Say why it cannot be deleted.")]
    if answer == COULD_NOT and not note.strip():
        return [Fault("/note", "Say what was tried.")]
    if answer == "granted" and kind != "person":
        return [Fault("/kind", "A consent is given by a person; a system may refuse or withdraw it.")]
    return []
