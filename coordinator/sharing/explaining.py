"""Why a decision was as it was: each reason with what exactly gave it, what would have to change, and who can. Pure.

A reason is a sentence for every case of its kind; what stands beside it here is this case: whose item, which category,
which of the causes for a second person. It is worked out from what the decision was made on, so that a decision of last
year explains itself by what held then. Of an agreement nothing is told but what does not fit under it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from coordinator.sharing.composed import Inputs
from coordinator.sharing.inputs import OWN, RANKS, Agreement, Item, MalformedCase, Recipient
from coordinator.sharing.remedies import CHANGED_BY, CONSENT, DIRECTORY, ORIGINATOR, ORIGINATOR_IS_US, UNKNOWN
from coordinator.sharing.rules import decide, second_person_causes
from coordinator.sharing.wording import CAUSES, explain
from coordinator.vocabulary import INFO_CATEGORIES, PURPOSES, Vocabulary

#: Where an input is changed: nowhere in particular, by a consent, or in the points of contact of the recipient.
NOWHERE, BY_CONSENT, IN_CONTACTS = "", "consent", "contacts"


@dataclass(frozen=True)
class Asked:
    """What a decision was asked about. The first of `items` is the text itself, the others are its parts."""

    items: tuple[Item, ...]
    recipient: Recipient
    purpose: str
    agreements: Mapping[str, Agreement]
    fixed_text: bool
    now: datetime

    @classmethod
    def of(cls, inputs: Inputs, now: datetime) -> Asked:
        """Of inputs in hand."""
        agreements = {each.id: each for each in inputs.agreements}
        items = tuple(dict.fromkeys(inputs.items))
        return cls(items, inputs.recipient, inputs.purpose, agreements, inputs.fixed_text, now)

    @classmethod
    def read(cls, stored: Mapping[str, Any], now: datetime) -> Asked | None:
        """Of inputs as a decision keeps them (Inputs.to_json). None where they are of a form that is read no more."""
        try:
            agreements = [_agreement(each) for each in stored["agreements"]]
            return cls(
                tuple(dict.fromkeys(Item.from_json(each) for each in stored["items"])),
                Recipient.from_json(stored["recipient"]), stored["purpose"], {each.id: each for each in agreements},
                bool(stored.get("fixed_text")), now,
            )  # fmt: skip
        except (KeyError, TypeError, MalformedCase):
            return None

    def giving(self, code: str) -> list[Item]:
        """The items that alone would give this reason; none for a reason that lies in the whole."""
        return [each for each in self.items if code in self._said(each).reasons]

    def label(self, item: Item) -> str:
        return self._said(item).effective_tlp

    def _said(self, item: Item) -> Any:
        return decide(item, self.recipient, self.purpose, list(self.agreements.values()), self.now, OWN, ())


def _agreement(stored: Mapping[str, Any]) -> Agreement:
    return Agreement.from_json({name: value for name, value in stored.items() if name != "version"})


def reasons(codes: Iterable[str], asked: Asked | None) -> list[dict[str, Any]]:
    """Each reason (D-, R-) as {code, text, because [sentence], changed_by, change: "", consent or contacts, clause: of
    the agreement it goes under, for the caller to fill in}.

    `because` is empty where the sentence says it all, or `asked` is None.
    """
    return [_reason(code, asked) for code in codes]


def problems(found: Mapping[str, Sequence[str]], asked: Asked | None) -> list[dict[str, Any]]:
    """Each problem (A-) of each agreement as {agreement, code, text, because, changed_by}."""
    return [
        {"agreement": key, "code": code, "text": sentence(code), "because": _of_agreement(code, key, asked),
         "changed_by": CHANGED_BY.get(code, UNKNOWN)}
        for key, codes in found.items()
        for code in codes
    ]  # fmt: skip


def sentence(code: str) -> str:
    """What a code says; one of another policy version as it is."""
    try:
        return explain(code)
    except KeyError:
        return code


def _reason(code: str, asked: Asked | None) -> dict[str, Any]:
    by = CHANGED_BY.get(code, UNKNOWN)
    items = asked.giving(code) if asked is not None else []
    because = _BECAUSE[code](asked, items) if asked is not None and code in _BECAUSE else []
    if asked is not None and by in (ORIGINATOR, CONSENT) and items:
        because = [*because, *_whose(items)]
        by = ORIGINATOR_IS_US if {each.originator for each in items} == {OWN} else by
    change = {CONSENT: BY_CONSENT, DIRECTORY: IN_CONTACTS}.get(by, NOWHERE)
    return {"code": code, "text": sentence(code), "because": because, "changed_by": by, "change": change,
            "clause": ""}


def _whose(items: Iterable[Item]) -> list[str]:
    others = sorted({each.originator for each in items} - {OWN})
    return [f"It came from {', '.join(others)}."] if others else []


def _second_person(asked: Asked, items: list[Item]) -> list[str]:
    causes = {cause for each in items for cause in second_person_causes(each, asked.recipient)}
    said = [CAUSES[cause] for cause in ("label", "attribution") if cause in causes]
    if "received" in causes:
        said += _whose(each for each in items if "received" in second_person_causes(each, asked.recipient))
    said += [CAUSES["public"]] if asked.recipient.type == "public" else []
    return said + ([CAUSES["fixed"]] if asked.fixed_text else [])


def _asked_for(asked: Asked, items: list[Item]) -> list[str]:
    if not items:
        return []
    labels = {asked.label(each) for each in items}
    said = [*_named(INFO_CATEGORIES, (each.info_category for each in items)), *sorted(f"TLP:{each}" for each in labels)]
    return [f"Asked for: {', '.join(said)}; {PURPOSES.label(asked.purpose) if asked.purpose in PURPOSES else '–'}."]


def _sources(asked: Asked, items: list[Item]) -> list[str]:
    return _whose(asked.items)


def _until(asked: Asked, items: list[Item]) -> list[str]:
    ends = [each.embargo_until for each in items if each.embargo_until is not None]
    return [f"It ends {_instant(max(ends))}."] if ends else []


def _policy_dates(asked: Asked, items: list[Item]) -> list[str]:
    policies = [each.iep for each in items if each.iep is not None]
    starts = [each.start_date for each in policies if each.start_date and asked.now < each.start_date]
    ends = [each.end_date for each in policies if each.end_date and asked.now >= each.end_date]
    said = [f"It begins {_instant(max(starts))}."] if starts else []
    return said + ([f"It ended {_instant(min(ends))}."] if ends else [])


def _encryption(asked: Asked, items: list[Item]) -> list[str]:
    """By which policy or agreement: an agreement asks it of the whole, so that no item alone gives the reason."""
    return ["Here: the exchange policy."] if items else ["Here: the agreement."]


def _lists(asked: Asked, items: list[Item]) -> list[str]:
    lists = [each.rel_to for each in items if each.rel_to is not None]
    allowed = sorted(frozenset.intersection(*lists) - {OWN}) if lists else []
    return [f"Released to: {', '.join(allowed) or 'nobody else'}."] if lists else []


#: What is said of a reason in this case, beside whose it is.
_BECAUSE: Mapping[str, Callable[[Asked, list[Item]], list[str]]] = {
    "R-TWO-PERSON": _second_person,
    "D-NO-AGREEMENT": _asked_for,
    "D-AGREEMENT-PROHIBITS": _asked_for,
    "D-EMBARGO": _until,
    "D-SOURCE-NAMED": _sources,
    "D-SOURCE-WITHHELD": _sources,
    "D-REL-LIST": _lists,
    "D-ENCRYPT": _encryption,
    "R-IEP-DATES": _policy_dates,
}


def _of_agreement(code: str, key: str, asked: Asked | None) -> list[str]:
    agreement = asked.agreements.get(key) if asked is not None else None
    if asked is None or agreement is None:
        return []
    categories = {each.info_category for each in asked.items}
    if code == "A-CATEGORY":
        wrong = _named(INFO_CATEGORIES, categories - agreement.categories)
    elif code == "A-CATEGORY-EXCLUDED":
        wrong = _named(INFO_CATEGORIES, categories & agreement.categories_excluded)
    elif code in ("A-PURPOSE", "A-PURPOSE-PROHIBITED"):
        wrong = _named(PURPOSES, [asked.purpose])
    elif code == "A-TLP-CEILING":
        labels = {asked.label(each) for each in asked.items}
        wrong = [f"TLP:{each}" for each in sorted(labels) if RANKS[each] > RANKS[agreement.tlp_ceiling]]
    else:
        wrong = []
    return [f"Here: {', '.join(wrong)}."] if wrong else []


def _named(names: Vocabulary, codes: Iterable[str]) -> list[str]:
    return [names.label(code) if code in names else code for code in sorted(set(codes))]


def _instant(at: datetime) -> str:
    return f"{at:%-d %b %Y, %H:%M} UTC"
