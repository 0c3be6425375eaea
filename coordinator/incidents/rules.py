"""What may happen to an incident: the states and their guards as one table, severity, labels, order of instants.

Pure: the caller brings the facts. States and guards are those of the domain model; the STIX status follows the incident
core extension (investigation_status new, open, closed).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from coordinator import vocabulary
from coordinator.errors import Blocker, Fault, Invalid, Refused
from coordinator.markings import Tlp, parse_tlp

# ---------------------------------------------------------------- states


class Status(StrEnum):
    REPORTED = "reported"
    TRIAGE = "triage"
    ACTIVE = "active"
    MONITORING = "monitoring"
    RESOLVED = "resolved"
    CLOSED = "closed"
    REJECTED = "rejected"
    DUPLICATE = "duplicate"


class Outlook(StrEnum):
    """How the next six hours look (NIS Cooperation Group taxonomy)."""

    IMPROVING = "improving"
    STABLE = "stable"
    WORSENING = "worsening"


class Blocks(StrEnum):
    """What an open hold stands in the way of; one that blocks resolving blocks closing too."""

    RESOLVE = "resolve"
    CLOSE = "close"


class Guard(StrEnum):
    """What a transition asks for."""

    OUTLOOK = "outlook"
    NOTE = "note"
    REASON = "reason"
    DUPLICATE_OF = "duplicate_of"
    NO_CYCLE = "no-cycle"
    AS_BEFORE = "as-before"
    NOTHING_BLOCKS_RESOLVING = "nothing-blocks-resolving"
    NOTHING_OPEN = "nothing-open"
    SECOND_LOOK = "second-look"
    NO_OPEN_DUTY = "no-open-duty"


#: Kinds of holds that no end of the incident sweeps away: a clock is never stopped silently (R13).
DUTIES = frozenset({"obligation"})

_REJECT = (Guard.REASON, Guard.NO_OPEN_DUTY, Guard.SECOND_LOOK)
_DUPLICATE = (Guard.DUPLICATE_OF, Guard.NO_CYCLE, Guard.NO_OPEN_DUTY)
_RESOLVE = (Guard.OUTLOOK, Guard.NOTHING_BLOCKS_RESOLVING)
_CLOSE = (Guard.NOTE, Guard.NOTHING_OPEN)
_UNDO = (Guard.AS_BEFORE, Guard.REASON)

TRANSITIONS: Mapping[Status, Mapping[Status, tuple[Guard, ...]]] = {
    Status.REPORTED: {Status.TRIAGE: (), Status.DUPLICATE: _DUPLICATE, Status.REJECTED: _REJECT},
    Status.TRIAGE: {Status.ACTIVE: (), Status.REJECTED: _REJECT, Status.DUPLICATE: _DUPLICATE},
    Status.ACTIVE: {Status.MONITORING: (), Status.RESOLVED: _RESOLVE, Status.DUPLICATE: _DUPLICATE},
    Status.MONITORING: {Status.ACTIVE: (), Status.RESOLVED: _RESOLVE, Status.DUPLICATE: _DUPLICATE},
    Status.RESOLVED: {Status.CLOSED: _CLOSE, Status.ACTIVE: ()},
    Status.CLOSED: {Status.ACTIVE: (Guard.REASON,)},
    Status.REJECTED: {},
    Status.DUPLICATE: {
        Status.REPORTED: _UNDO, Status.TRIAGE: _UNDO, Status.ACTIVE: _UNDO, Status.MONITORING: _UNDO,
    },  # fmt: skip
}

TO_STIX: Mapping[Status, str] = {
    Status.REPORTED: "new",
    Status.TRIAGE: "open",
    Status.ACTIVE: "open",
    Status.MONITORING: "open",
    Status.RESOLVED: "open",
    Status.CLOSED: "closed",
    Status.REJECTED: "closed",
    Status.DUPLICATE: "closed",
}

OPEN_STATUSES = frozenset(status for status, stix in TO_STIX.items() if stix != "closed")


def to_stix(status: Status) -> str:
    """The investigation_status of the STIX incident core extension."""
    return TO_STIX[status]


def next_statuses(status: Status, *, before: Status | None = None) -> tuple[Status, ...]:
    """The states that can follow, in the order of the table. A duplicate goes back only to what it was `before`."""
    if status is Status.DUPLICATE:
        return (before,) if before else ()
    return tuple(TRANSITIONS[status])


@dataclass(frozen=True)
class OpenHold:
    """Work that is still open, as the guards see it: a copy of an unsettled hold's row."""

    kind: str
    id: str
    text: str
    blocks: Blocks


