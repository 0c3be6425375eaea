"""Strict JSON: what is read, and that a refusal says where and never what."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.errors import NotParseable, TooLarge
from coordinator.outside.strict_json import MAX_DEPTH, parse_json

REFUSED = {
    "nothing": b"",
    "not JSON": b"{'title': 'x'}",
    "two values": b"{} {}",
    "trailing comma": b'{"a": 1,}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "overlong UTF-8": b'{"a": "\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"a": "\xed\xa0\x80"}',
    "a name twice": b'{"tlp": "RED", "tlp": "CLEAR"}',
    "a name twice, deeper": b'{"a": [{"b": 1, "b": 1}]}',
    "a name twice, one escaped": b'{"a": 1, "\\u0061": 2}',
    "NaN": b'{"a": NaN}',
    "Infinity": b"[Infinity]",
    "minus Infinity": b"[-Infinity]",
    "a number beyond double": b"[1e999]",
    "a number of many digits": b"[" + b"9" * 5000 + b"]",
    "half a surrogate pair": b'{"a": "\\ud800"}',
    "half a surrogate pair as a name": b'{"\\uDFAA": 1}',
    "a raw control character": b'{"a": "\x01"}',
    "nested too deep": b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    "nested beyond the parser": b"[" * 100_000 + b"]" * 100_000,
    "nested and never closed": b'{"a":' * 100_000,
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_strict_json_is_not_parseable(body):
    with pytest.raises(NotParseable):
        parse_json(body)


@pytest.mark.parametrize(
    "body, value",
    [
        (b'{"a": [1, -0.5, true, null, "\\u00e9"]}', {"a": [1, -0.5, True, None, "é"]}),
        (b' {"a": "\\ud83d\\ude00"} ', {"a": "😀"}),
        (b'"a backslash before: \\\\ud800"', "a backslash before: \\ud800"),
        (b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH)),
        (b'["' + b"[" * 200 + b'"]', ["[" * 200]),
    ],
)
def test_strict_json_is_read_as_it_stands(body, value):
    assert parse_json(body) == value


def test_a_body_over_the_bound_is_too_large():
    assert parse_json(b"[   ]", max_bytes=5) == []
    with pytest.raises(TooLarge):
        parse_json(b"[    ]", max_bytes=5)


@pytest.mark.parametrize(
    "body", [b'{"canary": 1, "canary": 2}', b"[canary]", b'{"a": canary\xff}', b'["canary\\ud800"]', b'{"canary" 1}']
)
def test_a_refusal_repeats_nothing_of_the_body(body):
    with pytest.raises(NotParseable) as refused:
        parse_json(body)
    assert "canary" not in refused.value.detail


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_in_one_known_way(body):
    try:
        value = parse_json(body)
    except NotParseable:
        return
    assert json.loads(body) == value


TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=9)
PLAIN = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | TEXT


@given(st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20))
def test_whatever_json_can_say_comes_back(value):
    assert parse_json(json.dumps(value).encode()) == value
