"""The page of answers about playbooks is whole: every question has its answer and the test that shows it."""

from __future__ import annotations

from tests.test_docs import table_after


def test_every_question_about_playbooks_is_answered_and_shown() -> None:
    for heading, columns in (("## The questions the standard leaves open", 4), ("## What else is promised", 2)):
        rows = table_after("docs/playbooks-semantics.md", heading)
        assert len(rows) > 15
        for row in rows:
            assert len(row) == columns and all(cell.strip() for cell in row) and "::test_" in row[-1], row
    questions = table_after("docs/playbooks-semantics.md", "## The questions the standard leaves open")
    assert [int(row[0]) for row in questions] == list(range(1, 30))