@dataclass(frozen=True, kw_only=True)
class Change:
    """The transition asked for. `duplicate_of` is the id or reference of the incident that stays."""

    target: Status
    actor: str
    reason: str = ""
    note: str = ""
    outlook: Outlook | None = None
    duplicate_of: str | None = None


@dataclass(frozen=True, kw_only=True)
class Situation:
    """The incident as its row lock shows it.

    `id` is what `Change.duplicate_of` is compared with; `duplicate_chain` holds what one meets when `duplicate_of` is
    followed from the incident that stays; `rejection_asked_by` is who asked for the rejection before, if anybody did;
    `before` is what a duplicate was before it was marked.
    """

    id: str
    status: Status
    outlook: Outlook | None = None
    humanitarian_flags: Collection[str] = ()
    holds: Collection[OpenHold] = ()
    duplicate_chain: Collection[str] = ()
    rejection_asked_by: str | None = None
    before: Status | None = None


def check_transition(situation: Situation, change: Change) -> None:
    """Returns when every guard is content.

    Raises Refused (409) with everything that stands in the way, or Invalid (422) where only fields of the request are
    missing. An incident with humanitarian flags is rejected by two people: the first one's asking is refused with the
    blocker `second-look`, recorded by the caller, and another person's asking then passes.
    """
    guards = TRANSITIONS[situation.status].get(change.target)
    if guards is None:
        raise Refused(_no_way(situation, change.target))
    missing = [fault for guard in guards for fault in _missing(guard, situation, change)]
    blockers = [blocker for guard in guards for blocker in _blockers(guard, situation, change)]
    if blockers:
        also = "".join(f" {fault.detail}" for fault in missing)
        raise Refused(f"Something is still in the way of {change.target}.{also}", blocked_by=blockers)
    if missing:
        raise Invalid(missing)


def _no_way(situation: Situation, target: Status) -> str:
    status = situation.status
    ways = ", ".join(next_statuses(status, before=situation.before))
    if status == target:
        return f"The incident is {status} already."
    return f"From {status} an incident can become {ways}." if ways else f"Nothing follows {status}."


def _missing(guard: Guard, situation: Situation, change: Change) -> Iterable[Fault]:
    if guard is Guard.OUTLOOK and not (change.outlook or situation.outlook):
        yield Fault("/outlook", "Send the outlook for the next six hours: improving, stable or worsening.")
    if guard is Guard.NOTE and not change.note.strip():
        yield Fault("/note", "Write a closing note: what happened, what was done.")
    if guard is Guard.REASON and not change.reason.strip():
        yield Fault("/reason", "Give the reason.")
    if guard is Guard.DUPLICATE_OF and not change.duplicate_of:
        yield Fault("/duplicate_of", "Name the incident that stays.")


def _blockers(guard: Guard, situation: Situation, change: Change) -> Iterable[Blocker]:
    if guard is Guard.NOTHING_BLOCKS_RESOLVING:
        yield from (_blocker(hold) for hold in situation.holds if hold.blocks is Blocks.RESOLVE)
    if guard is Guard.NOTHING_OPEN:
        yield from map(_blocker, situation.holds)
    if guard is Guard.NO_OPEN_DUTY:
        yield from (_blocker(hold) for hold in situation.holds if hold.kind in DUTIES)
    if guard is Guard.AS_BEFORE and change.target is not situation.before:
        text = f"It was {situation.before or 'something else'} before it was marked: it goes back to that."
        yield Blocker("incident", situation.id, text)
    if guard is Guard.NO_CYCLE and change.duplicate_of:
        yield from _cycle(situation, change.duplicate_of)
    if guard is Guard.SECOND_LOOK and situation.humanitarian_flags:
        yield from _second_look(situation, change)


def _blocker(hold: OpenHold) -> Blocker:
    return Blocker(hold.kind, hold.id, hold.text)


def _cycle(situation: Situation, duplicate_of: str) -> Iterable[Blocker]:
    if duplicate_of == situation.id:
        yield Blocker("incident", duplicate_of, "An incident cannot be a duplicate of itself.")
    elif situation.id in situation.duplicate_chain:
        yield Blocker("incident", duplicate_of, "That incident is itself marked as a duplicate of this one.")


