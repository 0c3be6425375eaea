"""Many parties asked about the same agreements: what is worked out once says the same as asking one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from coordinator.sharing.fitting import Book
from coordinator.sharing.inputs import RANKS, Agreement, Item
from coordinator.sharing.rules import decide
from tests.coordinator.sharing.test_sharing_properties import NOW, cases, many

PARTIES = ["AA", "BB", "CC", "DD"]
CATEGORIES = ["incident-notification", "technical-indicators"]
PURPOSES = ["incident-response", "network-defence"]


def plain(agreements: list[Agreement], item: Item, party: str, purpose: str, rank: int, now: datetime) -> Any:
    """As the words of the rule have it: each agreement in the order of its id, each problem in its order."""
    chosen, problems = None, {}
    for a in sorted(agreements, key=lambda each: each.id):
        found = [
            code
            for code, holds in [
                ("A-NOT-SIGNED", not a.signed and not a.provisional),
                ("A-NOT-YET", now < a.effective_from),
                ("A-EXPIRED", a.expires_on is not None and now >= a.expires_on),
                ("A-TERMINATED", a.terminated_on is not None and now >= a.terminated_on),
                ("A-SUSPENDED", a.suspended is True),
                ("A-NOT-PARTY", party not in a.recipients),
                ("A-CATEGORY", item.info_category not in a.categories),
                ("A-CATEGORY-EXCLUDED", item.info_category in a.categories_excluded),
                ("A-TLP-CEILING", rank > RANKS[a.tlp_ceiling]),
                ("A-PURPOSE", purpose not in a.purposes),
                ("A-PURPOSE-PROHIBITED", purpose in a.purposes_prohibited),
                ("A-PERSONAL-DATA", item.personal_data and a.personal_data == "none"),
            ]
            if holds
        ]
        if found:
            problems[a.id] = tuple(found)
        elif chosen is None:
            chosen = a
    dead = {"A-NOT-SIGNED", "A-NOT-YET", "A-EXPIRED", "A-TERMINATED", "A-SUSPENDED", "A-NOT-PARTY"}
    prohibited = any(
        not dead & set(found) and {"A-CATEGORY-EXCLUDED", "A-PURPOSE-PROHIBITED"} & set(found)
        for found in problems.values()
    )
    return chosen, problems, prohibited


instants = st.sampled_from([NOW + timedelta(microseconds=step) for step in (-1, 0, 1)])
some = st.frozensets
agreements = st.lists(
    st.builds(
        Agreement,
        id=st.sampled_from([f"A{number}" for number in range(12)]),
        effective_from=instants,
        tlp_ceiling=st.sampled_from(["CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED"]),
        expires_on=st.none() | instants,
        terminated_on=st.none() | instants,
        suspended=st.sampled_from([False, False, True]),
        signed=st.booleans(),
        provisional=st.booleans(),
        recipients=some(st.sampled_from(PARTIES)),
        categories=some(st.sampled_from(CATEGORIES)),
        categories_excluded=st.sampled_from([frozenset(), frozenset(CATEGORIES[:1])]),
        purposes=some(st.sampled_from(PURPOSES)),
        purposes_prohibited=st.sampled_from([frozenset(), frozenset(PURPOSES[:1])]),
        personal_data=st.sampled_from(["none", "full"]),
    ),
    max_size=8,
    unique_by=lambda agreement: agreement.id,
)
asked = st.lists(
    st.tuples(
        st.builds(Item, info_category=st.sampled_from(CATEGORIES), personal_data=st.booleans()),
        st.sampled_from(PARTIES),
        st.sampled_from(PURPOSES),
        st.integers(0, 4),
        instants,
    ),
    min_size=1,
    max_size=6,
)


@many
@given(agreements, asked)
def test_a_book_of_agreements_says_what_each_one_says_by_itself(register: list[Agreement], questions: Any) -> None:
    book = Book(register)
    for item, party, purpose, rank, now in questions:
        chosen, problems, prohibited = plain(register, item, party, purpose, rank, now)
        found = book.look(item, party, purpose, rank, now)
        assert (found.chosen, dict(found.problems), found.prohibited) == (chosen, problems, prohibited)
        assert list(found.problems) == list(problems)


@many
@given(st.lists(cases, min_size=2, max_size=4))
def test_a_decision_with_a_book_is_the_decision_with_the_agreements(several: list[dict[str, Any]]) -> None:
    """One book is asked for every case in turn, so that nothing of one question stays for the next."""
    book = Book([Agreement.from_json(each) for each in several[0]["agreements"]])
    for case in several:
        given_ = (case["item"], case["recipient"], case["purpose"])
        rest = (datetime(2026, 6, 1, 12, tzinfo=UTC), "u1", case["approvals"])
        assert decide(*given_, book, *rest) == decide(*given_, several[0]["agreements"], *rest)
