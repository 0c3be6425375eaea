"""How far away an instant is, in the words of the pages."""

from __future__ import annotations

import pytest
from flask import Flask
from flask_babel import Babel

from coordinator.web.formats import spell


@pytest.mark.parametrize(("seconds", "said"), [
    (59, "1 min"), (60, "1 min"), (3599, "59 min"), (7199, "119 min"), (7200, "2 hours"), (7259, "2 hours"),
    (7260, "2 h 1 min"), (3 * 3600 - 1, "2 h 59 min"), (3 * 3600, "3 hours"), (10 * 3600 - 1, "9 h 59 min"),
    (10 * 3600 + 1800, "10 hours"), (2 * 86400 - 1, "47 hours"), (2 * 86400, "2 days"),
    (90 * 86400 - 1, "89 days"), (90 * 86400, "3 months"), (365 * 86400 - 1, "12 months"),
    (730 * 86400 - 1, "24 months"),
    (730 * 86400, "2 years"), (1148 * 86400, "3 years"),
])  # fmt: skip
def test_a_span_is_said_as_exactly_as_a_deadline_needs(seconds: float, said: str) -> None:
    app = Flask("spans")
    Babel(app)
    with app.test_request_context():
        assert spell(seconds) == said
