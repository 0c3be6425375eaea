"""Canonical JSON: byte for byte what the library of RFC 8785 writes, whatever the value."""

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from coordinator.outside.canonical_json import canonical

_TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
_NUMBER = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | _NUMBER | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4), max_leaves=20,
)


@given(VALUES)
def test_both_write_the_same_bytes(value):
    assert canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [
    {"z": 1, "a": [True, None, "\x00\x1f\x7f\"\\/\b\f\n\r\t\u2028\u00e9"], "": {}}, [], {}, (1, 2), "",
    0, -0.0, 1e21, 1.0,
    {"\U0001f600": 1, "\ufb33": 2, "\u20ac": 3, "1": 4}, {"a": 9007199254740991, "b": -9007199254740991},
    {"deep": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]},
], ids=ascii)  # fmt: skip
def test_both_write_the_hard_ones_alike(value):
    assert canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [2**53, -(2**53), [2**60], {"a": float("nan")}, [float("inf")], {1: 2},
                                   {"a": {None: 1}}, [b"bytes"], {"a": {1, 2}}, {"a": "\ud800"}], ids=ascii)
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(rfc8785.CanonicalizationError):
        canonical(value)
