"""The condition language: what it reads, what holds, what it refuses, and that nothing makes it slow."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playbooks import conditions
from playbooks.conditions import ConditionFault
from playbooks.variables import VariableRefused

VALUES = {
    "__level__": ("string", "high"), "__count__": ("integer", "10"), "__share__": ("float", "0.5"),
    "__yes__": ("bool", "true"), "__no__": ("bool", "false"), "__nothing__": ("string", None),
    "__empty__": ("integer", ""), "__list__": ("dictionary", {"a": 1}), "__mac__": ("mac-addr", "AA-BB-CC-00-11-22"),
    "__text__": ("string", "true"), "__quote__": ("string", "it's"),
}


def read(name: str) -> tuple[str, object]:
    if name not in VALUES:
        raise VariableRefused("not declared")
    return VALUES[name]


def holds(text: str) -> bool:
    return conditions.evaluate(conditions.parse(text), read)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("__level__:value = 'high'", True),
        ("__level__:value == 'high'", True),
        ("__level__:value = high", True),
        ("__level__:value != 'high'", False),
        ("__count__:value = 10", True),
        ("__count__:value = '10'", True),
        ("__count__:value > 9", True),  # as numbers: as text "10" would come before "9"
        ("__count__:value <= 9", False),
        ("9 < __count__:value", True),
        ("__share__:value < 0.75", True),
        ("__yes__:value = true", True),
        ("__yes__:value", True),
        ("__text__:value", True),
        ("__count__:value", False),
        ("__no__:value", False),
        ("NOT __no__:value", True),
        ("__level__:value IN ('low', 'high')", True),
        ("__level__:value NOT IN ('low', 'high')", False),
        ("__level__:value LIKE 'h%g_'", True),
        ("__level__:value LIKE '%x%'", False),
        ("__level__:value NOT LIKE 'l%'", True),
        ("__level__:value NOT = 'low'", True),
        ("__mac__:value = 'aa:bb:cc:00:11:22'", True),
        ("__quote__:value = 'it\\'s'", True),
        ("__no__:value OR __yes__:value AND __no__:value", False),  # AND binds closer
        ("(__no__:value OR __yes__:value) AND __yes__:value", True),
        ("__count__:value >= 10 AND (__level__:value = 'low' OR NOT (__no__:value))", True),
    ],
)
def test_a_condition_holds_by_the_declared_type(text: str, expected: bool) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("__nothing__:value = 'a'", False),
        ("__nothing__:value != 'a'", False),
        ("__nothing__:value NOT IN ('a')", False),
        ("__nothing__:value NOT LIKE 'a'", False),
        ("__empty__:value < 5", False),
        ("__nothing__:value = null", True),
        ("__nothing__:value != null", False),
        ("__level__:value != null", True),
        ("__nothing__:value", False),
        ("__list__:value = null", False),
    ],
)
def test_comparing_with_something_unknown_is_false_unless_it_is_asked_for(text: str, expected: bool) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "__a__", "__a__ = 'x'", "= 'x'", "__a__:value =", "__a__:value = 'x", "__a__:value = 'x' AND",
        "(__a__:value", "__a__:value)", "__a__:value IN ('x'", "__a__:value IN 'x'", "__a__:value ~ 'x'",
        "__a__:value MATCHES '(a+)+$'", "__a__:value ISSUBSET '10.0.0.0/8'", "'x'", "__import__('os').system('x')",
        "__a__:value = 'x' 'y'", "[file:name = 'x']", "${jndi:ldap://x}", "__a__:value = 1e5", "AND", "NOT",
    ],
)
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ConditionFault):
        conditions.parse(text)


@pytest.mark.parametrize(
    "text", ["(" * 2_000, "NOT " * 1_000 + "__a__:value", "__a__:value AND " * 2_000, "x" * 5_000, "'" + "\\" * 4_000]
)
def test_a_condition_is_bounded_in_length_depth_and_terms(text: str) -> None:
    with pytest.raises(ConditionFault):
        conditions.parse(text)


@pytest.mark.parametrize(
    ("text", "kind", "faulty"),
    [
        ("__a__:value = 'x'", "integer", True),
        ("__a__:value = 3", "integer", False),
        ("__a__:value < true", "bool", True),
        ("__a__:value < 'x'", "string", False),
        ("__a__:value = 'x'", "dictionary", True),
        ("__a__:value = null", "dictionary", False),
        ("__a__:value < null", "integer", True),
        ("__a__:value IN ('1.2.3.4', 'x')", "ipv4-addr", True),
    ],
)
def test_a_comparison_that_cannot_work_for_the_type_is_told(text: str, kind: str, faulty: bool) -> None:
    assert bool(conditions.type_faults(conditions.parse(text), lambda name: kind)) is faulty


@given(st.text(alphabet="_ab:value='()<>!% ANDORTINLKE0123.,", max_size=120))
def test_any_text_is_either_read_or_refused(text: str) -> None:
    try:
        found = conditions.parse(text)
    except ConditionFault:
        return
    assert isinstance(conditions.names(found), frozenset)


@given(st.text(alphabet="ab", max_size=30), st.text(alphabet="ab%_", max_size=12))
def test_like_agrees_with_a_plain_reading(text: str, pattern: str) -> None:
    plain = "".join(".*" if each == "%" else "." if each == "_" else each for each in pattern)
    expected = re.fullmatch(plain, text, re.DOTALL) is not None
    condition = conditions.parse(f"__like__:value LIKE '{pattern}'")
    assert conditions.evaluate(condition, lambda name: ("string", text)) is expected
