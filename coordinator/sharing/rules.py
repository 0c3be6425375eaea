"""May this item go to that recipient for that purpose now? One pure function, and every rule runs every time.

A deny cannot be overridden: only what it was decided on can change, on record. The tables in the tests hold a case for
and a case against every rule.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from coordinator.markings import UNCLASSIFIED, UNMARKED_AS, Tlp
from coordinator.sharing.fitting import NOTHING, Book
from coordinator.sharing.inputs import OWN, RANKS, Agreement, Channel, Consent, Item, MalformedCase, Recipient
from coordinator.vocabulary.shapes import codes, one, read_instant, several, text

__all__ = [
    "OWN", "POLICY_VERSION", "Agreement", "Channel", "Consent", "Decision", "Item", "MalformedCase", "Recipient",
    "Result", "decide",
]  # fmt: skip

# Recorded with every decision. Raise it with any change of a rule, so that an old decision can be told from a new one.
POLICY_VERSION = "3"

_CLEAR, _GREEN, _AMBER, _STRICT, _RED = (level.rank for level in Tlp)
_LABELS = tuple(level.value for level in Tlp)


class Result(StrEnum):
    PERMIT = "permit"
    REFER = "refer"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided and why. `agreement` is the first that fits, by id; the problems are those of the others."""

    result: Result
    reasons: tuple[str, ...]
    obligations: tuple[str, ...]
    effective_tlp: str
    agreement: str | None
    agreement_problems: Mapping[str, tuple[str, ...]]

    def to_json(self) -> dict[str, Any]:
        return {
            "result": self.result.value,
            "reasons": list(self.reasons),
            "obligations": list(self.obligations),
            "effective_tlp": self.effective_tlp,
            "agreement": self.agreement,
            "agreement_problems": {id_: list(problems) for id_, problems in self.agreement_problems.items()},
        }


def decide(
    item: Item | Mapping[str, Any],
    recipient: Recipient | Mapping[str, Any],
    purpose: str | None,
    agreements: Book | Sequence[Agreement | Mapping[str, Any]],
    now: datetime,
    requested_by: str,
    approvals: Collection[str],
) -> Decision:
    """Decides whether `item` may go to `recipient` for `purpose` at `now`, and under which obligations.

    `agreements`: as a Book where the same ones are asked about many recipients. `approvals` are the ids of the people
    who approved exactly this. Raises MalformedCase, with a JSON pointer such as `/item/embargo_until`, where an input
    cannot be used as it stands.
    """
    facts = _gather(
        _read("item", one(Item), item),
        _read("recipient", one(Recipient), recipient),
        _read("purpose", _purpose, purpose),
        _read("agreements", _agreements, agreements),
        _read("now", read_instant, now),
        _read("requested_by", text(required=True), requested_by),
        _read("approvals", codes(), approvals),
    )
    reasons = tuple(sorted(code for code, applies in RULES if applies(facts)))
    return Decision(
        result=result_of(reasons),
        reasons=reasons,
        obligations=tuple(sorted(_obligations(facts))),
        effective_tlp=_LABELS[facts.rank],
        agreement=facts.chosen.id if facts.chosen else None,
        agreement_problems=facts.problems,
    )


def _read(name: str, read: Callable[[Any], Any], value: Any) -> Any:
    try:
        return read(value)
    except MalformedCase as refusal:
        raise refusal.under(name) from None


def _purpose(value: Any) -> str:
    purpose = text()(value) or ""
    return purpose if purpose.strip() else ""


def _agreements(value: Any) -> Book:
    if isinstance(value, Book):
        return value
    agreements = several(Agreement)(value)
    if len({agreement.id for agreement in agreements}) != len(agreements):
        raise MalformedCase("", "holds two agreements with the same id")
    return Book(agreements)


def result_of(reasons: Collection[str]) -> Result:
    """Deny outweighs refer, and refer outweighs permit."""
    if any(code.startswith("D-") for code in reasons):
        return Result.DENY
    return Result.REFER if reasons else Result.PERMIT


