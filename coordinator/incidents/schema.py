"""The native report: one shape for the form, the signed webhook, the API and imports.

Names, bounds and codes are the outward contract. Nothing is looked up here: whether an organisation, an exercise or an
earlier report exists is for intake to find out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from marshmallow import ValidationError, validates_schema

from coordinator import vocabulary
from coordinator.errors import Fault, SecrecyMarkingFound
from coordinator.incidents.rules import FIDELITIES, REPORT_INSTANTS, clock_order_flags
from coordinator.markings import IEP_TLP, find_secrecy, parse_tlp
from coordinator.outside import terms
from coordinator.outside.faults import Shape, load
from coordinator.outside.fields import Choice, Flag, Instant, Listed, Part, Text, Token, Whole
from coordinator.outside.policy import IepSchema
from coordinator.outside.strict_json import parse_json

__all__ = ["ATTACHMENT_BYTES", "ReportSchema", "load_report", "parse_json", "sanitise_name"]

ATTACHMENT_BYTES = 25 * 1024 * 1024
DESCRIPTION_LENGTH = 10_000
MOST_OBSERVABLES = 1000
MOST_ATTACHMENTS = 50
MOST_PARTIES = 250

OBSERVED = ("occurred_at", "detected_at", "noticed_at")
_NEVER_IN_A_NAME = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff<>:\"|?*]+")


def sanitise_name(name: str) -> str:
    """The last part of a file's path without what file systems or screens misread, at most 120 characters.

    Leading and trailing dots and spaces go; the ending stays when the middle is cut; a name of which nothing is left
    becomes `attachment`.
    """
    last = re.split(r"[/\\]", name)[-1]
    kept = _NEVER_IN_A_NAME.sub("", last).strip(" .\t\u00a0") or "attachment"
    if len(kept) <= 120:
        return kept
    stem, dot, ending = kept.rpartition(".")
    return f"{stem[:119 - len(ending)]}.{ending}" if dot and len(ending) <= 20 else kept[:120]


class FileName(Text):
    """The name of a file, made harmless: see `sanitise_name`."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        if isinstance(value, str):
            value = sanitise_name(value[: self.longest])
        return super()._deserialize(value, attr, data, **kwargs)


class CaveatsSchema(Shape):
    """Restrictions beside the label. `rel_to` absent means no list, an empty one means nobody."""

    rel_to = Listed(terms.OrganisationCode(), most=MOST_PARTIES)
    not_rel_to = Listed(terms.OrganisationCode(), most=MOST_PARTIES)
    orcon = Flag()
    no_attribution = Flag()
    le_sensitive = Flag()
    personal_data = Flag()
    pd_basis = terms.legal_basis()
    pd_delete_by = terms.delete_by()
    embargo_until = Instant()
    named_recipients = Listed(Text(200), most=MOST_PARTIES)


class ObservableSchema(Shape):
    type = Token(r"[A-Za-z0-9][A-Za-z0-9_.:|'-]{0,63}", "Send a type, like ipv4-addr or file:hashes.SHA-256.",
                 longest=64, required=True)
    value = Text(2000, required=True)


class AttachmentSchema(Shape):
    """A file that is sent afterwards under its digest."""

    name = FileName(1000, required=True)
    media_type = terms.media_type(required=True)
    sha256 = terms.sha256(required=True)
    size = Whole(0, ATTACHMENT_BYTES, required=True)


