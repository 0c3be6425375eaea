"""Hostile input through every door of a running installation: refused clearly or kept to the byte, never run, never a
server error, and no mark or secret of it in a log, the broker or the metrics.

The tables are ours. The same by hand, also with larger collections of others: `python -m tests.hostile [FOLDER]`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.harness.installation import Installation
from tests.hostile.__main__ import attacked, leaks
from tests.hostile.corpus import BODIES, FEW, TEXTS
from tests.hostile.doors import OBSERVED, Doors
from tests.hostile.looking import Overhearing, what_runs

Attacked = tuple[Installation, Doors, Overhearing]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    with attacked(tmp_path_factory.mktemp("hostile") / "var") as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_leaked(site: Attacked) -> Iterator[None]:
    """After each test: nothing that must not be, at no door and in nothing that was written down."""
    machine, doors, broker = site
    doors.tally.faults.clear()
    yield
    assert doors.tally.faults + leaks(machine, doors.site, broker) == []


def test_the_doors_that_are_tried_are_those_there_are(site: Attacked) -> None:
    _machine, doors, _broker = site
    assert {path for _, path, _ in doors.writes} >= {
        "/incidents/{reference}", "/incidents/{reference}/notes", "/acknowledgements/{token}",
        "/tasks/{number}/complete",
    }  # fmt: skip
    assert {form.action for form in doors.forms} >= {"/report", "/sign-in", "/report/draft", "/account/tokens"}
    assert {"/a/<token>", "/incidents/<reference>/attachments/<int:attachment_id>"} <= set(doors.paths)


@pytest.mark.slow
def test_a_body_that_is_no_report_is_refused_as_what_it_is(site: Attacked) -> None:
    for number, (name, raw) in enumerate(BODIES.items()):
        statuses = site[1].body(name, raw, everywhere=number % 4 == 0)
        assert set(statuses) <= {400, 413, 422}, (name, statuses)


@pytest.mark.slow
def test_no_text_runs_or_changes_on_its_way_through_the_doors_that_take_reports(site: Attacked) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda text: site[1].text(repr(text), text, everywhere=False), TEXTS))
    accepted = {door for door, status in site[1].tally.answers if status == 202}
    assert {"webhook", "api /reports", "webhook file"} <= accepted


@pytest.mark.slow
def test_a_few_go_through_every_door_there_is_and_every_page_shows_what_came_of_it(site: Attacked) -> None:
    for name, text in FEW.items():
        site[1].text(name, text)
    site[1].shown()


def test_what_is_accepted_is_kept_to_the_byte_however_it_is_written(site: Attacked) -> None:
    spaced = json.dumps(OBSERVED | {"title": "Ünïcode \u202f \U0001f512"}, indent=3).encode() + b"\r\n\r\n"
    assert site[1].body("spaced", spaced) == [202, 202]


@pytest.mark.parametrize(
    "html",
    ["<p onclick=x>", "<script>1</script>", "<script src=//evil.example/x.js></script>", "<iframe>", "<base href=x>",
     "<a href='javascript:x'>y</a>", "<img src='data:text/html,x'>"],
)  # fmt: skip
def test_the_look_at_a_page_sees_what_would_run(html: str) -> None:
    assert what_runs(f"<html><body>{html}</body></html>") != []
    assert what_runs('<html><script src="/static/x.js" defer></script><a href="/board">x</a></html>') == []