def preferred(results: Iterable[Result]) -> int:
    """Which of several answers, one for each way in order, is the one to go by: the first permit, else the first that
    refers, else the first. Reads no further than a permit. `results` holds one at least."""
    best = 0, Result.DENY
    for place, result in enumerate(results):
        if result is Result.PERMIT:
            return place
        if result is Result.REFER and best[1] is Result.DENY:
            best = place, result
    return best[0]


@dataclass(frozen=True, slots=True)
class _Facts:
    """The words in which the rules are written."""

    item: Item
    recipient: Recipient
    purpose: str
    now: datetime
    rank: int  # of the effective label
    internal: bool
    public: bool
    received: bool  # from somebody else
    back: bool  # to the one it came from
    community: bool
    onward: bool  # received, not going back, and no consent of the originator
    second_person: bool
    chosen: Agreement | None
    problems: Mapping[str, tuple[str, ...]]
    prohibited: bool  # by an agreement that is live with this party

    @property
    def outside(self) -> bool:
        """To another organisation or person: neither our own people nor the public."""
        return not (self.internal or self.public)


def _gather(
    item: Item,
    recipient: Recipient,
    purpose: str,
    agreements: Book,
    now: datetime,
    requested_by: str,
    approvals: frozenset[str],
) -> _Facts:
    rank = _effective_rank(item)
    internal, public = recipient.party == OWN, recipient.type == "public"
    received = item.originator != OWN
    back = received and item.originator == recipient.party
    consent = any(
        given.to == recipient.party and given.purpose in ("*", purpose) and now < given.valid_until
        for given in item.consents
    )
    asked = not (internal or public)
    found = agreements.look(item, recipient.party, purpose, rank, now) if asked else NOTHING
    return _Facts(
        item=item,
        recipient=recipient,
        purpose=purpose,
        now=now,
        rank=rank,
        internal=internal,
        public=public,
        received=received,
        back=back,
        community=item.community in recipient.communities,
        onward=received and not back and not consent,
        second_person=any(approver != requested_by for approver in approvals),
        chosen=found.chosen,
        problems=found.problems,
        prohibited=found.prohibited,
    )


def _effective_rank(item: Item) -> int:
    own = UNMARKED_AS.rank if item.tlp is None else RANKS.get(item.tlp, _RED)
    return max(own, item.iep.rank) if item.iep else own


def _iep_out_of_dates(f: _Facts) -> bool:
    iep = f.item.iep
    if iep is None:
        return False
    return bool(iep.start_date and f.now < iep.start_date) or bool(iep.end_date and f.now >= iep.end_date)


def _under_embargo(f: _Facts) -> bool:
    until = f.item.embargo_until
    return until is not None and f.now < until and f.recipient.party not in f.item.embargo_set


def _without_agreement(f: _Facts) -> bool:
    needed = not (f.back or f.rank == _CLEAR or (f.rank == _GREEN and f.community))
    return f.outside and needed and f.chosen is None


def second_person_causes(item: Item, recipient: Recipient) -> frozenset[str]:
    """Why a second person has to approve this item to this recipient: label, attribution, received; empty: nobody."""
    if recipient.party == OWN:
        return frozenset()
    rank, received = _effective_rank(item), item.originator not in (OWN, recipient.party)
    causes = {
        "label": rank >= _STRICT,
        "attribution": item.info_category == "attribution-assessment",
        "received": received and rank > _CLEAR,
    }
    return frozenset(cause for cause, applies in causes.items() if applies)


def _must_encrypt(f: _Facts) -> bool:
    return f.item.iep is not None and f.item.iep.encrypt_in_transit == "must"


