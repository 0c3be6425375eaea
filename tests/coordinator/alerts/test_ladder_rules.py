"""When to try again and whom to turn to next: pure arithmetic."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.alerts.ladder import BACK_OFF, DEFAULT_LADDER, Way, answers_it, entry_due, next_way, wait_before_next

AT = datetime(2026, 11, 22, 3, 10, tzinfo=UTC)
A1, A2, B1, B2 = Way(1, 11), Way(1, 12), Way(2, 21), Way(2, 22)
WAYS = [A1, A2, B1, B2]


def test_the_waits_are_those_of_the_design_and_outlast_three_days() -> None:
    waits = [wait_before_next(number) for number in range(1, 11)]
    assert [each.total_seconds() if each else None for each in waits] == [
        5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400, None,
    ]  # fmt: skip
    assert sum(BACK_OFF) >= 75 * 3600


@given(number=st.integers(1, 60), jitter=st.floats(0, 1), asked=st.none() | st.floats(0, 1e9))
def test_a_wait_is_never_shorter_than_said_and_never_longer_than_a_little_over_a_day(
    number: int, jitter: float, asked: float | None
) -> None:
    plain, wait = wait_before_next(number), wait_before_next(number, retry_after=asked, jitter=jitter)
    assert (plain is None) == (wait is None)
    if plain is not None and wait is not None:
        assert wait >= plain
        assert wait >= timedelta(seconds=min(asked or 0, 86_400))
        assert wait <= timedelta(hours=26.4)


def test_a_round_started_again_by_hand_begins_with_the_short_waits() -> None:
    assert wait_before_next(11) == wait_before_next(1)


@pytest.mark.parametrize(("tried", "to", "expected"), [
    ([A1], "next-channel", A2), ([A1], "next", A2), ([A1], "next-contact", B1), ([A1], "deputy", B1),
    ([A1, A2], "next-channel", B1), ([A1, B1], "next-contact", A2), ([A1, A2, B1, B2], "next", None),
    ([A1, A2, B1], "next-contact", B2), ([Way(None, None)], "next", A1), ([], "next", A1),
])  # fmt: skip
def test_the_next_way_is_the_one_asked_for_or_any_that_is_left(tried: list[Way], to: str, expected: Way | None) -> None:
    assert next_way(WAYS, tried, tried[-1] if tried else A1, to=to) == expected


@given(tried=st.lists(st.sampled_from(WAYS), min_size=1), to=st.sampled_from(["next", "next-channel", "next-contact"]))
def test_no_way_is_taken_twice_and_none_is_left_out(tried: list[Way], to: str) -> None:
    way = next_way(WAYS, tried, tried[-1], to=to)
    assert (way is None) == (set(tried) == set(WAYS))
    assert way not in tried


@pytest.mark.parametrize(("asked", "given_", "enough"), [
    ("person", "person", True), ("person", "system", False), ("system", "system", True), ("system", "person", True),
    ("", "system", True), ("", "person", True),
])  # fmt: skip
def test_a_ladder_that_asks_for_a_person_is_not_stopped_by_a_machine(asked: str, given_: str, enough: bool) -> None:
    assert answers_it(asked, given_) is enough


def test_entries_come_due_counted_from_when_the_alert_was_raised() -> None:
    assert entry_due(DEFAULT_LADDER, 0, AT) == AT + timedelta(minutes=30)
    assert entry_due(DEFAULT_LADDER, len(DEFAULT_LADDER), AT) is None
    assert entry_due([], 0, AT) is None
