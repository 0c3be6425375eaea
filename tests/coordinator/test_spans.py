"""Lengths of time as agreements write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from coordinator.vocabulary.spans import in_words, later

LEAP = datetime(2028, 2, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(("span", "words"), [
    ("P1Y", "1 year"), ("P6M", "6 months"), ("P2W", "2 weeks"), ("PT72H", "72 hours"),
    ("P1DT1H30M", "1 day 1 hour 30 minutes"), ("P0D", "0 seconds"),
])  # fmt: skip
def test_they_are_said_in_words(span, words):
    assert in_words(span) == words


@pytest.mark.parametrize(("span", "end"), [
    ("P1Y", datetime(2029, 2, 28, 12, tzinfo=UTC)), ("P1M", datetime(2028, 3, 29, 12, tzinfo=UTC)),
    ("P10M", datetime(2028, 12, 29, 12, tzinfo=UTC)), ("P11M", datetime(2029, 1, 29, 12, tzinfo=UTC)),
    ("P2W", datetime(2028, 3, 14, 12, tzinfo=UTC)), ("PT72H", datetime(2028, 3, 3, 12, tzinfo=UTC)),
    ("P9999Y", None), ("P7971Y", datetime(9999, 2, 28, 12, tzinfo=UTC)), ("P99999999999D", None),
])  # fmt: skip
def test_years_and_months_are_those_of_the_calendar(span, end):
    assert later(LEAP, span) == end


@pytest.mark.parametrize("text", ["", "P", "PT", "1Y", "P1Y2", "P-1Y", "P١Y"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError):
        in_words(text)
