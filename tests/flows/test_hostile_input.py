"""Hostile input through webhook, API and form: refused clearly or kept to the byte, never run, never a server error.

The tables are ours. Larger collections of others: `python -m tests.real_input.hostile FOLDER`.
"""

from __future__ import annotations

import json

import pytest

from coordinator.store import Store
from tests.factories import small_world
from tests.real_input.doors import OBSERVED, Doors, what_runs

#: Not JSON, or JSON that no two readers read alike, or no report.
BODIES: dict[str, bytes] = {
    "empty": b"", "blank": b" \n", "no object": b"[]", "a number": b"1e9999", "null": b"null", "half": b'{"title":',
    "tail": b'{"title":"x"} {}', "comma": b'{"title":"x",}', "single quotes": b"{'title':'x'}", "comment": b"{/**/}",
    "twice": b'{"title":"a","title":"b"}', "not a number": b'{"severity":NaN}', "infinity": b'{"severity":-Infinity}',
    "byte order mark": b'\xef\xbb\xbf{"title":"x"}', "utf-16": '{"title":"x"}'.encode("utf-16"),
    "latin-1": b'{"title":"\xe9"}', "overlong": b'{"title":"\xc0\xaf"}', "surrogate": b'{"title":"\\ud800"}',
    "surrogate in bytes": b'{"title":"\xed\xa0\x80"}', "raw control": b'{"title":"a\x00b"}',
    "bad escape": b'{"t":"\\x"}',
    "deep": b"[" * 5000 + b"]" * 5000, "deep objects": b'{"a":' * 3000 + b"1" + b"}" * 3000,
    "long number": b'{"severity":' + b"9" * 20_000 + b"}", "exponent": b'{"severity":1e400}',
    "prototype": b'{"__proto__":{"title":"x"}}', "class": b'{"py/object":"os.system"}', "xml": b"<report/>",
    "entity": b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "gzip": b"\x1f\x8b\x08\x00\x00",
    "many names": json.dumps({f"n{n}": n for n in range(5000)}).encode(), "too large": b'"' + b"x" * 1_100_000 + b'"',
}  # fmt: skip

#: Texts that broke something somewhere: markup, templates, headers, formulas, queries, paths, scripts of the world.
TEXTS = (
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "'><svg/onload=alert(1)>", "</title><script>1",
    "</textarea><script>1</script>", "<a href=\"javascript:alert(1)\">x</a>", "javascript:alert(1)", "<!--",
    "]]>", "&lt;b&gt;",
    "&#60;script&#62;", "<iframe srcdoc='<script>1</script>'>", "<base href=//evil.example>",
    "<math><mi//xlink:href=\"data:x,1\">",
    "{{7*7}}", "{% include '/etc/passwd' %}", "${7*7}", "#{7*7}", "<%= 7*7 %>", "%(title)s", "{0.__class__}",
    "%s%n%x", "$(id)", "`id`",
    "'; DROP TABLE reports; --", "1 OR 1=1", "\" OR \"\"=\"", "%' ESCAPE '", "100%", "_", "\\", "[a-z]*", "*",
    "a" * 119,
    "=cmd|'/C calc'!A0", "+1+1", "@SUM(1)", "../../../etc/passwd", "..\\..\\win.ini", "file:///etc/passwd",
    "CON", "nul",
    "Subject: x\r\nBcc: all@example.org", "a\r\n\r\nb", "a\tb", "line\u2028separator", "\u202egnp.exe",
    "\u2066x\u2069", "a\u200bb", "\ufeff",
    "\u0000", "\u0007", "\u001b[31m", "\x7f", "\ud800", "\U0001f469\u200d\U0001f692",
    "Z\u0351\u036b\u0343a\u0321l\u0347go", "\u0627\u0644\u0639",
    "\u05e2\u05d1\u05e8", "\u4e2d\u6587", "\ufdfa", "\u1e9e\u0131\u0130", "e\u0301", "\u212b", "NaN", "null",
    "undefined", "true", "-1", "1e309", "0x10",
    "", " ", "   x   ", ".", "None", "<![CDATA[x]]>", "\\u003cscript\\u003e", "%3Cscript%3E", "<ſcript>", "＜script＞",
)  # fmt: skip


@pytest.fixture
def doors(sqlite_store: Store) -> Doors:
    return Doors(sqlite_store, small_world(sqlite_store))


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_no_report_is_refused_as_what_it_is(doors: Doors, name: str) -> None:
    statuses = doors.body(name, BODIES[name])
    assert set(statuses) <= {400, 413, 422}, statuses
    assert doors.tally.faults == []


@pytest.mark.slow
def test_no_text_runs_or_changes_on_its_way_through_any_door(doors: Doors) -> None:
    for text in TEXTS:
        doors.text(repr(text), text)
        doors.search(repr(text), text)
    doors.pages()
    assert doors.tally.faults == []
    accepted = {door for door, status in doors.tally.answers if status in (202, 303)}
    assert accepted == {"webhook", "api", "form"}


def test_what_is_accepted_is_kept_to_the_byte_however_it_is_written(doors: Doors) -> None:
    spaced = json.dumps(OBSERVED | {"title": "Ünïcode \u202f \U0001f512"}, indent=3).encode() + b"\r\n\r\n"
    assert doors.body("spaced", spaced) == [202, 202]
    assert doors.tally.faults == []


@pytest.mark.parametrize(
    "html",
    ["<p onclick=x>", "<script>1</script>", "<script src=//evil.example/x.js></script>", "<iframe>", "<base href=x>",
     "<a href='javascript:x'>y</a>", "<img src='data:text/html,x'>"],
)  # fmt: skip
def test_the_look_at_a_page_sees_what_would_run(html: str) -> None:
    assert what_runs(f"<html><body>{html}</body></html>") != []
    assert what_runs('<html><script src="/static/x.js" defer></script><a href="/board">x</a></html>') == []
