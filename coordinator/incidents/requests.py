"""What people ask of an incident, as shapes: the same for the pages and the API."""

from __future__ import annotations

from typing import Any

from coordinator import vocabulary
from coordinator.errors import Fault, Invalid
from coordinator.incidents.rules import FACTS, FIDELITIES, INSTANTS, Outlook, Status
from coordinator.outside import terms
from coordinator.outside.faults import Shape, load
from coordinator.outside.fields import Choice, Flag, Instant, Listed, Part, Text, Token, Whole
from coordinator.outside.policy import IepSchema

# STIX incident core extension, determination.
DETERMINATIONS = ("suspected", "confirmed", "blocked", "failed-attempt", "false-positive")
LARGEST_ID = 2**53 - 1


def _id(**kwargs: Any) -> Whole:
    return Whole(1, LARGEST_ID, **kwargs)


def _reference(**kwargs: Any) -> Token:
    return Token(r"[Ii][Nn][Cc]-[0-9]{4}-[0-9]{6,15}", "Send a reference, like INC-2026-000123.", longest=30,
                 canonical=str.upper, **kwargs)  # fmt: skip


class ChangeSchema(Shape):
    """`PATCH` of an incident: only what is sent is changed. `reason` is the reason of the severity."""

    owner = _id(metadata={"description": "The id of the user who has it."})
    severity = Whole(0, 5)
    severity_reason = Text(2000, lines=True)
    reason = Text(2000, lines=True)
    outlook = Choice(Outlook)
    determination = Choice(DETERMINATIONS)
    classification = terms.incident_type()
    tlp = terms.tlp(metadata={"description": "Raised by anybody, lowered by its originator only."})
    sectors = terms.sectors()
    states_affected = Listed(terms.country(), most=len(vocabulary.COUNTRIES))
    suspected_malicious = terms.tri_state()
    cross_border = terms.tri_state()
    humanitarian_flags = Listed(terms.choice(vocabulary.HUMANITARIAN_FLAGS), most=len(vocabulary.HUMANITARIAN_FLAGS))
    restricted_to = Listed(_id(), most=500, metadata={"description": "Users who may know, beside the duty role."})
    title = Text(120)
    occurred_at = Instant()
    detected_at = Instant()
    noticed_at = Instant()
    aware_at = Instant()
    ended_at = Instant()
    occurred_at_fidelity = Choice(FIDELITIES)
    detected_at_fidelity = Choice(FIDELITIES)
    noticed_at_fidelity = Choice(FIDELITIES)
    aware_at_fidelity = Choice(FIDELITIES)
    ended_at_fidelity = Choice(FIDELITIES)


class StatusSchema(Shape):
    """`POST …/status`. `resolved` needs an outlook, `closed` a note, `rejected` and reopening a reason."""

    status = Choice(Status, required=True)
    reason = Text(2000, lines=True)
    outlook = Choice(Outlook)
    note = Text(10_000, lines=True)
    duplicate_of = _reference()


class NoteSchema(Shape):
    """`POST …/notes`. Without `tlp` the note is marked as the incident is."""

    text = Text(10_000, lines=True, required=True)
    tlp = terms.tlp()
    info_category = Choice(vocabulary.INFO_CATEGORIES.codes, metadata={"description": "Left out: situational-report."})
    personal_data = Flag()
    pd_basis = terms.legal_basis()
    pd_delete_by = terms.delete_by()


#: What a note may say of itself beside its label.
NOTE_MARKS = ("info_category", "personal_data", "pd_basis", "pd_delete_by")


class LinkSchema(Shape):
    """`POST …/links`: this incident is related to the other one, or the other one is its parent."""

    other = _reference(required=True)
    kind = Choice(("related", "parent"), required=True)


class ChoiceOfFactSchema(Shape):
    """`POST …/facts`: take what one source says of a fact as the incident's own."""

    name = Choice(FACTS, required=True)
    version = _id(required=True, metadata={"description": "The item version in which the source says it."})
    reason = Text(2000, lines=True, required=True)


class TighteningSchema(Shape):
    """`POST …/markings`: a label raised, caveats added, to one item or to the whole incident; or the basis of personal
    data recorded."""

    item = Text(40, metadata={"description": "An item's key; left out: the whole incident."})
    info_category = Choice(vocabulary.INFO_CATEGORIES.codes, metadata={
        "description": "What kind of information the item is; an attribution assessment stays one."})
    tlp = terms.tlp()
    pap = terms.pap()
    iep = Part(IepSchema, metadata={"description": "Statements of an exchange policy to add (FIRST IEP 2.0)."})
    not_rel_to = Listed(terms.OrganisationCode(), most=200)
    rel_to = Listed(terms.OrganisationCode(), most=200)
    orcon = Flag()
    no_attribution = Flag()
    le_sensitive = Flag()
    personal_data = Flag()
    pd_basis = terms.legal_basis()
    pd_delete_by = terms.delete_by()
    embargo_until = Instant()
    embargo_set = Listed(terms.OrganisationCode(), most=200, metadata={
        "description": "Who may have it before the end of an embargo; with embargo_until."})
    named_recipients = Listed(Text(200), most=200, metadata={
        "description": "The persons who may have what is RED: mail addresses or codes of contacts."})
    asked_by = terms.OrganisationCode(metadata={"description": "The originator who wants it so; left out: we do."})
    reason = Text(2000, lines=True, required=True)


_CHANGE, _STATUS, _NOTE, _LINK = ChangeSchema(), StatusSchema(), NoteSchema(), LinkSchema()
_FACT, _TIGHTENING = ChoiceOfFactSchema(), TighteningSchema()


def load_change(data: Any) -> dict[str, Any]:
    """The fields to change. `reason` becomes `severity_reason`. Raises Invalid."""
    change = load(_CHANGE, data)
    if "reason" in change:
        change.setdefault("severity_reason", change.pop("reason"))
    faults = [
        Fault(f"/{name}_fidelity", f"Send {name} too, or leave its fidelity out.")
        for name in INSTANTS
        if f"{name}_fidelity" in change and name not in change
    ]
    if not change:
        faults.append(Fault("", "Send at least one field to change."))
    if "severity_reason" in change and "severity" not in change:
        faults.append(Fault("/severity", "Send the severity this is the reason for."))
    if faults:
        raise Invalid(faults)
    return change


def load_status(data: Any) -> dict[str, Any]:
    """{"status", "reason"?, "outlook"?, "note"?, "duplicate_of"?}. Raises Invalid."""
    return load(_STATUS, data)


def load_note(data: Any) -> dict[str, Any]:
    """{"text", "tlp"?, "info_category"?, "personal_data"?, "pd_basis"?, "pd_delete_by"?}. Raises Invalid."""
    return load(_NOTE, data)


def load_link(data: Any) -> dict[str, Any]:
    """{"other", "kind"}. Raises Invalid."""
    return load(_LINK, data)


def load_fact(data: Any) -> dict[str, Any]:
    """{"name", "version", "reason"}. Raises Invalid."""
    return load(_FACT, data)


def load_tightening(data: Any) -> dict[str, Any]:
    """{"item"?, "tlp"?, "pap"?, "not_rel_to"?, "rel_to"?, "orcon"?, "no_attribution"?, "le_sensitive"?,
    "personal_data"?, "pd_basis"?, "pd_delete_by"?, "embargo_until"?, "reason"}. Raises Invalid."""
    return load(_TIGHTENING, data)
