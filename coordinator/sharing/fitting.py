"""Which agreement an item, a party and a purpose fit under at an instant, and what is wrong with the others. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from coordinator.sharing.inputs import RANKS, Agreement, Item

# An agreement with one of these is no agreement today: what it prohibits does not bind us either.
_NOT_LIVE = frozenset({"A-NOT-SIGNED", "A-NOT-YET", "A-EXPIRED", "A-TERMINATED", "A-SUSPENDED", "A-NOT-PARTY"})
_PROHIBITIONS = frozenset({"A-CATEGORY-EXCLUDED", "A-PURPOSE-PROHIBITED"})

# In the order in which they are listed, A-NOT-PARTY between the two. Instants: a start is in, an end is out.
_STATE_RULES: tuple[tuple[str, Callable[[Agreement, datetime], bool]], ...] = (
    ("A-NOT-SIGNED", lambda a, now: not a.signed and not a.provisional),
    ("A-NOT-YET", lambda a, now: now < a.effective_from),
    ("A-EXPIRED", lambda a, now: a.expires_on is not None and now >= a.expires_on),
    ("A-TERMINATED", lambda a, now: a.terminated_on is not None and now >= a.terminated_on),
    ("A-SUSPENDED", lambda a, now: a.suspended_at(now)),
)
_SCOPE_RULES: tuple[tuple[str, Callable[[Agreement, Item, str, int], bool]], ...] = (
    ("A-CATEGORY", lambda a, item, purpose, rank: item.info_category not in a.categories),
    ("A-CATEGORY-EXCLUDED", lambda a, item, purpose, rank: item.info_category in a.categories_excluded),
    ("A-TLP-CEILING", lambda a, item, purpose, rank: rank > RANKS[a.tlp_ceiling]),
    ("A-PURPOSE", lambda a, item, purpose, rank: purpose not in a.purposes),
    ("A-PURPOSE-PROHIBITED", lambda a, item, purpose, rank: purpose in a.purposes_prohibited),
    ("A-PERSONAL-DATA", lambda a, item, purpose, rank: item.personal_data and a.personal_data == "none"),
)

#: Every problem, in the order in which they are listed.
PROBLEMS = (*(code for code, _ in _STATE_RULES), "A-NOT-PARTY", *(code for code, _ in _SCOPE_RULES))
Problems = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Looked:
    """What agreements say of one item to one party: the first that fits, by id, and the problems of those that have
    some. `prohibited`: one that is live with this party prohibits the category or the purpose."""

    chosen: Agreement | None
    problems: Problems
    prohibited: bool


NOTHING = Looked(None, {}, False)


class Book:
    """Agreements in the order of their ids. Made once, it is asked about any number of parties and items: what does not
    turn on the party is worked out once for each item, purpose and instant, and a party costs only what names it."""

    def __init__(self, agreements: Iterable[Agreement]) -> None:
        self.agreements = tuple(sorted(agreements, key=lambda agreement: agreement.id))
        self._naming: dict[str, list[Agreement]] = {}
        for agreement in self.agreements:
            for party in agreement.recipients:
                self._naming.setdefault(party, []).append(agreement)
        self._last: tuple[object, _Sides] | None = None

    def look(self, item: Item, party: str, purpose: str, rank: int, now: datetime) -> Looked:
        named, others = self._sides(item, purpose, rank, now)
        problems, chosen, prohibits = dict(others), None, False
        for agreement in self._naming.get(party, ()):
            found = named[agreement.id]
            if found:
                problems[agreement.id] = found
                prohibits = prohibits or (_NOT_LIVE.isdisjoint(found) and not _PROHIBITIONS.isdisjoint(found))
            else:
                del problems[agreement.id]
                chosen = chosen or agreement
        return Looked(chosen, problems, prohibits)

    def _sides(self, item: Item, purpose: str, rank: int, now: datetime) -> _Sides:
        """The problems of each agreement with a party that receives under it, and with one that does not."""
        asked = (item.info_category, item.personal_data, purpose, rank, now)  # all of an item that the rules look at
        if self._last is None or self._last[0] != asked:
            self._last = (asked, self._work_out(item, purpose, rank, now))
        return self._last[1]

    def _work_out(self, item: Item, purpose: str, rank: int, now: datetime) -> _Sides:
        named, others = {}, {}
        for each in self.agreements:
            state = tuple(code for code, applies in _STATE_RULES if applies(each, now))
            scope = tuple(code for code, applies in _SCOPE_RULES if applies(each, item, purpose, rank))
            named[each.id] = (*state, *scope)
            others[each.id] = (*state, "A-NOT-PARTY", *scope)
        return named, others


_Sides = tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]
