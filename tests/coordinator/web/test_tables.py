"""Tables that leave as files."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from coordinator.web.tables import as_csv


@pytest.mark.parametrize(("value", "cell"), [
    ("=HYPERLINK(1)", "'=HYPERLINK(1)"), ("+1", "'+1"), ("-1", "'-1"), ("@x", "'@x"), ("\uff1d1", "'\uff1d1"),
    ("a=b", "a=b"), (None, ""), (["O-A", "O-B"], "O-A O-B"), (7, "7"),
    (datetime(2026, 11, 22, 3, 10, tzinfo=UTC), "2026-11-22T03:10:00Z"),
])  # fmt: skip
def test_no_cell_is_a_formula_and_values_are_plain(value, cell):
    assert as_csv(["one", "two"], [[value, 1]]).splitlines() == ["one,two", f"{cell},1"]
