"""The condition language: comparisons in the manner of STIX 2.1 patterning, parsed once, typed, bounded, never eval().

    condition  = term {("AND" | "OR") term}            AND binds closer than OR
    term       = "NOT" term | "(" condition ")" | comparison | variable
    comparison = operand ["NOT"] ("=" | "!=" | "<" | "<=" | ">" | ">=" | "LIKE") operand
               | operand ["NOT"] "IN" "(" literal {"," literal} ")"
    operand    = __name__:value | 'text' | number | true | false | null | t'2026-01-01T00:00:00Z'

Rules: the declared type of the variable on the left (else the right) gives the type of the comparison. A comparison
with something unknown (null) is false, `!=` too; `= null` and `!= null` ask for it outright. A variable alone is true
if and only if its value is the string "true". LIKE knows % (any run) and _ (any one). MATCHES is not supported: a
regular expression of a stranger cannot be bounded.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from playbooks.variables import Value, comparable, fault_of_value, is_number

MAX_CHARACTERS = 4_096
MAX_DEPTH = 32
MAX_TERMS = 256

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<variable>__[A-Za-z_][A-Za-z0-9_.-]{0,245}?__)(?::value)
    | (?P<text>[thb]?'(?:[^'\\]|\\.)*')
    | (?P<number>[-+]?[0-9]{1,19}(?:\.[0-9]{1,19})?(?![A-Za-z0-9_.]))
    | (?P<word>[A-Za-z_][A-Za-z0-9_.-]{0,249})
    | (?P<sign><=|>=|!=|<>|==|=|<|>|\(|\)|,)
    )""",
    re.VERBOSE | re.DOTALL,
)
_SIGNS = {"=": "=", "==": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_RESERVED = frozenset({"AND", "OR", "NOT", "IN", "LIKE", "MATCHES", "ISSUBSET", "ISSUPERSET", "EXISTS"})
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}

Reader = Callable[[str], tuple[str, Value]]


