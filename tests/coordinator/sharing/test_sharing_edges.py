"""Further properties of the decision: instants to the microsecond, consents, obligations, what is absent. Each counts
how often it had something to prove, because a property that never applies proves nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.sharing.rules import Decision, Result, decide
from tests.coordinator.sharing.test_sharing_properties import (
    CAVEATS,
    LABELS,
    NOW,
    PERMITTED,
    cases,
    decided,
    many,
)

TICK = timedelta(microseconds=1)
ONWARD = {"D-ORCON", "D-GREEN-COMMUNITY", "D-AMBER-ONWARD", "D-STRICT-ONWARD", "D-RED-ONWARD"}
#: Property -> in how many examples it had something to prove.
PROVED: Counter[str] = Counter()
ENOUGH = 10


@pytest.fixture(scope="module", autouse=True)
def proved_something() -> Iterator[None]:
    PROVED.clear()
    yield
    few = {name: number for name, number in PROVED.items() if number < ENOUGH}
    assert few == {}, "these properties had hardly anything to prove"


def denials(found: Decision) -> set[str]:
    return {code for code in found.reasons if code.startswith("D-")}


@many
@given(cases)
def test_a_consent_lifts_only_what_forbids_passing_on(case: dict) -> None:
    party = case["recipient"]["party"]
    case["item"]["originator"] = "CC" if party == "BB" else "BB"
    without = decided(case, with_={"consents": []})
    with_it = decided(case, with_={"consents": [{"to": party, "purpose": "*", "valid_until": NOW + TICK}]})
    lifted = denials(without) - denials(with_it)
    PROVED["a consent: nothing new, and nothing but onward"] += bool(denials(without))
    PROVED["a consent: lifts"] += bool(lifted)
    assert lifted <= ONWARD
    assert set(with_it.reasons) <= set(without.reasons)


@many
@given(cases)
def test_no_approval_of_anybody_takes_a_denial_away(case: dict) -> None:
    without = decided(case, approvals=[])
    approved = decided(case, approvals=["u2", "u3", "u4"])
    PROVED["approvals: a denial stands"] += without.result is Result.DENY
    PROVED["approvals: a referral is lifted"] += (without.result, approved.result) == (Result.REFER, Result.PERMIT)
    assert denials(without) == denials(approved)
    assert set(without.reasons) - set(approved.reasons) <= {"R-TWO-PERSON"}


@many
@given(cases, CAVEATS)
def test_an_added_caveat_takes_no_obligation_away_but_those_of_a_looser_label_or_another_agreement(
    case: dict, caveat: dict
) -> None:
    before, after = decided(case), decided(case, with_=caveat)
    gone = set(before.obligations) - set(after.obligations)
    loose = {"O-TLP-", "O-PAP-", "O-ONWARD-", "O-RETAIN-"}
    if "iep" in caveat or "iep" in case["item"]:  # an IEP is replaced as a whole
        return
    PROVED["obligations: kept"] += bool(before.obligations)
    assert all(any(code.startswith(start) for start in loose) for code in gone)


@many
@given(cases, st.sampled_from([None, ""]))
def test_what_is_null_or_empty_is_absent(case: dict, nothing: Any) -> None:
    names = ("pap", "originator", "secrecy", "exercise", "community", "embargo_until", "pd_basis")
    item = case["item"]
    absent = {name: nothing for name in names if name not in item}
    PROVED["null: something was absent"] += bool(absent)
    assert decided(case, with_=absent) == decided(case)
    for name in ("not_rel_to", "named_recipients", "embargo_set", "consents"):
        if name not in item:
            assert decided(case, with_={name: []}) == decided(case, with_={name: None}) == decided(case)
    assert decided(case, with_={"rel_to": None}) == decided(
        {**case, "item": {key: value for key, value in item.items() if key != "rel_to"}})  # fmt: skip


@many
@given(cases, st.text(max_size=12).filter(lambda word: word.strip() and word not in (*LABELS, "WHITE")))
def test_a_label_that_nobody_knows_never_leaves(case: dict, word: str) -> None:
    found = decided(case, with_={"tlp": word})
    PROVED["an unknown label"] += 1
    assert found.result is Result.DENY and "D-TLP-UNKNOWN" in found.reasons


@many
@given(cases)
def test_a_withheld_or_ended_agreement_is_as_good_as_none(case: dict) -> None:
    ended = [{**one, "terminated_on": NOW} for one in case["agreements"]]
    without, over = decided(case, agreements=[]), decided(case, agreements=ended)
    PROVED["agreements: there were some"] += bool(ended)
    assert (over.result, over.reasons, over.agreement) == (without.result, without.reasons, None)


def _case(**changes: Any) -> dict[str, Any]:
    case = {name: dict(part) if isinstance(part, dict) else part for name, part in PERMITTED.items()}
    case["item"] = case["item"] | {"tlp": "AMBER"} | changes.get("item", {})
    began = {"effective_from": NOW - timedelta(days=9)}
    case["agreements"] = [case["agreements"][0] | began | changes.get("agreement", {})]
    case["recipient"] = case["recipient"] | changes.get("recipient", {})
    return case


#: What has a beginning or an end: the change, and the code that stands one tick before, at, and one tick after NOW.
EDGES: list[tuple[str, dict[str, Any], str, tuple[bool, bool, bool]]] = [
    ("effective_from", {"agreement": {"effective_from": NOW}}, "A-NOT-YET", (True, False, False)),
    ("expires_on", {"agreement": {"expires_on": NOW}}, "A-EXPIRED", (False, True, True)),
    ("terminated_on", {"agreement": {"terminated_on": NOW}}, "A-TERMINATED", (False, True, True)),
    ("suspended from", {"agreement": {"suspended": [{"from": NOW}]}}, "A-SUSPENDED", (False, True, True)),
    ("suspended to", {"agreement": {"suspended": [{"from": NOW - timedelta(days=1), "to": NOW}]}}, "A-SUSPENDED",
     (True, False, False)),
    ("embargo_until", {"item": {"embargo_until": NOW}}, "D-EMBARGO", (True, False, False)),
    ("iep start", {"item": {"iep": {"start_date": NOW}}}, "R-IEP-DATES", (True, False, False)),
    ("iep end", {"item": {"iep": {"end_date": NOW}}}, "R-IEP-DATES", (False, True, True)),
    ("consent", {"item": {"originator": "CC", "consents": [{"to": "BB", "purpose": "*", "valid_until": NOW}]}},
     "D-AMBER-ONWARD", (False, True, True)),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "code", "stands"), [edge[1:] for edge in EDGES], ids=[edge[0] for edge in EDGES])
def test_a_start_is_in_and_an_end_is_out_to_the_microsecond(
    changes: dict[str, Any], code: str, stands: tuple[bool, bool, bool]
) -> None:
    case = _case(**changes)
    for tick, expected in zip((-TICK, TICK * 0, TICK), stands, strict=True):
        found = decide(case["item"], case["recipient"], case["purpose"], case["agreements"], NOW + tick, "u1", ["u2"])
        problems = {problem for several in found.agreement_problems.values() for problem in several}
        assert (code in {*found.reasons, *problems}) is expected, tick
        if code.startswith("A-"):
            assert (found.result is Result.PERMIT) is not expected
