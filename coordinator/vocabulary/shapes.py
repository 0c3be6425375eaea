"""Strict reading of single values that came from outside: each reader answers a clean value or refuses with a pointer.

Two conventions hold everywhere: null and "" are read as absent, and nothing is guessed (no "yes" for true, no time
without an offset). A refusal never repeats the value, because the value may be marked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from functools import partial
from typing import Any, ClassVar, Self

from coordinator.errors import Fault, Invalid

Reader = Callable[[Any], Any]

# RFC 3339 section 5.6; the offset is not optional, because a time without one is a different time in every capital.
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_DURATION = re.compile(r"P(?=.)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+S)?)?", re.ASCII)


class Malformed(Invalid):
    """A value from outside cannot be used. `pointer` is RFC 6901 ("" = the whole), `problem` a sentence."""

    def __init__(self, pointer: str, problem: str) -> None:
        super().__init__([Fault(pointer, problem)], f"{pointer or '/'}: {problem}")
        self.pointer = pointer
        self.problem = problem

    def under(self, *parts: str | int) -> Malformed:
        """The same refusal, seen from a document that holds the value at `parts`."""
        prefix = "".join(f"/{_escaped(str(part))}" for part in parts)
        return type(self)(prefix + self.pointer, self.problem)


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def absent(value: object) -> bool:
    return value is None or value == ""


def text(*, default: str | None = None, required: bool = False) -> Reader:
    """Reads a string; absent is `default`, or a refusal where `required`."""

    def read(value: Any) -> str | None:
        if absent(value):
            if required:
                raise Malformed("", "is required")
            return default
        if not isinstance(value, str):
            raise Malformed("", "must be a string")
        return value

    return read


def flag(default: bool) -> Reader:
    """Reads true or false and nothing else; absent is `default`."""

    def read(value: Any) -> bool:
        if absent(value):
            return default
        if not isinstance(value, bool):
            raise Malformed("", "must be true or false")
        return value

    return read


def choice(allowed: Iterable[str], *, default: str | None = None, required: bool = False) -> Reader:
    """Reads one of a closed list of words, exactly as written."""
    known = tuple(allowed)

    def read(value: Any) -> str | None:
        if absent(value):
            if required:
                raise Malformed("", f"is required: one of {', '.join(known)}")
            return default
        if not isinstance(value, str) or value not in known:
            raise Malformed("", f"must be one of {', '.join(known)}")
        return value

    return read


def read_instant(value: Any) -> datetime:
    """The instant in an RFC 3339 string or an aware datetime, in UTC. Raises Malformed, also without an offset."""
    if isinstance(value, datetime):
        instant = value
    elif isinstance(value, str) and _INSTANT.fullmatch(value):
        try:
            instant = datetime.fromisoformat(value.upper())
        except ValueError:
            raise Malformed("", "is not a date and time that exists") from None
    else:
        raise Malformed("", "must be a date and time with an offset, as 2026-06-01T12:00:00Z")
    if instant.utcoffset() is None:
        raise Malformed("", "must carry an offset from UTC")
    try:
        return instant.astimezone(UTC)
    except (OverflowError, ValueError):
        raise Malformed("", "is outside the years that can be reckoned with") from None


def instant(*, required: bool = False) -> Reader:
    def read(value: Any) -> datetime | None:
        if absent(value):
            if required:
                raise Malformed("", "is required: a date and time with an offset")
            return None
        return read_instant(value)

    return read


def codes(*, none_means_no_list: bool = False) -> Reader:
    """Reads a list of codes as a set. Absent is empty, or None where no list and an empty one mean different things."""

    def read(value: Any) -> frozenset[str] | None:
        if absent(value):
            return None if none_means_no_list else frozenset()
        if not isinstance(value, (list, tuple, set, frozenset)):
            raise Malformed("", "must be a list of strings")
        for number, code in enumerate(value):
            if not isinstance(code, str) or not code:
                raise Malformed(f"/{number}", "must be a string that is not empty")
        return frozenset(value)

    return read


def duration() -> Reader:
    """Reads an ISO 8601 duration such as P1Y or PT72H and leaves it as text."""

    def read(value: Any) -> str | None:
        if absent(value):
            return None
        if not isinstance(value, str) or not _DURATION.fullmatch(value):
            raise Malformed("", "must be an ISO 8601 duration, as P1Y or PT72H")
        return value

    return read


def several(shape: type[Shape]) -> Reader:
    """Reads a list of objects of one shape as a tuple."""

    def read(value: Any) -> tuple[Any, ...]:
        if absent(value):
            return ()
        if not isinstance(value, (list, tuple)):
            raise Malformed("", "must be a list")
        return tuple(_at(number, partial(one(shape), entry)) for number, entry in enumerate(value))

    return read


def one(shape: type[Shape], *, optional: bool = False) -> Reader:
    """Reads one object of a shape."""

    def read(value: Any) -> Any:
        if absent(value) and optional:
            return None
        return value if isinstance(value, shape) else shape.from_json(value)

    return read


def _at(part: str | int, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except Malformed as refusal:
        raise refusal.under(part) from None


class Shape:
    """Base of frozen dataclasses whose every value is read strictly, from JSON and from our own code alike."""

    __slots__ = ()
    READERS: ClassVar[Mapping[str, Reader]] = {}
    ALIASES: ClassVar[Mapping[str, str]] = {}
    IGNORED: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        for name, read in self.READERS.items():
            value = getattr(self, name)
            object.__setattr__(self, name, _at(name, partial(read, value)))

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Reads a JSON object; a field that is not known is refused by name. Raises Malformed."""
        if not isinstance(data, Mapping):
            raise Malformed("", "must be an object")
        values: dict[str, Any] = {}
        for key, value in data.items():
            name = cls.ALIASES.get(key, key)
            if name not in cls.READERS:
                if key in cls.IGNORED:
                    continue
                raise unknown_field(key)
            if name in values:
                raise Malformed(f"/{name}", "is given twice, under two names")
            if value is not None:
                values[name] = value
        for name in cls.READERS:
            values.setdefault(name, None)
        return cls(**values)

    def to_json(self) -> dict[str, Any]:
        """The JSON form: what is absent or at its default is left out, sets are sorted, times are RFC 3339 UTC."""
        written: dict[str, Any] = {}
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if value != _value_when_absent(self.READERS[field.name]):
                written[field.name] = _plain(value)
        return written


_NEVER_ABSENT = object()


def _value_when_absent(read: Reader) -> Any:
    try:
        return read(None)
    except Malformed:
        return _NEVER_ABSENT


def unknown_field(name: object) -> Malformed:
    """The refusal of a field that is not known, by name where it looks like one: anything else could be content."""
    if isinstance(name, str) and re.fullmatch(r"[a-z0-9_@-]{1,40}", name):
        return Malformed("", f"has a field that is not known here: {name}")
    return Malformed("", "has a field that is not known here")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, Shape):
        return value.to_json()
    return value.value if hasattr(value, "value") else value
