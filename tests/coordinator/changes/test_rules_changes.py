"""Which changes two persons make, and who the second one may be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.accounts.rules import CASE_CONTENT, CLEARING, RIGHTS, Right, Role, may
from coordinator.changes.rules import Kind, confirming_roles, differences, grants, in_words, may_answer, waits

ROLES = st.sampled_from([role for role in Role if role is not Role.PARTNER_SYSTEM])


@given(st.sampled_from(Kind), ROLES, st.sampled_from(["user:1", "cli:root"]))
def test_nobody_answers_what_they_asked_for_or_what_is_about_them(kind, role, asked_by):
    assert may_answer(kind, role=role, actor="user:1", asked_by="user:1")
    assert may_answer(kind, role=role, actor="user:1", asked_by=asked_by, about="user:1")


@given(st.sampled_from(Kind), ROLES)
def test_whoever_may_answer_holds_the_right_and_can_read_what_changes(kind, role):
    if not may_answer(kind, role=role, actor="user:2", asked_by="user:1"):
        assert may(role, Right.CONFIRM_CHANGE) and role in confirming_roles(kind)
        if kind in (Kind.AGREEMENT, Kind.CONSENT):
            assert may(role, Right.READ_AGREEMENTS)


@pytest.mark.parametrize("kind", Kind)
def test_an_administrator_never_answers_what_was_asked_for_at_the_command_line(kind):
    assert may_answer(kind, role=Role.ADMINISTRATOR, actor="user:2", asked_by="cli:root")


@pytest.mark.parametrize("kind", [Kind.AGREEMENT, Kind.CONSENT])
def test_an_administrator_has_no_part_in_agreements_and_consents(kind):
    assert Role.ADMINISTRATOR not in confirming_roles(kind)


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_can_be_answered_by_somebody_who_is_no_administrator(kind):
    assert confirming_roles(kind) - {Role.ADMINISTRATOR}


@given(ROLES)
def test_a_role_that_clears_or_sees_a_case_is_given_by_two(role):
    if not RIGHTS[role].isdisjoint(CLEARING | CASE_CONTENT):
        assert grants(role)
        assert waits(Kind.ACCOUNT, None, {"email": "a@b.example", "name": "A", "role": str(role)})


ENDPOINT = {"url": "https://fi.example/hook", "allow_private": [], "restricted": False, "secret": "key aa"}
CONTACT = {"organisation": "FI-CSIRT", "person": "", "tlp_max": "AMBER", "channels": ["email a@fi.example"], "order": 1}
ORGANISATION = {"name": "National CSIRT", "kind": "national-csirt", "country": "FI", "sectors": [],
                "communities": ["cyber-defence"], "own": False, "client_of_own": False}  # fmt: skip
ACCOUNT = {"email": "a@b.example", "name": "Ann", "role": "analyst"}


@pytest.mark.parametrize(
    "kind, old, changed, two",
    [
        (Kind.ENDPOINT, ENDPOINT, {}, False),
        (Kind.ENDPOINT, ENDPOINT, {"url": "https://elsewhere.example"}, True),
        (Kind.ENDPOINT, ENDPOINT, {"allow_private": ["10.0.0.0/8"]}, True),
        (Kind.ENDPOINT, ENDPOINT, {"secret": "key bb"}, True),
        (Kind.ENDPOINT, None, ENDPOINT, True),
        (Kind.CONTACT, CONTACT, {"order": 2}, False),
        (Kind.CONTACT, CONTACT, {"channels": ["email b@fi.example"]}, True),
        (Kind.CONTACT, CONTACT, {"tlp_max": "RED"}, True),
        (Kind.CONTACT, CONTACT, {"person": "Somebody else"}, True),
        (Kind.CONTACT, None, {**CONTACT, "channels": []}, False),
        (Kind.CONTACT, None, CONTACT, True),
        (Kind.ORGANISATION, ORGANISATION, {"name": "Another name", "sectors": ["health"]}, False),
        (Kind.ORGANISATION, ORGANISATION, {"communities": ["cyber-defence", "nordic"]}, True),
        (Kind.ORGANISATION, ORGANISATION, {"communities": []}, True),
        (Kind.ORGANISATION, ORGANISATION, {"client_of_own": True}, True),
        (Kind.ORGANISATION, ORGANISATION, {"own": True}, True),
        (Kind.ORGANISATION, ORGANISATION, {"country": "LV"}, True),
        (Kind.ORGANISATION, ORGANISATION, {"kind": "ministry"}, True),
        (Kind.ORGANISATION, None, {**ORGANISATION, "communities": []}, False),
        (Kind.SETTING, None, {"duty_role": "analyst"}, False),
        (Kind.SETTING, {"duty_role": "duty-officer"}, {}, False),
        (Kind.SETTING, {"duty_role": "duty-officer"}, {"duty_role": "analyst"}, True),
        (Kind.ORGANISATION, None, ORGANISATION, True),
        (Kind.ACCOUNT, ACCOUNT, {"name": "Anna"}, False),
        (Kind.ACCOUNT, ACCOUNT, {"role": "release-authority"}, True),
        (Kind.ACCOUNT, ACCOUNT, {"role": "partner-user"}, True),
        (Kind.AGREEMENT, None, {"agreement_id": "A"}, True),
        (Kind.KEY, {"secret": "key aa"}, {"secret": "key bb"}, True),
    ],
)
def test_what_waits(kind, old, changed, two):
    assert waits(kind, old, {**(old or {}), **changed}) is two


def test_only_what_differs_is_shown_and_absent_is_as_good_as_empty():
    assert differences({"a": "1", "b": [], "c": "x"}, {"a": "2", "c": "x", "d": ""}) == {"a": ("1", "2")}
    assert differences({"gone": "x"}, {}) == {"gone": ("x", None)}


@pytest.mark.parametrize(
    "value, said",
    [(None, ""), (True, "yes"), (["a", "b"], "a; b"), ({"party": "FI", "role": "both"}, "party: FI, role: both"),
     ([{"party": "FI"}], "party: FI"), (3, "3")],
)  # fmt: skip
def test_values_read_as_words(value, said):
    assert in_words(value) == said
