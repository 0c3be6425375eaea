"""marshmallow fields with strict types, bounds and sentences that say what to do.

Text rules, the same at every door: U+0000, the other C0 controls, DEL and lone surrogates are refused; a tab is taken,
line feed and carriage return only in texts of several lines. One-line texts refuse NEL and U+2028, U+2029 too.
C1 controls (old mis-decoded text is full of them), bidi controls and unassigned code points are kept as they came.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from marshmallow import ValidationError, fields, missing

EARLIEST_YEAR, LATEST_YEAR = 1970, 2199

_ONE_LINE = re.compile("[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")
_LINES = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_INSTANT = re.compile(
    r"([0-9]{4})-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:([0-9]{2})(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})\Z"
)


class Lean:
    """Skips what our fields never use (validators, defaults, hooks): half of the time of a load went there."""

    required: bool

    def deserialize(self, value: Any, attr: str | None = None, data: Any = None, **kwargs: Any) -> Any:
        if value is missing:
            if self.required:
                raise ValidationError("This is required: send it.")
            return missing
        return self._deserialize(value, attr, data, **kwargs)  # type: ignore[attr-defined]


class Text(Lean, fields.String):
    """Text of 1 to `longest` code points, kept to the character; see the module for what is refused."""

    def __init__(self, longest: int, *, lines: bool = False, **kwargs: Any) -> None:
        super().__init__(**_described(kwargs, maxLength=longest, minLength=1))
        self.longest, self.lines = longest, lines

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        text = _as_text(value)
        if len(text) > self.longest:
            raise ValidationError(f"Shorten this to at most {self.longest} characters.")
        if not text.isprintable():
            _refuse_controls(text, self.lines)
        if not text[0].isalnum() and not any(one.isprintable() and not one.isspace() for one in text):
            raise ValidationError("Write something that can be seen, or leave this out.")
        return text


def _as_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValidationError("Send this as text.")
    if not value:
        raise ValidationError("This is empty: write something or leave it out.")
    return value


def _refuse_controls(text: str, lines: bool) -> None:
    if (_LINES if lines else _ONE_LINE).search(text):
        where = "" if lines else " and line breaks"
        raise ValidationError(f"Take out control characters{where}, and halves of surrogate pairs.")


class Token(Lean, fields.String):
    """Text that matches `pattern` as a whole, at most `longest` characters; `sentence` says how to write it."""

    def __init__(self, pattern: str, sentence: str, *, longest: int = 200,
                 canonical: Callable[[str], str] | None = None, **kwargs: Any) -> None:
        super().__init__(**_described(kwargs, maxLength=longest))
        self.pattern, self.sentence = re.compile(rf"(?:{pattern})\Z"), sentence
        self.longest, self.canonical = longest, canonical

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        text = _as_text(value)
        if len(text) > self.longest or not self.pattern.match(text):
            raise ValidationError(self.sentence)
        return self.canonical(text) if self.canonical else text


class Choice(Lean, fields.String):
    """One of `values`, in any case of letters; `also` maps further spellings to a value. Gives the value as listed."""

    def __init__(self, values: Iterable[str], *, also: Mapping[str, str] | None = None,
                 sentence: str = "", **kwargs: Any) -> None:
        listed = [str(value) for value in values]
        super().__init__(**_described(kwargs, enum=listed))
        self.table = {value.casefold(): value for value in listed}
        self.table |= {name.casefold(): value for name, value in (also or {}).items()}
        self.sentence = sentence or f"Choose one of: {', '.join(listed)}."

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        found = self.table.get(value.casefold()) if isinstance(value, str) else None
        if found is None:
            raise ValidationError(self.sentence)
        return found


class Whole(Lean, fields.Integer):
    """A whole JSON number from `least` to `most`; true, "3" and 3.0 are none."""

    def __init__(self, least: int, most: int, **kwargs: Any) -> None:
        super().__init__(**_described(kwargs, minimum=least, maximum=most))
        self.least, self.most = least, most

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> int:
        if type(value) is not int or not self.least <= value <= self.most:
            raise ValidationError(f"Send a whole number from {self.least} to {self.most}.")
        return value


class Flag(Lean, fields.Boolean):
    """JSON true or false, nothing that merely looks like it."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> bool:
        if type(value) is not bool:
            raise ValidationError("Send true or false.")
        return value


class Unreadable(str):
    """A value the form could not make sense of; `detail` is the sentence for it. JSON never holds one."""

    detail: str

    def __new__(cls, text: str, detail: str) -> Unreadable:
        made = super().__new__(cls, text)
        made.detail = detail
        return made


class Instant(Lean, fields.DateTime):
    """An RFC 3339 date-time with offset, 1970 to 2199; gives an aware datetime in UTC, to the microsecond.

    A leap second (:60) is the first second of the next minute; -00:00 is UTC (RFC 3339, 4.3).
    """

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> datetime:
        if isinstance(value, Unreadable):
            raise ValidationError(value.detail)
        if not isinstance(value, str):
            raise ValidationError(_INSTANT_SENTENCE)
        return read_instant(value)


_INSTANT_SENTENCE = "Send date, time and offset from UTC (RFC 3339), like 2026-11-22T17:53:00Z."


def read_instant(text: str) -> datetime:
    """The aware UTC datetime of an RFC 3339 date-time. Raises ValidationError with a sentence."""
    match = _INSTANT.match(text)
    if match is None:
        raise ValidationError(_INSTANT_SENTENCE)
    if not EARLIEST_YEAR <= int(match[1]) <= LATEST_YEAR:
        raise ValidationError(f"Send a year from {EARLIEST_YEAR} to {LATEST_YEAR}.")
    leap = match[2] == "60"
    try:
        instant = datetime.fromisoformat(f"{text[:17]}59{text[19:]}" if leap else text.upper())
    except ValueError:
        raise ValidationError("There is no such date or time: check day, hour, minute and offset.") from None
    return instant.astimezone(UTC) + timedelta(seconds=1) if leap else instant.astimezone(UTC)


class Listed(Lean, fields.List):
    """A list of at most `most` values, each as `inner` says, with repeated plain values left out."""

    def __init__(self, inner: fields.Field, *, most: int, **kwargs: Any) -> None:
        super().__init__(inner, **_described(kwargs, maxItems=most))
        self.most = most

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> list[Any]:
        if not isinstance(value, list):
            raise ValidationError("Send a list.")
        if len(value) > self.most:
            raise ValidationError(f"Send at most {self.most} of these.")
        result = super()._deserialize(value, attr, data, **kwargs)
        plain = result and isinstance(result[0], str)
        return list(dict.fromkeys(result)) if plain else result


class Part(Lean, fields.Nested):
    """An object inside, as its Shape says."""


def _described(kwargs: dict[str, Any], **facts: Any) -> dict[str, Any]:
    """Puts the bounds where the OpenAPI document reads them."""
    kwargs["metadata"] = facts | dict(kwargs.get("metadata") or {})
    return kwargs
