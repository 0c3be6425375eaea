"""Shapes of outside data, and what is wrong with it as faults with JSON pointers (RFC 6901).

A value from outside is never repeated: it may be marked. Only the name of an unknown field is, cleaned and cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, pre_load

from coordinator.errors import Fault, Invalid

MAX_FAULTS = 100

_UNKNOWN = "This field is not known here: remove it or check its spelling."
_NAME_CHARACTERS = frozenset("_-.:@$~/ ")


def faults_of(messages: Any, pointer: str = "", *, hide: Callable[[str], bool] | None = None) -> list[Fault]:
    """marshmallow's messages as faults in the order of their pointers, at most MAX_FAULTS and one that counts the rest.

    `hide(name)` says that an unknown field's name may not be repeated; its fault points to the object around it.
    """
    found = sorted(set(_walk(messages, pointer, hide)), key=lambda fault: (fault.pointer, fault.detail))
    if len(found) > MAX_FAULTS:
        rest = len(found) - MAX_FAULTS
        found = [*found[:MAX_FAULTS], Fault("", f"{rest} more faults are not listed: correct these first.")]
    return found


def _walk(messages: Any, pointer: str, hide: Callable[[str], bool] | None) -> Iterable[Fault]:
    if not isinstance(messages, Mapping):
        yield from (Fault(pointer, str(message)) for message in messages)
        return
    for name, inner in messages.items():
        if name == "_schema":
            yield from _walk(inner, pointer, hide)
        elif inner == [_UNKNOWN] and hide is not None and hide(str(name)):
            yield Fault(pointer, "A field here has a name that may not be repeated: remove it.")
        else:
            yield from _walk(inner, f"{pointer}/{pointer_part(name)}", hide)


def pointer_part(name: object) -> str:
    """One name or index as a part of a JSON pointer (RFC 6901), cleaned and cut to 40 characters."""
    text = str(name)
    kept = "".join(one if one.isalnum() or one in _NAME_CHARACTERS else "?" for one in text[:40])
    escaped = kept.replace("~", "~0").replace("/", "~1")
    return escaped + "…" if len(text) > 40 else escaped


def load(shape: Schema, data: Any, *, pointer: str = "", hide: Callable[[str], bool] | None = None) -> Any:
    """`data` in the form of `shape`, or Invalid with every fault; `pointer` is put before the pointers."""
    try:
        return shape.load(data)
    except ValidationError as error:
        raise Invalid(faults_of(error.messages, pointer, hide=hide)) from None


class Shape(Schema):
    """A JSON object: unknown fields are faults, null and "" in a known field mean that it is absent."""

    class Meta:
        unknown = RAISE

    error_messages = {"type": "Send a JSON object here.", "unknown": _UNKNOWN}

    @pre_load
    def _leave_out_absent(self, data: Any, **_: Any) -> Any:
        if not isinstance(data, dict) or not any(value is None or value == "" for value in data.values()):
            return data
        return {name: value for name, value in data.items()
                if (value is not None and value != "") or name not in self.fields}