# "Own people too" where a rule does not ask whether it stays inside.
RULES: tuple[tuple[str, Callable[[_Facts], bool]], ...] = (
    ("D-CLASSIFIED", lambda f: f.item.secrecy != UNCLASSIFIED),
    ("R-UNMARKED", lambda f: f.item.tlp is None),
    ("D-TLP-UNKNOWN", lambda f: f.item.tlp is not None and f.item.tlp not in RANKS),
    ("R-IEP-DATES", _iep_out_of_dates),
    ("D-EXERCISE-MIX", lambda f: f.item.exercise != f.recipient.channel.exercise),
    ("D-EMBARGO", _under_embargo),
    ("D-NO-PURPOSE", lambda f: not f.purpose),
    ("D-PUBLIC", lambda f: f.public and f.rank > _CLEAR),
    ("D-RED-ORGANISATION", lambda f: f.rank == _RED and f.recipient.type != "person"),
    (
        "D-RED-NOT-NAMED",
        lambda f: f.rank == _RED and f.recipient.type == "person" and f.recipient.person not in f.item.named_recipients,
    ),
    ("D-RED-CHANNEL", lambda f: f.rank == _RED and f.recipient.channel.kind in ("webhook", "mailing-list")),
    ("D-ORCON", lambda f: f.onward and f.item.orcon and not f.internal),
    (
        "D-GREEN-COMMUNITY",
        lambda f: f.onward and f.rank == _GREEN and not (f.internal or f.recipient.client_of_own or f.community),
    ),
    ("D-AMBER-ONWARD", lambda f: f.onward and f.rank == _AMBER and not (f.internal or f.recipient.client_of_own)),
    ("D-STRICT-ONWARD", lambda f: f.onward and f.rank == _STRICT and not f.internal),
    ("D-RED-ONWARD", lambda f: f.onward and f.rank == _RED and not f.internal),
    ("D-NOT-RELEASABLE", lambda f: f.recipient.party in f.item.not_rel_to),
    (
        "D-REL-LIST",
        lambda f: f.item.rel_to is not None and not (f.internal or f.back) and f.recipient.party not in f.item.rel_to,
    ),
    ("D-PERSONAL-DATA-BASIS", lambda f: f.item.personal_data and f.item.pd_basis is None),
    ("D-AGREEMENT-PROHIBITS", lambda f: f.outside and f.rank > _CLEAR and f.prohibited),
    ("D-NO-AGREEMENT", _without_agreement),
    ("D-ENCRYPT", lambda f: _must_encrypt(f) and not f.recipient.channel.encrypted),
    (
        "D-CHANNEL-CLEAR-TEXT",
        lambda f: f.rank >= _AMBER and not f.recipient.channel.encrypted and f.recipient.channel.kind != "voice",
    ),
    ("R-LEGAL", lambda f: f.item.le_sensitive),
    ("R-STALE-POC", lambda f: not f.recipient.poc_fresh and f.outside),
    ("R-TWO-PERSON", lambda f: not f.second_person and bool(second_person_causes(f.item, f.recipient))),
)


def _obligations(f: _Facts) -> set[str]:
    """What binds whoever receives it, listed for what is refused too: it tells what a permit would carry."""
    item, iep = f.item, f.item.iep
    owed = {f"O-TLP-{_LABELS[f.rank]}"}
    if item.pap:
        owed.add(f"O-PAP-{item.pap}")
    if item.no_attribution or (iep and iep.attribution == "must-not"):
        owed.add("O-NO-ATTRIBUTION")
    if iep and iep.attribution == "must":
        owed.add("O-ATTRIBUTE")
    if f.rank >= _AMBER or _must_encrypt(f):
        owed.add("O-ENCRYPT")
    if iep and iep.affected_party_notifications == "must-not":
        owed.add("O-NO-VICTIM-NOTIFICATION")
    if iep and iep.permitted_actions in ("none", "contact-for-instruction"):
        owed.add(f"O-ACTIONS-{iep.permitted_actions}")
    if item.exercise:
        owed.add("O-EXERCISE-BANNER")
    if f.purpose:
        owed.add(f"O-PURPOSE-{f.purpose}")
    if f.chosen:
        owed.add(f"O-ONWARD-{f.chosen.onward}")
        if f.chosen.retention_max:
            owed.add(f"O-RETAIN-{f.chosen.retention_max}")
    return owed
