"""The register of agreements as outside data: field names of the register, values as they are stored.

What comes out is plain JSON data (instants as RFC 3339 text in UTC): the terms are kept and digested as one document.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from marshmallow import ValidationError, fields, validates_schema

from coordinator import vocabulary
from coordinator.outside import terms
from coordinator.outside.faults import Shape, load
from coordinator.outside.fields import Choice, Flag, Instant, Lean, Listed, Part, Text, Token

DURATION = r"P(?=.)(?:[0-9]+Y)?(?:[0-9]+M)?(?:[0-9]+W)?(?:[0-9]+D)?(?:T(?=.)(?:[0-9]+H)?(?:[0-9]+M)?(?:[0-9]+S)?)?"
MOST_PARTIES = 250


class InstantText(Instant):
    """An instant that stays text: RFC 3339 in UTC."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:  # type: ignore[override]
        return super()._deserialize(value, attr, data, **kwargs).isoformat().replace("+00:00", "Z")


class Day(Token):
    """A calendar day, YYYY-MM-DD."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "Send a day, like 2026-11-22.", longest=10, **kwargs)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            date.fromisoformat(text)
        except ValueError:
            raise ValidationError("There is no such day.") from None
        return text


class Derived(Lean, fields.Raw):
    """The status, which follows from the dates and is refused."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        raise ValidationError("The status follows from the dates: leave it out.")


def duration(**kwargs: Any) -> Token:
    """An ISO 8601 duration."""
    return Token(DURATION, "Send an ISO 8601 duration, like P1Y or PT4H.", longest=40, **kwargs)


class PartySchema(Shape):
    """Direction matters: a provider gives, a recipient may be given."""

    party = terms.OrganisationCode(required=True)
    role = Choice(("provider", "recipient", "both"), required=True)
    capacity = Text(200)
    signatory = Text(200)
    signed_on = Day()


class SuspensionSchema(Shape):
    to = InstantText()
    reason = Text(1000, lines=True)
    by = Text(200)


# `from` is a word of the language and cannot be written as an attribute.
Suspension = SuspensionSchema.from_dict({"from": InstantText(required=True)}, name="Suspension")


class InstrumentSchema(Shape):
    document = Text(200, required=True)
    sha256 = terms.sha256()


class ReviewSchema(Shape):
    on = Day(required=True)
    by = Text(200)


class ClauseRefs(Lean, fields.Dict):
    """Register field -> clause number: every rule a machine applies names its clause."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> dict[str, str]:
        if not isinstance(value, dict):
            raise ValidationError("Send an object: register field to clause.")
        known, clause = AgreementSchema._declared_fields, Text(100)
        faults, found = {}, {}
        for name, text in value.items():
            try:
                if name not in known:
                    raise ValidationError("This is no field of the register.")
                found[name] = clause.deserialize(text)
            except ValidationError as error:
                faults[name] = error.messages
        if faults:
            raise ValidationError(faults)
        return found


def _words(words: Any, **kwargs: Any) -> Listed:
    return Listed(terms.choice(words), most=len(words), **kwargs)


class AgreementSchema(Shape):
    """One agreement. Required is what the sharing decision cannot do without."""

    agreement_id = terms.identifier(required=True)
    reference = Text(80)
    title = Text(300)
    kind = terms.choice(vocabulary.AGREEMENT_KINDS, required=True)
    legal_status = terms.choice(vocabulary.LEGAL_STATUSES)
    parties = Listed(Part(PartySchema), most=MOST_PARTIES, required=True)
    depositary_or_holder = Text(200)
    instrument_text_ref = Part(InstrumentSchema)
    clause_refs = ClauseRefs()
    scope_description = Text(10_000, lines=True)
    info_categories_allowed = _words(vocabulary.INFO_CATEGORIES, required=True)
    info_categories_excluded = _words(vocabulary.INFO_CATEGORIES)
    tlp_ceiling = terms.tlp(required=True)
    classification_ceiling = Choice(("UNCLASSIFIED",), sentence="Only UNCLASSIFIED is handled here.")
    personal_data = terms.choice(vocabulary.PERSONAL_DATA)
    legal_basis = Text(500)
    permitted_purposes = _words(vocabulary.PURPOSES, required=True)
    prohibited_uses = _words(vocabulary.PURPOSES)
    onward_sharing = terms.choice(vocabulary.ONWARD_SHARING)
    third_party_rule = Flag()
    attribution_rule = Choice(("may", "must", "must-not"))
    encryption_in_transit = Choice(("must", "may"))
    notification_duties = Listed(terms.identifier(), most=100)
    request_answer_due = duration()
    retention_max = duration()
    destruction_on = Choice(("expiry", "termination", "request", "none"))
    destruction_certificate = Flag()
    breach_report_due = duration()
    signed_on = Day()
    effective_from = InstantText()
    provisional = Flag()
    expires_on = InstantText()
    renewal = Choice(("automatic", "by-exchange-of-notes", "none"))
    renewal_period = duration()
    termination_notice = duration()
    terminated_on = InstantText()
    survives_termination = Listed(Choice(("retention", "third-party-rule", "confidentiality")), most=3)
    suspended = Listed(Part(Suspension), most=100)
    points_of_contact = Listed(terms.identifier(), most=100)
    channels = Listed(Text(200), most=20)
    languages = Listed(terms.Language(), most=30)
    review_due = Day()
    last_reviewed = Part(ReviewSchema)
    dispute_settlement = Choice(("consultation", "other"))
    supersedes = terms.identifier()
    status = Derived()

    @validates_schema(skip_on_field_errors=False)
    def _coherent(self, data: Any, **_: Any) -> None:
        faults: dict[str, Any] = {}
        codes = [party.get("party") for party in data.get("parties", ()) if isinstance(party, dict)]
        if "parties" in data and len(codes) < 2:
            faults["parties"] = ["Name at least two parties."]
        if len(set(codes)) < len(codes):
            faults["parties"] = ["Name each party once."]
        # Both are RFC 3339 in UTC; compared as text they would go wrong where only one has a fraction.
        start, end = (Instant().deserialize(data[name]) if name in data else None for name in _TERM)
        if start and end and end <= start:
            faults["expires_on"] = ["Send an end that is later than effective_from."]
        if data.get("supersedes") and data["supersedes"] == data.get("agreement_id"):
            faults["supersedes"] = ["An agreement cannot supersede itself."]
        if faults:
            raise ValidationError(faults)


_TERM = ("effective_from", "expires_on")


class ConsentRestSchema(Shape):
    to = terms.OrganisationCode(required=True)
    purpose = Choice((*vocabulary.PURPOSES.codes, "*"), required=True)
    item = Text(40, required=True, metadata={"description": "The item's key, or * for everything."})
    valid_until = Instant(required=True)
    evidence = Text(1000, lines=True, required=True)


ConsentSchema = ConsentRestSchema.from_dict({"from": terms.OrganisationCode(required=True)}, name="Consent")

_AGREEMENT, _CONSENT = AgreementSchema(), ConsentSchema()


def load_agreement(data: Any) -> dict[str, Any]:
    """The terms of one agreement as they are stored, or Invalid with every fault."""
    return load(_AGREEMENT, data)


def load_consent(data: Any) -> dict[str, Any]:
    """An originator's consent: from, to, purpose or *, item or *, valid_until (aware UTC), evidence; or Invalid."""
    return load(_CONSENT, data)
