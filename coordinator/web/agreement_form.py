"""The form of an agreement: the register's fields in groups, as people write them, and back as the register has them.

Dates are written as days (the instant is the beginning of that day in UTC); parties one a line: code, direction, day of
signing; who signed; in which capacity. Beside each rule stands the clause it rests on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _

from coordinator import vocabulary
from coordinator.agreements.wording import in_words
from coordinator.markings import Tlp


@dataclass(frozen=True)
class Field:
    """`shape`: text, area, one, many, day, instant, flag, words (a list with blanks), lines, parties, review."""

    name: str
    label: Any
    shape: str = "text"
    choices: tuple[tuple[str, Any], ...] = ()
    hint: Any = ""
    clause: bool = False


def _of(table: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(table.choices())


_DURATION = _("ISO 8601: P1Y is a year, P30D thirty days, PT4H four hours.")
_DAY = _("YYYY-MM-DD. It counts from the beginning of that day in UTC; an end is no longer in.")

GROUPS: tuple[tuple[Any, tuple[Field, ...]], ...] = (
    (_("What it is"), (
        Field("agreement_id", _("Short name"), hint=_("Letters, digits and dashes. It never changes.")),
        Field("title", _("Title")),
        Field("reference", _("Reference"), hint="MOU-2026-014"),
        Field("kind", _("Kind"), "one", _of(vocabulary.AGREEMENT_KINDS)),
        Field("legal_status", _("Legal status"), "one", _of(vocabulary.LEGAL_STATUSES)),
        Field("parties", _("Parties"), "parties", clause=True,
              hint=_("One a line: code, then provider, recipient or both, then the day it signed; who signed; in which "
                     "capacity. FI-CSIRT both 2026-01-10; A. Virtanen; director")),
        Field("depositary_or_holder", _("Depositary or holder")),
        Field("supersedes", _("Replaces the agreement"), hint=_("The short name of the one before.")),
    )),
    (_("What may flow"), (
        Field("info_categories_allowed", _("What may be given"), "many", _of(vocabulary.INFO_CATEGORIES), clause=True),
        Field("info_categories_excluded", _("What never"), "many", _of(vocabulary.INFO_CATEGORIES), clause=True),
        Field("tlp_ceiling", _("Strictest label"), "one", tuple((one.value, f"TLP:{one.value}") for one in Tlp),
              clause=True),
        Field("permitted_purposes", _("What for"), "many", _of(vocabulary.PURPOSES), clause=True),
        Field("prohibited_uses", _("Never for"), "many", _of(vocabulary.PURPOSES), clause=True),
        Field("personal_data", _("Personal data"), "one", _of(vocabulary.PERSONAL_DATA), clause=True),
        Field("legal_basis", _("Legal basis")),
        Field("scope_description", _("Scope in words"), "area", clause=True),
    )),
    (_("How it is handled"), (
        Field("onward_sharing", _("Passing on"), "one", _of(vocabulary.ONWARD_SHARING), clause=True),
        Field("third_party_rule", _("Third parties only with prior written consent"), "flag", clause=True),
        Field("attribution_rule", _("Naming the source"), "one",
              (("may", _("May")), ("must", _("Must")), ("must-not", _("Must not"))), clause=True),
        Field("encryption_in_transit", _("Encrypted on its way"), "one", (("must", _("Must")), ("may", _("May"))),
              clause=True),
        Field("request_answer_due", _("A request is answered within"), hint=_DURATION, clause=True),
        Field("breach_report_due", _("Loss is reported within"), hint=_DURATION, clause=True),
        Field("retention_max", _("Kept at most"), hint=_DURATION, clause=True),
        Field("destruction_on", _("Destroyed"), "one",
              (("expiry", _("When it expires")), ("termination", _("When it is ended")), ("request", _("When asked")),
               ("none", _("Not"))), clause=True),
        Field("destruction_certificate", _("With a certificate"), "flag"),
        Field("survives_termination", _("What stays after the end"), "many",
              (("retention", _("Retention")), ("third-party-rule", _("Third-party rule")),
               ("confidentiality", _("Confidentiality"))), clause=True),
        Field("notification_duties", _("Duties to notify"), "words", clause=True,
              hint=_("Names of rules, with blanks between.")),
    )),
    (_("Dates"), (
        Field("signed_on", _("Signed on"), "day", hint=_("Where the parties have no days of their own.")),
        Field("effective_from", _("In force from"), "instant", hint=_DAY, clause=True),
        Field("provisional", _("Applied provisionally before everybody has signed"), "flag", clause=True),
        Field("expires_on", _("Ends on"), "instant", hint=_DAY, clause=True),
        Field("renewal", _("Renewal"), "one",
              (("automatic", _("By itself")), ("by-exchange-of-notes", _("By exchange of notes")), ("none", _("None"))),
              clause=True),
        Field("renewal_period", _("Renewed for"), hint=_DURATION),
        Field("termination_notice", _("Notice"), hint=_DURATION, clause=True),
        Field("review_due", _("To be reviewed by"), "day", clause=True),
        Field("last_reviewed", _("Last reviewed"), "review",
              hint=_("The day, then who did it: 2026-05-01 A. Virtanen")),
    )),
    (_("Who and how"), (
        Field("points_of_contact", _("Points of contact"), "words", clause=True,
              hint=_("Short names, with blanks between.")),
        Field("channels", _("Channels"), "lines", hint=_("One a line."), clause=True),
        Field("languages", _("Languages"), "words", hint="en fi", clause=True),
        Field("dispute_settlement", _("Disputes"), "one",
              (("consultation", _("Consultation")), ("other", _("Another way"))), clause=True),
    )),
)  # fmt: skip
FIELDS = {field.name: field for _title, group in GROUPS for field in group}


def written(terms: Mapping[str, Any]) -> dict[str, Any]:
    """The terms as the form shows them."""
    values: dict[str, Any] = {}
    for name, field in FIELDS.items():
        value = terms.get(name)
        if value is None:
            continue
        values[name] = _shown(field.shape, value)
    for name, clause in (terms.get("clause_refs") or {}).items():
        values[f"clause-{name}"] = clause
    return values


def read(form: Any, *, kept: Mapping[str, Any]) -> dict[str, Any]:
    """The register's data from a form. `kept`: fields of the terms before that the form does not show."""
    data = {name: value for name, value in kept.items() if name not in FIELDS and name != "clause_refs"}
    for name, field in FIELDS.items():
        value = _said(field.shape, form, name)
        if value not in ("", [], None, False):
            data[name] = value
    clauses = {name: form.get(f"clause-{name}", "").strip() for name, field in FIELDS.items() if field.clause}
    others = {name: said for name, said in (kept.get("clause_refs") or {}).items() if name not in clauses}
    data["clause_refs"] = others | {name: said for name, said in clauses.items() if said}
    return data


