"""When somebody is reminded of an agreement, what it says in plain words, and what no agreement covers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.agreements.calendar import objects_by, reminders, shift, turns
from coordinator.agreements.schema import load_agreement
from coordinator.agreements.wording import explain, gaps, in_words

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
TERMS = {
    "agreement_id": "MOU-1", "kind": "mou-bilateral", "tlp_ceiling": "AMBER", "onward_sharing": "own-organisation",
    "parties": [{"party": "EE-MFA", "role": "both"}, {"party": "FI-CSIRT", "role": "recipient"}],
    "info_categories_allowed": ["technical-indicators", "victim-identity"],
    "info_categories_excluded": ["victim-identity"], "permitted_purposes": ["network-defence"],
    "retention_max": "P1Y6M", "clause_refs": {"retention_max": "Art. 7(2)", "permitted_purposes": "Art. 3"},
}  # fmt: skip


def terms(**more):
    return load_agreement({**TERMS, **more})


@pytest.mark.parametrize(
    "duration, back, at",
    [
        ("P1M", False, datetime(2026, 2, 28, 12, tzinfo=UTC)),
        ("P1M", True, datetime(2025, 12, 31, 12, tzinfo=UTC)),
        ("P1Y", False, datetime(2027, 1, 31, 12, tzinfo=UTC)),
        ("P90D", True, NOON - timedelta(days=90)),
        ("P2W", False, NOON + timedelta(days=14)),
        ("PT36H", True, NOON - timedelta(hours=36)),
    ],
)
def test_durations_are_counted_by_the_calendar(duration, back, at):
    assert shift(NOON, duration, back=back) == at


@given(st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)), st.integers(0, 400))
def test_days_forth_and_back_are_where_they_began(at, days):
    assert shift(shift(at, f"P{days}D"), f"P{days}D", back=True) == at


def test_an_end_is_reminded_of_three_times_and_a_review_once():
    found = reminders(terms(expires_on="2027-01-01T00:00:00Z", review_due="2026-12-01"))
    assert [(one.what, f"{one.at:%Y-%m-%d}") for one in found] == [
        ("end", "2026-10-03"), ("review", "2026-11-01"), ("end", "2026-12-02"), ("end", "2026-12-25")]  # fmt: skip


def test_it_turns_at_each_start_and_end_and_at_the_edges_of_a_suspension():
    found = turns(terms(
        effective_from="2026-02-01T00:00:00Z", expires_on="2027-01-01T00:00:00Z", signed_on="2026-01-10",
        suspended=[{"from": "2026-05-01T00:00:00+02:00", "to": "2026-06-01T00:00:00Z", "reason": "talks"},
                   {"from": "2026-09-01T00:00:00Z", "reason": "talks"}],
    ))  # fmt: skip
    assert [f"{at:%m-%dT%H}" for at in found] == [
        "01-10T00", "02-01T00", "04-30T22", "06-01T00", "09-01T00", "01-01T00"]  # fmt: skip
    assert turns(terms()) == []


def test_the_last_day_to_object_is_the_end_less_the_notice():
    renewing = terms(expires_on="2027-01-31T00:00:00Z", renewal="automatic", termination_notice="P3M")
    assert objects_by(renewing) == datetime(2026, 10, 31, tzinfo=UTC)
    assert ("objection", datetime(2026, 10, 17, tzinfo=UTC)) in [(one.what, one.at) for one in reminders(renewing)]
    assert objects_by(terms(expires_on="2027-01-31T00:00:00Z", termination_notice="P3M")) is None


def test_nobody_is_reminded_of_what_was_ended():
    assert reminders(terms(expires_on="2027-01-01T00:00:00Z", terminated_on="2026-06-01T00:00:00Z")) == []


def test_each_rule_is_said_with_its_clause():
    said = {one.text: one.clause for one in explain(terms(), own="EE-MFA")}
    assert said["We may give FI-CSIRT: technical indicators, up to TLP:AMBER."] == ""
    assert said["It may be kept for at most 1 year and 6 months."] == "Art. 7(2)"
    assert any(clause == "Art. 3" for clause in said.values())
    assert not any(text.startswith("FI-CSIRT may give us") for text in said), "it only receives"
    assert any(text.startswith("Never: ") and "victim" in text for text in said)


def test_who_is_no_party_is_told_so():
    assert explain(terms(), own="LV-MFA")[0].text == "We are no party: nothing may flow from us under it."


@pytest.mark.parametrize(
    "duration, said",
    [("PT4H", "4 hours"), ("P1D", "1 day"), ("P1Y2M3DT4H", "1 year, 2 months, 3 days and 4 hours")],
)
def test_durations_are_said_in_words(duration, said):
    assert in_words(duration) == said


def test_a_gap_is_what_coordination_needs_and_no_agreement_covers():
    every = ["incident-notification", "situational-report", "technical-indicators", "vulnerability",
             "mitigation-guidance", "request"]  # fmt: skip
    assert gaps({"FI": every, "LV": every[:2], "SE": []}) == {"LV": every[2:], "SE": every}
