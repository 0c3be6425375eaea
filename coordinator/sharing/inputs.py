"""What a sharing decision is made on, as frozen values that are read strictly: a mistake is an error, never a permit.

Our own organisation is always written OWN here, as party, originator and in lists (`seen_from`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, Self

from coordinator.markings import DEFAULT_COMMUNITY, UNCLASSIFIED, Iep, Marking, Pap, Tlp
from coordinator.vocabulary import CHANNEL_KINDS, ONWARD_SHARING, PERSONAL_DATA
from coordinator.vocabulary.shapes import (
    Malformed,
    Reader,
    Shape,
    absent,
    choice,
    codes,
    duration,
    flag,
    instant,
    one,
    several,
    text,
)

OWN = "OWN"

MalformedCase = Malformed

# WHITE is the name CLEAR had before TLP 2.0.
RANKS = {level.value: level.rank for level in Tlp} | {"WHITE": Tlp.CLEAR.rank}
_CEILINGS = {"WHITE": "CLEAR"} | {level.value: level.value for level in Tlp}
_PAP = {"WHITE": "CLEAR"} | {level.value: level.value for level in Pap}


def _as_own(party: str, own: str) -> str:
    return OWN if party == own else party


def _label(value: Any) -> str | None:
    """A TLP word as it came: the decision itself says what is unmarked and what is unknown."""
    return value.value if isinstance(value, Tlp) else text()(value)


def _word_of(words: Mapping[str, str], *, required: bool = False) -> Reader:
    read_word = choice(words, required=required)

    def read(value: Any) -> str | None:
        word = read_word(value.value if isinstance(value, (Tlp, Pap)) else value)
        return words[word] if word else None

    return read


@dataclass(frozen=True, slots=True)
class Consent(Shape):
    """The originator's recorded permission for one party, for one purpose or for every purpose (`*`)."""

    to: str
    purpose: str
    valid_until: datetime

    READERS: ClassVar[Mapping[str, Reader]] = {
        "to": text(required=True),
        "purpose": text(required=True),
        "valid_until": instant(required=True),
    }


@dataclass(frozen=True, slots=True)
class Item(Shape):
    """One version of one piece of information. `tlp` is the word on it (None = unmarked, any other word = unknown)."""

    info_category: str
    tlp: str | None = None
    originator: str = OWN
    pap: str | None = None
    secrecy: str = UNCLASSIFIED
    exercise: str | None = None
    orcon: bool = False
    rel_to: frozenset[str] | None = None
    not_rel_to: frozenset[str] = frozenset()
    named_recipients: frozenset[str] = frozenset()
    community: str = DEFAULT_COMMUNITY
    embargo_until: datetime | None = None
    embargo_set: frozenset[str] = frozenset()
    no_attribution: bool = False
    personal_data: bool = False
    pd_basis: str | None = None
    pd_delete_by: datetime | None = None
    le_sensitive: bool = False
    consents: tuple[Consent, ...] = ()
    iep: Iep | None = None

    READERS: ClassVar[Mapping[str, Reader]] = {
        "info_category": text(required=True),
        "tlp": _label,
        "originator": text(default=OWN),
        "pap": _word_of(_PAP),
        "secrecy": text(default=UNCLASSIFIED),
        "exercise": text(),
        "orcon": flag(False),
        "rel_to": codes(none_means_no_list=True),
        "not_rel_to": codes(),
        "named_recipients": codes(),
        "community": text(default=DEFAULT_COMMUNITY),
        "embargo_until": instant(),
        "embargo_set": codes(),
        "no_attribution": flag(False),
        "personal_data": flag(False),
        "pd_basis": text(),
        "pd_delete_by": instant(),
        "le_sensitive": flag(False),
        "consents": several(Consent),
        "iep": one(Iep, optional=True),
    }

    @classmethod
    def from_marking(
        cls,
        marking: Marking,
        *,
        info_category: str,
        originator: str = OWN,
        exercise: str | None = None,
        consents: Iterable[Any] = (),
    ) -> Self:
        """The item that carries this marking."""
        written = {name: getattr(marking, name) for name in Marking.READERS}
        return cls(
            info_category=info_category, originator=originator, exercise=exercise, consents=tuple(consents), **written
        )

    def seen_from(self, own: str) -> Self:
        """The same item with our organisation's code `own` written OWN wherever a party is named."""
        return replace(
            self,
            originator=_as_own(self.originator, own),
            rel_to=None if self.rel_to is None else frozenset(_as_own(party, own) for party in self.rel_to),
            not_rel_to=frozenset(_as_own(party, own) for party in self.not_rel_to),
            embargo_set=frozenset(_as_own(party, own) for party in self.embargo_set),
            consents=tuple(replace(consent, to=_as_own(consent.to, own)) for consent in self.consents),
        )


@dataclass(frozen=True, slots=True)
class Channel(Shape):
    """The way it would go. `encrypted` is derived from the mechanism by whoever calls, never typed in."""

    kind: str
    encrypted: bool = False
    exercise: str | None = None

    READERS: ClassVar[Mapping[str, Reader]] = {
        "kind": choice(CHANNEL_KINDS, required=True),
        "encrypted": flag(False),
        "exercise": text(),
    }


