"""What holds for every sharing decision, whatever the case: tried on states nobody thought of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from coordinator.markings import Marking, combine
from coordinator.sharing.rules import Decision, Item, Result, decide

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
STRICTNESS = {Result.PERMIT: 0, Result.REFER: 1, Result.DENY: 2}
LABELS = ["CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED"]
PARTIES = ["OWN", "BB", "CC"]
CATEGORIES = ["incident-notification", "attribution-assessment"]
PURPOSES = ["incident-response", "commercial"]

instants = st.sampled_from([NOW + timedelta(microseconds=step) for step in (-1, 0, 1)])
parties = st.sampled_from(PARTIES)
some_parties = st.sets(parties).map(sorted)
booleans = st.booleans()
rarely = st.sampled_from([False, False, False, True])
ieps = st.fixed_dictionaries(
    {},
    optional={
        "tlp": st.sampled_from(["white", "green", "amber", "red"]),
        "start_date": instants,
        "end_date": instants,
        "encrypt_in_transit": st.sampled_from(["must", "may"]),
        "permitted_actions": st.sampled_from(["none", "contact-for-instruction", "internally-visible-actions"]),
        "affected_party_notifications": st.sampled_from(["may", "must-not"]),
        "attribution": st.sampled_from(["may", "must", "must-not"]),
        "unmodified_resale": st.sampled_from(["may", "must-not"]),
        "external_reference": st.just("https://csirt.example/iep"),
    },
)
markings = st.fixed_dictionaries(
    {"tlp": st.sampled_from(LABELS)},
    optional={
        "pap": st.sampled_from(["CLEAR", "GREEN", "AMBER", "RED"]),
        "rel_to": some_parties,
        "not_rel_to": st.just(["CC"]),
        "orcon": booleans,
        "no_attribution": booleans,
        "embargo_until": instants,
        "embargo_set": some_parties,
        "named_recipients": st.sampled_from([[], ["p1"], ["p1", "p2"]]),
        "community": st.sampled_from(["health", "cyber-defence"]),
        "le_sensitive": rarely,
        "personal_data": rarely,
        "pd_basis": st.just("public-task"),
        "secrecy": st.sampled_from(["UNCLASSIFIED", "UNCLASSIFIED", "UNCLASSIFIED", "NATO RESTRICTED"]),
        "iep": ieps,
    },
)
consents = st.lists(
    st.fixed_dictionaries(
        {"to": parties, "purpose": st.sampled_from(["*", *PURPOSES]), "valid_until": instants}
    ),
    max_size=2,
)
whose = st.fixed_dictionaries(
    {"info_category": st.sampled_from(CATEGORIES)},
    optional={"originator": parties, "exercise": st.sampled_from(["EX1"]), "consents": consents},
)
items = st.builds(lambda marking, rest: marking | rest, markings, whose)
recipients = st.fixed_dictionaries(
    {
        "party": st.sampled_from(["BB", "BB", "OWN", "CC"]),
        "type": st.sampled_from(["org", "person", "public"]),
        "channel": st.fixed_dictionaries(
            {"kind": st.sampled_from(["portal", "web", "email", "webhook", "mailing-list", "voice"])},
            optional={"encrypted": st.sampled_from([True, True, False]), "exercise": st.sampled_from(["", "EX1"])},
        ),
    },
    optional={
        "person": st.sampled_from(["p1", "p2"]),
        "communities": st.sampled_from([["health"], ["cyber-defence"], ["cyber-defence", "health"]]),
        "client_of_own": booleans,
        "poc_fresh": booleans,
    },
)
agreement_lists = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(["AG1", "AG2", "AG3"]),
            "effective_from": st.just(NOW),
            "recipients": st.just(["BB", "CC"]),
            "categories": st.just(CATEGORIES),
            "tlp_ceiling": st.sampled_from(LABELS),
            "purposes": st.just(["incident-response"]),
        },
        optional={
            "expires_on": instants,
            "terminated_on": instants,
            "suspended": rarely,
            "signed": booleans,
            "provisional": booleans,
            "categories_excluded": st.just(["attribution-assessment"]),
            "purposes_prohibited": st.just(["commercial"]),
            "personal_data": st.sampled_from(["none", "full"]),
        },
    ),
    max_size=2,
    unique_by=lambda agreement: agreement["id"],
)
approvals = st.sets(st.sampled_from(["u1", "u2"])).map(sorted)
purposes = st.sampled_from(["incident-response", "incident-response", "commercial", ""])
anything = st.fixed_dictionaries(
    {
        "item": items,
        "recipient": recipients,
        "purpose": purposes,
        "agreements": agreement_lists,
        "approvals": approvals,
    }
)
# Most of anything is denied for five reasons at once, which proves little: half the cases are nearly a permit.
PERMITTED: dict[str, Any] = {
    "item": {"tlp": "RED", "info_category": "incident-notification", "named_recipients": ["p1"]},
    "recipient": {
        "party": "BB",
        "type": "person",
        "person": "p1",
        "communities": ["cyber-defence"],
        "channel": {"kind": "portal", "encrypted": True},
    },
    "purpose": "incident-response",
    "agreements": [
        {
            "id": "AG1",
            "effective_from": NOW,
            "recipients": ["BB", "CC"],
            "categories": CATEGORIES,
            "tlp_ceiling": "RED",
            "purposes": ["incident-response"],
            "personal_data": "full",
        }
    ],
    "approvals": ["u2"],
}


@st.composite
def nearly_permitted(draw: st.DrawFn) -> dict[str, Any]:
    other = draw(anything)
    case = {name: dict(part) if isinstance(part, dict) else part for name, part in PERMITTED.items()}
    for section in ("item", "recipient"):
        for name in draw(st.sets(st.sampled_from(sorted(other[section])), max_size=2)):
            case[section][name] = other[section][name]
    for name in draw(st.sets(st.sampled_from(["purpose", "agreements", "approvals"]), max_size=1)):
        case[name] = other[name]
    return case


cases = st.one_of(anything, nearly_permitted())
# A machine that is busy with something else is no fault of the rules.
many = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def decided(case: dict[str, Any], **changes: Any) -> Decision:
    case = case | {name: value for name, value in changes.items() if name in case}
    item = case["item"] if isinstance(case["item"], Item) else case["item"] | changes.get("with_", {})
    return decide(item, case["recipient"], case["purpose"], case["agreements"], NOW, "u1", case["approvals"])


def stricter(one: Decision, other: Decision) -> bool:
    return STRICTNESS[one.result] >= STRICTNESS[other.result]


@many
@given(cases)
def test_a_tighter_label_never_gives_a_looser_result(case: dict) -> None:
    found = [decided(case, with_={"tlp": label}) for label in LABELS]
    for looser, tighter in pairwise(found):
        assert stricter(tighter, looser)


@many
@given(cases)
def test_unmarked_is_never_looser_than_amber_strict_and_an_unknown_label_is_always_denied(case: dict) -> None:
    unmarked = decided(case, with_={"tlp": None})
    assert unmarked.result is not Result.PERMIT
    assert stricter(unmarked, decided(case, with_={"tlp": "AMBER+STRICT"}))
    assert decided(case, with_={"tlp": "PURPLE"}).result is Result.DENY


@many
@given(cases)
def test_red_goes_to_a_named_person_or_nowhere(case: dict) -> None:
    case["item"] |= {"tlp": "RED"}
    recipient = case["recipient"]
    found = decided(case).result
    event(found)
    if found is not Result.DENY:
        assert recipient["type"] == "person"
        assert recipient["person"] in case["item"]["named_recipients"]
        assert recipient["channel"]["kind"] not in ("webhook", "mailing-list")


CAVEATS = st.sampled_from(
    [
        {"orcon": True},
        {"no_attribution": True},
        {"le_sensitive": True},
        {"personal_data": True},
        {"personal_data": True, "pd_basis": None},
        {"rel_to": []},
        {"not_rel_to": ["BB", "CC"]},
        {"not_rel_to": ["CC", "OWN"]},
        {"named_recipients": []},
        {"secrecy": "NATO RESTRICTED"},
        {"embargo_until": NOW + timedelta(days=1), "embargo_set": []},
        {"pap": "RED"},
        {"consents": []},
        {"iep": {"tlp": "red", "encrypt_in_transit": "must", "end_date": NOW, "attribution": "must-not"}},
    ]
)


@many
@given(cases, CAVEATS)
def test_an_added_caveat_never_helps(case: dict, caveat: dict) -> None:
    assert stricter(decided(case, with_=caveat), decided(case))


@many
@given(cases, st.sampled_from(["BB", "CC"]))
def test_a_shorter_release_list_never_helps(case: dict, dropped: str) -> None:
    listed = case["item"].get("rel_to", PARTIES)
    shorter = [party for party in listed if party != dropped]
    assert stricter(decided(case, with_={"rel_to": shorter}), decided(case))


def moved(value: Any) -> Any:
    """The same with every instant that is now a moment earlier."""
    if isinstance(value, dict):
        return {name: moved(each) for name, each in value.items()}
    if isinstance(value, list):
        return [moved(each) for each in value]
    return NOW - timedelta(microseconds=1) if value == NOW else value


@many
@given(cases)
def test_at_the_very_instant_a_start_is_in_and_an_end_is_out(case: dict) -> None:
    """Of embargo, consent, policy and agreement: what begins or ends now is as if it had begun or ended before."""
    assert decided(moved(case)) == decided(case)


@many
@given(cases, approvals)
def test_no_approval_overrides_a_deny(case: dict, given_: list[str]) -> None:
    before = decided(case)
    if before.result is Result.DENY:
        after = decided(case, approvals=given_)
        assert after.result is Result.DENY
        assert [code for code in after.reasons if code[0] == "D"] == [code for code in before.reasons if code[0] == "D"]


@many
@given(cases)
def test_nobody_clears_their_own_request(case: dict) -> None:
    assert decided(case, approvals=["u1"]) == decided(case, approvals=[])


@many
@given(cases, st.randoms(use_true_random=False))
def test_the_order_in_which_things_are_given_does_not_matter(case: dict, random: Any) -> None:
    shuffled = random.sample(case["agreements"], len(case["agreements"]))
    assert decided(case, agreements=shuffled) == decided(case)


@many
@given(cases)
def test_a_decision_is_in_order_and_agrees_with_itself(case: dict) -> None:
    found = decided(case)
    assert list(found.reasons) == sorted(set(found.reasons))
    assert list(found.obligations) == sorted(set(found.obligations))
    assert list(found.agreement_problems) == sorted(found.agreement_problems)
    assert found.agreement not in found.agreement_problems
    kinds = {code[0] for code in found.reasons}
    assert found.result == ("deny" if "D" in kinds else "refer" if "R" in kinds else "permit")
    assert f"O-TLP-{found.effective_tlp}" in found.obligations


@many
@given(cases)
def test_a_decision_is_the_same_for_mappings_and_for_read_values(case: dict) -> None:
    item = Item.from_json(case["item"])
    assert decided(case | {"item": item}) == decided(case)
    assert Item.from_json(item.to_json()) == item


@many
@given(cases, st.lists(markings, min_size=1, max_size=3), st.booleans())
def test_something_made_of_parts_is_never_freer_than_one_of_them(case: dict, parts: list[dict], unmarked: bool) -> None:
    read = [Marking.from_json(part) for part in parts]
    read += [Marking()] if unmarked else []
    rest = {name: case["item"][name] for name in ("info_category", "originator", "exercise") if name in case["item"]}
    whole = decided(case | {"item": Item.from_marking(combine(read), **rest)})
    for part in read:
        assert stricter(whole, decided(case | {"item": Item.from_marking(part, **rest)}))
