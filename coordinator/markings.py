"""What is written on information: who may have it (TLP), what may be done with it (PAP), and under which conditions.

Sources: FIRST TLP 2.0, FIRST IEP 2.0. Caveats (release lists, originator control, embargo) are practice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar

from coordinator.vocabulary.labels import (
    UNMARKED_AS,
    Level,
    Pap,
    Tlp,
    UnknownLabel,
    parse_pap,
    parse_tlp,
    strictest,
    tlp_of_stix_id,
)
from coordinator.vocabulary.secrecy import UNCLASSIFIED, find_secrecy
from coordinator.vocabulary.shapes import Malformed, Reader, Shape, absent, choice, codes, flag, instant, one, text

__all__ = [
    "DEFAULT_COMMUNITY", "UNCLASSIFIED", "UNMARKED_AS", "Iep", "Malformed", "Marking", "Pap", "Tlp", "UnknownLabel",
    "combine", "combine_policies", "find_secrecy", "parse_pap", "parse_tlp", "strictest", "tlp_of_stix_id",
]  # fmt: skip

# Whom GREEN means where no community is named (TLP 2.0).
DEFAULT_COMMUNITY = "cyber-defence"


def _level(levels: type[Level], parse: Any) -> Reader:
    def read(value: Any) -> Any:
        return value if isinstance(value, levels) else None if absent(value) else parse(value)

    return read


IEP_TLP = {"white": Tlp.CLEAR, "green": Tlp.GREEN, "amber": Tlp.AMBER, "red": Tlp.RED}
#: Of many combined policies so many addresses are kept; whatever reads a policy takes as many.
MOST_ADDRESSES = 40
# Strictest first: "none" means do not act at all.
IEP_ACTIONS = (
    "none",
    "contact-for-instruction",
    "internally-visible-actions",
    "externally-visible-indirect-actions",
    "externally-visible-direct-actions",
)


@dataclass(frozen=True, slots=True)
class Iep(Shape):
    """The statements of an Information Exchange Policy (FIRST IEP 2.0). What is not said does not limit.

    `external_reference`: where the licence or agreement behind it is; several, where policies were combined, with a
    space between. `id`: the policy's own.
    """

    tlp: str | None = None
    start_date: datetime | None = None
    end_date: datetime | None = None
    encrypt_in_transit: str | None = None
    permitted_actions: str | None = None
    affected_party_notifications: str | None = None
    attribution: str | None = None
    unmodified_resale: str | None = None
    external_reference: str | None = None
    id: str | None = None

    READERS: ClassVar[Mapping[str, Reader]] = {
        "tlp": choice(IEP_TLP),
        "start_date": instant(),
        "end_date": instant(),
        "encrypt_in_transit": choice(("must", "may")),
        "permitted_actions": choice(IEP_ACTIONS),
        "affected_party_notifications": choice(("may", "must-not")),
        "attribution": choice(("may", "must", "must-not")),
        "unmodified_resale": choice(("may", "must-not")),
        "external_reference": text(),
        "id": text(),
    }
    IGNORED: ClassVar[frozenset[str]] = frozenset({"name", "description", "iep_version", "id_ref", "url"})

    @property
    def rank(self) -> int:
        return IEP_TLP[self.tlp].rank if self.tlp else 0

    @property
    def addresses(self) -> list[str]:
        return (self.external_reference or "").split()

    @property
    def unnamed(self) -> Iep:
        """The same without what leads to whoever wrote it."""
        return replace(self, external_reference=None, id=None)


@dataclass(frozen=True, slots=True)
class Marking(Shape):
    """Everything written on one piece of information, apart from whose it is. `tlp` None = unmarked."""

    tlp: Tlp | None = None
    pap: Pap | None = None
    rel_to: frozenset[str] | None = None
    not_rel_to: frozenset[str] = frozenset()
    orcon: bool = False
    no_attribution: bool = False
    embargo_until: datetime | None = None
    embargo_set: frozenset[str] = frozenset()
    named_recipients: frozenset[str] = frozenset()
    community: str = DEFAULT_COMMUNITY
    le_sensitive: bool = False
    personal_data: bool = False
    pd_basis: str | None = None
    pd_delete_by: datetime | None = None
    secrecy: str = UNCLASSIFIED
    iep: Iep | None = None

    READERS: ClassVar[Mapping[str, Reader]] = {
        "tlp": _level(Tlp, parse_tlp),
        "pap": _level(Pap, parse_pap),
        "rel_to": codes(none_means_no_list=True),
        "not_rel_to": codes(),
        "orcon": flag(False),
        "no_attribution": flag(False),
        "embargo_until": instant(),
        "embargo_set": codes(),
        "named_recipients": codes(),
        "community": text(default=DEFAULT_COMMUNITY),
        "le_sensitive": flag(False),
        "personal_data": flag(False),
        "pd_basis": text(),
        "pd_delete_by": instant(),
        "secrecy": text(default=UNCLASSIFIED),
        "iep": one(Iep, optional=True),
    }

    @property
    def policy_told(self) -> Iep | None:
        """The exchange policy as a recipient may know it: where the source is withheld, nothing that leads there."""
        withheld = self.no_attribution or (self.iep is not None and self.iep.attribution == "must-not")
        return self.iep.unnamed if self.iep is not None and withheld else self.iep

    @property
    def effective(self) -> Tlp:
        """The label that counts: unmarked is AMBER+STRICT, and a stricter label of the IEP wins."""
        own = UNMARKED_AS if self.tlp is None else self.tlp
        return max(own, IEP_TLP[self.iep.tlp]) if self.iep and self.iep.tlp else own


def combine(markings: Iterable[Marking]) -> Marking:
    """The marking of something made of several parts: at least as strict as each of them, whoever receives it.

    Limits intersect, prohibitions unite. Whose the parts are is not part of a marking: decide on each part as well
    where they come from different originators. Raises ValueError where there is no part.
    """
    parts = list(markings)
    if not parts:
        raise ValueError("nothing to combine")
    if len(parts) == 1:
        return parts[0]
    label, iep = _combined_label(parts)
    lists = [part.rel_to for part in parts if part.rel_to is not None]
    embargoed = [part for part in parts if part.embargo_until]
    return Marking(
        tlp=label,
        pap=max((part.pap for part in parts if part.pap), default=None),
        rel_to=frozenset.intersection(*lists) if lists else None,
        not_rel_to=frozenset().union(*(part.not_rel_to for part in parts)),
        orcon=any(part.orcon for part in parts),
        no_attribution=any(part.no_attribution for part in parts),
        embargo_until=max((part.embargo_until for part in embargoed if part.embargo_until), default=None),
        embargo_set=_shared(part.embargo_set for part in embargoed),
        # Names bind only what is RED, so a part that is not RED takes no name away from one that is.
        named_recipients=_shared(
            part.named_recipients
            for part in [part for part in parts if part.effective is Tlp.RED] or parts
        ),
        community=_combined_community(parts),
        le_sensitive=any(part.le_sensitive for part in parts),
        personal_data=any(part.personal_data for part in parts),
        pd_basis=_combined_basis(parts),
        pd_delete_by=min((part.pd_delete_by for part in parts if part.pd_delete_by), default=None),
        secrecy=next((part.secrecy for part in parts if part.secrecy != UNCLASSIFIED), UNCLASSIFIED),
        iep=iep,
    )


def _shared(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    """What all the sets hold; nothing where there is no set."""
    held = list(sets)
    return frozenset.intersection(*held) if held else frozenset()


def _combined_label(parts: list[Marking]) -> tuple[Tlp | None, Iep | None]:
    iep = combine_policies([part.iep for part in parts if part.iep])
    if all(part.tlp for part in parts):
        return strictest(part.tlp for part in parts), iep
    # Something unmarked keeps the whole unmarked, so that it is still referred to a person. The rank of a RED part is
    # then carried by the policy statement, which raises any label.
    if any(part.tlp is Tlp.RED for part in parts):
        iep = replace(iep or Iep(), tlp="red")
    return None, iep


def addresses_of(policies: Iterable[Iep]) -> list[str]:
    """Where the terms of all of them are, each once."""
    return sorted({one for each in policies for one in each.addresses})


def combine_policies(policies: Iterable[Iep]) -> Iep | None:
    """The strictest of each statement: it holds while all hold. None where there is no policy."""
    policies = list(policies)
    if len(policies) < 2:
        return policies[0] if policies else None
    starts = [policy.start_date for policy in policies if policy.start_date]
    ends = [policy.end_date for policy in policies if policy.end_date]

    def strictest_of(name: str, *order: str) -> str | None:
        said = {getattr(policy, name) for policy in policies}
        return next((value for value in order if value in said), None)

    return Iep(
        tlp=strictest_of("tlp", "red", "amber", "green", "white"),
        start_date=max(starts, default=None),
        end_date=min(ends, default=None),
        encrypt_in_transit=strictest_of("encrypt_in_transit", "must", "may"),
        permitted_actions=strictest_of("permitted_actions", *IEP_ACTIONS),
        affected_party_notifications=strictest_of("affected_party_notifications", "must-not", "may"),
        attribution=strictest_of("attribution", "must-not", "must", "may"),
        unmodified_resale=strictest_of("unmodified_resale", "must-not", "may"),
        external_reference=" ".join(addresses_of(policies)[:MOST_ADDRESSES]),
        id=policies[0].id if len({policy.id for policy in policies}) == 1 else None,
    )


def _combined_community(parts: list[Marking]) -> str:
    # A recipient would have to be in each of them. One name cannot say that, so the joined name is nobody's community.
    return " & ".join(sorted({part.community for part in parts}))


def _combined_basis(parts: list[Marking]) -> str | None:
    bases = {part.pd_basis for part in parts if part.personal_data}
    return None if None in bases or not bases else "; ".join(sorted(basis for basis in bases if basis))