class ConditionFault(Exception):
    """The text is not a condition this engine can read; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A variable's value."""

    name: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant; `bare` when it was written without quotes although it is text."""

    value: str | None
    bare: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    left: Ref | Literal
    sign: str
    right: tuple[Ref | Literal, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Not:
    term: Any


@dataclass(frozen=True, slots=True)
class All:
    terms: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    terms: tuple[Any, ...]


Condition = Ref | Literal | Comparison | Not | All | AnyOf


@lru_cache(maxsize=2_048)
def parse(text: str) -> Condition:
    """The condition as a tree. Raises ConditionFault with a sentence; takes time in proportion to the text."""
    if len(text) > MAX_CHARACTERS:
        raise ConditionFault(f"a condition has at most {MAX_CHARACTERS} characters")
    parser = _Parser(list(_tokens(text)))
    condition = parser.either(0)
    parser.expect_end()
    return condition


def evaluate(condition: Condition, read: Reader) -> bool:
    """Whether it holds. `read(name)` answers (type, value) and raises VariableRefused for an unknown name.

    Raises VariableRefused when a value does not have the form of its type.
    """
    match condition:
        case Ref(name):
            return read(name)[1] == "true"
        case Literal(value):
            return value == "true"
        case Not(term):
            return not evaluate(term, read)
        case All(terms):
            return all(evaluate(term, read) for term in terms)
        case AnyOf(terms):
            return any(evaluate(term, read) for term in terms)
        case Comparison():
            return _compare(condition, read)


def names(condition: Condition) -> frozenset[str]:
    """The variables a condition reads."""
    return frozenset(each.name for each in _operands(condition) if isinstance(each, Ref))


def bare_words(condition: Condition) -> list[str]:
    """Text written without quotes: read as text, but not what the standard writes."""
    return [each.value or "" for each in _operands(condition) if isinstance(each, Literal) and each.bare]


def type_faults(condition: Condition, kind_of: Callable[[str], str | None]) -> list[str]:
    """Sentences on comparisons that cannot work for the declared types; `kind_of(name)` is None if undeclared."""
    return [fault for each in _comparisons(condition) if (fault := _type_fault(each, kind_of))]


def _type_fault(comparison: Comparison, kind_of: Callable[[str], str | None]) -> str | None:
    kind = _kind(comparison, lambda name: kind_of(name) or "string")
    for each in (comparison.left, *comparison.right):
        if isinstance(each, Literal) and each.value is not None and fault_of_value(kind, each.value):
            return f"a value it is compared with does not have the form of the type {kind}"
        if isinstance(each, Literal) and each.value is None and comparison.sign not in ("=", "!="):
            return "null can only be asked for with = or !="
    if kind == "dictionary" and not _asks_for_null(comparison):
        return "a dictionary can only be compared with null"
    if comparison.sign in ("<", "<=", ">", ">=") and kind not in ("string",) and not is_number(kind):
        return f"values of the type {kind} have no order"
    return None


def _kind(comparison: Comparison, kind_of: Callable[[str], str]) -> str:
    for each in (comparison.left, *comparison.right):
        if isinstance(each, Ref):
            return kind_of(each.name)
    return "string"


def _asks_for_null(comparison: Comparison) -> bool:
    return any(isinstance(each, Literal) and each.value is None for each in (comparison.left, *comparison.right))


def _compare(comparison: Comparison, read: Reader) -> bool:
    kind = _kind(comparison, lambda name: read(name)[0])
    left = _value(comparison.left, read)
    rights = [_value(each, read) for each in comparison.right]
    if _asks_for_null(comparison) and comparison.sign in ("=", "!="):
        return _null_test(left, rights[0], comparison.sign) != comparison.negated
    ours = comparable(kind, left)
    others = [each for each in (comparable(kind, right) for right in rights) if each is not None]
    if ours is None or not others:
        return False
    return _holds(comparison.sign, ours, others) != comparison.negated


def _holds(sign: str, ours: Any, others: list[Any]) -> bool:
    if sign == "IN":
        return ours in others
    if sign == "LIKE":
        return _like(str(ours), str(others[0]))
    return _ORDER[sign](ours, others[0])


def _null_test(left: Value, right: Value, sign: str) -> bool:
    unknown = (left in (None, "")) and (right in (None, ""))
    return unknown if sign == "=" else not unknown


def _value(operand: Ref | Literal, read: Reader) -> Value:
    return read(operand.name)[1] if isinstance(operand, Ref) else operand.value


def _like(text: str, pattern: str) -> bool:
    """Wildcard match in time of at most text times pattern: remembers only the last %."""
    at = here = mark = 0
    star = -1
    while at < len(text):
        if here < len(pattern) and pattern[here] == "%":
            star, mark, here = here, at, here + 1
        elif here < len(pattern) and pattern[here] in ("_", text[at]):
            at, here = at + 1, here + 1
        elif star >= 0:
            mark, at, here = mark + 1, mark + 1, star + 1
        else:
            return False
    return all(each == "%" for each in pattern[here:])


def _walk(condition: Condition) -> Iterator[Condition]:
    stack = [condition]
    while stack:
        each = stack.pop()
        yield each
        match each:
            case Not(term):
                stack.append(term)
            case All(terms) | AnyOf(terms):
                stack.extend(reversed(terms))


def _comparisons(condition: Condition) -> Iterator[Comparison]:
    return (each for each in _walk(condition) if isinstance(each, Comparison))


def _operands(condition: Condition) -> Iterator[Ref | Literal]:
    for each in _walk(condition):
        if isinstance(each, Ref | Literal):
            yield each
        elif isinstance(each, Comparison):
            yield each.left
            yield from each.right


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at, count, end = 0, 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise ConditionFault(f"cannot be read from character {at + 1} on")
        count += 1
        if count > 4 * MAX_TERMS:
            raise ConditionFault(f"a condition has at most {MAX_TERMS} terms")
        yield found.lastgroup, found.group(found.lastgroup)
        at = found.end()


class _Parser:
    """Recursive descent with a depth bound; one token ahead."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    def either(self, depth: int) -> Condition:
        return self._chain("OR", AnyOf, self._both, depth)

    def _both(self, depth: int) -> Condition:
        return self._chain("AND", All, self._term, depth)

    def _chain(self, word: str, node: type, part: Callable[[int], Condition], depth: int) -> Condition:
        terms = [part(depth)]
        while self._take_word(word):
            terms.append(part(depth))
        return terms[0] if len(terms) == 1 else node(tuple(terms))

    def _term(self, depth: int) -> Condition:
        if depth > MAX_DEPTH:
            raise ConditionFault(f"parentheses and NOT nest at most {MAX_DEPTH} deep")
        if self._take_word("NOT"):
            return Not(self._term(depth + 1))
        if self._take_sign("("):
            inner = self.either(depth + 1)
            self._need("(", ")")
            return inner
        return self._comparison()

    def _comparison(self) -> Condition:
        left = self._operand()
        negated = self._take_word("NOT")
        if self._take_word("IN"):
            return Comparison(left, "IN", self._list(), negated)
        if self._take_word("LIKE"):
            return Comparison(left, "LIKE", (self._operand(),), negated)
        if (sign := self._sign()) is not None:
            return Comparison(left, sign, (self._operand(),), negated)
        if negated or not isinstance(left, Ref):
            raise ConditionFault("a comparison is missing its sign (=, !=, <, <=, >, >=, IN or LIKE)")
        return left

    def _list(self) -> tuple[Ref | Literal, ...]:
        self._need("IN", "(")
        found = [self._operand()]
        while self._take_sign(","):
            found.append(self._operand())
        self._need("the list after IN", ")")
        return tuple(found)

    def _operand(self) -> Ref | Literal:
        group, text = self._next()
        if group == "variable":
            return Ref(text)
        if group == "number":
            return Literal(text)
        if group == "text":
            return Literal(re.sub(r"\\(.)", r"\1", text[text.index("'") + 1 : -1], flags=re.DOTALL))
        if group == "word" and text.startswith("__"):
            raise ConditionFault(f"a variable is written with :value, as in {text[:60]}:value")
        if group == "word" and text.upper() not in _RESERVED:
            lowered = text.lower()
            if lowered == "null":
                return Literal(None)
            return Literal(lowered) if lowered in ("true", "false") else Literal(text, bare=True)
        if group == "word" and text.upper() in ("MATCHES", "ISSUBSET", "ISSUPERSET", "EXISTS"):
            raise ConditionFault(f"{text.upper()} is not supported")
        raise ConditionFault(f"a variable or a value is expected, not {text[:20]!r}")

    def _sign(self) -> str | None:
        group, text = self._peek()
        if group == "word" and text.upper() in ("MATCHES", "ISSUBSET", "ISSUPERSET", "EXISTS"):
            raise ConditionFault(f"{text.upper()} is not supported")
        if group != "sign" or text not in _SIGNS:
            return None
        self._at += 1
        return _SIGNS[text]

    def _take_word(self, word: str) -> bool:
        group, text = self._peek()
        taken = group == "word" and text.upper() == word
        self._at += taken
        return taken

    def _take_sign(self, sign: str) -> bool:
        taken = self._peek() == ("sign", sign)
        self._at += taken
        return taken

    def _need(self, after: str, sign: str) -> None:
        if not self._take_sign(sign):
            raise ConditionFault(f"{sign!r} is missing after {after}")

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _next(self) -> tuple[str, str]:
        found = self._peek()
        if found[0] == "end":
            raise ConditionFault("ends where a variable or a value is expected")
        self._at += 1
        return found

    def expect_end(self) -> None:
        if self._at < len(self._tokens):
            raise ConditionFault(f"{self._tokens[self._at][1][:20]!r} is not expected there")
