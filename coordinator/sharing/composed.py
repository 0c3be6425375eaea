"""A text made of parts, decided as a whole: every part is asked about, and the strictest answer holds. Pure.

A marking says how a part may be handled, not whose it is. Where an alert carries what A told us beside our own words,
A's rules bind the whole, so each part is put to the same question under the marking of the whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any

from coordinator.markings import Marking
from coordinator.outside.canonical_json import canonical
from coordinator.sharing.fitting import Book
from coordinator.sharing.inputs import OWN, Agreement, Item, Recipient
from coordinator.sharing.policy_line import policy_line
from coordinator.sharing.rules import POLICY_VERSION, Decision, decide, result_of

#: How long a decision may be used when nothing it was made on changes (I1).
LIFE = timedelta(hours=1)


@dataclass(frozen=True)
class Inputs:
    """Everything one decision is made on. The first of `items` is the text itself, the others are its parts."""

    items: tuple[Item, ...]
    recipient: Recipient
    purpose: str
    agreements: tuple[Agreement, ...]
    versions: Mapping[str, int]
    requested_by: str
    approvals: frozenset[str]
    approvals_end: tuple[datetime, ...]
    content_digest: str
    way: str = ""  # digest of the address itself
    label_raised: bool = False  # what it was made from is bound more strictly by now
    recalled: bool = False  # this recipient was asked to delete it
    fixed_text: bool = False  # a text that two persons clear beforehand, whatever its label
    files: frozenset[str] = frozenset()  # of the files that go along: some "uncleaned", some "drawn"
    legal_word: bool = False  # a legal adviser who did not ask for it approved exactly this
    source_named: bool = False  # it may name an originator whom an agreement says not to name
    must_name: bool = False  # an agreement with an originator says to name them

    def to_json(self) -> dict[str, Any]:
        """Plain data, the same for the same inputs; kept with the decision. Ids and codes, never the text."""
        return {
            "items": [item.to_json() for item in self.items],
            "recipient": self.recipient.to_json(),
            "purpose": self.purpose,
            "agreements": [
                {**agreement.to_json(), "version": self.versions.get(agreement.id)} for agreement in self.agreements
            ],
            "requested_by": self.requested_by,
            "approvals": sorted(self.approvals),
            "content_digest": self.content_digest,
            "way": self.way,
            "label_raised": self.label_raised,
            "recalled": self.recalled,
            "fixed_text": self.fixed_text,
            "files": sorted(self.files),
            "legal_word": self.legal_word,
            "source_named": self.source_named,
            "must_name": self.must_name,
            "policy_version": POLICY_VERSION,
        }

    def digest(self) -> str:
        """SHA-256 over the JCS form (RFC 8785) of the inputs, as hex."""
        return hashlib.sha256(canonical(self.to_json())).hexdigest()


def judge(inputs: Inputs, now: datetime, *, book: Book | None = None) -> Decision:
    """The decision on the whole. The agreement named is the one for the text itself. `book`: of these very agreements,
    where they are asked about more than once.

    R-LEGAL asks for a legal adviser, so it is answered by the approval of one: nothing else in the inputs could.
    """
    book = book or Book(inputs.agreements)
    answers = [
        decide(item, inputs.recipient, inputs.purpose, book, now, inputs.requested_by, inputs.approvals)
        for item in dict.fromkeys(inputs.items)
    ]
    first = answers[0]
    under = _under(inputs, answers)
    reasons = {reason for answer in answers for reason in answer.reasons}
    reasons |= _of_the_whole(inputs) | _of_the_agreements(inputs, under) | _of_personal_data(inputs, under, now)
    reasons -= {"R-LEGAL"} if inputs.legal_word else set()
    owed = _owed({each for answer in answers for each in answer.obligations}, inputs, under)
    problems = {key: answer.agreement_problems[key] for answer in answers for key in answer.agreement_problems}
    return Decision(
        result=result_of(reasons),
        reasons=tuple(sorted(reasons)),
        obligations=tuple(sorted(owed)),
        effective_tlp=first.effective_tlp,
        agreement=first.agreement,
        agreement_problems=problems,
    )


def _under(inputs: Inputs, answers: Iterable[Decision]) -> list[Agreement]:
    """The agreements it goes under. What anyone may have needs none, and is not bound by one."""
    chosen = {answer.agreement for answer in answers if answer.effective_tlp != "CLEAR"}
    return [each for each in inputs.agreements if each.id in chosen]


def _of_the_agreements(inputs: Inputs, under: Iterable[Agreement]) -> set[str]:
    """What the agreements it goes under demand of the whole: encryption on its way (encryption_in_transit), a source
    that may be named (attribution_rule)."""
    found = set()
    if any(each.encryption == "must" for each in under) and not inputs.recipient.channel.encrypted:
        found.add("D-ENCRYPT")
    withheld = any(_withheld(item) and item.originator != inputs.recipient.party for item in inputs.items)
    if withheld and any(each.attribution == "must" for each in under):
        found.add("D-SOURCE-WITHHELD")
    return found


def _owed(owed: set[str], inputs: Inputs, under: Iterable[Agreement]) -> set[str]:
    """What binds whoever receives it, with what the agreements add. Not to name the source outweighs to name it."""
    rules = {each.attribution for each in under}
    if any(each.encryption == "must" for each in under):
        owed.add("O-ENCRYPT")
    for each in under:
        if each.destruction not in (None, "none"):
            owed |= {f"O-DESTROY-{each.destruction}"} | ({"O-DESTROY-certificate"} if each.certificate else set())
    owed |= {f"O-DELETE-BY-{min(dates):%Y-%m-%d}"} if (dates := _deletion_dates(inputs.items)) else set()
    if "must-not" in rules:
        owed.add("O-NO-ATTRIBUTION")
    if "must" in rules or inputs.must_name:
        owed.add("O-ATTRIBUTE")
    return owed - {"O-ATTRIBUTE"} if "O-NO-ATTRIBUTION" in owed else owed


def _of_personal_data(inputs: Inputs, under: Iterable[Agreement], now: datetime) -> set[str]:
    """Personal data leaves with a day by which it is deleted: its own, or the one that an agreement's retention makes;
    and not once that day is reached (R20)."""
    if inputs.recipient.party == OWN:
        return set()
    kept_at_most = any(each.retention_max for each in under)
    held = [item for item in inputs.items if item.personal_data]
    undated = not kept_at_most and any(item.pd_delete_by is None for item in held)
    return {"D-PERSONAL-DATA-DATE"} if undated or any(date <= now for date in _deletion_dates(held)) else set()


def _deletion_dates(items: Iterable[Item]) -> list[datetime]:
    return [item.pd_delete_by for item in items if item.personal_data and item.pd_delete_by is not None]


def _withheld(item: Item) -> bool:
    return item.no_attribution or (item.iep is not None and item.iep.attribution == "must-not")


#: Reasons that no single part gives.
WHOLE_REASONS = ("D-FILE-UNCLEANED", "D-LABEL-RAISED", "D-PERSONAL-DATA-DATE", "D-RECALLED", "D-SOURCE-NAMED",
                 "D-SOURCE-WITHHELD", "R-FILE-UNCLEANED", "R-FILE-UNREAD", "R-TWO-PERSON")  # fmt: skip


def _of_the_whole(inputs: Inputs) -> set[str]:
    """Reasons that lie in how the text came about, not in any one part of it."""
    found = set()
    if inputs.label_raised:
        found.add("D-LABEL-RAISED")
    if inputs.recalled:
        found.add("D-RECALLED")
    if inputs.source_named and inputs.recipient.party != OWN:
        found.add("D-SOURCE-NAMED")
    # Whatever the parts say, a public exit needs the release authority's word on exactly that text (R17), and a text
    # cleared beforehand its two persons: R-TWO-PERSON is the release authority's to lift.
    asks = inputs.fixed_text or inputs.recipient.type == "public"
    second = any(each != inputs.requested_by for each in inputs.approvals)
    if asks and not second:
        found.add("R-TWO-PERSON")
    return found | _of_the_files(inputs, second=second)


def _of_the_files(inputs: Inputs, *, second: bool) -> set[str]:
    """A file as it came, or one in which no machine can look for the name of a source that is withheld (R21)."""
    unnamed = any(_withheld(item) for item in inputs.items)
    found = set()
    if "uncleaned" in inputs.files and unnamed:
        found.add("D-FILE-UNCLEANED")
    if "uncleaned" in inputs.files and not second:
        found.add("R-FILE-UNCLEANED")
    if "drawn" in inputs.files and unnamed and not second:
        found.add("R-FILE-UNREAD")
    return found


def valid_until(inputs: Inputs, now: datetime) -> datetime:
    """When the decision has to be made anew: in an hour, or when the next of the dates it was made on is reached."""
    held = (inputs.items, inputs.recipient, inputs.agreements, inputs.approvals_end)
    return min([now + LIFE, *(instant for instant in _instants(held) if instant > now)])


def content_digest(
    *,
    kind: str,
    title: str,
    body: str,
    marking: Marking,
    purpose: str,
    reply_by: str | None,
    language: str,
    exercise: str,
    items: Iterable[str],
) -> str:
    """What an approval is bound to: SHA-256 over the JCS form of what is said, never of what is particular to one
    recipient. `items` are `item@version`; `reply_by` is RFC 3339."""
    said = {
        "kind": kind, "title": title, "body": body, "marking": marking.to_json(), "purpose": purpose,
        "handling": handling(marking), "reply_by": reply_by, "language": language, "exercise": exercise,
        "items": sorted(items),
    }  # fmt: skip
    return hashlib.sha256(canonical(said)).hexdigest()


def part_name(item: str, version: int, *, enclosed: bool, file: str = "") -> str:
    """A part as the content digest names it. That one goes along whole is part of what is approved, and so is the
    digest of the very bytes of a `file`."""
    return f"{item}@{version}" + ("+enclosed" if enclosed else "") + (f"+file:{file}" if file else "")


def handling(marking: Marking) -> list[str]:
    """The caveats that travel with the text, in words a person can read on any page."""
    said = []
    if marking.orcon:
        said.append("ORIGINATOR CONTROLLED")
    if marking.rel_to is not None:
        said.append("REL TO " + ", ".join(sorted(marking.rel_to)) if marking.rel_to else "NOT RELEASABLE TO OTHERS")
    if marking.no_attribution:
        said.append("NO ATTRIBUTION")
    if marking.embargo_until:
        said.append(f"EMBARGO UNTIL {marking.embargo_until.isoformat().replace('+00:00', 'Z')}")
    if marking.le_sensitive:
        said.append("LAW ENFORCEMENT SENSITIVE")
    if marking.personal_data:
        dated = f", DELETE BY {marking.pd_delete_by:%Y-%m-%d}" if marking.pd_delete_by else ""
        said.append(f"PERSONAL DATA{dated}")
    return said + ([policy] if (policy := policy_line(marking.policy_told)) else [])


def _instants(value: Any) -> Iterable[datetime]:
    """Every instant anywhere in the inputs: a rule that turns on a date changes its answer there and nowhere else."""
    if isinstance(value, datetime):
        yield value
    elif is_dataclass(value):
        for each in fields(value):
            yield from _instants(getattr(value, each.name))
    elif isinstance(value, (tuple, list, frozenset)):
        for each in value:
            yield from _instants(each)
