"""Which agreement an item, a party and a purpose fit under at an instant, and what is wrong with the others. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from coordinator.sharing.inputs import RANKS, Agreement, Item

# An agreement with one of these is no agreement today: what it prohibits does not bind us either.
_NOT_LIVE = frozenset({"A-NOT-SIGNED", "A-NOT-YET", "A-EXPIRED", "A-TERMINATED", "A-SUSPENDED", "A-NOT-PARTY"})
_PROHIBITIONS = frozenset({"A-CATEGORY-EXCLUDED", "A-PURPOSE-PROHIBITED"})

# In the order in which they are listed. Instants: a start is in, an end is out.
AGREEMENT_RULES: tuple[tuple[str, Callable[..., bool]], ...] = (
    ("A-NOT-SIGNED", lambda a, item, party, purpose, rank, now: not a.signed and not a.provisional),
    ("A-NOT-YET", lambda a, item, party, purpose, rank, now: now < a.effective_from),
    ("A-EXPIRED", lambda a, item, party, purpose, rank, now: a.expires_on is not None and now >= a.expires_on),
    ("A-TERMINATED", lambda a, item, party, purpose, rank, now: a.terminated_on is not None and now >= a.terminated_on),
    ("A-SUSPENDED", lambda a, item, party, purpose, rank, now: a.suspended_at(now)),
    ("A-NOT-PARTY", lambda a, item, party, purpose, rank, now: party not in a.recipients),
    ("A-CATEGORY", lambda a, item, party, purpose, rank, now: item.info_category not in a.categories),
    ("A-CATEGORY-EXCLUDED", lambda a, item, party, purpose, rank, now: item.info_category in a.categories_excluded),
    ("A-TLP-CEILING", lambda a, item, party, purpose, rank, now: rank > RANKS[a.tlp_ceiling]),
    ("A-PURPOSE", lambda a, item, party, purpose, rank, now: purpose not in a.purposes),
    ("A-PURPOSE-PROHIBITED", lambda a, item, party, purpose, rank, now: purpose in a.purposes_prohibited),
    ("A-PERSONAL-DATA", lambda a, item, party, purpose, rank, now: item.personal_data and a.personal_data == "none"),
)


def look_through(
    agreements: tuple[Agreement, ...], item: Item, party: str, purpose: str, rank: int, now: datetime
) -> tuple[Agreement | None, dict[str, tuple[str, ...]]]:
    """The first agreement without problems, by id, and the problems of those that have some."""
    chosen = None
    problems: dict[str, tuple[str, ...]] = {}
    for agreement in sorted(agreements, key=lambda agreement: agreement.id):
        found = tuple(code for code, applies in AGREEMENT_RULES if applies(agreement, item, party, purpose, rank, now))
        if found:
            problems[agreement.id] = found
        elif chosen is None:
            chosen = agreement
    return chosen, problems


def prohibited(problems: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether an agreement live with this party prohibits the category or the purpose, whatever others allow."""
    return any(_NOT_LIVE.isdisjoint(found) and not _PROHIBITIONS.isdisjoint(found) for found in problems.values())
