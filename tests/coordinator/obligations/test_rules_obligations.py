"""Deadlines of duties, as tables and properties."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import Invalid, Refused
from coordinator.obligations import rules
from coordinator.obligations.register import shipped_rules

SHIPPED = {each["rule"]: each for each in shipped_rules()}
INSTANTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("rule", "known", "due"),
    [
        ("EU-NIS2-EW", {"aware_at": ("2026-01-30T22:15", "second")}, "2026-01-31T22:15"),
        ("EU-NIS2-FR", {"submitted_at:EU-NIS2-IN": ("2026-01-31T09:00", "second")}, "2026-02-28T09:00"),
        ("EU-DORA-IN", {"aware_at": ("2026-03-01T08:00", ""), "classified_at": ("2026-03-01T10:00", "")},
         "2026-03-01T14:00"),
        ("EU-DORA-IN", {"aware_at": ("2026-03-01T08:00", ""), "classified_at": ("2026-03-03T09:00", "")},
         "2026-03-03T13:00"),
        ("EU-DORA-IN", {"aware_at": ("2026-03-01T08:00", "")}, "2026-03-02T08:00"),
        ("IN-CERTIN", {"aware_at": ("2026-05-05T20:00", "second")}, "2026-05-06T02:00"),
        ("EU-NIS2-IN", {"aware_at": ("2026-04-01T13:47", "hour")}, "2026-04-04T13:00"),
        ("EU-NIS2-EW", {"aware_at": ("2026-04-01T13:47", "day")}, "2026-04-02T00:00"),
        ("EU-NIS2-EW", {"aware_at": ("2026-10-24T20:00", "second")}, "2026-10-25T20:00"),  # the night summer time ends
        ("EU-NIS2-IR", {"requested_until": ("2026-04-09T12:00", "second")}, "2026-04-09T12:00"),
        ("EU-NIS2-PR", {"due_at:EU-NIS2-FR": ("2026-04-09T12:00", "second")}, "2026-04-09T12:00"),
    ],
)  # fmt: skip
def test_a_rule_and_what_is_known_give_the_deadline(rule: str, known: dict, due: str) -> None:
    facts = {name: (at(text), fidelity) for name, (text, fidelity) in known.items()}
    found = rules.reckon(SHIPPED[rule]["clocks"], facts)
    assert found is not None and found.due_at == at(due) and not found.soft


def test_business_days_leave_out_weekends_and_the_holidays_that_are_given() -> None:
    assert rules.business_days_after(date(2026, 7, 2), 4, holidays=[date(2026, 7, 3)]) == date(2026, 7, 9)
    clocks = SHIPPED["US-SEC-8K"]["clocks"]
    found = rules.reckon(clocks, {"material_at": (at("2026-07-02T15:30"), "")}, holidays=[date(2026, 7, 3)])
    assert found is not None and found.due_at == at("2026-07-09T15:30")


def test_without_undue_delay_is_a_target_and_no_deadline() -> None:
    found = rules.reckon(SHIPPED["EU-GDPR-34"]["clocks"], {"high_risk_at": (at("2026-01-01T00:00"), "")})
    assert found is not None and found.due_at is None and found.soft and found.target_at == at("2026-01-02T00:00")


def test_what_is_not_known_starts_no_clock() -> None:
    assert rules.reckon(SHIPPED["EU-CRA-FV"]["clocks"], {"aware_at": (at("2026-01-01T00:00"), "")}) is None


def test_every_shipped_rule_says_what_it_rests_on_and_none_is_signed() -> None:
    assert len(SHIPPED) == 36
    for each in SHIPPED.values():
        assert each["confidence"] and each["status"] in ("in-force", "not-in-force", "template")
        assert "signed_by" not in each


@given(INSTANTS, st.sampled_from(["", "minute", "hour", "day", "month", "year"]), st.sampled_from(sorted(SHIPPED)))
def test_a_less_exact_instant_never_makes_a_deadline_later(instant: datetime, fidelity: str, rule: str) -> None:
    clocks = SHIPPED[rule]["clocks"]
    exact = rules.reckon(clocks, {name: (instant, "") for name in rules.bases(clocks)})
    rough = rules.reckon(clocks, {name: (instant, fidelity) for name in rules.bases(clocks)})
    assert exact is not None and rough is not None and rough.target_at <= exact.target_at


@given(INSTANTS, st.integers(1, 3000))
def test_warnings_come_in_order_and_each_is_told_once(start: datetime, hours: int) -> None:
    end = start + timedelta(hours=hours)
    marks = rules.warnings(start, end)
    assert [when for _, when in marks] == sorted(when for _, when in marks)
    assert ("1h" in dict(marks)) == (hours > 1)
    told: list[str] = []
    now, following = start, start
    while following is not None:
        now = following
        passed, following = rules.what_to_tell(start, end, told=told, now=now)
        assert not set(passed) & set(told) and (following is None or following > now)
        told += passed
    assert sorted(told) == sorted(name for name, _ in marks) and now == end


@pytest.mark.parametrize(
    ("state", "now", "met", "said"),
    [
        ("armed", "2026-01-01T00:00", None, "armed"),
        ("running", "2026-01-01T01:00", None, "running"),
        ("running", "2026-01-01T12:00", None, "due-soon"),
        ("running", "2026-01-02T00:00", None, "overdue"),
        ("met", "2026-01-09T00:00", "2026-01-02T00:00", "met"),
        ("met", "2026-01-09T00:00", "2026-01-02T00:01", "met-late"),
        ("waived", "2026-01-09T00:00", None, "waived"),
    ],
)
def test_how_a_duty_stands_is_derived_and_late_stays_late(state: str, now: str, met: str | None, said: str) -> None:
    due = at("2026-01-02T00:00")
    assert rules.standing(state, due_at=due, target_at=due, basis_at=at("2026-01-01T00:00"),
                          met_at=at(met) if met else None, now=at(now)) == said  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "way"),
    [(None, "2026-01-01T00:00", "first"), ("2026-01-02T00:00", "2026-01-01T00:00", "earlier"),
     ("2026-01-01T00:00", "2026-01-02T00:00", "later"), ("2026-01-01T00:00", "2026-01-01T00:00", "")],
)  # fmt: skip
def test_which_way_a_new_reckoning_moves_a_deadline(before: str | None, after: str, way: str) -> None:
    assert rules.moved(at(before) if before else None, at(after)) == way


def test_what_is_met_was_submitted_in_the_past_and_is_shown_by_something() -> None:
    now = at("2026-01-02T00:00")
    rules.check_met(now, now=now, evidence="Receipt 17")
    with pytest.raises(Invalid) as refused:
        rules.check_met(now + timedelta(seconds=1), now=now, evidence=" ")
    assert [fault.pointer for fault in refused.value.errors] == ["/submitted_at", "/evidence"]
    with pytest.raises(Refused):
        rules.check_open("met")