def _second_look(situation: Situation, change: Change) -> Iterable[Blocker]:
    if situation.rejection_asked_by in (None, change.actor):
        flags = ", ".join(sorted(situation.humanitarian_flags))
        yield Blocker("second-look", situation.id, f"Flagged {flags}: a second person must ask for the rejection too.")


# ---------------------------------------------------------------- severity, labels, who may see it


@dataclass(frozen=True)
class SeveritySuggestion:
    """A level 0 to 5 that a rule proposes, and the flags that raised it. A person accepts or overrules it."""

    level: int
    raised_by: tuple[str, ...] = ()


def suggest_severity(stated: int | None, flags: Collection[str]) -> SeveritySuggestion | None:
    """The stated level, raised to the floor of the humanitarian flags; None where neither says anything."""
    floor = vocabulary.severity_floor(flags)
    if floor <= (stated or 0):
        return None if stated is None else SeveritySuggestion(stated)
    raised_by = sorted(flag for flag in flags if vocabulary.severity_floor([flag]) == floor)
    return SeveritySuggestion(floor, tuple(raised_by))


def check_severity(reason: str) -> None:
    """A manual level wins over every computed one, below a floor too, but never without a reason. Raises Invalid."""
    if not reason.strip():
        raise Invalid([Fault("/reason", "Give the reason for this severity.")])


def life_at_risk(flags: Collection[str]) -> bool:
    """Whether a person of our own is told at once, before any rule on release is looked at (R29)."""
    return "life-at-risk" in flags


def opening_tlp(tlp: Tlp, flags: Collection[str]) -> Tlp:
    """The label an incident opens with: the sender's, raised where a flag asks for it."""
    floor = vocabulary.tlp_floor(flags)
    return tlp if floor is None else max(tlp, parse_tlp(floor))


def check_tlp_change(current: Tlp, new: Tlp, *, by_originator: bool) -> None:
    """Anybody raises a label, only its originator lowers it (R06, TLP 2.0). Raises Refused."""
    if new < current and not by_originator:
        raise Refused("Only the originator can lower this label: ask for consent, or leave it.")


def opens_restricted(tlp: Tlp, endpoint_restricted: bool) -> bool:
    """Whether the incident is seen by its named recipients or the duty roster only, from the first transaction on."""
    return endpoint_restricted or tlp is Tlp.RED


# ---------------------------------------------------------------- instants

REPORT_INSTANTS = ("occurred_at", "detected_at", "noticed_at", "aware_at")
INSTANTS = (*REPORT_INSTANTS, "ended_at")

#: The facts on which a person may choose between sources. `aware_at` is not among them: the earliest counts (I7).
CHOOSABLE_INSTANTS = ("occurred_at", "detected_at", "noticed_at")
FACTS = (*CHOOSABLE_INSTANTS, "severity", "classification", "sectors", "states_affected", "suspected_malicious",
         "cross_border", "humanitarian_flags")  # fmt: skip

FIDELITIES: Mapping[str, timedelta] = {
    "second": timedelta(0),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "month": timedelta(days=31),
    "year": timedelta(days=366),
}

_ORDER = (
    ("occurred_at", "detected_at"),
    ("occurred_at", "noticed_at"),
    ("occurred_at", "aware_at"),
    ("occurred_at", "ended_at"),
    ("detected_at", "noticed_at"),
    ("detected_at", "aware_at"),
    ("noticed_at", "aware_at"),
)


def clock_order_flags(instants: Mapping[str, object], *, now: datetime | None = None) -> list[str]:
    """What contradicts itself (I8): `occurred_at-after-detected_at`; where `now` is given, `noticed_at-in-the-future`.

    `instants` maps the names of INSTANTS to aware datetimes and `<name>_fidelity` to a fidelity; what is absent or None
    is not known and contradicts nothing. Two instants contradict only if they do so beyond the fidelity of both.
    """
    known = {name: value for name in INSTANTS if isinstance(value := instants.get(name), datetime)}
    slack = {name: FIDELITIES[str(instants.get(f"{name}_fidelity") or "second")] for name in known}
    found = [
        f"{first}-after-{second}"
        for first, second in _ORDER
        if first in known and second in known and known[first] - slack[first] > known[second] + slack[second]
    ]
    if now is not None:
        found += [f"{name}-in-the-future" for name, instant in known.items() if instant - slack[name] > now]
    return found