def _shown(shape: str, value: Any) -> Any:
    if shape == "instant":
        return value.removesuffix("T00:00:00Z")
    if shape == "words":
        return " ".join(value)
    if shape == "lines":
        return "\n".join(value)
    if shape == "parties":
        return "\n".join(_line(each) for each in value)
    if shape == "review":
        return " ".join(filter(None, (value["on"], value.get("by"))))
    return value


def _said(shape: str, form: Any, name: str) -> Any:
    text = form.get(name, "").strip()
    if shape == "many":
        return form.getlist(name)
    if shape == "flag":
        return bool(text)
    if shape == "words":
        return text.replace(",", " ").split()
    if shape == "lines":
        return [line.strip() for line in text.splitlines() if line.strip()]
    if shape == "instant":
        return f"{text}T00:00:00Z" if len(text) == 10 else text
    if shape == "parties":
        return [_party(line) for line in text.splitlines() if line.strip()]
    if shape == "review":
        day, _blank, by = text.partition(" ")
        return ({"on": day} | ({"by": by.strip()} if by.strip() else {})) if text else None
    return text.replace("\r\n", "\n")


def _party(line: str) -> dict[str, str]:
    start, signatory, capacity, *_rest = [*(part.strip() for part in line.split(";", 2)), "", ""]
    code, role, day, *_rest = [*start.split(), "", "", ""]
    said = {"party": code, "role": role or "both", "signed_on": day, "signatory": signatory, "capacity": capacity}
    return {name: text for name, text in said.items() if text}


def _line(party: Mapping[str, Any]) -> str:
    start = " ".join(filter(None, (party["party"], party["role"], party.get("signed_on"))))
    return "; ".join((start, party.get("signatory") or "", party.get("capacity") or "")).rstrip("; ")


# ---------------------------------------------------------------- read, field by field

#: What two persons record elsewhere than in the form: shown with the rest.
_BESIDE = (
    Field("classification_ceiling", _("Highest classification")),
    Field("instrument_text_ref", _("Text of the instrument"), "document"),
    Field("terminated_on", _("Terminated on"), "instant"),
    Field("suspended", _("Suspended"), "pauses"),
)


def recorded(terms: Mapping[str, Any]) -> list[tuple[Any, list[tuple[Any, str, str]]]]:
    """Everything the register holds of an agreement, for reading: (group, [(field, value in words, clause)]). A field
    of which nothing is recorded says "" where a rule could rest on it."""
    clauses = terms.get("clause_refs") or {}
    terms = {"classification_ceiling": "UNCLASSIFIED", **terms}
    groups = [*GROUPS, (_("Beside the form"), _BESIDE)]
    return [
        (title, [(each.label, _in_words(each, terms.get(each.name)), clauses.get(each.name, "")) for each in group])
        for title, group in groups
    ]


def _in_words(field: Field, value: Any) -> str:
    if value in (None, "", []):
        return ""
    if field.shape == "flag":
        return str(_("Yes") if value else _("No"))
    if field.shape in ("one", "many"):
        named = {code: str(label) for code, label in field.choices}
        return ", ".join(named.get(each, each) for each in ([value] if field.shape == "one" else value))
    if field.hint is _DURATION:
        return in_words(value)
    if field.shape == "document":
        return " ".join(filter(None, (value["document"], value.get("sha256") and f"SHA-256 {value['sha256']}")))
    if field.shape == "pauses":
        return "\n".join(
            f"{_shown('instant', each['from'])} – {_shown('instant', each.get('to') or '')} {each.get('reason', '')}"
            for each in value
        )
    return str(_shown(field.shape, value))