def by_portal(tlp: Tlp | None, *, sealed: bool) -> bool:
    """Whether what a mail announces is read on the portal and not in it. `sealed`: to an OpenPGP key; None = strictest.

    RED is for a named person, and a mailbox's key may be held by several.
    """
    return tlp is None or tlp >= (Tlp.RED if sealed else Tlp.AMBER)


@dataclass(frozen=True, slots=True)
class Recipient(Shape):
    """Who would get it. `type` is org, person or public; `person` is the id that `named_recipients` holds."""

    party: str
    type: str
    channel: Channel
    person: str | None = None
    communities: frozenset[str] = frozenset()
    client_of_own: bool = False
    poc_fresh: bool = True

    READERS: ClassVar[Mapping[str, Reader]] = {
        "party": text(required=True),
        "type": choice(("org", "person", "public"), required=True),
        "channel": one(Channel),
        "person": text(),
        "communities": codes(),
        "client_of_own": flag(False),
        "poc_fresh": flag(True),
    }

    def seen_from(self, own: str) -> Self:
        """The same recipient with our organisation's code `own` written OWN."""
        return replace(self, party=_as_own(self.party, own))


@dataclass(frozen=True, slots=True)
class Suspension(Shape):
    """A period in which an agreement rests; without an end it lasts until somebody writes one."""

    start: datetime
    end: datetime | None = None

    READERS: ClassVar[Mapping[str, Reader]] = {"start": instant(required=True), "end": instant()}
    ALIASES: ClassVar[Mapping[str, str]] = {"from": "start", "to": "end"}
    IGNORED: ClassVar[frozenset[str]] = frozenset({"reason", "by"})


def _suspended(value: Any) -> bool | tuple[Suspension, ...]:
    if absent(value) or isinstance(value, bool):
        return bool(value)
    return several(Suspension)(value) or False


@dataclass(frozen=True, slots=True)
class Agreement(Shape):
    """What an agreement says on sharing. Also read under the names of the agreement register."""

    id: str
    effective_from: datetime
    tlp_ceiling: str
    expires_on: datetime | None = None
    terminated_on: datetime | None = None
    suspended: bool | tuple[Suspension, ...] = False
    signed: bool = True
    provisional: bool = False
    recipients: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    categories_excluded: frozenset[str] = frozenset()
    purposes: frozenset[str] = frozenset()
    purposes_prohibited: frozenset[str] = frozenset()
    personal_data: str = "none"
    onward: str = "none"
    retention_max: str | None = None
    encryption: str | None = None  # must: asked of the whole (composed.judge), as a policy statement would
    attribution: str | None = None  # likewise: whether who receives under it must, may or must not name the source
    destruction: str | None = None  # on what it is destroyed by who receives it
    certificate: bool = False  # of the destruction

    READERS: ClassVar[Mapping[str, Reader]] = {
        "id": text(required=True),
        "effective_from": instant(required=True),
        "tlp_ceiling": _word_of(_CEILINGS, required=True),
        "expires_on": instant(),
        "terminated_on": instant(),
        "suspended": _suspended,
        "signed": flag(True),
        "provisional": flag(False),
        "recipients": codes(),
        "categories": codes(),
        "categories_excluded": codes(),
        "purposes": codes(),
        "purposes_prohibited": codes(),
        "personal_data": choice(PERSONAL_DATA, default="none"),
        "onward": choice(ONWARD_SHARING, default="none"),
        "retention_max": duration(),
        "encryption": choice(("must", "may")),
        "attribution": choice(("may", "must", "must-not")),
        "destruction": choice(("expiry", "termination", "request", "none")),
        "certificate": flag(False),
    }
    ALIASES: ClassVar[Mapping[str, str]] = {
        "agreement_id": "id",
        "info_categories_allowed": "categories",
        "info_categories_excluded": "categories_excluded",
        "permitted_purposes": "purposes",
        "prohibited_uses": "purposes_prohibited",
        "onward_sharing": "onward",
        "encryption_in_transit": "encryption",
        "attribution_rule": "attribution",
        "destruction_on": "destruction",
        "destruction_certificate": "certificate",
    }
    # The rest of the register: nothing a decision turns on.
    IGNORED: ClassVar[frozenset[str]] = frozenset({
        "reference", "title", "kind", "legal_status", "parties", "depositary_or_holder", "instrument_text_ref",
        "clause_refs", "scope_description", "classification_ceiling", "third_party_rule", "notification_duties",
        "request_answer_due", "breach_report_due",
        "signed_on", "renewal", "termination_notice", "survives_termination", "points_of_contact", "channels",
        "languages", "review_due", "last_reviewed", "dispute_settlement", "supersedes", "status",
    })  # fmt: skip

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """As `Shape.from_json`; an entry of the register must also say who may receive and whether it is signed."""
        if isinstance(data, Mapping) and "parties" in data:
            for name in ("recipients", "signed"):
                if absent(data.get(name)):
                    raise Malformed(f"/{name}", "is required beside parties: it is worked out from them beforehand")
        return super(Agreement, cls).from_json(data)

    def suspended_at(self, now: datetime) -> bool:
        if isinstance(self.suspended, bool):
            return self.suspended
        return any(period.start <= now and (period.end is None or now < period.end) for period in self.suspended)
