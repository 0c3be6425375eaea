"""One table of who may do what."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator import vocabulary
from coordinator.accounts.rules import (
    ADMINISTERING,
    CASE_CONTENT,
    CLEARING,
    READING,
    RIGHTS,
    SCOPES,
    Right,
    Role,
    Scope,
    approvers,
    asks_second_factor,
    may,
    may_approve,
    needs_second_factor,
    rights_of,
    scopes_allowed,
)
from coordinator.markings import Tlp
from coordinator.vocabulary import INFO_CATEGORIES

LABELS = [label.value for label in Tlp]


def test_the_roles_are_those_of_the_vocabulary_and_each_has_its_row():
    assert {role.value for role in Role} == set(vocabulary.ROLES.codes) == set(RIGHTS)


def test_the_administrator_clears_nothing_and_sees_no_case_content():
    assert RIGHTS[Role.ADMINISTRATOR].isdisjoint(CLEARING | CASE_CONTENT)


def test_the_auditor_reads_everything_and_changes_nothing():
    assert RIGHTS[Role.AUDITOR] <= READING
    assert RIGHTS[Role.AUDITOR] >= READING - {Right.SEE_PARTNER_VIEW}


def test_a_partner_sees_its_own_view_and_its_system_has_no_rights_of_a_person():
    assert RIGHTS[Role.PARTNER_USER] == {Right.SEE_PARTNER_VIEW}
    assert RIGHTS[Role.PARTNER_SYSTEM] == frozenset()


def test_only_the_duty_officer_and_the_auditor_see_restricted_incidents_without_being_named():
    assert {role for role in Role if may(role, Right.SEE_RESTRICTED)} == {Role.DUTY_OFFICER, Role.AUDITOR}


@pytest.mark.parametrize(
    "right, roles",
    [
        (Right.DECIDE, {"coordinator", "release-authority", "legal-adviser"}),
        (Right.CHANGE_STATUS, {"coordinator", "duty-officer"}),
        (Right.REQUEST_RELEASE, {"coordinator", "duty-officer"}),
        (Right.MANAGE_USERS, {"administrator"}),
        (Right.MANAGE_ENDPOINTS, {"administrator"}),
        (Right.MANAGE_AGREEMENTS, {"agreement-manager"}),
        (Right.SUSPEND_USER, {"administrator", "duty-officer"}),
        (Right.FILE_REPORT, {"liaison-officer", "coordinator", "duty-officer", "exercise-controller", "analyst"}),
    ],
)
def test_who_holds_the_rights_that_matter_most(right, roles):
    assert {role.value for role in Role if may(role, right)} == roles


def test_every_role_that_clears_or_administers_needs_a_second_factor():
    assert {role.value for role in Role if needs_second_factor(role)} == {
        "coordinator", "release-authority", "legal-adviser", "agreement-manager", "exercise-controller",
        "administrator",
    }  # fmt: skip


@pytest.mark.parametrize("right", Right)
def test_the_acts_themselves_ask_for_the_second_factor(right):
    assert asks_second_factor(right) == (right in CLEARING | ADMINISTERING)


# ---------------------------------------------------------------- scopes


@pytest.mark.parametrize(
    "role, scopes",
    [
        ("liaison-officer", {"report", "read", "tasks"}),
        ("coordinator", {"report", "read", "tasks", "coordinate", "decide"}),
        ("duty-officer", {"report", "read", "tasks", "coordinate"}),
        ("release-authority", {"read", "tasks", "decide"}),
        ("legal-adviser", {"read", "tasks", "decide"}),
        ("agreement-manager", {"read", "tasks", "admin"}),
        ("exercise-controller", {"report", "read", "tasks"}),
        ("analyst", {"report", "read", "tasks"}),
        ("auditor", {"read"}),
        ("partner-user", {"read"}),
        ("partner-system", set()),
        ("administrator", {"read", "admin"}),
    ],
)
def test_a_token_takes_the_scopes_of_its_users_role(role, scopes):
    assert scopes_allowed(Role(role)) == scopes
    assert scopes_allowed(role) == scopes, "roles come from the database as plain text"


@given(st.sampled_from(Role), st.sets(st.sampled_from(Scope)))
def test_a_token_never_does_more_than_its_role_or_its_scopes(role, scopes):
    rights = rights_of(role, scopes)
    assert rights <= rights_of(role)
    assert rights <= set().union(*(SCOPES[scope] for scope in scopes))


def test_every_right_of_the_api_is_reached_by_some_scope():
    assert set().union(*SCOPES.values()) == set(Right)


def test_reading_changes_nothing():
    assert SCOPES[Scope.READ] == READING
    assert READING.isdisjoint(CLEARING | ADMINISTERING | SCOPES[Scope.COORDINATE] | SCOPES[Scope.TASKS])


# ---------------------------------------------------------------- approving


@pytest.mark.parametrize(
    "reasons, tlp, category, roles",
    [
        (["R-STALE-POC"], "AMBER", "incident-notification", {"coordinator", "release-authority"}),
        (["R-IEP-DATES", "R-STALE-POC"], "GREEN", "statistics", {"coordinator", "release-authority"}),
        (["R-STALE-POC"], "AMBER+STRICT", "incident-notification", {"release-authority"}),
        (["R-STALE-POC"], "CLEAR", "attribution-assessment", {"release-authority"}),
        (["R-UNMARKED"], "AMBER+STRICT", "incident-notification", {"release-authority"}),
        (["R-TWO-PERSON"], "GREEN", "incident-notification", {"release-authority"}),
        (["R-TWO-PERSON"], "RED", "incident-notification", {"release-authority"}),
        (["R-LEGAL"], "GREEN", "legal-evidence", {"legal-adviser"}),
        (["R-LEGAL", "R-TWO-PERSON"], "RED", "legal-evidence", {"release-authority"}),
        (["R-LEGAL", "R-STALE-POC"], "AMBER", "legal-evidence", {"legal-adviser", "coordinator", "release-authority"}),
        (["R-STALE-POC"], "PURPLE", "incident-notification", {"release-authority"}),
        (["R-SOMETHING-NEW"], "CLEAR", "incident-notification", {"release-authority"}),
        (["D-RED-CHANNEL", "R-TWO-PERSON"], "RED", "incident-notification", set()),
        ([], "CLEAR", "incident-notification", set()),
    ],
)
def test_who_may_approve_follows_from_the_reasons(reasons, tlp, category, roles):
    assert approvers(reasons, tlp, category) == roles


REASONS = st.sets(st.sampled_from(["R-UNMARKED", "R-IEP-DATES", "R-LEGAL", "R-STALE-POC", "R-TWO-PERSON", "D-ORCON"]))


@given(REASONS, st.sampled_from(LABELS), st.sampled_from(INFO_CATEGORIES.codes), st.sampled_from(Role))
def test_whoever_may_approve_holds_the_right_and_never_over_a_denial(reasons, tlp, category, role):
    if may_approve(role, reasons, tlp, category):
        assert may(role, Right.DECIDE)
        assert not any(reason.startswith("D-") for reason in reasons)


@given(REASONS, st.sampled_from(LABELS), st.sampled_from(INFO_CATEGORIES.codes))
def test_a_coordinator_never_approves_above_amber_or_what_needs_two_persons(reasons, tlp, category):
    if may_approve(Role.COORDINATOR, reasons, tlp, category):
        assert tlp in ("CLEAR", "GREEN", "AMBER")
        assert "R-TWO-PERSON" not in reasons and category != "attribution-assessment"


@pytest.mark.parametrize("role, tlp", list(product(Role, LABELS)))
def test_what_two_persons_are_needed_for_is_the_release_authoritys_alone(role, tlp):
    assert may_approve(role, ["R-TWO-PERSON"], tlp, "incident-notification") == (role is Role.RELEASE_AUTHORITY)
