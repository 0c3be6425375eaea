"""Status as a function of dates, and the terms in the words of the sharing decision."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.agreements.calendar import turns
from coordinator.agreements.rules import guarded, is_live, status, supersessions, to_decision_input
from coordinator.sharing.inputs import Agreement

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PARTIES = [{"party": "EE-MFA", "role": "both", "signed_on": "2026-01-10"},
           {"party": "FI-CSIRT", "role": "both", "signed_on": "2026-01-12"}]  # fmt: skip
TERMS = {
    "agreement_id": "MOU-1", "kind": "cert-cert", "parties": PARTIES, "tlp_ceiling": "AMBER",
    "info_categories_allowed": ["incident-notification"], "info_categories_excluded": ["victim-identity"],
    "permitted_purposes": ["incident-response"], "prohibited_uses": ["commercial"], "onward_sharing": "clients",
    "personal_data": "minimised", "retention_max": "P1Y",
    "effective_from": "2026-01-15T00:00:00Z", "expires_on": "2028-01-15T00:00:00Z",
}  # fmt: skip
UNSIGNED = [PARTIES[0], {"party": "FI-CSIRT", "role": "both"}]


def at(text):
    return datetime.fromisoformat(text)


def pause(start, end=None):
    return {"from": start, "to": end} if end else {"from": start}


@pytest.mark.parametrize(
    "change, expected",
    [
        ({}, "in-force"),
        ({"effective_from": "2026-11-22T12:00:00Z"}, "in-force"),
        ({"effective_from": "2026-11-22T12:00:01Z"}, "signed"),
        ({"effective_from": None}, "signed"),
        ({"expires_on": "2026-11-22T12:00:00Z"}, "expired"),
        ({"expires_on": "2026-11-22T12:00:01Z"}, "in-force"),
        ({"expires_on": None}, "in-force"),
        ({"terminated_on": "2026-11-22T12:00:00Z"}, "terminated"),
        ({"terminated_on": "2026-11-23T00:00:00Z"}, "in-force"),
        ({"terminated_on": "2026-06-01T00:00:00Z", "expires_on": "2026-05-01T00:00:00Z"}, "expired"),
        ({"terminated_on": "2026-05-01T00:00:00Z", "expires_on": "2026-06-01T00:00:00Z"}, "terminated"),
        ({"parties": UNSIGNED}, "draft"),
        ({"parties": UNSIGNED, "provisional": True}, "provisional"),
        ({"parties": UNSIGNED, "provisional": True, "effective_from": "2027-01-01T00:00:00Z"}, "draft"),
        ({"provisional": True}, "in-force"),
        ({"parties": [PARTIES[0], PARTIES[1] | {"signed_on": "2026-11-23"}]}, "draft"),
        ({"parties": [{"party": "A", "role": "both"}, {"party": "B", "role": "both"}]}, "draft"),
        ({"parties": [{"party": "A", "role": "both"}, {"party": "B", "role": "both"}], "signed_on": "2026-01-01"},
         "in-force"),
        ({"parties": UNSIGNED, "signed_on": "2026-01-01"}, "draft"),
        ({"suspended": [pause("2026-11-01T00:00:00Z")]}, "suspended"),
        ({"suspended": [pause("2026-11-01T00:00:00Z", "2026-11-22T12:00:00Z")]}, "in-force"),
        ({"suspended": [pause("2026-11-22T12:00:00Z", "2026-11-22T12:00:01Z")]}, "suspended"),
        ({"suspended": [pause("2026-11-23T00:00:00Z")]}, "in-force"),
        ({"suspended": [pause("2026-11-01T00:00:00Z")], "expires_on": "2026-11-02T00:00:00Z"}, "expired"),
    ],
)  # fmt: skip
def test_the_status_follows_from_the_dates(change, expected):
    assert status(TERMS | change, NOW) == expected
    assert is_live(TERMS | change, NOW) == (expected in ("in-force", "provisional"))


def test_a_successor_that_took_effect_ends_an_agreement():
    assert status(TERMS, NOW, superseded_at=NOW) == "superseded"
    assert status(TERMS, NOW, superseded_at=NOW + timedelta(seconds=1)) == "in-force"
    assert status(TERMS | {"expires_on": "2026-02-01T00:00:00Z"}, NOW, superseded_at=NOW) == "expired"


def test_only_a_signed_or_provisional_successor_counts():
    successor = TERMS | {"agreement_id": "MOU-2", "supersedes": "MOU-1"}
    assert supersessions([TERMS, successor], NOW) == {"MOU-1": at("2026-01-15T00:00:00Z")}
    assert supersessions([successor | {"parties": UNSIGNED}], NOW) == {}
    assert supersessions([successor | {"parties": UNSIGNED, "provisional": True}], NOW) != {}
    assert supersessions([successor | {"effective_from": None}], NOW) == {}


INSTANTS = st.none() | st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(lambda d: d.isoformat() + "Z")


@given(INSTANTS, INSTANTS, INSTANTS, st.booleans(), st.booleans())
def test_it_is_live_exactly_as_the_definition_says(start, end, terminated, signed, provisional):
    terms = TERMS | {"effective_from": start, "expires_on": end, "terminated_on": terminated,
                     "provisional": provisional, "parties": PARTIES if signed else UNSIGNED}  # fmt: skip
    live = (
        start is not None and at(start) <= NOW and (end is None or at(end) > NOW)
        and (terminated is None or at(terminated) > NOW) and (signed or provisional)
    )  # fmt: skip
    assert is_live(terms, NOW) == live


PAUSES = st.lists(st.fixed_dictionaries({"from": INSTANTS, "to": INSTANTS}), max_size=2)
MOMENTS = st.datetimes(datetime(2025, 12, 1), datetime(2027, 2, 1)).map(lambda d: d.replace(tzinfo=UTC))


@given(INSTANTS, INSTANTS, INSTANTS, PAUSES, st.lists(MOMENTS, min_size=2, max_size=2).map(sorted))
def test_between_two_of_its_turns_nothing_changes_by_itself(start, end, terminated, pauses, moments):
    """What waits under it is looked at again at each turn, and so never too late."""
    terms = TERMS | {"effective_from": start, "expires_on": end, "terminated_on": terminated, "suspended": pauses}
    before, after = moments
    if not any(before < turn <= after for turn in turns(terms)):
        assert status(terms, before) == status(terms, after)


# ---------------------------------------------------------------- for the sharing decision


def test_the_terms_are_given_in_the_words_of_the_decision():
    given_terms = to_decision_input(TERMS, now=NOW, own="EE-MFA")
    assert given_terms == {
        "id": "MOU-1", "effective_from": "2026-01-15T00:00:00Z", "expires_on": "2028-01-15T00:00:00Z",
        "terminated_on": None, "suspended": False, "signed": True, "provisional": False,
        "recipients": ["FI-CSIRT", "OWN"], "categories": ["incident-notification"],
        "categories_excluded": ["victim-identity"], "tlp_ceiling": "AMBER", "purposes": ["incident-response"],
        "purposes_prohibited": ["commercial"], "personal_data": "minimised", "onward": "clients",
        "retention_max": "P1Y", "encryption": None, "attribution": None, "destruction": None, "certificate": False,
    }  # fmt: skip
    assert Agreement.from_json(given_terms).id == "MOU-1"


def test_what_the_register_leaves_out_is_read_as_the_strictest():
    least = {key: TERMS[key] for key in ("agreement_id", "parties", "tlp_ceiling", "info_categories_allowed",
                                         "permitted_purposes")}  # fmt: skip
    given_terms = to_decision_input(least, now=NOW, own="EE-MFA")
    assert (given_terms["personal_data"], given_terms["onward"]) == ("none", "none")
    assert Agreement.from_json(given_terms).effective_from > NOW, "what has no start has not begun"


@pytest.mark.parametrize(
    "roles, recipients",
    [
        (("both", "both"), ["FI-CSIRT", "OWN"]),
        (("provider", "recipient"), ["FI-CSIRT"]),
        (("provider", "both"), ["FI-CSIRT"]),
        (("provider", "provider"), []),
        (("recipient", "provider"), []),
        (("recipient", "both"), []),
    ],
)
def test_only_parties_that_receive_get_anything_and_only_where_we_may_give(roles, recipients):
    parties = [party | {"role": role} for party, role in zip(PARTIES, roles, strict=True)]
    assert to_decision_input(TERMS | {"parties": parties}, now=NOW, own="EE-MFA")["recipients"] == recipients


def test_an_agreement_between_others_lets_nothing_flow_from_us():
    assert to_decision_input(TERMS, now=NOW, own="LV-MFA")["recipients"] == []


def test_signature_suspension_and_succession_are_those_of_the_instant():
    late = TERMS | {"parties": [PARTIES[0], PARTIES[1] | {"signed_on": "2026-11-23"}]}
    assert to_decision_input(late, now=NOW, own="EE-MFA")["signed"] is False
    assert to_decision_input(late, now=NOW + timedelta(days=1), own="EE-MFA")["signed"] is True
    paused = TERMS | {"suspended": [pause("2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z")]}
    assert to_decision_input(paused, now=NOW, own="EE-MFA")["suspended"] is True
    assert to_decision_input(paused, now=NOW + timedelta(days=1), own="EE-MFA")["suspended"] is False
    ending = TERMS | {"terminated_on": "2026-12-01T00:00:00Z"}
    ended = to_decision_input(ending, now=NOW, own="EE-MFA", superseded_at=NOW)
    assert ended["terminated_on"] == "2026-11-22T12:00:00Z"


ENDED = {"terminated_on": "2026-11-22T12:00:00Z"}
SURVIVES = {"survives_termination": ["retention", "third-party-rule"]}


@pytest.mark.parametrize(
    "change, holds",
    [
        ({}, True), ({"third_party_rule": False}, False), ({"suspended": [pause("2026-11-01T00:00:00Z")]}, True),
        ({"effective_from": "2026-11-22T12:00:01Z"}, False), ({"effective_from": None} | ENDED | SURVIVES, False),
        ({"parties": UNSIGNED}, False), ({"parties": UNSIGNED, "provisional": True}, True), (ENDED, False),
        (ENDED | SURVIVES, True), (ENDED | SURVIVES | {"parties": UNSIGNED}, False),
        ({"survives_termination": ["retention"]} | ENDED, False),
        ({"parties": [PARTIES[0] | {"role": "provider"}, PARTIES[1]]}, False),
        ({"parties": [PARTIES[0], PARTIES[1] | {"role": "recipient"}]}, False),
    ],
)  # fmt: skip
def test_the_third_party_rule_guards_what_they_tell_us_and_may_survive_the_end(change, holds):
    found = guarded(TERMS | {"third_party_rule": True} | change, NOW, own="EE-MFA")
    assert found == ({"FI-CSIRT"} if holds else set())
