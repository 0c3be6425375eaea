"""The body of a report by its media type. Native JSON is read here; interchange adds the others at the start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from coordinator.errors import UnsupportedType
from coordinator.incidents.schema import load_report
from coordinator.outside.strict_json import parse_json

NATIVE = "application/json"


@dataclass(frozen=True)
class Remark:
    """A recommendation of its format that a body does not follow: the number of the check, where, and the object's id.

    `check`: of `vocabulary.stix_checks`, which says what to do. Nothing here repeats what was said.
    """

    check: str
    pointer: str
    object: str


@dataclass(frozen=True)
class Received:
    """What a body said. `report` is as `load_report` gives it; of a ping or a receipt, what it says of that.

    `source`: the CloudEvents source. `kind`: of the other coordinator's alert, or `ping`, or "" for a report. `alert`:
    what it said besides: alert, in_reply_to, purpose, handling, acknowledge_url, acknowledge_api, checkpoint.
    `remarks`: all of them.
    """

    report: dict[str, Any]
    format: str = "native"
    source: str = ""
    kind: str = ""
    alert: dict[str, Any] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()


Reader = Callable[[bytes, datetime, str], Received]


def read_body(raw: bytes, media_type: str, *, now: datetime, asks: str = "") -> Received:
    """The report in `raw`. `asks`: what its sender is held to beside what the format demands, as the endpoint keeps it.

    Raises NotParseable, Invalid with every fault, SecrecyMarkingFound, UnsupportedType.
    """
    read = READERS.get(media_type)
    if read is None:
        raise UnsupportedType()
    return read(raw, now, asks)


def _native(raw: bytes, now: datetime, _asks: str = "") -> Received:
    return Received(load_report(parse_json(raw), now=now))


#: Media type -> reader. `interchange.install()` adds to it.
READERS: dict[str, Reader] = {NATIVE: _native}