class Attachments(Listed):
    """Each file once: it is sent, stored and shown as awaited under its digest."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> list[Any]:
        announced = super()._deserialize(value, attr, data, **kwargs)
        digests = [file["sha256"] for file in announced]
        again = [index for index, digest in enumerate(digests) if digest in digests[:index]]
        if again:
            raise ValidationError({index: {"sha256": ["This file is announced already: once is enough."]}
                                   for index in again})
        return announced


class ReporterSchema(Shape):
    name = Text(200)
    email = terms.email()
    phone = terms.phone()


def _fidelity() -> Choice:
    return Choice(FIDELITIES)


class ReportSchema(Shape):
    title = Text(120, required=True, metadata={"description": "What happened, in one line."})
    description = Text(DESCRIPTION_LENGTH, lines=True)
    external_id = Text(200, metadata={"description": "The sender's own reference; sent again, it is an update."})
    tlp = terms.tlp(required=True, metadata={"description": "Traffic Light Protocol 2.0. There is no default."})
    pap = terms.pap()
    iep = Part(IepSchema, metadata={"description": "The exchange policy it was given under (FIRST IEP 2.0)."})
    occurred_at = Instant()
    detected_at = Instant()
    noticed_at = Instant()
    aware_at = Instant()
    occurred_at_fidelity = _fidelity()
    detected_at_fidelity = _fidelity()
    noticed_at_fidelity = _fidelity()
    aware_at_fidelity = _fidelity()
    classification = terms.incident_type()
    severity = Whole(0, 5, metadata={"description": "The sender's view, 0 baseline to 5 emergency."})
    sectors = terms.sectors()
    states_affected = Listed(terms.country(), most=len(vocabulary.COUNTRIES))
    suspected_malicious = terms.tri_state()
    cross_border = terms.tri_state()
    humanitarian_flags = Listed(terms.choice(vocabulary.HUMANITARIAN_FLAGS), most=len(vocabulary.HUMANITARIAN_FLAGS))
    caveats = Part(CaveatsSchema)
    originator = terms.OrganisationCode(metadata={"description": "Whose information it is; absent: the sender's."})
    observables = Listed(Part(ObservableSchema), most=MOST_OBSERVABLES)
    attachments = Attachments(Part(AttachmentSchema), most=MOST_ATTACHMENTS)
    asks = Text(2000, lines=True, metadata={"description": "What the sender asks for."})
    reply_by = Instant()
    language = terms.Language()
    contact = Part(ReporterSchema)
    exercise = terms.identifier(metadata={"description": "The id of the exercise this belongs to; absent: it is real."})

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _instants(self, data: Any, original: Any, **_: Any) -> None:
        """At least one instant, and no fidelity without its instant. A wrong instant is told of once, by its field."""
        if not isinstance(original, Mapping):
            return
        faults: dict[str, list[str]] = {}
        if not any(original.get(name) for name in OBSERVED):
            faults["_schema"] = ["Send at least one of occurred_at, detected_at and noticed_at."]
        for name in REPORT_INSTANTS:
            if f"{name}_fidelity" in data and not original.get(name):
                faults[f"{name}_fidelity"] = [f"Send {name} too, or leave its fidelity out."]
        if faults:
            raise ValidationError(faults)


_REPORT = ReportSchema()


def load_report(data: Any, *, now: datetime | None = None) -> dict[str, Any]:
    """A native report as plain, canonical data: codes as listed, instants as aware UTC datetimes, absent fields absent.

    Texts are kept to the character; a file's name is made harmless. `flags` lists what contradicts itself in time (see
    `clock_order_flags`; what lies in the future only where `now` is given) and is [] where nothing does. The label is
    the stricter one where the exchange policy states another (`label-of-policy`).
    Raises SecrecyMarkingFound before anything else is looked at, or Invalid with every fault.
    """
    refuse_secrecy(data)
    report = load(_REPORT, data, hide=_marked_name)
    flags = clock_order_flags(report, now=now)
    stated = IEP_TLP.get(report.get("iep", {}).get("tlp", ""))
    if stated is not None and stated > parse_tlp(report["tlp"]):
        report["tlp"], flags = stated.value, [*flags, "label-of-policy"]
    return report | {"flags": flags}


def refuse_secrecy(data: Any) -> None:
    """Raises SecrecyMarkingFound where title, description or asks bear a marking above unclassified (R11)."""
    if not isinstance(data, Mapping):
        return
    for name in ("title", "description", "asks"):
        text = data.get(name)
        if isinstance(text, str) and find_secrecy("", _ends(text)):
            detail = "Take this to a system for classified information: it bears a secrecy marking and was not kept."
            raise SecrecyMarkingFound([Fault(f"/{name}", detail)])


def _ends(text: str) -> str:
    """What is searched of a text: all of it, but only the two ends of one that is too long to be taken anyway."""
    return text if len(text) <= DESCRIPTION_LENGTH else f"{text[:1000]}\n{text[-1000:]}"


def _marked_name(name: str) -> bool:
    return find_secrecy(re.sub(r"[\W_]+", " ", name)[:200]) is not None
