"""What an agreement lets us do, in plain sentences, each with its clause; and what no agreement covers. Pure.

It explains; the sharing decision reads the terms themselves (rules.to_decision_input), never these sentences.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coordinator import vocabulary

#: What coordination cannot do without: a partner for which one of these is missing is a gap.
WATCHED = ("incident-notification", "situational-report", "technical-indicators", "vulnerability",
           "mitigation-guidance", "request")  # fmt: skip


@dataclass(frozen=True)
class Sentence:
    """`clause` is the clause of the text the rule rests on, "" where the register names none."""

    text: str
    clause: str = ""


def explain(terms: Mapping[str, Any], *, own: str) -> list[Sentence]:
    """What the agreement lets `own` (our organisation's code) do and what it asks of it."""
    clauses = terms.get("clause_refs") or {}
    said = [*_flows(terms, own), *_limits(terms), *_duties(terms)]
    return [Sentence(text, ", ".join(clauses[each] for each in fields.split() if each in clauses))
            for fields, text in said]  # fmt: skip


def gaps(covered: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Partner's code -> watched categories that no live agreement covers for it; partners without a gap are left out.

    `covered`: partner's code -> categories that live agreements let us give it.
    """
    found = {code: [each for each in WATCHED if each not in set(categories)] for code, categories in covered.items()}
    return {code: missing for code, missing in found.items() if missing}


def _flows(terms: Mapping[str, Any], own: str) -> list[tuple[str, str]]:
    parties = {party["party"]: party["role"] for party in terms.get("parties", ())}
    mine, others = parties.pop(own, ""), parties
    if not mine:
        return [("parties", "We are no party: nothing may flow from us under it.")]
    receive = [code for code, role in others.items() if role in ("recipient", "both")]
    give = [code for code, role in others.items() if role in ("provider", "both")]
    allowed = [each for each in terms.get("info_categories_allowed", ())
               if each not in (terms.get("info_categories_excluded") or ())]  # fmt: skip
    what = f"{_names(vocabulary.INFO_CATEGORIES, allowed)}, up to TLP:{terms['tlp_ceiling']}"
    said = []
    if mine in ("provider", "both") and receive:
        said.append(("info_categories_allowed tlp_ceiling", f"We may give {_list(receive)}: {what}."))
    if mine in ("recipient", "both") and give:
        said.append(("parties info_categories_allowed tlp_ceiling", f"{_list(give)} may give us: {what}."))
    if not said:
        said.append(("parties", "Nothing flows: nobody gives where the other receives."))
    return said


def _limits(terms: Mapping[str, Any]) -> list[tuple[str, str]]:
    said = [("permitted_purposes", f"For: {_names(vocabulary.PURPOSES, terms.get('permitted_purposes'))}.")]
    if terms.get("info_categories_excluded"):
        named = _names(vocabulary.INFO_CATEGORIES, terms["info_categories_excluded"])
        said.append(("info_categories_excluded", f"Never: {named}. This wins over every other agreement."))
    if terms.get("prohibited_uses"):
        said.append(("prohibited_uses", f"Never for: {_names(vocabulary.PURPOSES, terms['prohibited_uses'])}."))
    personal = {
        "none": "No personal data.", "minimised": "Personal data only as far as it is needed.",
        "full": "Personal data may be in it.",
    }[terms.get("personal_data") or "none"]  # fmt: skip
    basis = f" The legal basis: {terms['legal_basis']}." if terms.get("legal_basis") else ""
    said.append(("personal_data", personal + basis))
    onward = terms.get("onward_sharing") or "none"
    said.append(("onward_sharing", f"The recipient passes it on: {vocabulary.ONWARD_SHARING.label(onward).lower()}."))
    if terms.get("third_party_rule"):
        said.append(("third_party_rule", "To a third party only with the originator's written consent, given before."))
    return said


_DURATIONS = (
    ("retention_max", "It may be kept for at most {}."),
    ("request_answer_due", "A request is to be answered within {}."),
    ("breach_report_due", "Loss or disclosure is to be reported within {}."),
    ("termination_notice", "It is ended with a notice of {}."),
)
_UNITS = {"Y": "year", "M": "month", "W": "week", "D": "day"}
_TIMES = {"H": "hour", "M": "minute", "S": "second"}


def _duties(terms: Mapping[str, Any]) -> list[tuple[str, str]]:
    said = [(field, text.format(in_words(terms[field]))) for field, text in _DURATIONS if terms.get(field)]
    if terms.get("encryption_in_transit") == "must":
        said.append(("encryption_in_transit", "It must be encrypted on its way."))
    if terms.get("attribution_rule") in ("must", "must-not"):
        text = "The source must be named." if terms["attribution_rule"] == "must" else "The source must not be named."
        said.append(("attribution_rule", text))
    destroyed = {"expiry": "when it expires", "termination": "when it is ended", "request": "when asked to"}
    if terms.get("destruction_on") in destroyed:
        proof = ", with a certificate" if terms.get("destruction_certificate") else ""
        said.append(("destruction_on", f"What was given is destroyed {destroyed[terms['destruction_on']]}{proof}."))
    if terms.get("survives_termination"):
        said.append(("survives_termination", f"After its end these stay: {_list(terms['survives_termination'])}."))
    return [*said, *_ways(terms)]


_NAMED = (
    ("notification_duties", "It brings these duties to notify: {}."),
    ("points_of_contact", "Its points of contact: {}."),
    ("channels", "It names these channels: {}."),
    ("languages", "It is carried out in: {}."),
)


def _ways(terms: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What it says of who, how and in which language, of its renewal and of disputes."""
    said = [(field, text.format(_list(terms[field]))) for field, text in _NAMED if terms.get(field)]
    if terms.get("renewal") == "automatic":
        longer = f" for {in_words(terms['renewal_period'])}" if terms.get("renewal_period") else ""
        said.append(("renewal", f"It renews by itself{longer}, unless somebody objects in time."))
    elif terms.get("renewal") == "by-exchange-of-notes":
        said.append(("renewal", "It is renewed by an exchange of notes."))
    if terms.get("dispute_settlement"):
        how = "by consultation" if terms["dispute_settlement"] == "consultation" else "in another way than consultation"
        said.append(("dispute_settlement", f"Disputes are settled {how}."))
    return said


def in_words(duration: str) -> str:
    """An ISO 8601 duration as a person says it: `P1Y6M` is `1 year and 6 months`."""
    day, _, time = duration.removeprefix("P").partition("T")
    parts = [*_parts(day, _UNITS), *_parts(time, _TIMES)]
    return _list(parts) or duration


def _parts(text: str, units: Mapping[str, str]) -> list[str]:
    found, number = [], ""
    for each in text:
        if each.isdigit():
            number += each
        else:
            found.append(f"{number} {units.get(each, each)}{'' if number == '1' else 's'}")
            number = ""
    return found


def _names(table: Any, codes: Sequence[str] | None) -> str:
    return _list([table.label(code).lower() if code in table else code for code in codes or ()]) or "nothing"


def _list(words: Sequence[str]) -> str:
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
