"""The form of an agreement: the register's fields in groups, as people write them, and back as the register has them.

Dates are written as days (the instant is the beginning of that day in UTC); parties one a line: code, direction, day of
signing. Beside each field stands the clause it rests on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _

from coordinator import vocabulary
from coordinator.markings import Tlp


@dataclass(frozen=True)
class Field:
    """`shape`: text, area, one, many, day, instant, flag, words (a list with blanks) or parties."""

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
        Field("parties", _("Parties"), "parties", hint=_("One a line: code, then provider, recipient or both, then the "
                                                         "day it signed. FI-CSIRT both 2026-01-10"), clause=True),
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
        Field("scope_description", _("Scope in words"), "area"),
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
        Field("notification_duties", _("Duties to notify"), "words", hint=_("Names of rules, with blanks between.")),
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
        Field("review_due", _("To be reviewed by"), "day"),
    )),
    (_("Who and how"), (
        Field("points_of_contact", _("Points of contact"), "words", hint=_("Short names, with blanks between.")),
        Field("channels", _("Channels"), "lines", hint=_("One a line.")),
        Field("languages", _("Languages"), "words", hint="en fi"),
        Field("dispute_settlement", _("Disputes"), "one",
              (("consultation", _("Consultation")), ("other", _("Another way")))),
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
    others_of = {each["party"]: each for each in kept.get("parties") or ()}
    if "parties" in data:  # what the form does not show of a party stays with it
        data["parties"] = [
            {name: said for name, said in others_of.get(each["party"], {}).items() if name in ("capacity", "signatory")}
            | each
            for each in data["parties"]
        ]
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
        return "\n".join(" ".join(filter(None, (each["party"], each["role"], each.get("signed_on")))) for each in value)
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
    return text.replace("\r\n", "\n")


def _party(line: str) -> dict[str, str]:
    code, role, day, *_rest = [*line.split(), "", "", ""]
    return {"party": code, "role": role or "both"} | ({"signed_on": day} if day else {})
